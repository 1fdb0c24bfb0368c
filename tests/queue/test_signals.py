"""Wake-ups between processes, that may be lost, and never cost anything when they are."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.queue import Queue, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.errors import BadUrl
from lorabot.queue.redis import connect
from tests.queue.conftest import QUICK
from tests.queue.samples import eventually, submit


@pytest.fixture
async def two(sqlite_url: str, valkey: EmbeddedValkey, tmp_path: Path) -> AsyncIterator[tuple[Queue, Queue]]:
    blobs = str(tmp_path / "blobs")
    async with (
        open_queue(QUICK, sqlite_url, valkey.url, blobs) as one,
        open_queue(QUICK, sqlite_url, valkey.url, blobs) as other,
    ):
        yield one, other


async def test_a_change_wakes_listeners_here_and_in_other_processes(two: tuple[Queue, Queue]) -> None:
    here, there = two
    async with here.changes("transcript:") as near, there.changes("transcript:") as far:
        # Both are told to look once they are connected.
        assert await near.wait(10) == await far.wait(10) == {"*"}
        await here.transcript.append("c", "you", {})
        assert await near.wait(10) == await far.wait(10) == {"transcript:c"}
        await submit(here)
        assert await far.wait(0.1) == frozenset()


async def test_listeners_hear_again_after_redis_was_gone(two: tuple[Queue, Queue], valkey: EmbeddedValkey) -> None:
    here, there = two
    async with there.changes("transcript:") as far:
        assert await far.wait(10) == {"*"}
        await valkey.stop()
        await valkey.start()
        assert await far.wait(10) == {"*"}

        async def heard() -> bool:
            await here.transcript.append("c", "you", {})
            return "transcript:c" in await far.wait(0.5)

        await eventually(heard)


async def test_nothing_waits_for_a_redis_that_is_not_there(queue: Queue) -> None:
    async with queue.changes() as changes:
        begin = time.monotonic()
        for number in range(5):
            await submit(queue, f"web:{number}")
        assert time.monotonic() - begin < 3
        assert await changes.wait(1)


async def test_each_submitted_job_gets_a_ticket_at_once(two: tuple[Queue, Queue]) -> None:
    await submit(two[0], "web:ann")
    await submit(two[0], "web:bob")

    async def both() -> bool:
        return await two[1].tickets.count() == 2

    await eventually(both)


@pytest.mark.parametrize("url", ["http://x:hunter2@y", "hunter2", "", "redis://:hunter2@host:port"])
def test_a_useless_redis_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        connect(url, patient=False)
    assert "hunter2" not in str(refused.value)


def test_all_kinds_of_redis_urls_are_understood() -> None:
    for url in ("redis://localhost:6380/2", "rediss://user:pw@host/0", "unix:///run/valkey.sock?db=1"):
        connect(url, patient=True)


async def test_a_queue_that_is_left_right_after_it_was_opened_does_not_hang(
    sqlite_url: str, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    for turns in range(16):
        async with asyncio.timeout(10), open_queue(QUICK, sqlite_url, valkey.url, str(tmp_path / "blobs")):
            for _ in range(turns):
                await asyncio.sleep(0)
