"""All commands and options, with their help in the terminal's language."""

from pathlib import Path
from typing import Annotated

import typer

from lorabot.cli.terminal import EXIT_INTERRUPTED, Terminal


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code. Errors are one line each, in the terminal's language."""
    terminal = Terminal()
    app = build(terminal)
    try:
        app(arguments, prog_name="lorabot")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        return terminal.explain(error)
    return 0


def build(terminal: Terminal) -> typer.Typer:
    """The command tree. What the commands do lies in modules of their own, imported when one is called."""
    text = terminal.translate
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        # Panels break lines at spaces alone and cut what has none, which is Chinese; plain text cuts nothing.
        rich_markup_mode="markdown" if text.language == "en" else None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=text("cli-epilog"),
    )

    def version(wanted: bool) -> None:
        if wanted:
            from lorabot import __version__

            typer.echo(f"lorabot {__version__}")
            raise typer.Exit

    @app.callback(help=text("cli-help"))
    def options(
        config: Annotated[
            Path | None, typer.Option("--config", "-c", metavar="FILE", help=text("cli-help-config"))
        ] = None,
        debug: Annotated[bool, typer.Option("--debug", help=text("cli-help-debug"))] = False,
        _version: Annotated[
            bool, typer.Option("--version", callback=version, is_eager=True, help=text("cli-help-version"))
        ] = False,
    ) -> None:
        terminal.config = config
        terminal.debug = debug

    _add_running(app, terminal)
    _add_making(app, terminal)
    _add_looking(app, terminal)
    return app


Parent = Annotated[int | None, typer.Option("--parent", hidden=True)]


def _add_running(app: typer.Typer, terminal: Terminal) -> None:
    text = terminal.translate
    panel = text("cli-help-panel-run")

    @app.command(help=text("cli-help-up"), rich_help_panel=panel)
    def up(parent: Parent = None) -> None:
        _follow(parent)
        from lorabot.cli.up import run_up

        raise typer.Exit(run_up(terminal))

    @app.command(help=text("cli-help-bot"), rich_help_panel=panel)
    def bot(parent: Parent = None) -> None:
        _follow(parent)
        from lorabot.cli.parts import run_bot_part

        raise typer.Exit(run_bot_part(terminal))

    @app.command(help=text("cli-help-trainer"), rich_help_panel=panel)
    def trainer(parent: Parent = None) -> None:
        _follow(parent)
        from lorabot.cli.parts import run_trainer_part

        raise typer.Exit(run_trainer_part(terminal))


def _add_making(app: typer.Typer, terminal: Terminal) -> None:
    text = terminal.translate
    panel = text("cli-help-panel-make")

    @app.command(help=text("cli-help-demo"), rich_help_panel=panel)
    def demo(
        out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help=text("cli-help-demo-out"))] = Path(
            "demo-out"
        ),
    ) -> None:
        from lorabot.cli.demo import run_demo

        raise typer.Exit(run_demo(terminal, out))

    @app.command(help=text("cli-help-train"), rich_help_panel=panel, no_args_is_help=True)
    def train(
        photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help=text("cli-help-train-photos"))],
        preset: Annotated[str, typer.Option("--preset", "-p", metavar="ID", help=text("cli-help-train-preset"))],
        trigger: Annotated[
            str | None, typer.Option("--trigger", "-t", metavar="WORD", help=text("cli-help-train-trigger"))
        ] = None,
        base: Annotated[
            str | None, typer.Option("--base", "-b", metavar="NAME", help=text("cli-help-train-base"))
        ] = None,
        name: Annotated[
            str | None, typer.Option("--name", "-n", metavar="NAME", help=text("cli-help-train-name"))
        ] = None,
        seed: Annotated[
            int | None, typer.Option("--seed", min=0, max=2**31 - 1, help=text("cli-help-train-seed"))
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option("--out", "-o", metavar="DIR", help=text("cli-help-train-out"), show_default="lora-out/NAME"),
        ] = None,
    ) -> None:
        from lorabot.cli.train import Wish, run_train

        wish = Wish(photos=photos, preset=preset, trigger=trigger, base=base, name=name, seed=seed, out=out)
        raise typer.Exit(run_train(terminal, wish))


def _add_looking(app: typer.Typer, terminal: Terminal) -> None:
    text = terminal.translate
    panel = text("cli-help-panel-look")

    @app.command(help=text("cli-help-presets"), rich_help_panel=panel)
    def presets(
        preset: Annotated[str | None, typer.Argument(metavar="[ID]", help=text("cli-help-presets-id"))] = None,
    ) -> None:
        from lorabot.cli.presets import show_presets

        raise typer.Exit(show_presets(terminal, preset))

    @app.command(help=text("cli-help-bases"), rich_help_panel=panel)
    def bases(
        download: Annotated[bool, typer.Option("--download", help=text("cli-help-bases-download"))] = False,
    ) -> None:
        from lorabot.cli.bases import show_bases

        raise typer.Exit(show_bases(terminal, download))

    @app.command(help=text("cli-help-doctor"), rich_help_panel=panel)
    def doctor() -> None:
        from lorabot.cli.doctor import run_doctor

        raise typer.Exit(run_doctor(terminal))


def _follow(parent: int | None) -> None:
    """Under ``lorabot up``: end when that ends, however it ends."""
    if parent is not None:
        from lorabot.supervisor import end_with_parent

        end_with_parent(parent)
