"""A queue of its own for each test, and a bot and a visitor where they are asked for."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.queue import Queue, QueueConfig, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from tests.bot.client import ChatClient
from tests.bot.house import House, running_bot

QUICK = QueueConfig(lease_s=2.0, heartbeat_s=0.2, reconcile_s=0.2, poll_s=0.05)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database to copy."""
    file = tmp_path_factory.mktemp("migrated") / "lorabot.sqlite3"
    asyncio.run(migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def queue(tmp_path: Path, migrated_database: Path, valkey: EmbeddedValkey) -> AsyncIterator[Queue]:
    """The real queue on SQLite and the embedded Valkey."""
    file = await asyncio.to_thread(shutil.copy, migrated_database, tmp_path / "lorabot.sqlite3")
    async with open_queue(QUICK, f"sqlite:///{file}", valkey.url, str(tmp_path / "blobs")) as opened:
        yield opened


@pytest.fixture
async def house(queue: Queue, tmp_path: Path) -> AsyncIterator[House]:
    async with running_bot(queue, tmp_path) as running:
        yield running


@pytest.fixture
async def chat(house: House) -> AsyncIterator[ChatClient]:
    """A visitor's open chat page."""
    async with ChatClient.open(house.url) as client:
        yield client
