"""What is old enough is deleted with all its files, and nothing else is."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Table, select, update

from lorabot.queue import Queue
from lorabot.queue.clock import now_plus
from lorabot.queue.keys import artefact_key, conversation_prefix
from lorabot.queue.model import Address, Image, Outcome
from lorabot.queue.retention import Swept, run_sweeper, sweep
from lorabot.queue.tables import (
    attempts,
    datasets,
    drafts,
    events,
    jobs,
    outbox,
    proposals,
    refs,
    transcript,
    upload_links,
)
from tests.queue.samples import ADDRESS, eventually, image, submit

DAY_S = 86_400.0


async def older(queue: Queue, table: Table, days: float, **where: object) -> None:
    """Let the rows of ``table`` be as if of ``days`` ago."""
    columns = [name for name in ("at", "created_at", "updated_at", "finished_at") if name in table.c]
    async with queue.database.write() as connection:
        statement = update(table).values({name: now_plus(-days * DAY_S) for name in columns})
        for name, value in where.items():
            statement = statement.where(table.c[name] == value)
        await connection.execute(statement)


def age(folder: Path, days: float) -> None:
    """Let all files below ``folder`` be as if of ``days`` ago."""
    then = time.time() - days * DAY_S
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


async def kept(queue: Queue, image: Image) -> None:
    await queue.blobs.put(image.key, b"photo")


async def rows(queue: Queue, table: Table) -> int:
    async with queue.database.read() as connection:
        return len((await connection.execute(select(table))).all())


async def done(queue: Queue, owner: str) -> str:
    """A job that has ended, with its photo and its file."""
    await kept(queue, image(owner))
    job = await submit(queue, owner)
    lease = await queue.jobs.claim("w")
    assert lease is not None
    await queue.blobs.put(artefact_key(job.id, 1, "zuri.safetensors"), b"lora")
    await lease.succeed(Outcome(()))
    return job.id


async def round_(queue: Queue) -> Swept:
    return await sweep(queue.database, queue.blobs, queue.config)


async def test_a_job_goes_with_all_that_belongs_to_it(queue: Queue, tmp_path: Path) -> None:
    old, new = await done(queue, "web:ann"), await done(queue, "web:bob")
    await older(queue, jobs, 31, id=old)
    await older(queue, datasets, 31)
    await asyncio.to_thread(age, tmp_path / "blobs", 31)
    assert await round_(queue) == Swept(jobs=1, drafts=0, files=2)
    assert [job.id for job in await queue.jobs.of("web:ann")] == []
    assert not await queue.blobs.exists(artefact_key(old, 1, "zuri.safetensors"))
    assert not await queue.blobs.exists(image("web:ann").key)
    assert await queue.blobs.exists(artefact_key(new, 1, "zuri.safetensors"))
    assert await queue.blobs.exists(image("web:bob").key)
    assert [await rows(queue, table) for table in (jobs, datasets, attempts, outbox)] == [1, 1, 1, 1]
    assert await rows(queue, events) == 3
    assert await round_(queue) == Swept(0, 0, 0)


async def test_a_job_that_has_not_ended_stays_however_old_it_is(queue: Queue, tmp_path: Path) -> None:
    await kept(queue, image("web:ann"))
    job = await submit(queue)
    await queue.jobs.hold(job.id, "mod")
    async with queue.database.write() as connection:
        await connection.execute(update(jobs).values(created_at=now_plus(-400 * DAY_S)))
    await older(queue, datasets, 400)
    await asyncio.to_thread(age, tmp_path / "blobs", 400)
    assert await round_(queue) == Swept(0, 0, 0)
    assert await queue.blobs.exists(image("web:ann").key)


async def test_photos_nobody_trained_on_go_after_a_week_and_cleared_ones_within_a_day(
    queue: Queue, tmp_path: Path
) -> None:
    old, new, cleared = (image(f"web:{name}") for name in ("ann", "bob", "eve"))
    for one, owner in ((old, "web:ann"), (new, "web:bob"), (cleared, "web:eve")):
        await kept(queue, one)
        await queue.drafts.add(owner, ADDRESS, [one])
    await older(queue, drafts, 8, owner="web:ann")
    await queue.drafts.clear("web:eve", ADDRESS)
    await asyncio.to_thread(age, tmp_path / "blobs", 8)
    assert await round_(queue) == Swept(jobs=0, drafts=1, files=2)
    assert await queue.drafts.get("web:ann", ADDRESS) is None
    assert [await queue.blobs.exists(one.key) for one in (old, new, cleared)] == [False, True, False]


async def test_a_photo_that_is_just_coming_in_is_left_alone(queue: Queue) -> None:
    await kept(queue, image("web:ann"))  # its draft is written after all files of the zip
    assert (await round_(queue)).files == 0


async def test_what_was_being_written_when_a_process_was_killed_goes(queue: Queue, tmp_path: Path) -> None:
    kept_ = image("web:ann")
    await kept(queue, kept_)
    await queue.drafts.add("web:ann", ADDRESS, [kept_])
    file = tmp_path / "blobs" / kept_.key
    for number in (1, 2):
        file.with_name(f"{file.name}#{number}").write_bytes(b"half a photo")
    await asyncio.to_thread(age, tmp_path / "blobs", 0.5)
    file.with_name(f"{file.name}#3").write_bytes(b"going on")
    assert (await round_(queue)).files == 2
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, f"{file.name}#3"]


async def test_what_a_lost_worker_wrote_for_a_deleted_job_goes(queue: Queue, tmp_path: Path) -> None:
    await queue.blobs.put(artefact_key("gone", 2, "late.png"), b"x")
    await asyncio.to_thread(age, tmp_path / "blobs", 2)
    assert (await round_(queue)).files == 1


async def test_conversations_links_references_and_proposals_go_in_their_time(queue: Queue, tmp_path: Path) -> None:
    dataset = await _sealed(queue)
    for name in ("ann", "bob"):
        await queue.transcript.append(name, "you", {"text": "hello"})
        await queue.refs.put(Address("web", name), "card", "1")
        await queue.upload_links.open(f"web:{name}", ADDRESS, "en")
        await queue.proposals.add(f"web:{name}", ADDRESS, {}, "digest", dataset)
    await queue.blobs.put(f"{conversation_prefix('ann')}small.webp", b"small")
    await older(queue, transcript, 31, conversation="ann")
    await older(queue, refs, 31, address="web:ann")
    await older(queue, upload_links, 3, owner="web:ann")
    await older(queue, proposals, 1.1, owner="web:ann")
    await older(queue, datasets, 3)
    await asyncio.to_thread(age, tmp_path / "blobs", 31)
    await round_(queue)
    tables = (transcript, refs, upload_links, proposals, datasets)
    assert [await rows(queue, table) for table in tables] == [1, 1, 1, 1, 1]
    assert not await queue.blobs.exists(f"{conversation_prefix('ann')}small.webp")
    await older(queue, proposals, 2)
    await round_(queue)
    assert [await rows(queue, table) for table in (proposals, datasets)] == [0, 0]


async def test_an_upload_link_that_is_asked_for_again_lasts_as_long_as_a_new_one(queue: Queue) -> None:
    first = await queue.upload_links.open("web:ann", ADDRESS, "en")
    await older(queue, upload_links, 1.99)
    again = await queue.upload_links.open("web:ann", ADDRESS, "zh-CN")
    assert (again.id, again.language) == (first.id, "zh-CN")
    async with queue.database.read() as connection:
        since = await connection.scalar(select(upload_links.c.created_at))
    assert since is not None
    assert datetime.now(UTC) - since < timedelta(hours=1), "it is good for a day, and deleted after two"


async def test_the_sweeper_sweeps_at_its_start_and_ends_when_told(queue: Queue) -> None:
    job = await done(queue, "web:ann")
    await older(queue, jobs, 31, id=job)
    stop = asyncio.Event()
    sweeping = asyncio.create_task(run_sweeper(queue, stop))

    async def gone() -> bool:
        return await rows(queue, jobs) == 0

    await eventually(gone)
    stop.set()
    await sweeping


async def _sealed(queue: Queue) -> str:
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann")])
    dataset = await queue.drafts.seal("web:ann", ADDRESS)
    await queue.drafts.clear("web:ann", ADDRESS)
    return dataset.id
