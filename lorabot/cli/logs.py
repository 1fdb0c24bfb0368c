"""Logs for operators: plain lines on standard error, with every known secret crossed out."""

import logging
from collections.abc import Iterable

TIME = "%Y-%m-%d %H:%M:%S"
"""How a line's time is written: with the date, since a log is kept for weeks."""

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# These write down every request, some with a token in the address.
_TALKATIVE = ("httpx", "httpcore", "telegram", "discord", "aiohttp.access", "alembic", "arq", "PIL", "matplotlib")
_LEAST_SECRET = 4


def redact(text: str, secrets: Iterable[str]) -> str:
    """``text`` with three stars for each secret; words of under four letters are left, or nothing would be readable."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _LEAST_SECRET:
            text = text.replace(secret, "***")
    return text


class _Formatter(logging.Formatter):
    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(_FORMAT, TIME)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._secrets)


def configure(level: str, secrets: tuple[str, ...] = ()) -> None:
    """Send all logs of ``level`` and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
