"""``lorabot presets``: what can be asked for, and one preset in full."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from lorabot.cli.terminal import EXIT_FAILED, Terminal
from lorabot.presets import Catalogue, Family, Preset, load_presets


def show_presets(terminal: Terminal, wish: str | None) -> int:
    """Print all presets, or the one meant by ``wish``; the exit code is 1 where a file of the operator is broken.

    Raises ``UnknownPreset``.
    """
    catalogue = load_presets(terminal.settings().presets_dir)
    if wish is not None:
        catalogue.log()
        _show_one(terminal, catalogue, catalogue.get(wish))
        return 0
    _show_all(terminal, catalogue)
    for override in catalogue.overrides:
        terminal.print("presets-override", id=override.id, file=str(override.path))
    for broken in catalogue.broken:
        terminal.fail(terminal.translate("presets-broken", what=str(broken)))
    return EXIT_FAILED if catalogue.broken else 0


def _show_all(terminal: Terminal, catalogue: Catalogue) -> None:
    language = terminal.translate.language
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for preset in catalogue.presets.values():
        about = Text(preset.title.get(language), "bold")
        about.append(f" ({_images(terminal, preset)})", "not bold dim")
        about.append(f"\n{preset.description.get(language)}", "not bold")
        table.add_row(preset.id, about)
    terminal.out.print(table, soft_wrap=False)
    terminal.print("presets-more", "dim")


def _show_one(terminal: Terminal, catalogue: Catalogue, preset: Preset) -> None:
    text, language = terminal.translate, terminal.translate.language
    terminal.out.print(f"{preset.id}: {preset.title.get(language)}", style="bold", markup=False)
    terminal.out.print(preset.description.get(language), markup=False)
    terminal.print("presets-send", images=_images(terminal, preset), kind=preset.send.kind.get(language))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(text("presets-field"), no_wrap=True)
    for family in preset.recipes:
        table.add_column(family, overflow="fold")
    lists = {}
    for name, values in _fields([recipe.model_dump(mode="json") for recipe in preset.recipes.values()]):
        if any(isinstance(value, list) for value in values):
            lists[name] = dict(zip(preset.recipes, values, strict=True))
        else:
            table.add_row(name, *(Text(_cell(value)) for value in values))
    terminal.out.print(table, soft_wrap=False)
    for name, by_family in lists.items():
        _show_lists(terminal, name, by_family)
    for override in catalogue.overrides:
        if override.id == preset.id:
            terminal.print("presets-override", id=override.id, file=str(override.path))


def _images(terminal: Terminal, preset: Preset) -> str:
    send = preset.send
    return terminal.translate("presets-count", least=send.min_images, most=send.max_images, best=send.best)


def _show_lists(terminal: Terminal, name: str, by_family: Mapping[Family, object]) -> None:
    """Prompts are too long for a column; families with the same ones share them."""
    terminal.out.print(name, style="bold", markup=False)
    shared: dict[tuple[str, ...], list[Family]] = {}
    for family, texts in by_family.items():
        if isinstance(texts, list):
            shared.setdefault(tuple(texts), []).append(family)
    for texts, families in shared.items():
        terminal.out.print(f"  {', '.join(families)}:", style="cyan", markup=False)
        for text in texts:
            terminal.out.print(f"    {text}", markup=False)


def _fields(recipes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[object]]]:
    """Each field by the name that docs/presets.md has for it, with its value in every recipe."""
    for name in recipes[0]:
        values = [recipe[name] for recipe in recipes]
        parts = next((value for value in values if isinstance(value, dict)), None)
        if parts is None:
            yield name, values
            continue
        for part in parts:
            yield f"{name}.{part}", [value and value[part] for value in values]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None or value == "" else str(value)
