"""A conversation as it was recorded: platform-neutral, one JSON file, pictures inside."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Platform = Literal["discord", "telegram"]
ButtonStyle = Literal["primary", "danger", "plain", "link"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Picture(_Part):
    """A picture as it was sent; ``data`` is its bytes in base64."""

    name: str
    alt: str = ""
    content_type: str = "image/png"
    data: str


class File(_Part):
    """A file to take away; ``size`` in bytes."""

    name: str
    size: int


class Button(_Part):
    label: str
    style: ButtonStyle = "plain"


class Invoked(_Part):
    """The command that a message answers, and who used it."""

    by: str
    name: str


class Message(_Part):
    """One message as it looked at last. ``text`` is in the platform's own markup: Markdown (Discord), HTML (Telegram).

    ``private``: only one person saw it. ``accent``: the colour of its edge, ``#rrggbb``. ``time`` as the clock showed.
    """

    author: str
    bot: bool = False
    time: str
    text: str = ""
    private: bool = False
    invoked: Invoked | None = None
    accent: str | None = None
    pictures: tuple[Picture, ...] = ()
    files: tuple[File, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    mentions: dict[str, str] = Field(default_factory=dict)


class FormField(_Part):
    """A field of a form."""

    label: str
    hint: str = ""
    kind: Literal["choice", "text", "files", "note"]
    value: str = ""
    placeholder: str = ""


class Form(_Part):
    """A form that a command opened."""

    title: str
    fields: tuple[FormField, ...]


class Recording(_Part):
    """A conversation, or a form. ``title`` is that of the chat."""

    platform: Platform
    title: str
    messages: tuple[Message, ...] = ()
    form: Form | None = None

    @classmethod
    def load(cls, path: Path) -> "Recording":
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    def save(self, path: Path) -> None:
        path.write_text(self.model_dump_json(indent=1, exclude_defaults=True), encoding="utf-8")
