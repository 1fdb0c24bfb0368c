"""Discord on loopback with the real front end in a running bot, for all tests of a run, and people in a new channel.

One bot serves them all, as in life; each test has a server, a channel and people of its own.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from lorabot.bot.commands import Commands
from lorabot.bot.config import DiscordConfig, WebConfig
from lorabot.bot.discord.front_end import DiscordFrontEnd
from lorabot.bot.intake.service import Intake
from lorabot.bot.parts import Parts
from lorabot.bot.signing import Signer
from lorabot.bot.web.links import Links
from lorabot.queue import Queue, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.errors import AlreadyFinished
from tests.bot.house import INTAKE, PRESETS, SECRET, WEB, House, running_bot
from tests.conftest import QUICK
from tests.discord.server import Channel, DiscordServer, Person

MODERATOR_ROLE = 1234567890123456789


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here share one loop, since they share one bot."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@asynccontextmanager
async def a_queue(folder: Path) -> AsyncIterator[tuple[Queue, EmbeddedValkey]]:
    """The real queue on SQLite, and its Valkey."""
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    try:
        database = f"sqlite:///{folder / 'lorabot.sqlite3'}"
        await migrate(database)
        async with open_queue(QUICK, database, valkey.url, str(folder / "blobs")) as opened:
            yield opened, valkey
    finally:
        await valkey.stop()


_started: list["Shared"] = []


class Shared:
    """One Discord and one bot for all tests of a run. The bot can be stopped and started.

    discord.py keeps the address of Discord once for a process, so there can't be a second one beside it.
    """

    def __init__(self, server: DiscordServer, queue: Queue, folder: Path, valkey: EmbeddedValkey) -> None:
        self.server = server
        self.queue = queue
        self.folder = folder
        self.valkey = valkey
        self.web: WebConfig = WEB
        self.house: House | None = None
        self._stack = AsyncExitStack()

    async def start(self) -> House:
        """The running bot, started where it is not."""
        if self.house is None:
            config = config_of(self.server)
            front_ends = [lambda parts: DiscordFrontEnd(parts, config)]
            self.house = await self._stack.enter_async_context(
                running_bot(self.queue, self.folder, web=self.web, front_ends=front_ends)
            )
            await self.server.gateway.until_connected()
        return self.house

    async def stop(self) -> None:
        """End the bot as an operator would."""
        self.house = None
        await self._stack.aclose()
        await self.server.gateway.until_gone()

    async def again(self) -> House:
        """End it and start it."""
        await self.stop()
        return await self.start()


def parts_of(shared: Shared) -> Parts:
    """What a front end is made of, over the shared queue, with an intake of its own."""
    intake = Intake(shared.queue, INTAKE, shared.folder / "apart")
    links = Links(shared.queue, Signer(SECRET.get_secret_value().encode()), WEB)
    return Parts(shared.queue, Commands(shared.queue, PRESETS, intake), intake, links, "en")


def config_of(discord: DiscordServer, **settings: object) -> DiscordConfig:
    values = {
        "token": SecretStr(discord.token),
        "api_url": discord.api_url,
        "gateway_url": discord.gateway_url,
        "moderator_roles": (MODERATOR_ROLE,),
        **settings,
    }
    return DiscordConfig.model_validate(values)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    folder = tmp_path_factory.mktemp("discord")
    server = DiscordServer()
    async with server.running(), a_queue(folder) as (queue, valkey):
        everything = Shared(server, queue, folder, valkey)
        _started.append(everything)
        yield everything
        _started.remove(everything)
        await everything.stop()
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def gone_with_the_module() -> AsyncIterator[None]:
    """No bot stays for other rooms' tests: its loop stands still then, and discord.py's watchdog holds on to the stack
    that it finds there, with all that lives in it."""
    yield
    for everything in _started:
        await everything.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def discord(shared: Shared) -> AsyncIterator[DiscordServer]:
    """Discord itself. After the test it says what it would have refused."""
    shared.server.begin_anew()
    yield shared.server
    shared.server.judge()


@pytest_asyncio.fixture(loop_scope="session")
async def bot(shared: Shared, discord: DiscordServer) -> AsyncIterator[House]:
    """The running bot; jobs that the test leaves behind are cancelled."""
    yield await shared.start()
    for job in await shared.queue.jobs.unfinished(1000):
        with suppress(AlreadyFinished):  # a cancel of the test itself may come first
            await shared.queue.jobs.cancel(job.id, "tester", moderator=True)


@pytest_asyncio.fixture(loop_scope="session")
async def channel(discord: DiscordServer) -> Channel:
    """A channel of a new server that the bot has joined."""
    guild = discord.guild()
    made = discord.channel(guild)
    await discord.tell(guild)
    return made


@pytest.fixture
def anna(discord: DiscordServer, channel: Channel) -> Person:
    return Person.at(discord, channel)
