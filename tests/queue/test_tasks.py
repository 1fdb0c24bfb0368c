"""Work that is not to be ended halfway."""

import asyncio

import pytest

from lorabot.queue.tasks import undisturbed


async def pestered(task: asyncio.Task[None]) -> None:
    """Cancel ``task`` again and again, until it has ended."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.01)


async def test_work_under_way_is_finished_however_often_it_is_cancelled() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.2)
        ended.set()

    async def call() -> None:
        await undisturbed(work())

    task = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    await pestered(task)
    assert task.cancelled()
    assert ended.is_set()


async def test_without_a_cancellation_result_and_error_are_those_of_the_work() -> None:
    async def good() -> int:
        return 3

    async def bad() -> int:
        raise ValueError("bad")

    assert await undisturbed(good()) == 3
    with pytest.raises(ValueError, match="bad"):
        await undisturbed(bad())


async def test_an_error_of_the_work_does_not_hide_the_cancellation() -> None:
    async def work() -> None:
        await asyncio.sleep(0.1)
        raise ValueError("bad")

    async def call() -> None:
        await undisturbed(work())

    task = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    await pestered(task)
    assert task.cancelled()
