"""The job store, on SQLite and on PostgreSQL."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from lorabot.locale import Message
from lorabot.queue import Queue, QueueConfig, database, open_queue
from lorabot.queue.errors import AlreadyFinished, AlreadyQueued, NoSuchJob, NotYours, StoreUnavailable, WrongState
from lorabot.queue.model import JobState, Outcome, Returned
from tests.queue.conftest import QUICK
from tests.queue.samples import ADDRESS, image, lapse, new_job, submit


async def test_a_submitted_job_is_read_back_as_it_was_asked_for(queue: Queue) -> None:
    new = await new_job(queue)
    job = await queue.jobs.submit(new)
    assert job == await queue.jobs.get(job.id)
    for field in ("name", "owner", "address", "language", "preset", "trigger", "base", "dataset_id", "seed", "options"):
        assert getattr(job, field) == getattr(new, field)
    assert (job.state, job.attempt, job.version, job.progress) == (JobState.QUEUED, 0, 1, None)
    assert job.created_at.utcoffset() is not None
    assert [event.kind for event in await queue.jobs.events(job.id)] == ["submitted"]


async def test_an_owner_over_the_limit_is_refused_and_keeps_the_draft(
    database_url: str, no_redis: str, tmp_path: Path
) -> None:
    async with open_queue(QueueConfig(jobs_per_owner=1), database_url, no_redis, str(tmp_path / "blobs")) as queue:
        first = await submit(queue, name="first")
        with pytest.raises(AlreadyQueued) as refused:
            await submit(queue, name="second")
        assert refused.value.message.params == {"job": "first", "limit": 1}
        draft = await queue.drafts.get("web:ann", ADDRESS)
        assert draft is not None
        assert [kept.name for kept in draft.images] == ["photo.png"]
        await submit(queue, owner="web:bob")
        await queue.jobs.cancel(first.id, "web:ann")
        await submit(queue, name="second")
        assert await queue.drafts.get("web:ann", ADDRESS) is None


async def test_two_requests_of_one_owner_at_once_make_one_job(database_url: str, no_redis: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(
                open_queue(QueueConfig(jobs_per_owner=1), database_url, no_redis, str(tmp_path / "blobs"))
            )
            for _ in range(2)
        ]
        new = await new_job(hosts[0])
        results = await asyncio.gather(*(host.jobs.submit(new) for host in hosts * 3), return_exceptions=True)
        assert sum(isinstance(result, AlreadyQueued) for result in results) == 5
        assert len(await hosts[0].jobs.of("web:ann")) == 1


async def test_the_photos_of_a_job_that_made_nothing_are_there_for_another_try(queue: Queue) -> None:
    async def photos() -> list[str]:
        draft = await queue.drafts.get("web:ann", ADDRESS)
        return [kept.name for kept in draft.images] if draft else []

    taken_back = await submit(queue)
    assert await photos() == []
    taken_back = await queue.jobs.cancel(taken_back.id, "web:ann")
    assert await photos() == ["photo.png"]
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "one more.png")])
    assert await queue.drafts.returned(taken_back) == Returned(kept=1)
    await queue.drafts.clear("web:ann", ADDRESS)
    assert await queue.drafts.returned(taken_back) == Returned()

    await submit(queue)
    failing = await queue.jobs.claim("worker")
    assert failing is not None
    await failing.fail(Message("queue-crashed", {"id": failing.job.id}))
    assert await photos() == ["photo.png"]


async def test_photos_that_come_back_are_not_mixed_with_new_ones_and_those_that_are_gone_stay_away(
    queue: Queue,
) -> None:
    first = await submit(queue)
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "other.png")])
    first = await queue.jobs.cancel(first.id, "web:ann")
    assert await queue.drafts.returned(first) == Returned(displaced=1)
    draft = await queue.drafts.get("web:ann", ADDRESS)
    assert draft is not None
    assert [kept.name for kept in draft.images] == ["other.png"]
    await queue.drafts.clear("web:ann", ADDRESS)

    await submit(queue)
    lease = await queue.jobs.claim("worker")
    assert lease is not None
    await lease.fail(Message("queue-crashed", {"id": lease.job.id}), photos_gone=True)
    assert await queue.drafts.get("web:ann", ADDRESS) is None


async def test_the_photos_of_a_job_that_was_trained_once_more_stay_with_the_first(queue: Queue) -> None:
    new = await new_job(queue)
    await queue.jobs.submit(new)
    lease = await queue.jobs.claim("worker")
    assert lease is not None
    await lease.succeed(Outcome((), {}))
    again = await queue.jobs.submit(new)
    await queue.jobs.cancel(again.id, "web:ann")
    assert await queue.drafts.get("web:ann", ADDRESS) is None
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "other.png")])
    assert await queue.drafts.returned(again) == Returned()


async def test_images_that_came_after_sealing_stay_in_the_draft(queue: Queue) -> None:
    new = await new_job(queue)
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "late.png")])
    await queue.jobs.submit(new)
    draft = await queue.drafts.get("web:ann", ADDRESS)
    assert draft is not None
    assert [kept.name for kept in draft.images] == ["late.png"]


async def test_ten_jobs_of_one_owner_do_not_keep_anothers_single_job_waiting(queue: Queue) -> None:
    for number in range(4):
        await submit(queue, "web:ann", f"ann{number}")
    running = await queue.jobs.claim("w")
    assert running is not None
    for number in range(2):
        await submit(queue, "web:bob", f"bob{number}")
    order = [job.name for job in await queue.jobs.unfinished() if job.state is JobState.QUEUED]
    assert order == ["bob0", "ann1", "bob1", "ann2", "ann3"]
    served = []
    while (lease := await queue.jobs.claim("w")) is not None:
        served.append(lease.job.name)
    assert served == order


async def test_who_comes_later_never_waits_for_more_than_one_job_of_each_other_owner(queue: Queue) -> None:
    for number in range(3):
        await submit(queue, "web:ann", f"ann{number}")
        await submit(queue, "web:bob", f"bob{number}")
    await queue.jobs.claim("w")
    await submit(queue, "web:eve", "eve")
    names = [job.name for job in await queue.jobs.unfinished() if job.state is JobState.QUEUED]
    assert names.index("eve") <= 2


async def test_jobs_that_were_cancelled_while_they_waited_cost_no_turn(queue: Queue) -> None:
    for _ in range(3):
        job = await submit(queue, "web:ann")
        await queue.jobs.cancel(job.id, "web:ann")
    ann = await submit(queue, "web:ann", "ann")
    await submit(queue, "web:bob", "bob")
    assert await queue.jobs.position(ann.id) == 1


async def test_positions_tell_the_order_in_which_jobs_are_served(queue: Queue) -> None:
    jobs = [await submit(queue, owner) for owner in ("web:ann", "web:ann", "web:bob")]
    await queue.jobs.front(jobs[1].id, "mod")
    places = await queue.jobs.positions()
    assert places == {jobs[1].id: 1, jobs[0].id: 2, jobs[2].id: 3}
    for job in jobs:
        assert await queue.jobs.position(job.id) == places[job.id]
    served = [lease.job.id for _ in jobs if (lease := await queue.jobs.claim("w")) is not None]
    assert served == list(places)
    assert await queue.jobs.position(jobs[0].id) is None


async def test_held_jobs_wait_until_they_are_let_go(queue: Queue) -> None:
    job = await submit(queue)
    held = await queue.jobs.hold(job.id, "mod")
    assert held.state is JobState.HELD
    assert held.version > job.version
    assert await queue.jobs.claim("w") is None
    assert await queue.jobs.runnable() == 0
    with pytest.raises(WrongState):
        await queue.jobs.hold(job.id, "mod")
    await queue.jobs.unhold(job.id, "mod")
    lease = await queue.jobs.claim("w")
    assert lease is not None
    with pytest.raises(WrongState):
        await queue.jobs.hold(job.id, "mod")


async def test_a_paused_queue_starts_nothing_and_says_so(queue: Queue) -> None:
    await submit(queue)
    await queue.jobs.pause("mod")
    await queue.jobs.pause("mod")
    assert await queue.jobs.paused()
    assert await queue.jobs.claim("w") is None
    assert await queue.jobs.runnable() == 0
    await queue.jobs.unpause("mod")
    assert not await queue.jobs.paused()
    assert await queue.jobs.claim("w") is not None


async def test_cancelling_a_waiting_job_ends_it_and_its_owner_need_not_be_told(queue: Queue) -> None:
    job = await submit(queue)
    cancelled = await queue.jobs.cancel(job.id, "web:ann")
    assert cancelled.state is JobState.CANCELLED
    assert cancelled.finished_at is not None
    with pytest.raises(AlreadyFinished):
        await queue.jobs.cancel(job.id, "web:ann")
    assert await queue.outbox.pending() == []
    assert await queue.jobs.claim("w") is None


async def test_who_is_cancelled_by_somebody_else_is_told_once(queue: Queue) -> None:
    job = await submit(queue)
    assert (await queue.jobs.cancel(job.id, "mod", moderator=True)).state is JobState.CANCELLED
    assert [(entry.job_id, entry.kind) for entry in await queue.outbox.pending()] == [(job.id, "outcome")]


async def test_cancelling_a_running_job_asks_its_worker(queue: Queue) -> None:
    job = await submit(queue)
    lease = await queue.jobs.claim("w")
    assert lease is not None
    asked = await queue.jobs.cancel(job.id, "web:ann")
    assert asked.state is JobState.RUNNING
    assert asked.cancel_requested
    again = await queue.jobs.cancel(job.id, "web:ann")
    assert again.version == asked.version


async def test_cancelling_a_job_whose_worker_is_gone_ends_it(queue: Queue) -> None:
    job = await submit(queue)
    await queue.jobs.claim("w")
    await lapse(queue, job.id)
    assert (await queue.jobs.cancel(job.id, "web:ann")).state is JobState.CANCELLED


async def test_only_the_owner_and_moderators_can_cancel(queue: Queue) -> None:
    job = await submit(queue)
    with pytest.raises(NotYours):
        await queue.jobs.cancel(job.id, "web:eve")
    with pytest.raises(NoSuchJob):
        await queue.jobs.cancel("nothere", "web:ann")
    assert (await queue.jobs.cancel(job.id, "web:mod", moderator=True)).state is JobState.CANCELLED
    assert [event.actor for event in await queue.jobs.events(job.id)] == ["web:ann", "web:mod"]


async def test_many_workers_claiming_at_once_never_get_the_same_job(
    database_url: str, no_redis: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(open_queue(QUICK, database_url, no_redis, str(tmp_path / "blobs")))
            for _ in range(3)
        ]
        jobs = [await submit(hosts[0], f"web:{number}") for number in range(12)]
        leases = await asyncio.gather(*(host.jobs.claim(f"w{n}") for n in range(8) for host in hosts))
        claimed = [lease.job.id for lease in leases if lease is not None]
        assert sorted(claimed) == sorted(job.id for job in jobs)


async def test_an_orphaned_job_is_claimed_once_and_before_waiting_ones(
    database_url: str, no_redis: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(open_queue(QUICK, database_url, no_redis, str(tmp_path / "blobs")))
            for _ in range(2)
        ]
        orphan = await submit(hosts[0], "web:ann")
        assert await hosts[0].jobs.claim("lost") is not None
        await submit(hosts[0], "web:bob")
        await lapse(hosts[0], orphan.id)
        assert await hosts[0].jobs.runnable() == 2
        leases = await asyncio.gather(*(host.jobs.claim("w") for host in hosts * 3))
        claimed = [lease.job for lease in leases if lease is not None]
        assert len(claimed) == 2
        again = next(job for job in claimed if job.id == orphan.id)
        assert (again.attempt, again.crashes) == (2, 1)


async def test_after_an_outage_workers_have_a_leases_time_to_come_back_to_their_jobs(
    sqlite_url: str, no_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    config = QUICK.model_copy(update={"lease_s": 600.0})
    async with open_queue(config, sqlite_url, no_redis, str(tmp_path / "blobs")) as queue:
        job = await submit(queue)
        assert await queue.jobs.claim("w1") is not None
        other = database.Database(database.create_engine(database.parse_database_url(sqlite_url)))
        async with other.write():
            with pytest.raises(StoreUnavailable):
                await queue.jobs.claim("w2")
        await other.close()
        await lapse(queue, job.id)
        assert await queue.jobs.claim("w2") is None
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + config.lease_s)
        monkeypatch.setattr(database, "time", later)
        assert await queue.jobs.claim("w2") is not None


async def test_unfinished_lists_running_then_waiting_then_held(queue: Queue) -> None:
    running, held = await submit(queue, "web:ann", "running"), await submit(queue, "web:bob", "held")
    assert (await queue.jobs.claim("w")) is not None
    await queue.jobs.hold(held.id, "mod")
    await submit(queue, "web:eve", "waiting")
    assert [job.name for job in await queue.jobs.unfinished()] == ["running", "waiting", "held"]
    assert [job.name for job in await queue.jobs.of("web:ann")] == [running.name]
