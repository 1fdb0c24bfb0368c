"""What intake and the decoder's process say to each other, one JSON line each."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Look(_Message):
    """What is in this zip?"""

    op: Literal["look"] = "look"
    path: Path
    most_entries: int
    most_bytes: int
    most_ratio: float
    seconds: int


class Decode(_Message):
    """Make a clean picture of the file, or of entry ``index`` of the zip. ``scratch`` is a file it may use."""

    op: Literal["decode"] = "decode"
    path: Path
    index: int | None
    scratch: Path
    target: Path
    thumb: Path
    most_bytes: int
    most_pixels: int
    least_side: int
    most_side: int
    seconds: int


class Found(_Message):
    """A file that may be a picture; ``index`` is None for one that is not in a zip."""

    index: int | None
    name: str = Field(max_length=200)
    caption: str | None = Field(default=None, max_length=2000)


class Looked(_Message):
    """Answer to ``Look``."""

    answer: Literal["looked"] = "looked"
    found: tuple[Found, ...]
    locked: tuple[str, ...] = ()
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


Question = Look | Decode
Answer = Looked | Decoded | Refusal
question: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="op")])
answer: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="answer")])
