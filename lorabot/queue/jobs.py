"""The job store: jobs come in, are asked about, moved, cancelled and claimed. The truth about all of them."""

from collections.abc import Collection

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.locale import Message
from lorabot.queue import audit, journal, rows
from lorabot.queue.bell import Bell
from lorabot.queue.claim import EVERYTHING, LOST, ahead_of, lapsed, next_turn, paused, runnable, take, worn_out
from lorabot.queue.clock import now
from lorabot.queue.config import QueueConfig
from lorabot.queue.database import Database
from lorabot.queue.errors import AlreadyFinished, AlreadyQueued, NoSuchJob, NotYours, WrongState
from lorabot.queue.keys import new_id
from lorabot.queue.lease import Lease
from lorabot.queue.model import Event, Job, JobState, NewJob
from lorabot.queue.payload import IMAGES, MESSAGE
from lorabot.queue.proposals import note_started, refuse_second
from lorabot.queue.rows import new_job_values
from lorabot.queue.tables import attempts, datasets, drafts, events, jobs, pauses, queued

_UNFINISHED = (JobState.HELD.value, JobState.QUEUED.value, JobState.RUNNING.value)
_FRONT = 100
_EVENTS = {"hold": "held", "release": "unheld", "front": "fronted"}


class JobStore:
    """Jobs in the database. All methods raise ``StoreUnavailable`` while it is away."""

    def __init__(self, database: Database, config: QueueConfig, bell: Bell) -> None:
        self._database = database
        self._config = config
        self._bell = bell

    # Asking

    async def submit(self, new: NewJob, proposal: str | None = None) -> Job:
        """Queue a job, and drop from the owner's draft the images it trains on.

        Raises ``AlreadyQueued`` when the owner has as many unfinished jobs as one person may have, and, for a job that
        was proposed, ``AlreadyStarted`` when there is one of that ``proposal`` already, ``NoProposal`` when that is
        gone.
        """
        async with self._database.write() as connection:
            await self._database.lock(connection, f"submit:{new.owner}")
            if proposal is not None:
                await refuse_second(connection, proposal)
            mine = await connection.execute(
                select(jobs.c.name)
                .where(jobs.c.owner == new.owner, jobs.c.state.in_(_UNFINISHED))
                .order_by(jobs.c.created_at)
            )
            names = mine.scalars().all()
            if len(names) >= self._config.jobs_per_owner:
                raise AlreadyQueued(names[0], self._config.jobs_per_owner)
            serving, last = (await connection.execute(next_turn(new.owner))).one()
            turn = max(serving or 0, 0 if last is None else last + 1)
            row = await connection.execute(
                insert(jobs)
                .values(
                    {
                        **new_job_values(new),
                        "id": new_id(),
                        "state": JobState.QUEUED.value,
                        "turn": turn,
                        "created_at": now(),
                    }
                )
                .returning(*jobs.c)
            )
            job = rows.job(row.mappings().one())
            if proposal is not None:
                await note_started(connection, proposal, job.id)
            await journal.record(connection, job, "submitted", new.owner)
            await self._take_from_draft(connection, new)
        self._bell.changed(f"job:{job.id}")
        self._bell.runnable()
        return job

    async def get(self, job_id: str) -> Job:
        """Raises ``NoSuchJob``."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one_or_none()
        if row is None:
            raise NoSuchJob(job_id)
        return rows.job(row)

    async def of(self, owner: str, limit: int = 10) -> list[Job]:
        """The owner's jobs, newest first."""
        query = select(jobs).where(jobs.c.owner == owner).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        async with self._database.read() as connection:
            return [rows.job(row) for row in (await connection.execute(query)).mappings()]

    async def unfinished(self, limit: int = 100, scope: str | None = None) -> list[Job]:
        """Everybody's unfinished jobs: running ones, then waiting ones in the order they are served, then held ones.

        With a ``scope`` those of that community.
        """
        found: list[Job] = []
        there = () if scope is None else (jobs.c.scope == scope,)
        async with self._database.read() as connection:
            for state in (JobState.RUNNING, JobState.QUEUED, JobState.HELD):
                query = (
                    select(jobs)
                    .where(jobs.c.state == state.value, *there)
                    .order_by(jobs.c.priority.desc(), jobs.c.turn, jobs.c.created_at, jobs.c.id)
                    .limit(limit - len(found))
                )
                found += [rows.job(row) for row in (await connection.execute(query)).mappings()]
        return found

    async def position(self, job_id: str) -> int | None:
        """1 for the job that is served next; None for one that does not wait."""
        place = select(jobs.c.id, jobs.c.priority, jobs.c.turn, jobs.c.created_at).where(
            jobs.c.id == job_id, jobs.c.state == JobState.QUEUED.value
        )
        async with self._database.read() as connection:
            row = (await connection.execute(place)).mappings().one_or_none()
            if row is None:
                return None
            return (await connection.execute(ahead_of(row))).scalar_one() + 1

    async def next_place(self, owner: str) -> int:
        """The place in line that a job of ``owner`` would get now; 1 is served next."""
        async with self._database.read() as connection:
            serving, last = (await connection.execute(next_turn(owner))).one()
            turn = max(serving or 0, 0 if last is None else last + 1)
            ahead = select(func.count()).select_from(jobs).where(queued, or_(jobs.c.priority > 0, jobs.c.turn <= turn))
            return (await connection.execute(ahead)).scalar_one() + 1

    async def positions(self) -> dict[str, int]:
        """The places of all waiting jobs by id, in order; 1 is served next."""
        query = (
            select(jobs.c.id).where(queued).order_by(jobs.c.priority.desc(), jobs.c.turn, jobs.c.created_at, jobs.c.id)
        )
        async with self._database.read() as connection:
            ids = (await connection.execute(query)).scalars().all()
        return {job_id: place for place, job_id in enumerate(ids, start=1)}

    async def events(self, job_id: str) -> list[Event]:
        """The job's audit log, oldest first."""
        query = select(events).where(events.c.job_id == job_id).order_by(events.c.id)
        async with self._database.read() as connection:
            return [rows.event(row) for row in (await connection.execute(query)).mappings()]

    # Moving

    async def cancel(self, job_id: str, by: str, moderator: bool = False, scope: str | None = None) -> Job:
        """End a waiting job at once; ask the worker of a running one to stop (``cancel_requested``).

        A ``moderator`` may cancel everybody's job, with a ``scope`` those of that community only. Raises
        ``NoSuchJob``, ``NotYours`` and ``AlreadyFinished``.
        """
        async with self._database.write() as connection:
            job = await self._locked(connection, job_id, by, moderator, scope)
            if job.state.final:
                raise AlreadyFinished(job.name, job.state.value)
            orphaned = select(jobs.c.id).where(jobs.c.id == job_id, lapsed())
            if job.state is not JobState.RUNNING:
                # Who takes back a job that waits reads so in the answer, and on its card: that is news enough.
                await journal.finish(self._database, connection, job, JobState.CANCELLED, {}, by, told=job.owner == by)
            elif await connection.scalar(orphaned) is not None:
                await journal.close_attempt(connection, job, "crashed", LOST)
                await journal.finish(self._database, connection, job, JobState.CANCELLED, {}, by)
            elif not job.cancel_requested:
                await connection.execute(
                    update(jobs).where(jobs.c.id == job_id).values(cancel_requested=True, version=jobs.c.version + 1)
                )
                await journal.record(connection, job, "cancel_requested", by)
            if job.owner != by:
                await audit.record(connection, by, "cancel", job.scope, job.id)
            job = await self._reread(connection, job_id)
        self._bell.changed(f"job:{job_id}")
        self._bell.changed("outbox")
        return job

    # Moderating: all of it is in the moderators' log. With a ``scope`` only jobs of that community are touched;
    # others raise ``NoSuchJob``, as if they were not there.

    async def hold(self, job_id: str, by: str, scope: str | None = None) -> Job:
        """Keep a waiting job from being claimed. Raises ``NoSuchJob``, ``WrongState``."""
        return await self._move(job_id, by, scope, JobState.QUEUED, "hold", {"state": JobState.HELD.value})

    async def unhold(self, job_id: str, by: str, scope: str | None = None) -> Job:
        """Let a held job wait for its turn again, at the place it had. Raises ``NoSuchJob``, ``WrongState``."""
        job = await self._move(job_id, by, scope, JobState.HELD, "release", {"state": JobState.QUEUED.value})
        self._bell.runnable()
        return job

    async def front(self, job_id: str, by: str, scope: str | None = None) -> Job:
        """Serve a waiting job before all that were not put to the front. Raises ``NoSuchJob``, ``WrongState``."""
        return await self._move(job_id, by, scope, JobState.QUEUED, "front", {"priority": _FRONT})

    async def pause(self, by: str, scope: str | None = None) -> None:
        """Start no more waiting jobs, of the community ``scope`` or of all. Running ones go on."""
        place = EVERYTHING if scope is None else scope
        async with self._database.write() as connection:
            await self._database.lock(connection, f"pause:{place}")
            await connection.execute(delete(pauses).where(pauses.c.scope == place))
            await connection.execute(insert(pauses).values(scope=place, at=now(), actor=by))
            await audit.record(connection, by, "pause", scope)

    async def unpause(self, by: str, scope: str | None = None) -> None:
        """Lift the pause of ``scope``, or, without one, the pause of everything. Others stay."""
        place = EVERYTHING if scope is None else scope
        async with self._database.write() as connection:
            await connection.execute(delete(pauses).where(pauses.c.scope == place))
            await audit.record(connection, by, "resume", scope)
        self._bell.runnable()

    async def paused(self, scope: str | None = None) -> bool:
        """Whether no waiting job is started at all; with a ``scope``, whether none of that community is."""
        async with self._database.read() as connection:
            return bool(await connection.scalar(select(paused(scope))))

    async def paused_scopes(self) -> dict[str, str]:
        """Who paused what: scopes and owners. The empty scope stands for everything."""
        async with self._database.read() as connection:
            found = (await connection.execute(select(pauses.c.scope, pauses.c.actor))).all()
        return {row.scope: row.actor for row in found}

    # Working

    async def claim(self, worker: str, bases: Collection[str] | None = None) -> Lease | None:
        """Take the next job for ``worker``: waiting, or running with a lapsed lease. None when there is none.

        Only a job on one of ``bases``, where some are named; others are left to workers that have their base.
        """
        async with self._database.write() as connection:
            statement = take(self._config, worker, bases, orphans=self._leases_count)
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                return None
            job = rows.job(row)
            await connection.execute(
                update(attempts)
                .where(attempts.c.job_id == job.id, attempts.c.ending.is_(None))
                .values(ended_at=now(), ending="crashed", signature=LOST)
            )
            await connection.execute(
                insert(attempts).values(job_id=job.id, attempt=job.attempt, worker=worker, started_at=now())
            )
            await journal.record(connection, job, "claimed", f"worker:{worker}")
        self._bell.changed(f"job:{job.id}")
        return Lease(self._database, self._config, self._bell, job, worker)

    async def runnable(self, bases: Collection[str] | None = None) -> int:
        """How many jobs could be claimed now by workers that have ``bases``; None: all."""
        query = select(func.count()).select_from(jobs).where(runnable(self._config, bases))
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()

    async def running(self) -> int:
        """How many jobs are held by a worker that renews its lease."""
        query = select(func.count()).select_from(jobs).where(jobs.c.state == JobState.RUNNING.value, ~lapsed())
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()

    async def reap(self) -> list[Job]:
        """End the jobs whose worker was lost and which nobody will claim: cancelled ones, and those lost too often."""
        ended: list[Job] = []
        if not self._leases_count:
            return ended
        doomed = select(jobs).where(lapsed(), jobs.c.cancel_requested | worn_out(self._config))
        async with self._database.read() as connection:
            if (await connection.execute(doomed.limit(1))).first() is None:
                return ended
        async with self._database.write() as connection:
            found = await connection.execute(doomed.with_for_update(skip_locked=True))
            # In this order, for others who end jobs now: each end locks its owner's draft until all are written.
            for job in sorted(map(rows.job, found.mappings()), key=lambda job: (job.owner, str(job.address))):
                await journal.close_attempt(connection, job, "crashed", LOST)
                if job.cancel_requested:
                    await journal.finish(self._database, connection, job, JobState.CANCELLED, {}, "queue")
                else:
                    reason = Message("queue-worker-lost", {"times": job.crashes + 1})
                    values = {"failure": MESSAGE.write(reason), "crashes": jobs.c.crashes + 1}
                    await journal.finish(self._database, connection, job, JobState.FAILED, values, "queue", reason)
                ended.append(await self._reread(connection, job.id))
        for job in ended:
            self._bell.changed(f"job:{job.id}")
        self._bell.changed("outbox")
        return ended

    # How it is written

    @property
    def _leases_count(self) -> bool:
        """Just after the database was away every lease has lapsed; their workers get the time to come back first."""
        return self._database.steady_s > self._config.lease_s

    async def _locked(
        self, connection: AsyncConnection, job_id: str, by: str, moderator: bool, scope: str | None = None
    ) -> Job:
        query = select(jobs).where(jobs.c.id == job_id).with_for_update()
        row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NoSuchJob(job_id)
        job = rows.job(row)
        if job.owner != by and not (moderator and scope in (None, job.scope)):
            raise NotYours(job.name)
        return job

    async def _reread(self, connection: AsyncConnection, job_id: str) -> Job:
        return rows.job((await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one())

    async def _move(
        self, job_id: str, by: str, scope: str | None, state: JobState, action: str, values: dict[str, object]
    ) -> Job:
        async with self._database.write() as connection:
            job = await self._locked(connection, job_id, by, moderator=True)
            if scope is not None and job.scope != scope:
                raise NoSuchJob(job_id)
            if job.state is not state:
                raise WrongState(job.name, job.state.value)
            await connection.execute(
                update(jobs).where(jobs.c.id == job_id).values({**values, "version": jobs.c.version + 1})
            )
            await journal.record(connection, job, _EVENTS[action], by)
            await audit.record(connection, by, action, job.scope, job.id)
            job = await self._reread(connection, job_id)
        self._bell.changed(f"job:{job_id}")
        return job

    async def _take_from_draft(self, connection: AsyncConnection, new: NewJob) -> None:
        mine = and_(drafts.c.owner == new.owner, drafts.c.address == str(new.address))
        used = await connection.scalar(select(datasets.c.images).where(datasets.c.id == new.dataset_id))
        kept = await connection.scalar(select(drafts.c.images).where(mine).with_for_update())
        if used is None or kept is None:
            return
        gone = {image.sha256 for image in IMAGES.read(used)}
        left = tuple(image for image in IMAGES.read(kept) if image.sha256 not in gone)
        if left:
            await connection.execute(update(drafts).where(mine).values(images=IMAGES.write(left), updated_at=now()))
        else:
            await connection.execute(delete(drafts).where(mine))
