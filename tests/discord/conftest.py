"""Discord on loopback, the real front end in a running bot, and people in a channel."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord.front_end import DiscordFrontEnd
from lorabot.queue import Queue
from tests.bot.conftest import migrated_database, queue, valkey
from tests.bot.house import House, running_bot
from tests.discord.server import Channel, DiscordServer, Person

__all__ = ["migrated_database", "queue", "valkey"]


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """Discord itself. At the end it says what it would have refused."""
    server = DiscordServer()
    async with server.running():
        yield server
    server.judge()


@pytest.fixture
def channel(discord: DiscordServer) -> Channel:
    return discord.channel(discord.guild())


@pytest.fixture
def anna(discord: DiscordServer, channel: Channel) -> Person:
    return Person.at(discord, channel)


@pytest.fixture
async def bot(discord: DiscordServer, channel: Channel, queue: Queue, tmp_path: Path) -> AsyncIterator[House]:
    """A bot that is connected to Discord."""
    config = config_of(discord)
    async with running_bot(queue, tmp_path, front_ends=[lambda parts: DiscordFrontEnd(parts, config)]) as house:
        await discord.gateway.until_connected()
        yield house


def config_of(discord: DiscordServer, **settings: object) -> DiscordConfig:
    values = {
        "token": SecretStr(discord.token),
        "api_url": discord.api_url,
        "gateway_url": discord.gateway_url,
        **settings,
    }
    return DiscordConfig.model_validate(values)
