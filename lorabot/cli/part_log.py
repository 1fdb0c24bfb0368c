"""What the parts of ``lorabot up`` and their supervisor say: on the terminal, and in a file that is kept."""

import logging
import logging.handlers
from datetime import datetime
from pathlib import Path

from lorabot.cli.logs import TIME, redact
from lorabot.cli.terminal import Terminal
from lorabot.locale import Message

_MOST_BYTES = 10 * 1024 * 1024
_BACKUPS = 3
_SUPERVISOR = "lorabot"
_COLOURS = {"bot": "cyan", "trainer": "magenta"}


class PartLog:
    """Shows each line with the name of its part before it, and keeps it in ``path``, which does not grow for ever."""

    def __init__(self, terminal: Terminal, path: Path, secrets: tuple[str, ...]) -> None:
        self._terminal = terminal
        self._secrets = secrets
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _File(path, maxBytes=_MOST_BYTES, backupCount=_BACKUPS, encoding="utf-8")

    def line(self, part: str, line: str) -> None:
        """A line that a part wrote; its own log lines begin with the time."""
        line = redact(line, self._secrets)
        self._terminal.out.print(f"{part:>7} | ", end="", style=_COLOURS.get(part), markup=False)
        self._terminal.out.print(line, markup=False)
        self._keep(part, line)

    def say(self, message: Message) -> None:
        """What the supervisor itself has to say, such as that a part was killed."""
        self._terminal.say(message, "bold")
        self._keep(_SUPERVISOR, f"{datetime.now():{TIME}} {self._terminal.translate.text(message)}")

    def _keep(self, part: str, line: str) -> None:
        self._file.emit(logging.LogRecord(part, logging.INFO, "", 0, f"{part}: {line}", None, None))


class _File(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk: the terminal has the line, and a traceback for each would bury the reason."""
