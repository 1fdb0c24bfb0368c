"""``lorabot up``: everything on one machine under one supervisor."""

import asyncio
import logging
import logging.handlers
import os
import sys

from lorabot import __version__
from lorabot.cli.folders import make_data_folder
from lorabot.cli.logs import configure, redact
from lorabot.cli.parts import redis_of
from lorabot.cli.stopping import on_signals
from lorabot.cli.terminal import Terminal
from lorabot.locale import Message
from lorabot.queue.migrations import migrate
from lorabot.settings import CONFIG_VARIABLE, Settings
from lorabot.supervisor import Part, Supervisor, only_one, refuse_taken_port

_BOT_STOP_S = 15.0
_SPARE_S = 10.0
_LOG_BYTES = 10 * 1024 * 1024
_COLOURS = {"bot": "cyan", "trainer": "magenta"}


def run_up(terminal: Terminal) -> int:
    """Run everything until Ctrl-C; returns the exit code."""
    settings = terminal.settings()
    configure("debug" if terminal.debug else settings.log_level, settings.secrets())
    make_data_folder(settings.data_dir)
    with only_one(settings.data_dir):
        if settings.discord.token is None and settings.telegram.token is None:
            # The page is all there is; beside a chat the bot itself says so, and tries again.
            refuse_taken_port(settings.web.host, settings.web.port)
        terminal.say(Message("cli-starting", {"version": __version__, "folder": str(settings.data_dir)}), "bold")
        return asyncio.run(_run(terminal, settings))


async def _run(terminal: Terminal, settings: Settings) -> int:
    def say(message: Message) -> None:
        terminal.say(message, "bold")

    async with redis_of(settings, terminal, alone=True) as redis_url:
        await migrate(settings.database)
        environment = dict(os.environ, PYTHONUNBUFFERED="1", LORABOT_REDIS_URL=redis_url)
        environment.pop("LORABOT_REDIS_URL_FILE", None)
        if terminal.config is not None:
            environment[CONFIG_VARIABLE] = str(terminal.config.absolute())
        supervisor = Supervisor(
            parts_of(settings, terminal.debug), environment=environment, say=say, log=_Lines(terminal, settings)
        )

        def stop() -> None:
            say(Message("cli-stopping-now" if supervisor.stopping else "cli-stopping"))
            supervisor.stop()

        with on_signals(stop):
            code = await supervisor.run()
    say(Message("cli-stopped"))
    return code


def parts_of(settings: Settings, debug: bool) -> tuple[Part, ...]:
    """The bot first, so that it is the first to end: nothing new is taken while the trainer saves its state."""
    trainer = settings.trainer
    saving = settings.queue.shutdown_s + trainer.cancel_grace_s + trainer.terminate_grace_s + _SPARE_S
    return (Part("bot", _command("bot", debug), _BOT_STOP_S), Part("trainer", _command("trainer", debug), saving))


def _command(name: str, debug: bool) -> tuple[str, ...]:
    options = ("--debug",) if debug else ()
    return (sys.executable, "-m", "lorabot", *options, name, "--parent", str(os.getpid()))


class _Lines:
    """Prints each line of a part with its name before it, and keeps it in a file that does not grow for ever."""

    def __init__(self, terminal: Terminal, settings: Settings) -> None:
        self._terminal = terminal
        self._secrets = settings.secrets()
        path = settings.data_dir / "logs" / "lorabot.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=3, encoding="utf-8")

    def __call__(self, part: str, line: str) -> None:
        line = redact(line, self._secrets)
        self._terminal.out.print(f"{part:>7} | ", end="", style=_COLOURS.get(part), markup=False)
        self._terminal.out.print(line, markup=False)
        record = logging.LogRecord(part, logging.INFO, "", 0, f"{part}: {line}", None, None)
        self._file.emit(record)
