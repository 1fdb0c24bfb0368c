"""``lorabot presets``: what can be asked for, and one preset in full."""

from rich import box
from rich.table import Table
from rich.text import Text

from lorabot.cli.terminal import EXIT_FAILED, Terminal
from lorabot.presets import Catalogue, Preset, load_presets


def show_presets(terminal: Terminal, wish: str | None) -> int:
    """Print all presets, or the one meant by ``wish``; the exit code is 1 where a file of the operator is broken.

    Raises ``UnknownPreset``.
    """
    catalogue = load_presets(terminal.settings().presets_dir)
    if wish is not None:
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
    table.add_column()
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
    dumped = [recipe.model_dump(mode="json") for recipe in preset.recipes.values()]
    for name in dumped[0]:
        table.add_row(name, *(Text(_cell(recipe[name])) for recipe in dumped))
    terminal.out.print(table, soft_wrap=False)
    for override in catalogue.overrides:
        if override.id == preset.id:
            terminal.print("presets-override", id=override.id, file=str(override.path))


def _images(terminal: Terminal, preset: Preset) -> str:
    send = preset.send
    return terminal.translate("presets-count", least=send.min_images, most=send.max_images, best=send.best)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(str(part) for part in value.values())
    if isinstance(value, list):
        return "\n".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None or value == "" else str(value)
