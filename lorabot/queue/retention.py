"""Deletes what has been kept long enough: ended jobs with all that belongs to them, photos nobody trained on."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, select

from lorabot.queue.blobs import Blobs
from lorabot.queue.clock import now_plus
from lorabot.queue.config import QueueConfig
from lorabot.queue.database import Database
from lorabot.queue.errors import BlobsUnavailable, StoreUnavailable
from lorabot.queue.keys import CONVERSATIONS, IMAGES, JOBS, job_prefix
from lorabot.queue.proposals import LIFE
from lorabot.queue.service import Queue
from lorabot.queue.tables import datasets, drafts, jobs, proposals, refs, transcript, upload_links

_DAY_S = 86_400.0
_EVERY_S = 3600.0
_AT_ONCE = 100
# Files come before the rows that name them: what is younger may still get its row.
_GRACE = (timedelta(hours=1), timedelta(days=1))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How much was deleted."""

    jobs: int
    drafts: int
    files: int


async def run_sweeper(queue: Queue, stop: asyncio.Event) -> None:
    """``sweep`` every hour until ``stop`` is set. What can't be deleted now is deleted the next time."""
    while not stop.is_set():
        try:
            swept = await sweep(queue.database, queue.blobs, queue.config)
            if swept != Swept(0, 0, 0):
                _log.info(
                    "kept long enough: %d jobs, %d drafts, %d files deleted", swept.jobs, swept.drafts, swept.files
                )
        except (StoreUnavailable, BlobsUnavailable) as error:
            _log.warning("not deleting what is old for now: %s", type(error).__name__)
        except Exception:
            _log.exception("deleting what is old broke down")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _EVERY_S)


async def sweep(database: Database, blobs: Blobs, config: QueueConfig) -> Swept:
    """One round. Files go before the rows that name them, so that a failure in between leaves nothing unknown."""
    keep_s, draft_s = config.keep_days * _DAY_S, config.draft_days * _DAY_S
    files = 0
    ended: Sequence[str] = ()
    count = 0
    while ended := await _ended(database, keep_s):
        for job_id in ended:
            files += await blobs.delete_prefix(job_prefix(job_id))
        async with database.write() as connection:
            await connection.execute(delete(jobs).where(jobs.c.id.in_(ended)))
        count += len(ended)
    async with database.write() as connection:
        unused = await connection.execute(delete(drafts).where(drafts.c.updated_at < now_plus(-draft_s)))
        await connection.execute(delete(proposals).where(proposals.c.created_at < now_plus(-LIFE.total_seconds())))
        await connection.execute(delete(upload_links).where(upload_links.c.created_at < now_plus(-2 * _DAY_S)))
        await connection.execute(delete(refs).where(refs.c.at < now_plus(-keep_s)))
        await connection.execute(delete(transcript).where(transcript.c.at < now_plus(-keep_s)))
        await connection.execute(
            delete(datasets).where(
                ~exists(select(jobs.c.id).where(jobs.c.dataset_id == datasets.c.id)),
                ~exists(select(proposals.c.id).where(proposals.c.dataset_id == datasets.c.id)),
                # One that was sealed just now waits for its job.
                datasets.c.created_at < now_plus(-_GRACE[0].total_seconds()),
            )
        )
    files += await _sweep_files(database, blobs, config)
    return Swept(count, unused.rowcount, files)


async def _ended(database: Database, keep_s: float) -> Sequence[str]:
    query = select(jobs.c.id).where(jobs.c.finished_at < now_plus(-keep_s)).order_by(jobs.c.finished_at).limit(_AT_ONCE)
    async with database.read() as connection:
        return (await connection.execute(query)).scalars().all()


async def _sweep_files(database: Database, blobs: Blobs, config: QueueConfig) -> int:
    """Delete files that no row names: pictures of deleted jobs and drafts, and what a lost worker wrote late."""
    current = datetime.now(UTC)
    grace = current - min(max(timedelta(days=config.draft_days), _GRACE[0]), _GRACE[1])
    doomed = await blobs.older(CONVERSATIONS, current - timedelta(days=config.keep_days))
    if images := await blobs.older(IMAGES, grace):
        named = await _named_images(database)
        doomed += [key for key in images if key not in named]
    if made := await blobs.older(JOBS, grace):
        async with database.read() as connection:
            known = {job_prefix(job) for job in (await connection.execute(select(jobs.c.id))).scalars()}
        doomed += [key for key in made if job_prefix(key.split("/")[1]) not in known]
    for key in doomed:
        await blobs.delete(key)
    unfinished = [
        await blobs.delete_unfinished(folder, current - _GRACE[0]) for folder in (IMAGES, CONVERSATIONS, JOBS)
    ]
    return len(doomed) + sum(unfinished)


async def _named_images(database: Database) -> set[str]:
    found: set[str] = set()
    async with database.read() as connection:
        for table in (drafts, datasets):
            for images in (await connection.execute(select(table.c.images))).scalars():
                found.update(str(image["key"]) for image in images)
    return found
