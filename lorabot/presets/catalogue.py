"""All that can be asked for: presets and vocabularies, built-in ones and the operator's, and base models."""

import difflib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from lorabot.locale import UserError
from lorabot.presets.bases import Bases
from lorabot.presets.schema import Caption, Preset, Vocabulary
from lorabot.presets.source import Broken, BrokenPreset, Source, read

_BUILT_IN = Path(__file__).parent
_Model = TypeVar("_Model", Preset, Vocabulary)
_log = logging.getLogger(__name__)


class UnknownPreset(UserError):
    """Nobody knows a preset of that name; the message offers the nearest, or all of them."""


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's file that takes the place of a built-in preset or vocabulary of the same id."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What can be asked for, and on which base models. ``broken`` and ``overrides`` are for the operator to read."""

    presets: Mapping[str, Preset]
    vocabularies: Mapping[str, Vocabulary]
    broken: tuple[BrokenPreset, ...] = ()
    overrides: tuple[Override, ...] = ()
    bases: Bases = field(default_factory=Bases)

    def get(self, wish: str) -> Preset:
        """The preset a person means by ``wish``: its id in any case, blanks and underscores read as hyphens.

        Raises ``UnknownPreset`` with the nearest ones.
        """
        found = self.presets.get(_plain(wish))
        if found is not None:
            return found
        shown = wish.strip()[:40]
        nearest = self.nearest(wish)
        if nearest:
            raise UnknownPreset("preset-unknown", preset=shown, nearest=", ".join(nearest))
        raise UnknownPreset("preset-unknown-all", preset=shown, presets=", ".join(self.presets))

    def nearest(self, wish: str, limit: int = 3) -> tuple[str, ...]:
        """Ids that ``wish`` may have meant, best first: by id or by title in either language."""
        wanted = _plain(wish)
        names: dict[str, str] = {}
        for preset in self.presets.values():
            for name in (preset.title.en, preset.title.zh, preset.id):
                names[_plain(name)] = preset.id
        # Holding the word, or being held by it, says more than sharing letters: "ink" means ink-landscape.
        held = [name for name in names if len(wanted) > 1 and (wanted in name or name in wanted)]
        close = difflib.get_close_matches(wanted, names, n=2 * limit, cutoff=0.6)
        return tuple(dict.fromkeys(names[name] for name in (*held, *close)))[:limit]

    def vocabulary(self, vocabulary_id: str) -> Vocabulary:
        """The vocabulary that a loaded preset refers to; raises ``KeyError`` for any other id."""
        return self.vocabularies[vocabulary_id]

    def vocabulary_for(self, caption: Caption) -> Vocabulary | None:
        """The vocabulary that captions are made of; None where they are the trigger word alone."""
        return None if caption.vocabulary is None else self.vocabularies[caption.vocabulary]

    def log(self) -> None:
        """For whoever shows it nowhere: what was left out, and what the operator has put in the place of ours."""
        for fault in self.broken:
            _log.warning("preset left out: %s", fault)
        for override in self.overrides:
            _log.info("%s takes the place of the built-in %s", override.path, override.id)


def load_presets(extra: Path | None = None, bases: Bases | None = None) -> Catalogue:
    """Read the built-in presets, then those in the folder ``extra`` (``*.yaml`` and ``vocabularies/*.yaml``).

    ``bases`` are the base models they can be asked for on; the demo alone unless told.

    Never raises for a broken file: it is named in ``Catalogue.broken`` and all others count.
    """
    broken: list[BrokenPreset] = []
    overrides: list[Override] = []
    vocabularies = _collect(Vocabulary, _BUILT_IN / "vocabularies", broken)
    presets = _collect(Preset, _BUILT_IN, broken)
    if extra is not None:
        if extra.is_dir():
            _lay_over(vocabularies, _collect(Vocabulary, extra / "vocabularies", broken), overrides)
            mine = _collect(Preset, extra, broken)
            _refuse_unknown_vocabularies(mine, vocabularies, broken)
            _lay_over(presets, mine, overrides)
        else:
            broken.append(BrokenPreset(extra, 0, "", "is not a folder; LORABOT_PRESETS_DIR names it"))
    return Catalogue(
        presets=MappingProxyType({name: presets[name].model for name in sorted(presets)}),
        vocabularies=MappingProxyType({name: source.model for name, source in vocabularies.items()}),
        broken=tuple(broken),
        overrides=tuple(overrides),
        bases=bases or Bases(),
    )


def _collect(model: type[_Model], folder: Path, broken: list[BrokenPreset]) -> dict[str, Source[_Model]]:
    found: dict[str, Source[_Model]] = {}
    for path in _yaml_files(folder):
        try:
            source = read(path, model)
        except Broken as error:
            broken.extend(error.faults)
            continue
        first = found.setdefault(source.model.id, source)
        if first is not source:
            broken.append(source.fault(("id",), f"{source.model.id} is already the id of {first.path.name}"))
    return found


def _yaml_files(folder: Path) -> Iterable[Path]:
    if not folder.is_dir():
        return ()
    return sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())


def _refuse_unknown_vocabularies(
    presets: dict[str, Source[Preset]], vocabularies: Mapping[str, object], broken: list[BrokenPreset]
) -> None:
    for name, source in list(presets.items()):
        for family, recipe in source.model.recipes.items():
            if recipe.caption.vocabulary is not None and recipe.caption.vocabulary not in vocabularies:
                reason = f"no vocabulary {recipe.caption.vocabulary}; there are {', '.join(sorted(vocabularies))}"
                broken.append(source.fault(("recipes", family, "caption", "vocabulary"), reason))
                presets.pop(name, None)


def _lay_over(base: dict[str, Source[_Model]], mine: Mapping[str, Source[_Model]], overrides: list[Override]) -> None:
    overrides.extend(Override(name, source.path) for name, source in mine.items() if name in base)
    base.update(mine)


def _plain(name: str) -> str:
    return "-".join(name.casefold().replace("_", " ").replace("-", " ").split())
