"""Keeps tickets at least as many as jobs that need one, so that a flushed or absent Redis heals itself."""

import asyncio
import logging
from contextlib import suppress

from lorabot.queue.errors import StoreUnavailable
from lorabot.queue.redis import AWAY
from lorabot.queue.service import Queue

_log = logging.getLogger(__name__)
# Workers need few at a time; the next round adds more.
_MOST = 500


async def reconcile(queue: Queue) -> int:
    """One round: end the jobs that were lost for good, and add missing tickets. Returns how many were added.

    Raises ``StoreUnavailable`` and ``redis.AWAY`` errors.
    """
    for job in await queue.jobs.reap():
        _log.warning("job %s: its worker was lost; it is %s", job.id, job.state)
    if not await queue.tickets.my_turn(queue.config.reconcile_s * 0.9):
        return 0
    # A worker keeps its ticket while it runs a job.
    # For a job that none of the trainers can do, a ticket would be torn up as often as it is put there.
    needed = await queue.jobs.runnable(await queue.trainers.bases()) + await queue.jobs.running()
    missing = min(needed - await queue.tickets.count(), _MOST)
    if missing > 0:
        await queue.tickets.add(missing)
    return max(missing, 0)


async def run_reconciler(queue: Queue, stop: asyncio.Event) -> None:
    """``reconcile`` every ``reconcile_s`` until ``stop`` is set. Runs beside the bot and in every worker."""
    away = False
    while not stop.is_set():
        try:
            await reconcile(queue)
            away = False
        except (StoreUnavailable, *AWAY) as error:
            if not away:
                _log.warning("not reconciling for now: %s", type(error).__name__)
            away = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), queue.config.reconcile_s)
