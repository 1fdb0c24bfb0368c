"""``lorabot up``: everything on one machine under one supervisor."""

import asyncio
import os
import sys

from lorabot import __version__
from lorabot.cli.logs import configure
from lorabot.cli.part_log import PartLog
from lorabot.cli.parts import redis_of
from lorabot.cli.stopping import on_signals
from lorabot.cli.terminal import EXIT_SETTINGS, Terminal
from lorabot.folders import make_data_folder
from lorabot.locale import Message
from lorabot.queue.migrations import migrate
from lorabot.settings import CONFIG_VARIABLE, Settings
from lorabot.supervisor import Part, Supervisor, only_one, refuse_taken_port

_BOT_STOP_S = 15.0
_SPARE_S = 10.0


def run_up(terminal: Terminal) -> int:
    """Run everything until Ctrl-C; returns the exit code."""
    from lorabot.bot.web.guard import Exposed, refuse_exposure

    settings = terminal.settings()
    configure("debug" if terminal.debug else settings.log_level, settings.secrets())
    try:
        refuse_exposure(settings.web)
    except Exposed as error:
        terminal.say(error.message, "red")
        return EXIT_SETTINGS
    make_data_folder(settings.data_dir)
    with only_one(settings.data_dir):
        if settings.discord.token is None and settings.telegram.token is None:
            # The page is all there is; beside a chat the bot itself says so, and tries again.
            refuse_taken_port(settings.web.host, settings.web.port)
        terminal.say(Message("cli-starting", {"version": __version__, "folder": str(settings.data_dir)}), "bold")
        return asyncio.run(_run(terminal, settings))


async def _run(terminal: Terminal, settings: Settings) -> int:
    log = PartLog(terminal, settings.data_dir / "logs" / "lorabot.log", settings.secrets())
    async with redis_of(settings, terminal, alone=True) as redis_url:
        await migrate(settings.database)
        environment = dict(os.environ, PYTHONUNBUFFERED="1", LORABOT_REDIS_URL=redis_url)
        environment.pop("LORABOT_REDIS_URL_FILE", None)
        if terminal.config is not None:
            environment[CONFIG_VARIABLE] = str(terminal.config.absolute())
        supervisor = Supervisor(parts_of(settings, terminal.debug), environment=environment, say=log.say, log=log.line)

        def stop() -> None:
            log.say(Message("cli-stopping-now" if supervisor.stopping else "cli-stopping"))
            supervisor.stop()

        with on_signals(stop):
            code = await supervisor.run()
    log.say(Message("cli-stopped"))
    return code


def parts_of(settings: Settings, debug: bool) -> tuple[Part, ...]:
    """The bot first, so that it is the first to end: nothing new is taken while the trainer saves its state."""
    trainer = settings.trainer
    saving = settings.queue.shutdown_s + trainer.cancel_grace_s + trainer.terminate_grace_s + _SPARE_S
    return (Part("bot", _command("bot", debug), _BOT_STOP_S), Part("trainer", _command("trainer", debug), saving))


def _command(name: str, debug: bool) -> tuple[str, ...]:
    options = ("--debug",) if debug else ()
    return (sys.executable, "-m", "lorabot", *options, name, "--parent", str(os.getpid()))
