"""What every transition leaves behind in its own transaction: an audit event, news for the conversation, photos."""

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.locale import Message
from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.drafts import give_back
from lorabot.queue.model import Job, JobState
from lorabot.queue.payload import MESSAGE, OBJECT
from lorabot.queue.tables import attempts, events, jobs, outbox


async def record(
    connection: AsyncConnection, job: Job, kind: str, actor: str, details: Mapping[str, object] | None = None
) -> None:
    """Add a line to the job's audit log."""
    await connection.execute(
        insert(events).values(
            job_id=job.id,
            at=now(),
            kind=kind,
            attempt=job.attempt,
            actor=actor,
            details=OBJECT.write(dict(details or {})),
        )
    )


async def post(
    connection: AsyncConnection, job: Job, kind: Literal["notice", "outcome"], message: Message | None
) -> None:
    """Put something into the outbox that the job's conversation must get."""
    # Not the address that the job had when the worker took it: its community may have moved since.
    address = select(jobs.c.address).where(jobs.c.id == job.id).scalar_subquery()
    await connection.execute(
        insert(outbox).values(
            job_id=job.id,
            address=address,
            kind=kind,
            message=None if message is None else MESSAGE.write(message),
            created_at=now(),
            due_at=now(),
        )
    )


async def close_attempt(
    connection: AsyncConnection, job: Job, ending: str, signature: str | None = None, message: Message | None = None
) -> None:
    """Write how the job's present attempt ended."""
    await connection.execute(
        update(attempts)
        .where(attempts.c.job_id == job.id, attempts.c.attempt == job.attempt)
        .values(
            ended_at=now(),
            ending=ending,
            signature=None if signature is None else signature[:200],
            message=None if message is None else MESSAGE.write(message),
        )
    )


async def finish(
    database: Database,
    connection: AsyncConnection,
    job: Job,
    state: JobState,
    values: Mapping[str, object],
    actor: str,
    message: Message | None = None,
    *,
    told: bool = False,
    photos_gone: bool = False,
) -> None:
    """The job's end and the news of it, together. The caller holds the row and knows that it has not ended.

    Of a job that made nothing the photos are there for another try, unless they are what is gone.
    ``told``: its owner has the news already.
    """
    await connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(
            {
                "state": state.value,
                "lease_until": None,
                "finished_at": now(),
                "version": jobs.c.version + 1,
                **values,
            }
        )
    )
    await record(connection, job, state.value, actor)
    if state is not JobState.SUCCEEDED and not photos_gone:
        await give_back(database, connection, job)
    if not told:
        await post(connection, job, "outcome", message)
