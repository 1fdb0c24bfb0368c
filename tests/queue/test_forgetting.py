"""Everything stored about a person can be deleted, and nothing about anybody else is."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from lorabot.queue import Queue
from lorabot.queue.errors import LeaseLost, NoSuchJob
from lorabot.queue.keys import artefact_key, conversation_prefix, image_key
from lorabot.queue.model import Address, JobState, Outcome
from lorabot.queue.tables import metadata
from tests.queue.samples import ADDRESS, image, submit


async def leave_traces(queue: Queue, owner: str) -> str:
    """A finished job with files, a waiting one, a draft, and some words: something in every table there is."""
    name = owner.partition(":")[2]
    await queue.people.note_met(owner, "en")
    await queue.proposals.add(owner, ADDRESS, {"train": {}}, "digest")
    await queue.upload_links.open(owner, ADDRESS, "en")
    await queue.refs.put(ADDRESS, f"trigger for {name}", "anime", owner)
    await queue.refs.put(Address("web", name), "card", "message 7")
    job = await submit(queue, owner)
    lease = await queue.jobs.claim("w")
    assert lease is not None
    await queue.blobs.put(image_key(owner, "ab" * 32), b"photo")
    await queue.blobs.put(artefact_key(job.id, 1, "zuri.safetensors"), b"lora")
    await queue.blobs.put(f"{conversation_prefix(name)}small.webp", b"small")
    await lease.succeed(Outcome(()))
    (entry,) = [entry for entry in await queue.outbox.pending() if entry.job_id == job.id]
    await queue.refs.put(ADDRESS, f"outbox:{entry.id}#plot", f"a message about {job.id}")
    waiting = await submit(queue, owner)
    await queue.jobs.hold(waiting.id, "mod")
    await queue.drafts.add(owner, ADDRESS, [image(owner, "new.png")])
    await queue.jobs.pause(owner)
    await queue.transcript.append(name, "you", {"text": f"I am {owner}"})
    return job.id


IMPERSONAL = {"trainers"}
"""Tables that say something of machines only."""


async def everything(queue: Queue, folder: Path) -> dict[str, str]:
    """All rows of all tables by table, and all names of files."""
    found = {}
    async with queue.database.read() as connection:
        for table in metadata.sorted_tables:
            found[table.name] = "\n".join(str(row) for row in await connection.execute(select(table)))
    files = await asyncio.to_thread(lambda: [str(path.relative_to(folder)) for path in folder.rglob("*")])
    return {**found, "files": "\n".join(files)}


async def test_nothing_of_a_person_is_left(queue: Queue, tmp_path: Path) -> None:
    ann = await leave_traces(queue, "web:ann")
    there = await everything(queue, tmp_path / "blobs")
    # A new table that says something about a person must get its traces here, and its deletion in forgetting.py.
    assert {name for name, rows in there.items() if "ann" not in rows and ann not in rows} == IMPERSONAL
    await queue.jobs.unpause("mod")
    bob = await leave_traces(queue, "web:bob")
    held = await submit(queue, "web:bob")
    await queue.jobs.hold(held.id, "web:ann")
    await queue.jobs.pause("web:ann")
    await queue.drafts.add("web:bob", ADDRESS, [image("web:bob", "newer.png")])
    kept = await queue.jobs.get(bob)
    forgotten = await queue.forget("web:ann", ["ann"], patience_s=0)
    assert (forgotten.jobs, forgotten.files, forgotten.lines) == (2, 3, 1)
    left = await everything(queue, tmp_path / "blobs")
    assert {name for name, rows in left.items() if "ann" in rows or ann in rows} == set()
    assert await queue.jobs.get(bob) == kept
    assert await queue.blobs.exists(image_key("web:bob", "ab" * 32))
    assert await queue.blobs.exists(artefact_key(bob, 1, "zuri.safetensors"))
    assert len(await queue.transcript.since("bob")) == 1
    assert await queue.drafts.get("web:bob", ADDRESS) is not None


async def test_a_worker_that_does_not_stop_in_time_is_cut_off(queue: Queue) -> None:
    job = await submit(queue)
    lease = await queue.jobs.claim("w")
    assert lease is not None
    await queue.forget("web:ann", patience_s=0)
    with pytest.raises(NoSuchJob):
        await queue.jobs.get(job.id)
    with pytest.raises(LeaseLost):
        await lease.beat()


async def test_a_running_job_is_cancelled_first(queue: Queue) -> None:
    job = await submit(queue)
    lease = await queue.jobs.claim("w")
    assert lease is not None
    async with queue.changes(f"job:{job.id}") as changes:
        forgetting = asyncio.create_task(queue.forget("web:ann", patience_s=10))
        await changes.wait(10)
    await lease.cancelled()
    assert (await forgetting).jobs == 1


async def test_forgetting_somebody_unknown_does_nothing(queue: Queue) -> None:
    job = await submit(queue)
    assert (await queue.forget("web:eve")).jobs == 0
    assert (await queue.jobs.get(job.id)).state is JobState.QUEUED
