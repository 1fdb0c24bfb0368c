"""The base models that can be trained on: the demo, which every installation has, and those that the operator names."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lorabot.locale import UserError
from lorabot.presets.schema import Family, Line

Prediction = Literal["epsilon", "v_prediction"]
RealFamily = Literal["sd15", "sd21", "sdxl"]
BaseId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=32)]

_DEMO_ID = "demo"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_LONGEST_SHOWN = 40


class UnknownBase(UserError):
    """Nobody knows a base model of that name; the message offers the nearest, or all of them."""


class NamedBase(BaseModel):
    """A base model as the operator names it in the settings. Its weights need to be on the hosts that train only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: BaseId = Field(description="The name that people type: lower-case letters, digits, hyphens and dots.")
    title: Line = Field(max_length=80, description="The name that people read.")
    source: str = Field(
        min_length=1,
        description="Where it is: a `.safetensors` file, a folder of diffusers (a relative path starts with `./`), or "
        "`org/name` on the Hugging Face Hub.",
    )
    family: RealFamily | None = Field(
        None,
        description="Its family; needed for one on the hub and on hosts without the file, else read from the file.",
    )
    prediction: Prediction | None = Field(
        None, description="What its UNet predicts; left out: what the file says, else what is usual in its family."
    )
    clip_skip: int | None = Field(
        None,
        ge=1,
        le=12,
        description="Which layer of the text encoder the UNet listens to, counted from the end; left out: 1 for sd15, "
        "2 for sd21 and sdxl. Anime models of 1.5 mostly want 2.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.id == _DEMO_ID:
            raise ValueError(f"the id {_DEMO_ID} is the built-in base model's; choose another")
        if self.on_hub and self.family is None:
            raise ValueError(f"family is needed where the source ({self.source}) is on the hub: sd15, sd21 or sdxl")
        if self.clip_skip == 1 and self.family in ("sd21", "sdxl"):
            raise ValueError(
                f"clip_skip 1 does not exist for {self.family}: its UNet never saw the last layer; 2 to 12"
            )
        return self

    @property
    def on_hub(self) -> bool:
        """Whether the source is a hub id; only its form counts, so that no path is ever looked for on the hub."""
        return (
            _HUB_ID.fullmatch(self.source) is not None
            and not self.source.startswith((".", "~"))
            and (not self.source.endswith(".safetensors"))
        )

    def of(self, family: Family) -> "Base":
        """The same base once its family is known."""
        return Base(id=self.id, title=self.title, family=family, named=self)


class Base(BaseModel):
    """A base model that can be asked for. ``named`` is what the operator says of it; None for the built-in one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: BaseId
    title: Line
    family: Family
    named: NamedBase | None = None


DEMO = Base(id=_DEMO_ID, title="Demo", family="demo")
"""The small model that comes along."""


class Bases(Mapping[str, Base]):
    """The base models of an installation by id, the demo first. Never changed once made."""

    def __init__(self, named: Iterable[Base] = ()) -> None:
        self._bases = MappingProxyType({base.id: base for base in (DEMO, *named)})

    def __getitem__(self, base: str) -> Base:
        return self._bases[base]

    def __iter__(self) -> Iterator[str]:
        return iter(self._bases)

    def __len__(self) -> int:
        return len(self._bases)

    @property
    def usual(self) -> Base:
        """What is trained on where nobody says: the first that the operator names, else the demo."""
        return next((base for base in self.values() if base.named is not None), DEMO)

    def wished(self, wish: str) -> Base:
        """The base a person means by ``wish``: its id or its title, in any case. Raises ``UnknownBase``."""
        wanted = wish.strip().casefold()
        for base in self.values():
            if wanted in (base.id, base.title.casefold()):
                return base
        shown, known = wish.strip()[:_LONGEST_SHOWN], ", ".join(self)
        near = self.nearest(wanted)
        if near:
            raise UnknownBase("base-unknown-near", base=shown, nearest=", ".join(near))
        raise UnknownBase("base-unknown", base=shown, bases=known)

    def nearest(self, wish: str, limit: int = 3) -> tuple[str, ...]:
        """Ids that ``wish`` may have meant, best first: by family, by id or by title."""
        wanted = wish.strip().casefold()
        of_family = [base.id for base in self.values() if base.family == wanted]
        names = {name: base.id for base in self.values() for name in (base.title.casefold(), base.id)}
        held = [name for name in names if len(wanted) > 1 and wanted in name]
        close = difflib.get_close_matches(wanted, names, n=limit, cutoff=0.6)
        return tuple(dict.fromkeys([*of_family, *(names[name] for name in (*held, *close))]))[:limit]
