"""Telegram on loopback, the real front end in a running bot, and people with the app.

Most tests share one running bot, as people do: everybody has a chat of their own. Those that stop and start it have
their own (``telegram``, ``queue``) and stand in ``test_restarts.py``.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from lorabot.queue import open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.errors import AlreadyFinished
from tests.conftest import QUICK
from tests.telegram.house import House, telegram_bot
from tests.telegram.server import Person, TelegramServer
from tests.telegram.server.flood import NO_RATES


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    """A Telegram of its own, in no hurry. At the end it says what it would have refused."""
    async with TelegramServer(rates=NO_RATES).serving() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> AsyncIterator[House]:
    """A bot, its queue and its Telegram for all tests of a module."""
    folder = tmp_path_factory.mktemp("telegram")
    server = EmbeddedValkey(folder)
    await server.start()
    try:
        file = await asyncio.to_thread(shutil.copy, migrated_database, folder / "lorabot.sqlite3")
        async with (
            open_queue(QUICK, f"sqlite:///{file}", server.url, str(folder / "blobs")) as opened,
            TelegramServer(rates=NO_RATES).serving(judged=False) as telegram,
            telegram_bot(telegram, opened, folder) as running,
        ):
            yield running
    finally:
        await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared: House) -> AsyncIterator[House]:
    """The shared bot. After each test it is judged, and nothing of the test is left in its queue."""
    yield shared
    try:
        await shared.telegram.at_rest()
        shared.telegram.judge()
    finally:
        shared.telegram.forget_people()
        for job in await shared.queue.jobs.unfinished(1000):
            with suppress(AlreadyFinished):  # a cancel of the test itself may come first
                await shared.queue.jobs.cancel(job.id, "tests", moderator=True)
        await shared.queue.jobs.unpause("tests", None)


@pytest.fixture
def anna(house: House) -> Person:
    return house.telegram.person("Anna")
