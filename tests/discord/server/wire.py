"""What everything of Discord's is made of: ids, times, refusals."""

import itertools
import time
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

EPOCH_MS = 1_420_070_400_000
"""The first second of 2015, from which snowflakes count."""


class Clock:
    """The server's time, which a test can put forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


class Snowflakes:
    """Makes ids that hold their time, as Discord's do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = itertools.count(1)

    def new(self) -> int:
        return (int(self._clock.now() * 1000) - EPOCH_MS) << 22 | next(self._count) & 0x3FFFFF


def time_of(snowflake: int) -> float:
    """Seconds since the epoch at which an id was made."""
    return ((snowflake >> 22) + EPOCH_MS) / 1000


def as_iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class Refused(Exception):
    """Discord says no: HTTP status, Discord's own code, and what it says."""

    def __init__(self, status: int, code: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} ({code}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    def as_json(self) -> Json:
        body: Json = {"message": self.message, "code": self.code}
        if self.retry_after is not None:
            body |= {"retry_after": self.retry_after, "global": False}
        return body


UNKNOWN_CHANNEL = Refused(404, 10003, "Unknown Channel")
UNKNOWN_MESSAGE = Refused(404, 10008, "Unknown Message")
UNKNOWN_USER = Refused(404, 10013, "Unknown User")
UNKNOWN_WEBHOOK = Refused(404, 10015, "Unknown Webhook")
UNKNOWN_GUILD = Refused(404, 10004, "Unknown Guild")
UNKNOWN_INTERACTION = Refused(404, 10062, "Unknown interaction")
ALREADY_ACKNOWLEDGED = Refused(400, 40060, "Interaction has already been acknowledged.")
TOO_LARGE = Refused(413, 40005, "Request entity too large")
ARCHIVED = Refused(400, 50083, "Thread is archived")
MISSING_ACCESS = Refused(403, 50001, "Missing Access")
CANNOT_EDIT_OTHERS = Refused(403, 50005, "Cannot edit a message authored by another user")
EMPTY_MESSAGE = Refused(400, 50006, "Cannot send an empty message")
CLOSED_DM = Refused(403, 50007, "Cannot send messages to this user")
MISSING_PERMISSIONS = Refused(403, 50013, "Missing Permissions")
INVALID_WEBHOOK_TOKEN = Refused(401, 50027, "Invalid Webhook Token")
UNAUTHORISED = Refused(401, 0, "401: Unauthorized")


def malformed(what: str) -> Refused:
    """Discord's answer to a body that breaks a rule."""
    return Refused(400, 50035, f"Invalid Form Body: {what}")


def check(holds: object, what: str) -> None:
    if not holds:
        raise malformed(what)
