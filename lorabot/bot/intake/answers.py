"""What the decoder's process answers, checked strictly: a file may have taken it over."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_Name = Annotated[str, Field(max_length=200)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Found(_Message):
    """A file that may be a picture; ``index`` is None for one that is not in a zip."""

    index: int | None
    name: _Name
    caption: str | None = Field(default=None, max_length=2000)


class Looked(_Message):
    """Answer to ``Look``: what to decode, what is locked by a password, which captions can't be read, how much was
    passed over."""

    answer: Literal["looked"] = "looked"
    found: tuple[Found, ...]
    locked: tuple[_Name, ...] = ()
    unread: tuple[_Name, ...] = ()
    passed_over: int = 0


class Decoded(_Message):
    """Answer to ``Decode``: sides in pixels."""

    answer: Literal["decoded"] = "decoded"
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Refusal(_Message):
    """It can't be used: a code of the catalogue and its parameters."""

    answer: Literal["refused"] = "refused"
    code: str = Field(pattern=r"^intake-[a-z-]+$")
    params: dict[str, int | str] = {}


Answer = Looked | Decoded | Refusal
answer: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="answer")])
