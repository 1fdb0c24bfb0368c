"""Ending background tasks for certain."""

import asyncio

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
