"""A worker's claim on one attempt. Every write is fenced: who has lost the claim can change nothing any more."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.locale import Message
from lorabot.queue import journal
from lorabot.queue.bell import Bell
from lorabot.queue.clock import now_plus
from lorabot.queue.config import QueueConfig
from lorabot.queue.database import Database
from lorabot.queue.errors import CancelRequested, LeaseLost, StoreUnavailable
from lorabot.queue.model import Job, JobState, Outcome, Progress, ResumePoint
from lorabot.queue.payload import MESSAGE, OUTCOME, PROGRESS, RESUME, presentable
from lorabot.queue.tables import attempts, jobs
from lorabot.queue.tasks import end, undisturbed

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RETRY_FIRST_S = 0.1
_RETRY_MOST_S = 1.0


class Lease:
    """The right to run one attempt of ``job``.

    All methods wait while the database is away and go on when it is back, unless somebody else has claimed the job
    meanwhile. All raise ``LeaseLost`` when the attempt is not this worker's any more. A lease whose time is up, but
    which nobody else has claimed, is taken up again by the next ``beat``.

    ``outcome``: how the attempt ended: the state that its job ended in, or why it was put back; None until then.
    """

    def __init__(self, database: Database, config: QueueConfig, bell: Bell, job: Job, worker: str) -> None:
        self.job = job
        self.worker = worker
        self.ended = False
        self.outcome: str | None = None
        self._database = database
        self._config = config
        self._bell = bell
        self._unseen: Progress | None = None

    @property
    def attempt(self) -> int:
        return self.job.attempt

    @property
    def actor(self) -> str:
        return f"worker:{self.worker}"

    # While it runs

    async def beat(self, progress: Progress | None = None) -> None:
        """Renew the lease, show ``progress``, and hear whether to stop: raises ``CancelRequested``.

        To be called every ``heartbeat_s``; ``kept`` does so by itself.
        """
        values: dict[str, object] = {"lease_until": now_plus(self._config.lease_s)}
        if progress is not None:
            values["progress"] = PROGRESS.write(presentable(progress))
            values["version"] = jobs.c.version + 1
        row = await self._insist(lambda: self._write(values))
        if progress is not None:
            self._bell.changed(f"job:{self.job.id}")
        if row["cancel_requested"]:
            raise CancelRequested(self.job.id)

    def show(self, progress: Progress) -> None:
        """Have the next beat of ``kept``, or the job's end, write ``progress``; of several only the last is written."""
        self._unseen = progress

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the lease by a beat every ``heartbeat_s`` while the block runs.

        When a beat raises, the block is cancelled where it waits, and leaves with ``CancelRequested`` or ``LeaseLost``.
        """
        task = asyncio.current_task()
        assert task is not None
        earlier = task.cancelling()
        verdict: Exception | None = None

        async def keep() -> None:
            nonlocal verdict
            try:
                while True:
                    progress, self._unseen = self._unseen, None
                    await self.beat(progress)
                    await asyncio.sleep(self._config.heartbeat_s)
            except Exception as reason:
                verdict = reason
                task.cancel()

        keeper = asyncio.create_task(keep(), name=f"lease of {self.job.id}")
        try:
            yield
        except asyncio.CancelledError:
            # As in asyncio.timeout: only a cancellation that is ours alone becomes the verdict.
            if verdict is not None and task.uncancel() <= earlier:
                raise verdict from None
            raise
        except BaseException:
            if verdict is not None:
                task.uncancel()
            raise
        else:
            if verdict is not None:
                # It came after the block's last wait.
                task.uncancel()
                raise verdict
        finally:
            await end(keeper)

    async def checkpoint(self, point: ResumePoint) -> None:
        """Say where the next attempt would go on."""

        async def write(connection: AsyncConnection) -> None:
            await self._fence(connection, {"resume": RESUME.write(point)})
            await journal.record(connection, self.job, "checkpoint", self.actor, {"step": point.step})

        await self._insist(lambda: self._transaction(write))

    async def notice(self, message: Message) -> None:
        """Tell the job's conversation something while the job runs."""

        async def write(connection: AsyncConnection) -> None:
            await self._fence(connection, {})
            await journal.post(connection, self.job, "notice", message)

        await self._insist(lambda: self._transaction(write))
        self._bell.changed("outbox")

    # How it ends

    async def succeed(self, outcome: Outcome) -> None:
        """The job is done. Raises ``CancelRequested`` when its owner took it back in the last moment."""

        async def write(connection: AsyncConnection) -> None:
            row = await self._fence(connection, {})
            if row["cancel_requested"]:
                raise CancelRequested(self.job.id)
            await self._finish(connection, JobState.SUCCEEDED, {"outcome": OUTCOME.write(outcome)})

        await self._end("succeeded", write)

    async def fail(self, message: Message, *, photos_gone: bool = False) -> None:
        """The job can't be done, and trying again would not help. ``message`` is for its owner.

        ``photos_gone``: its dataset can't be read any more, so nobody gets it back for another try.
        """

        async def write(connection: AsyncConnection) -> None:
            await self._fence(connection, {})
            failure = {"failure": MESSAGE.write(message)}
            await self._finish(connection, JobState.FAILED, failure, message=message, photos_gone=photos_gone)

        await self._end("failed", write)

    async def cancelled(self) -> None:
        """The attempt has stopped because its owner asked for it."""

        async def write(connection: AsyncConnection) -> None:
            await self._fence(connection, {})
            await self._finish(connection, JobState.CANCELLED, {})

        await self._end("cancelled", write)

    async def crashed(self, signature: str, message: Message) -> None:
        """The attempt broke down. The job waits for its next one, unless it has broken down like that too often.

        ``signature`` says in what way, without numbers that differ each time; ``message`` is what its owner is told
        when the job is given up.
        """
        again = False

        async def write(connection: AsyncConnection) -> None:
            nonlocal again
            row = await self._fence(connection, {"crashes": jobs.c.crashes + 1})
            alike = await connection.scalar(
                select(func.count())
                .select_from(attempts)
                .where(attempts.c.job_id == self.job.id, attempts.c.signature == signature[:200])
            )
            if row["cancel_requested"]:
                await self._finish(connection, JobState.CANCELLED, {}, ending="crashed", signature=signature)
            elif (alike or 0) + 1 >= self._config.same_crashes or row["crashes"] >= self._config.any_crashes:
                failure = {"failure": MESSAGE.write(message)}
                await self._finish(
                    connection, JobState.FAILED, failure, ending="crashed", signature=signature, message=message
                )
            else:
                again = True
                await self._put_back(connection, "crashed", signature, message)

        await self._end("crashed", write)
        if again:
            self._bell.runnable()

    async def release(self) -> None:
        """Give the job back unharmed, as a worker does that is told to stop. Not a crash."""
        again = False

        async def write(connection: AsyncConnection) -> None:
            nonlocal again
            row = await self._fence(connection, {})
            if row["cancel_requested"]:
                await self._finish(connection, JobState.CANCELLED, {}, ending="released")
            else:
                again = True
                await self._put_back(connection, "released", None, None)

        await self._end("released", write)
        if again:
            self._bell.runnable()

    # How it is written

    async def _insist(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Repeat ``operation`` until the database answers."""
        delay, away = _RETRY_FIRST_S, False
        while True:
            try:
                result = await undisturbed(operation())
            except StoreUnavailable:
                if not away:
                    _log.warning("job %s: the database is away; going on and trying again", self.job.id)
                away = True
                await asyncio.sleep(delay)
                delay = min(delay * 2, _RETRY_MOST_S)
            else:
                if away:
                    _log.info("job %s: the database is back", self.job.id)
                return result

    async def _transaction(self, write: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        async with self._database.write() as connection:
            await write(connection)

    async def _write(self, values: Mapping[str, object]) -> RowMapping:
        async with self._database.write() as connection:
            return await self._fence(connection, values)

    async def _fence(self, connection: AsyncConnection, values: Mapping[str, object]) -> RowMapping:
        """The one statement every write goes through. Locks the row until the transaction ends."""
        result = await connection.execute(
            update(jobs)
            .where(jobs.c.id == self.job.id, jobs.c.attempt == self.attempt, jobs.c.state == JobState.RUNNING.value)
            .values({"worker": self.worker, **values})
            .returning(jobs.c.cancel_requested, jobs.c.crashes)
        )
        row = result.mappings().one_or_none()
        if row is None:
            raise LeaseLost(f"attempt {self.attempt} of job {self.job.id}")
        return row

    async def _end(self, ending: str, write: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        tries = 0

        async def once() -> None:
            nonlocal tries
            tries += 1
            try:
                await self._transaction(write)
            except LeaseLost:
                # A commit whose answer was lost with the connection has happened all the same.
                if tries == 1 or await self._ending() != ending:
                    raise

        try:
            await self._insist(once)
        except LeaseLost:
            self.ended = True
            raise
        self.ended = True
        self._bell.changed(f"job:{self.job.id}")
        self._bell.changed("outbox")

    async def _ending(self) -> str | None:
        async with self._database.read() as connection:
            ending: str | None = await connection.scalar(
                select(attempts.c.ending).where(attempts.c.job_id == self.job.id, attempts.c.attempt == self.attempt)
            )
            return ending

    async def _finish(
        self,
        connection: AsyncConnection,
        state: JobState,
        values: Mapping[str, object],
        *,
        ending: str | None = None,
        signature: str | None = None,
        message: Message | None = None,
        photos_gone: bool = False,
    ) -> None:
        await journal.close_attempt(connection, self.job, ending or state.value, signature, message)
        last = {} if self._unseen is None else {"progress": PROGRESS.write(presentable(self._unseen))}
        values = {**last, **values}
        await journal.finish(
            self._database, connection, self.job, state, values, self.actor, message, photos_gone=photos_gone
        )
        self.outcome = state.value

    async def _put_back(
        self, connection: AsyncConnection, ending: str, signature: str | None, message: Message | None
    ) -> None:
        await journal.close_attempt(connection, self.job, ending, signature, message)
        await connection.execute(
            update(jobs)
            .where(jobs.c.id == self.job.id)
            .values(state=JobState.QUEUED.value, lease_until=None, version=jobs.c.version + 1)
        )
        await journal.record(connection, self.job, ending, self.actor, {"signature": signature} if signature else None)
        self.outcome = ending
