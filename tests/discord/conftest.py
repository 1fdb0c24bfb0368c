"""Discord on loopback with the real front end in a running bot, for all tests of a run, and people in a new channel.

One bot serves them all, as in life; each test has a server, a channel and people of its own.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord.front_end import DiscordFrontEnd
from lorabot.queue import Queue, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from tests.bot.conftest import QUICK
from tests.bot.house import House, running_bot
from tests.discord.server import Channel, DiscordServer, Person

MODERATOR_ROLE = 1234567890123456789


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here share one loop, since they share one bot."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@asynccontextmanager
async def a_queue(folder: Path) -> AsyncIterator[Queue]:
    """The real queue on SQLite and a Valkey of its own."""
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    try:
        database = f"sqlite:///{folder / 'lorabot.sqlite3'}"
        await migrate(database)
        async with open_queue(QUICK, database, valkey.url, str(folder / "blobs")) as opened:
            yield opened
    finally:
        await valkey.stop()


@asynccontextmanager
async def a_bot(discord: DiscordServer, queue: Queue, folder: Path, **settings: object) -> AsyncIterator[House]:
    """A bot that is connected to Discord."""
    config = config_of(discord, **settings)
    async with running_bot(queue, folder, front_ends=[lambda parts: DiscordFrontEnd(parts, config)]) as house:
        await discord.gateway.until_connected()
        yield house
    await discord.gateway.until_gone()


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
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[DiscordServer, House]]:
    folder = tmp_path_factory.mktemp("discord")
    server = DiscordServer()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server.running())
        queue = await stack.enter_async_context(a_queue(folder))
        house = await stack.enter_async_context(a_bot(server, queue, folder))
        yield server, house
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="session")
async def discord(shared: tuple[DiscordServer, House]) -> AsyncIterator[DiscordServer]:
    """Discord itself. After the test it says what it would have refused."""
    server, _ = shared
    server.begin_anew()
    yield server
    server.judge()


@pytest_asyncio.fixture(loop_scope="session")
async def bot(shared: tuple[DiscordServer, House], discord: DiscordServer) -> AsyncIterator[House]:
    """The running bot; jobs that the test leaves behind are cancelled."""
    _, house = shared
    yield house
    for job in await house.queue.jobs.unfinished(1000):
        await house.queue.jobs.cancel(job.id, "tester", moderator=True)


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
