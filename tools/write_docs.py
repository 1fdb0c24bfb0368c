"""Writes the tables of docs/settings.md and docs/presets.md from the code: python -m tools.write_docs"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from pydantic import BaseModel

from lorabot.locale import translator
from lorabot.presets import (
    Bilingual,
    Caption,
    Group,
    NamedBase,
    Preserve,
    Preset,
    Recipe,
    Send,
    Vocabulary,
    load_presets,
)
from lorabot.settings import Setting, settings_tree

DOCS = Path(__file__).parents[1] / "docs"
_TEXT = translator("en")
_SECTIONS = {
    "": "Everything",
    "web": "Web chat",
    "discord": "Discord",
    "telegram": "Telegram",
    "intake": "What people may send",
    "delivery": "Delivery to chats",
    "trainer": "Trainer",
    "queue": "Queue",
}


def settings_table() -> str:
    """A table for each section of the settings."""
    return "\n\n".join(_settings_section(name, list(group)) for name, group in _by_section())


def _by_section() -> Iterator[tuple[str, Iterator[Setting]]]:
    return groupby(settings_tree(), key=lambda setting: setting.path[0] if len(setting.path) > 1 else "")


def _settings_section(name: str, settings: list[Setting]) -> str:
    heading = f"### {_SECTIONS[name]}" + (f" (`[{name}]`)" if name else "")
    rows = [heading, "", "| variable | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    for setting in settings:
        allowed = _TEXT.text(setting.allowed)
        rows.append(f"| `{setting.variable}` | {_default(setting)} | {_cell(allowed)} | {_cell(setting.description)} |")
    return "\n".join(rows)


def _default(setting: Setting) -> str:
    value = setting.field.get_default(call_default_factory=True)
    return "" if value is None or value == () else f"`{value:.15g}`" if isinstance(value, float) else f"`{value}`"


def presets_table() -> str:
    """All built-in presets."""
    rows = ["| preset | name | images | what it does |", "| --- | --- | --- | --- |"]
    for preset in load_presets().presets.values():
        send = preset.send
        count = f"{send.min_images} to {send.max_images}, best {send.best}"
        title = f"{preset.title.en}<br>{preset.title.zh}"
        about = f"{preset.description.en} Send: {preset.send.kind.en}"
        rows.append(f"| `{preset.id}` | {_cell(title)} | {count} | {_cell(about)} |")
    return "\n".join(rows)


def values_table() -> str:
    """What the built-in presets train with."""
    columns = (
        "resolution", "views", "batch", "unet_lr", "text_encoder_lr", "layers", "rank", "alpha", "min_snr_gamma",
        "p2_gamma", "flip",
    )  # fmt: skip
    rows = [f"| preset | base | {' | '.join(columns)} |", "| --- | --- |" + " --- |" * len(columns)]
    for preset in load_presets().presets.values():
        for family, recipe in preset.recipes.items():
            values = (getattr(recipe, column) for column in columns)
            shown = (f"{value:g}" if isinstance(value, float) else str(value).lower() for value in values)
            rows.append(f"| `{preset.id}` | `{family}` | {' | '.join(shown)} |")
    return "\n".join(rows)


def fields_table() -> str:
    """Every field of a preset file and of a vocabulary file."""
    rows = ["| field | what it is |", "| --- | --- |"]
    for prefix, model in (
        ("", Preset),
        ("title.", Bilingual),
        ("send.", Send),
        ("recipes.FAMILY.", Recipe),
        ("recipes.FAMILY.caption.", Caption),
        ("recipes.FAMILY.preserve.", Preserve),
    ):
        rows += _fields(prefix, model)
    return "\n".join(rows)


def vocabulary_table() -> str:
    """Every field of a vocabulary file."""
    rows = ["| field | what it is |", "| --- | --- |"]
    rows += _fields("", Vocabulary)
    rows += _fields("groups[].", Group)
    return "\n".join(rows)


def _fields(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"| `{prefix}{name}` | {_cell(field.description or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def bases_table() -> str:
    """What can be said of a base model."""
    rows = ["| field | what it is |", "| --- | --- |"]
    rows += _fields("", NamedBase)
    return "\n".join(rows)


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "bases.md": {"bases": bases_table},
    "settings.md": {"settings": settings_table},
    "presets.md": {
        "presets": presets_table,
        "values": values_table,
        "fields": fields_table,
        "vocabulary": vocabulary_table,
    },
}


def rendered(name: str) -> str:
    """The page ``name`` with its tables as they should be."""
    page = (DOCS / name).read_text(encoding="utf-8")
    for block, table in BLOCKS[name].items():
        begin, end = f"<!-- table: {block} -->", f"<!-- end of table: {block} -->"
        parts = page.split(begin)
        if len(parts) != 2 or end not in parts[1]:
            raise ValueError(f"{name} must hold {begin} ... {end} once")
        page = f"{parts[0]}{begin}\n{table()}\n{end}{parts[1].split(end, 1)[1]}"
    return page


def main() -> None:
    for name in BLOCKS:
        (DOCS / name).write_text(rendered(name), encoding="utf-8")


if __name__ == "__main__":
    main()
