"""The parts as processes of their own: ``lorabot bot`` and ``lorabot trainer``."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from lorabot.cli.bases import bases_of
from lorabot.cli.logs import configure
from lorabot.cli.stopping import on_signals
from lorabot.cli.terminal import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_SETTINGS, Terminal
from lorabot.folders import make_data_folder
from lorabot.locale import Message, UserError
from lorabot.queue import Queue, open_queue
from lorabot.queue.embedded import EmbeddedValkey, ValkeyFailed
from lorabot.queue.migrations import migrate
from lorabot.settings import Settings

if TYPE_CHECKING:
    from lorabot.bot.parts import MakeFrontEnd


class NoRedis(UserError):
    """Our own Valkey server does not start."""


def run_bot_part(terminal: Terminal) -> int:
    """Serve people until told to stop; returns the exit code."""
    from lorabot.bot.front_end import CannotListen, CannotStart
    from lorabot.bot.run import run_bot
    from lorabot.presets import load_presets

    settings = terminal.settings()

    bases = bases_of(settings)

    def started(url: str) -> None:
        terminal.print("cli-web-ready", url=url)

    async def serve(queue: Queue, stop: asyncio.Event) -> None:
        catalogue = load_presets(settings.presets_dir, bases)
        catalogue.log()
        await run_bot(
            queue,
            catalogue,
            web=settings.web,
            intake=settings.intake,
            delivery=settings.delivery,
            secret=settings.signing_secret(),
            folder=settings.data_dir / "bot",
            stop=stop,
            language=settings.language or "en",
            front_ends=_front_ends(settings),
            started=started,
        )

    try:
        return asyncio.run(_run(terminal, settings, serve))
    except CannotStart as error:
        terminal.say(error.message, "red")
        # An address that is taken now may be free when the part is started again.
        return EXIT_FAILED if isinstance(error, CannotListen) else EXIT_SETTINGS


def _front_ends(settings: Settings) -> "list[MakeFrontEnd]":
    """One for each platform whose token is set; the others' libraries are not even loaded."""
    found: list[MakeFrontEnd] = []
    if settings.discord.token is not None:
        from lorabot.bot.discord.front_end import DiscordFrontEnd

        found.append(lambda parts: DiscordFrontEnd(parts, settings.discord))
    if settings.telegram.token is not None:
        from lorabot.bot.telegram.front_end import TelegramFrontEnd

        found.append(lambda parts: TelegramFrontEnd(parts, settings.telegram))
    return found


def run_trainer_part(terminal: Terminal) -> int:
    """Train jobs until told to stop; returns the exit code."""
    from lorabot.trainer.daemon import run_trainer
    from lorabot.trainer.supervising import EngineRefused

    settings = terminal.settings()
    bases = bases_of(settings)

    async def work(queue: Queue, stop: asyncio.Event) -> None:
        await run_trainer(queue, settings.trainer, settings.data_dir / "trainer", stop, bases)

    try:
        return asyncio.run(_run(terminal, settings, work))
    except EngineRefused as error:
        terminal.say(error.message, "red")
        return EXIT_SETTINGS


async def _run(terminal: Terminal, settings: Settings, part: Callable[[Queue, asyncio.Event], Awaitable[None]]) -> int:
    """Run ``part`` on an open queue until a signal; a second signal ends it wherever it is."""
    configure("debug" if terminal.debug else settings.log_level, settings.secrets())
    make_data_folder(settings.data_dir)
    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def ask() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    try:
        with on_signals(ask):
            async with redis_of(settings, terminal) as redis_url:
                await migrate(settings.database)
                async with open_queue(settings.queue, settings.database, redis_url, settings.blobs) as queue:
                    await part(queue, stop)
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    return 0


@contextlib.asynccontextmanager
async def redis_of(settings: Settings, terminal: Terminal, *, alone: bool = False) -> AsyncIterator[str]:
    """The Redis to use: the one that is set, else our own Valkey in data_dir, kept alive and ended at the end.

    Another process's server is left to it, unless we are ``alone`` on the data folder and it was left over.
    """
    if settings.redis is not None:
        yield settings.redis
        return
    valkey = EmbeddedValkey(settings.data_dir)
    try:
        begun = await valkey.start()
    except ValkeyFailed as error:
        raise NoRedis("cli-valkey-failed", reason=str(error)) from error
    if begun:
        terminal.say(Message("cli-valkey-started"), "dim")
    keeping = asyncio.create_task(valkey.keep(), name="valkey")
    try:
        yield valkey.url
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        if begun or alone:
            await valkey.stop()
