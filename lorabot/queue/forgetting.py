"""Deletes what is stored about a person."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, select, update

from lorabot.queue.blobs import Blobs
from lorabot.queue.database import Database
from lorabot.queue.errors import AlreadyFinished, NoSuchJob
from lorabot.queue.jobs import JobStore
from lorabot.queue.keys import conversation_prefix, job_prefix, owner_prefix
from lorabot.queue.tables import (
    acts,
    datasets,
    drafts,
    events,
    jobs,
    outbox,
    pauses,
    people,
    proposals,
    refs,
    transcript,
    upload_links,
)

SOMEBODY = "somebody"
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was deleted."""

    jobs: int
    files: int
    lines: int


async def forget(
    database: Database,
    store: JobStore,
    blobs: Blobs,
    owner: str,
    conversations: Iterable[str] = (),
    patience_s: float = 10.0,
) -> Forgotten:
    """Delete the owner's drafts, datasets, jobs, their files, what they said, and all of ``conversations``.

    Unfinished jobs are cancelled first; a worker that has not stopped after ``patience_s`` is cut off by the deletion
    itself, since its fence finds no job any more. Files go before rows, so that a failure in between leaves nothing
    that nobody remembers: call again.
    """
    async with database.read() as connection:
        ids = (await connection.execute(select(jobs.c.id).where(jobs.c.owner == owner))).scalars().all()
    for job_id in ids:
        try:
            await store.cancel(job_id, owner)
        except (AlreadyFinished, NoSuchJob):
            continue
    await _until_stopped(store, ids, patience_s)
    files = await blobs.delete_prefix(owner_prefix(owner))
    conversations = list(conversations)
    for conversation in conversations:
        files += await blobs.delete_prefix(conversation_prefix(conversation))
    for job_id in ids:
        files += await blobs.delete_prefix(job_prefix(job_id))
    said: ColumnElement[bool] = or_(transcript.c.author == owner, transcript.c.conversation.in_(conversations))
    async with database.write() as connection:
        entries = (await connection.execute(select(outbox.c.id).where(outbox.c.job_id.in_(ids)))).scalars().all()
        gone = await connection.execute(delete(jobs).where(jobs.c.owner == owner))
        await connection.execute(delete(datasets).where(datasets.c.owner == owner))
        for table in (drafts, people, proposals, upload_links):
            await connection.execute(delete(table).where(table.c.owner == owner))
        await connection.execute(delete(refs).where(or_(refs.c.owner == owner, refs.c.address == owner)))
        for entry in entries:
            key = f"outbox:{entry}"
            await connection.execute(delete(refs).where(or_(refs.c.key == key, refs.c.key.startswith(f"{key}#"))))
        # What they did to others' jobs stays in the log, without them.
        await connection.execute(update(events).where(events.c.actor == owner).values(actor=SOMEBODY))
        await connection.execute(update(pauses).where(pauses.c.actor == owner).values(actor=SOMEBODY))
        await connection.execute(update(acts).where(acts.c.actor == owner).values(actor=SOMEBODY))
        await connection.execute(update(acts).where(acts.c.job_id.in_(ids)).values(job_id=None))
        lines = await connection.execute(delete(transcript).where(said))
    return Forgotten(gone.rowcount, files, lines.rowcount)


async def _until_stopped(store: JobStore, ids: Iterable[str], patience_s: float) -> None:
    waiting = list(ids)
    rounds = max(1, round(patience_s / _LOOK_S))
    for _ in range(rounds):
        still = []
        for job_id in waiting:
            try:
                job = await store.get(job_id)
            except NoSuchJob:
                continue
            if not job.state.final:
                still.append(job_id)
        if not still:
            return
        waiting = still
        await asyncio.sleep(_LOOK_S)
