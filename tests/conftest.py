"""What tests of several rooms stand on: a Valkey, a database and a queue of their own for each test."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.queue import Queue, QueueConfig, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey

# Triton reads it when it is first imported, by whichever library: its kernels run in its interpreter, without a card.
os.environ["TRITON_INTERPRET"] = "1"
# Leases outlive a test on a busy machine: where the test itself is the worker, nothing renews them.
QUICK = QueueConfig(lease_s=120.0, heartbeat_s=0.2, reconcile_s=0.2, poll_s=0.05)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database to copy."""
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
def queue_config() -> QueueConfig:
    """How the queue behaves; to be overridden where that matters."""
    return QUICK


@pytest.fixture
async def queue(
    tmp_path: Path, migrated_database: Path, valkey: EmbeddedValkey, queue_config: QueueConfig
) -> AsyncIterator[Queue]:
    """The real queue on SQLite and the embedded Valkey."""
    file = await asyncio.to_thread(shutil.copy, migrated_database, tmp_path / "lorabot.sqlite3")
    async with open_queue(queue_config, f"sqlite:///{file}", valkey.url, str(tmp_path / "blobs")) as opened:
        yield opened
