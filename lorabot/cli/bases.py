"""``lorabot bases``: which base models can be asked for, where they are and in what state."""

from rich import box
from rich.table import Table
from rich.text import Text

from lorabot.cli.terminal import EXIT_FAILED, Terminal
from lorabot.folders import make_data_folder
from lorabot.locale import UserError
from lorabot.presets import DEMO, Bases
from lorabot.settings import Settings
from lorabot.trainer.bases import BaseStore
from lorabot.trainer.bases.hub import download as download_from_hub


def bases_of(settings: Settings) -> Bases:
    """The base models that can be asked for with these settings."""
    return store_of(settings).known(settings.bases)


def store_of(settings: Settings) -> BaseStore:
    """Where this host keeps what it downloads of base models, and what it knows of their files."""
    return BaseStore(settings.data_dir / "trainer" / "bases")


def show_bases(terminal: Terminal, download: bool) -> int:
    """Print all base models, those on the hub downloaded first if ``download``; exit code 1 where one is broken."""
    settings = terminal.settings()
    store = store_of(settings)
    text = terminal.translate
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("id", "title", "family", "where", "state"):
        table.add_column(text(f"bases-{column}"), overflow="fold", no_wrap=column == "id")
    table.add_row(DEMO.id, DEMO.title, DEMO.family, text("bases-built-in"), Text(text("doctor-state-ok"), "green"))
    broken = 0
    for named in settings.bases:
        try:
            if download and named.on_hub:
                terminal.print("bases-downloading", "dim", source=named.source)
                make_data_folder(settings.data_dir)
                download_from_hub(named.source, store.folder, lambda: None)
            survey = store.survey(named)
        except UserError as error:
            broken += 1
            table.add_row(
                named.id, named.title, named.family or "?", named.source, Text(text.text(error.message), "red")
            )
        else:
            said = text("bases-sure" if survey.sure else "bases-usual", prediction=survey.prediction)
            state = Text(text("bases-ok", size=f"{survey.size / 1e9:.2f}", prediction=said), "green")
            table.add_row(named.id, named.title, survey.family, named.source, state)
    terminal.out.print(table, soft_wrap=False)
    terminal.print("bases-more", "dim")
    return EXIT_FAILED if broken else 0
