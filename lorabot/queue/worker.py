"""The worker: an arq worker whose tickets are leased for seconds, claims jobs and sees that each attempt is ended."""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, TypeVar

from arq.constants import in_progress_key_prefix
from arq.worker import Worker, func

from lorabot.locale import Message
from lorabot.queue.errors import CancelRequested, LeaseLost, StoreUnavailable
from lorabot.queue.lease import Lease
from lorabot.queue.reconciler import run_reconciler
from lorabot.queue.redis import AWAY, deserialize, serialize
from lorabot.queue.service import Queue
from lorabot.queue.signals import TICKET
from lorabot.queue.tasks import end
from lorabot.queue.tickets import FUNCTION

T = TypeVar("T")
Handle = Callable[[Lease], Awaitable[None]]
Has = Callable[[], Awaitable[Collection[str]]]
"""The base models that a worker's host has now."""
_log = logging.getLogger(__name__)
# arq counts graceful restarts as tries; tickets name no job, so there is nothing to give up on.
_MAX_TRIES = 1_000_000_000
# arq reads this many tickets at a time, those that others work on among them.
_READ_LIMIT = 1000
_HEALTH_S = 10.0
_AWAY_S = 0.5
_FAREWELL_S = 2.0


class LeasedWorker(Worker):
    """arq's worker for one job at a time, with two changes: its claim on a ticket is short and renewed while it works,
    and Redis may go away and come back."""

    def __init__(self, queue: Queue, name: str, ticket: Callable[[], Awaitable[None]]) -> None:
        async def run(_context: dict[Any, Any]) -> None:
            await ticket()

        super().__init__(
            [func(run, name=FUNCTION)],  # type: ignore[arg-type]  # its protocol wants arguments we never send
            redis_pool=queue.redis,
            handle_signals=False,
            max_jobs=1,
            job_timeout=None,  # type: ignore[arg-type]  # a job takes as long as it takes
            keep_result=0,
            poll_delay=queue.config.poll_s,
            queue_read_limit=_READ_LIMIT,
            max_tries=_MAX_TRIES,
            health_check_interval=_HEALTH_S,
            health_check_key=f"lorabot:health:{name}",
            job_serializer=serialize,
            job_deserializer=deserialize,
            log_results=False,
        )
        self.in_progress_timeout_s = queue.config.lease_s
        self._queue = queue
        self._rest_until = 0.0

    def rest(self) -> None:
        """Take no ticket until the reconciler has put new ones twice: those who can do what this one can't get them."""
        self._rest_until = asyncio.get_running_loop().time() + 2 * self._queue.config.reconcile_s

    async def main(self) -> None:
        """arq's loop, woken by tickets, that waits for Redis to come back instead of ending."""
        away = False
        self.ctx["redis"] = self.pool
        async with self._queue.signals.listen(TICKET) as tickets:
            while True:
                await asyncio.sleep(self._rest_until - asyncio.get_running_loop().time())
                try:
                    await self._poll_iteration()
                except AWAY as error:
                    if not away:
                        _log.warning("Redis is away (%s); taking no new jobs until it is back", type(error).__name__)
                    away = True
                    await asyncio.sleep(_AWAY_S)
                else:
                    if away:
                        _log.info("Redis is back")
                    away = False
                    await tickets.wait(self.poll_delay_s)

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        for job_id in job_ids:
            if self.job_counter >= self.max_jobs:
                return
            try:
                await super().start_jobs([job_id])
            except AWAY:
                # arq takes a slot before it asks Redis and would never give it back.
                self.job_counter -= 1
                self.sem.release()
                raise

    async def renew(self) -> None:
        """Renew the claims on the tickets in work. One that has lapsed is let go: a second ticket finds no job."""
        while True:
            await asyncio.sleep(self._queue.config.heartbeat_s)
            for ticket in list(self.tasks):
                with suppress(*AWAY):
                    await self.pool.pexpire(in_progress_key_prefix + ticket, int(self.in_progress_timeout_s * 1000))

    async def halt(self) -> None:
        """Stop taking tickets, cancel what runs, and wait for it to put its job back."""
        self.allow_pick_jobs = False
        if self.main_task is not None:
            await end(self.main_task)
        running = [task for task in self.tasks.values() if not task.done()]
        for task in running:
            task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=self._queue.config.shutdown_s)
            if late:
                _log.error("the job did not stop within %.0f s; its lease will lapse", self._queue.config.shutdown_s)
        with suppress(*AWAY):
            async with asyncio.timeout(_FAREWELL_S):
                await self.pool.delete(self.health_check_key)


async def run_worker(
    queue: Queue, handle: Handle, worker_name: str, stop: asyncio.Event, has: Has | None = None
) -> None:
    """Claim jobs and run ``handle`` on each, one at a time, until ``stop`` is set; only jobs on bases that it ``has``.

    ``handle`` ends its lease by one of the lease's methods. What it leaves open is ended for it: ``CancelRequested``
    cancels the job, any other exception is a crash of the attempt. When ``stop`` is set, the task that runs ``handle``
    is cancelled, and the job is given back if ``handle`` has not done so itself within ``shutdown_s``.
    Redis and the database may be away at the start and at any time; the worker goes on when they are back.
    """

    async def ticket() -> None:
        if stop.is_set():
            raise asyncio.CancelledError  # leaves the ticket to others
        bases = await has() if has is not None else None
        lease = await _claim(queue, worker_name, bases)
        if lease is None and bases is not None and await _others_wait(queue):
            worker.rest()
        if lease is not None:
            await _attempt(lease, handle)

    worker = LeasedWorker(queue, worker_name, ticket)
    parts: list[asyncio.Task[None]] = [
        asyncio.create_task(worker.async_run(), name="worker"),
        asyncio.create_task(worker.renew(), name="renewal"),
        asyncio.create_task(run_reconciler(queue, stop), name="reconciler"),
        asyncio.create_task(_until(stop), name="stop"),
    ]
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await worker.halt()
        await end(*parts)
    for part in parts:
        if not part.cancelled() and (error := part.exception()) is not None:
            raise error


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _others_wait(queue: Queue) -> bool:
    """Whether there are jobs for others."""
    with suppress(StoreUnavailable):
        return await queue.jobs.runnable() > 0
    return False


async def _claim(queue: Queue, worker_name: str, bases: Collection[str] | None) -> Lease | None:
    """The next job, waiting while the database is away. Being told to stop meanwhile gives the job back."""
    while True:
        claiming = asyncio.create_task(queue.jobs.claim(worker_name, bases))
        try:
            return await asyncio.shield(claiming)
        except StoreUnavailable:
            await asyncio.sleep(_AWAY_S)
        except asyncio.CancelledError:
            with suppress(StoreUnavailable, LeaseLost):
                lease = await claiming
                if lease is not None:
                    await lease.release()
            raise


async def _attempt(lease: Lease, handle: Handle) -> None:
    """Work, and have the log say when that begins and how it ended; where the attempt was lost that is said already."""
    begun = time.monotonic()
    _log.info("job %s: attempt %d begins", lease.job.id, lease.attempt)
    try:
        await _work(lease, handle)
    finally:
        if lease.outcome is not None:
            seconds = time.monotonic() - begun
            _log.info("job %s: attempt %d %s after %.0f s", lease.job.id, lease.attempt, lease.outcome, seconds)


async def _work(lease: Lease, handle: Handle) -> None:
    job = lease.job
    try:
        await handle(lease)
    except LeaseLost:
        _log.warning("job %s: attempt %d was lost to another worker, or the job is gone", job.id, lease.attempt)
    except CancelRequested:
        await _settle(lease.cancelled)
    except asyncio.CancelledError:
        if not lease.ended:
            await _settle(lease.release)
        raise
    except Exception as error:
        _log.exception("job %s: attempt %d broke down", job.id, lease.attempt)
        if not lease.ended:
            signature, reason = _signature(error), Message("queue-crashed", {"id": job.id})
            await _settle(lambda: lease.crashed(signature, reason))
    else:
        if not lease.ended:
            _log.error("job %s: attempt %d was left without an end", job.id, lease.attempt)
            await _settle(lambda: lease.crashed("unfinished", Message("queue-crashed", {"id": job.id})))


async def _settle(end: Callable[[], Awaitable[None]]) -> None:
    """End the lease even when the worker is told to stop meanwhile."""

    async def once() -> None:
        with suppress(LeaseLost):
            await end()

    ending = asyncio.create_task(once())
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


def _signature(error: BaseException) -> str:
    """In what way something broke: the exception's type and where it came from, without what differs each time."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{place}"
