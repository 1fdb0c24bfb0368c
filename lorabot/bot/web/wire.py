"""What the page and the server say to each other, and what a line of a conversation holds."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from lorabot.bot.card import Card, CardFacts
from lorabot.bot.reply import Button, ButtonStyle, File, Picture, Reply
from lorabot.queue.model import JsonObject, Line

Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
"""A key that a page makes; the server's own hold a colon."""
Language = Literal["en", "zh-CN"]
Words = Annotated[str, AfterValidator(lambda words: words.replace("\0", ""))]
"""What a person typed. PostgreSQL's texts know no NUL, and a line that can't be stored the page would send for ever."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hello(_Message):
    """First message of a page. ``language`` is the person's own choice on it."""

    type: Literal["hello"]
    since: int = Field(default=0, ge=0)
    language: Language | None = None


class Say(_Message):
    """A line the person typed. The same ``key`` again is the same line."""

    type: Literal["say"]
    text: Words = Field(min_length=1, max_length=4000)
    key: Key


class Press(_Message):
    """A button the person pressed."""

    type: Literal["press"]
    action: Words = Field(min_length=1, max_length=200)
    key: Key | None = None


class Complete(_Message):
    """What may follow the text up to the caret?"""

    type: Literal["complete"]
    text: Words = Field(max_length=4000)
    id: int


class Ping(_Message):
    """A sign of life that a page may ask for."""

    type: Literal["ping"]


Request = Say | Press | Complete | Ping
ClientMessage = Annotated[Hello | Request, Field(discriminator="type")]
client_message: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)

Kind = Literal["text", "upload", "card", "result"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file the person sent: only its name stays, not the bytes. ``size`` is in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """What a line shows, as it is stored: files by their key in the blobs, never by a link, since links expire."""

    kind: Kind
    text: str = ""
    buttons: tuple[Button, ...] = ()
    pictures: tuple[Picture, ...] = ()
    files: tuple[File, ...] = ()
    uploads: tuple[Upload, ...] = ()
    card: Card | None = None
    busy: bool = False


_content: TypeAdapter[Content] = TypeAdapter(Content)


def content_of(reply: Reply) -> Content:
    """What a reply's line shows."""
    kind: Kind = "result" if reply.result else "text"
    return Content(kind, reply.text, reply.buttons, reply.pictures, reply.files)


def store(content: Content) -> JsonObject:
    """``content`` as JSON for the transcript."""
    stored: dict[str, object] = _content.dump_python(content, mode="json", exclude_defaults=True)
    return stored | {"kind": content.kind}


def restore(payload: JsonObject) -> Content:
    """What ``store`` wrote. Raises pydantic's ``ValidationError`` on anything else."""
    return _content.validate_python(dict(payload))


Link = Callable[[Picture | File], str]
"""Gives a file a signed address."""


class ShownButton(_Message):
    """A button; pressing it sends ``action`` back."""

    label: str
    action: str
    style: ButtonStyle


class ShownImage(_Message):
    """A picture in the conversation; ``step`` and ``prompt`` are those of a sample."""

    url: str
    alt: str
    step: int | None = None
    prompt: str | None = None


class ShownFile(_Message):
    """A file to take away; one that the person sent has no address. ``size`` is in bytes."""

    name: str
    url: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard(CardFacts):
    """A job as the page shows it: its buttons stand with the line."""

    samples: tuple[ShownImage, ...]


class ShownLine(_Message):
    """A line of the conversation as the page gets it. ``revision`` grows when the line changes."""

    id: int
    key: str | None
    revision: int
    author: str
    at: datetime
    kind: Kind
    text: str
    busy: bool
    buttons: tuple[ShownButton, ...]
    images: tuple[ShownImage, ...]
    files: tuple[ShownFile, ...]
    card: ShownCard | None


def show(line: Line, link: Link) -> ShownLine:
    """``line`` for the page, with fresh links."""
    content = restore(line.payload)
    buttons = content.card.buttons if content.card else content.buttons
    uploads = [ShownFile(name=upload.name, url="", size=upload.size) for upload in content.uploads]
    files = [ShownFile(name=file.filename, url=link(file), size=file.size) for file in content.files]
    return ShownLine(
        id=line.id,
        key=line.key,
        revision=line.revision,
        author=line.author,
        at=line.at,
        kind=content.kind,
        text=content.text,
        busy=content.busy,
        buttons=tuple(ShownButton(label=one.label, action=one.action, style=one.style) for one in buttons),
        images=tuple(ShownImage(url=link(picture), alt=picture.alt) for picture in content.pictures),
        files=(*uploads, *files),
        card=_card(content.card, link) if content.card else None,
    )


def _card(card: Card, link: Link) -> ShownCard:
    samples = tuple(
        ShownImage(url=link(sample.picture), alt=sample.picture.alt, step=sample.step, prompt=sample.prompt)
        for sample in card.samples
    )
    facts = {item.name: getattr(card, item.name) for item in fields(CardFacts)}
    return ShownCard(samples=samples, **facts)


def as_json(message: str, **parts: object) -> str:
    """A message of the server: its type and its parts, models among them."""
    return _anything.dump_json({"type": message, **parts}).decode()


_anything: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])
