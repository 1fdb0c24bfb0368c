"""What tests of several rooms stand on: a Valkey, a database and a queue of their own for each test."""

import asyncio
import gc
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from lorabot.queue import Queue, QueueConfig, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey

# Triton reads it when it is first imported, by whichever library: its kernels run in its interpreter, without a card.
os.environ["TRITON_INTERPRET"] = "1"
# Leases outlive a test on a busy machine: where the test itself is the worker, nothing renews them.
QUICK = QueueConfig(lease_s=120.0, heartbeat_s=0.2, reconcile_s=0.2, poll_s=0.05)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while everything is imported: a fifth of the time, for nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def only_what_is_new_is_searched_for_garbage() -> None:
    """As in an engine, what is here to stay is left out: mostly the libraries' million objects.

    The trainer looks for garbage several times a job; among all of them that took half of a small job's time.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Libraries count at the end what they have left."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests go first: at the end only short ones are left to be shared out to the workers."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


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
