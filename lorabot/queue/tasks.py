"""Ending background tasks for certain, and work that is not to be ended halfway."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")
_AGAIN_S = 0.1


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel ``tasks`` and wait until they have ended, whatever they end with.

    Again and again, since redis-py swallows a cancellation that comes while it connects.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)


async def undisturbed(work: Awaitable[T]) -> T:
    """The result of ``work``. A cancellation waits until it is done, however often it comes.

    For a database transaction: cancelled a second time while the first rolls it back, it would stay open, and in SQLite
    nobody else could write. ``work`` must end by itself.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # retrieved: it is the cancellation that counts
        raise
