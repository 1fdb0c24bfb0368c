"""What lorabot answers, before a chat platform gives it a form."""

from dataclasses import dataclass
from typing import Literal

ButtonStyle = Literal["primary", "danger", "plain"]


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message. ``action`` is read back by ``commands.parse_action``; at most 64 bytes (Telegram)."""

    label: str
    action: str
    style: ButtonStyle = "plain"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture shown in the chat: ``key`` of the blobs, ``alt`` says what it shows."""

    key: str
    filename: str
    content_type: str
    alt: str


@dataclass(frozen=True, slots=True)
class File:
    """A file to take away: ``key`` of the blobs, ``size`` in bytes."""

    key: str
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One message of lorabot. ``private``: only who asked sees it, where the platform can do that.

    ``owner`` is whom the news of a job are for: the one person to mention where others read along.
    """

    text: str
    buttons: tuple[Button, ...] = ()
    pictures: tuple[Picture, ...] = ()
    files: tuple[File, ...] = ()
    private: bool = True
    result: bool = False
    owner: str | None = None
