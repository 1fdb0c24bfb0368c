"""What Telegram knows: chats, people, messages, files, and the rules that are numbers."""

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image, ImageOps

MIB = 1024 * 1024
FileKind = Literal["photo", "document", "video", "animation", "sticker"]
_LONGEST_PHOTO_SIDE = 1280


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. A Bot API server of one's own (``--local``) has far wider ones."""

    download: int = 20 * MIB
    upload: int = 50 * MIB
    photo: int = 10 * MIB
    file_link_s: float = 3600
    press_s: float = 15
    """Telegram drops a query that is not answered after a while that it names nowhere; people wait less."""


LOCAL_LIMITS = Limits(download=2000 * MIB, upload=2000 * MIB)


@dataclass(slots=True)
class StoredFile:
    """A file on Telegram's servers. ``declared`` is its size where it is not as long as it says."""

    id: str
    unique_id: str
    kind: FileKind
    name: str
    mime: str
    data: bytes
    size: int
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class Member:
    """Somebody in the app: a person or the bot."""

    id: int
    first_name: str
    language: str | None = "en"
    is_bot: bool = False
    username: str | None = None

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.language and not self.is_bot:
            shown["language_code"] = self.language
        if self.username:
            shown["username"] = self.username
        return shown


@dataclass(slots=True)
class Chat:
    """A conversation. ``closed`` is why the bot can't write there; ``denied`` are media it may not send there."""

    id: int
    kind: Literal["private", "group", "supergroup", "channel"]
    title: str
    forum: bool = False
    privacy: bool = True
    members: dict[int, str] = field(default_factory=dict)
    closed: str | None = None
    denied: set[str] = field(default_factory=set)
    moved_to: int | None = None
    topics: set[int] = field(default_factory=set)
    messages: dict[int, "Message"] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.id, "type": self.kind}
        shown["first_name" if self.kind == "private" else "title"] = self.title
        return shown | ({"is_forum": True} if self.forum else {})


@dataclass(slots=True)
class Message:
    """A message as everybody sees it now; ``history`` is what it showed before each edit."""

    id: int
    chat: Chat
    sender: Member
    at: float
    text: str = ""
    entities: list[dict[str, Any]] = field(default_factory=list)
    source: str = ""
    file: StoredFile | None = None
    markup: dict[str, Any] | None = None
    thread: int | None = None
    reply_to: int | None = None
    album: str | None = None
    silent: bool = False
    deleted: bool = False
    edited_at: float | None = None
    history: list[str] = field(default_factory=list)
    sender_chat: Chat | None = None

    @property
    def labels(self) -> list[str]:
        """The buttons' labels in reading order."""
        return [str(button["text"]) for row in self.keyboard for button in row]

    @property
    def keyboard(self) -> list[list[dict[str, Any]]]:
        rows: list[list[dict[str, Any]]] = (self.markup or {}).get("inline_keyboard", [])
        return rows

    def button(self, label: str) -> dict[str, Any]:
        """The button whose label holds ``label``."""
        found = [button for row in self.keyboard for button in row if label in str(button["text"])]
        assert found, f"no button {label!r} among {self.labels} under {self.text!r}"
        return found[0]

    def to_json(self, *, deep: bool = True) -> dict[str, Any]:
        """As the Bot API shows it."""
        shown: dict[str, Any] = {"message_id": self.id, "date": int(self.at), "chat": self.chat.to_json()}
        shown["from"] = self.sender.to_json()
        if self.sender_chat is not None:
            shown["sender_chat"] = self.sender_chat.to_json()
        if self.thread is not None:
            shown |= {"message_thread_id": self.thread, "is_topic_message": True}
        if self.album is not None:
            shown["media_group_id"] = self.album
        if self.edited_at is not None:
            shown["edit_date"] = int(self.edited_at)
        if self.markup is not None and "inline_keyboard" in self.markup:
            shown["reply_markup"] = self.markup
        words, marks = ("caption", "caption_entities") if self.file else ("text", "entities")
        if self.text:
            shown[words] = self.text
        if self.entities:
            shown[marks] = self.entities
        if self.file is not None:
            shown |= media_json(self.file)
        replied = self.chat.messages.get(self.reply_to) if self.reply_to is not None else None
        if deep and replied is not None and not replied.deleted:
            shown["reply_to_message"] = replied.to_json(deep=False)
        return shown


@dataclass(slots=True)
class Press:
    """A pressed button: what the bot answered, and when."""

    id: str
    person: Member
    message: Message
    data: str
    at: float
    answered_at: float | None = None
    answered_by_the_dead: bool = False
    text: str = ""
    alert: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the bot as it came, for tests that look at what was really sent."""

    method: str
    params: Mapping[str, Any]
    at: float
    refused: str | None = None


def media_json(file: StoredFile) -> dict[str, Any]:
    """The part of a message that shows its file."""
    about = {"file_id": file.id, "file_unique_id": file.unique_id, "file_size": file.size}
    sides = {"width": file.width, "height": file.height}
    match file.kind:
        case "photo":
            small = max(1, file.width // 4), max(1, file.height // 4)
            thumb = {"file_id": f"{file.id}-s", "file_unique_id": f"{file.unique_id}-s", "file_size": file.size // 8}
            return {"photo": [{**thumb, "width": small[0], "height": small[1]}, {**about, **sides}]}
        case "video":
            return {"video": {**about, **sides, "duration": 3, "mime_type": file.mime}}
        case "animation":
            shown = {**about, "file_name": file.name, "mime_type": file.mime}
            return {"animation": {**shown, **sides, "duration": 3}, "document": shown}
        case "sticker":
            kind = {"type": "regular", "is_animated": False, "is_video": False}
            return {"sticker": {**about, **sides, **kind}}
        case _:
            return {"document": {**about, "file_name": file.name, "mime_type": file.mime}}


def as_photo(data: bytes) -> tuple[bytes, int, int]:
    """What Telegram makes of a photo: an upright JPEG without metadata, scaled down where it is large."""
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        scale = _LONGEST_PHOTO_SIDE / max(width, height)
        if picture.format == "JPEG" and scale >= 1 and not picture.getexif():
            return data, width, height
        small = ImageOps.exif_transpose(picture).convert("RGB")
        width, height = small.size
        if scale < 1:
            small = small.resize((max(1, round(width * scale)), max(1, round(height * scale))))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=87)
        return buffer.getvalue(), *small.size


class Clock:
    """The server's time, which a test may move forward."""

    def __init__(self) -> None:
        self._moved = 0.0
        self._stopped: float | None = None

    def now(self) -> float:
        return (time.time() if self._stopped is None else self._stopped) + self._moved

    def stop(self) -> None:
        """From now on only ``advance`` moves it."""
        self._stopped = time.time()

    def advance(self, seconds: float) -> None:
        self._moved += seconds
