"""Telegram on loopback, the real front end in a running bot, and a person with the app."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.queue import Queue
from tests.bot.conftest import migrated_database, queue, valkey
from tests.telegram.house import House, telegram_bot
from tests.telegram.server import Person, TelegramServer
from tests.telegram.server.flood import NO_RATES

__all__ = ["migrated_database", "queue", "valkey"]


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    """Telegram itself, in no hurry. At the end it says what it would have refused."""
    async with TelegramServer(rates=NO_RATES).serving() as server:
        yield server


@pytest.fixture
async def house(telegram: TelegramServer, queue: Queue, tmp_path: Path) -> AsyncIterator[House]:
    async with telegram_bot(telegram, queue, tmp_path) as running:
        yield running


@pytest.fixture
def anna(telegram: TelegramServer) -> Person:
    return telegram.person("Anna")
