"""A bot and a visitor where they are asked for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.queue import Queue
from tests.bot.client import ChatClient
from tests.bot.house import House, running_bot


@pytest.fixture
async def house(queue: Queue, tmp_path: Path) -> AsyncIterator[House]:
    async with running_bot(queue, tmp_path) as running:
        yield running


@pytest.fixture
async def chat(house: House) -> AsyncIterator[ChatClient]:
    """A visitor's open chat page."""
    async with ChatClient.open(house.url) as client:
        yield client
