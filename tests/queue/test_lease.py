"""Leases: who holds one can write, who lost it can't, and every attempt's end leads where it should."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lorabot.locale import Message
from lorabot.queue import Lease, Queue, open_queue
from lorabot.queue.errors import CancelRequested, LeaseLost
from lorabot.queue.model import Artefact, JobState, Outcome, Progress, ResumePoint, Sample, Stage
from tests.queue.conftest import QUICK
from tests.queue.samples import eventually, lapse, submit

BROKEN = Message("queue-crashed", {"id": "x"})
OUTCOME = Outcome(
    (Artefact("lora", "zuri.safetensors", "jobs/x/1/zuri.safetensors", 3_000_000, "application/octet-stream", "ab"),),
    {"steps": 120, "last_loss": 0.0831, "trigger": "zuri"},
)
PROGRESS = Progress(
    Stage.TRAINING,
    step=40,
    total_steps=120,
    rate=6.5,
    eta_s=12.3,
    loss=((10, 0.4), (20, 0.3)),
    validation=((20, 0.35),),
    samples=(Sample(20, "jobs/x/1/sample.png", "zuri in the snow"),),
    note=Message("trainer-note", {"count": 2, "share": 0.5}),
)


async def claimed(queue: Queue) -> Lease:
    await submit(queue)
    lease = await queue.jobs.claim("w1")
    assert lease is not None
    return lease


async def test_a_beat_shows_progress_and_a_silent_one_changes_nothing_visible(queue: Queue) -> None:
    lease = await claimed(queue)
    await lease.beat(PROGRESS)
    shown = await queue.jobs.get(lease.job.id)
    assert shown.progress == PROGRESS
    assert shown.version > lease.job.version
    await lease.beat()
    assert await queue.jobs.get(lease.job.id) == shown


async def test_points_that_are_no_numbers_do_not_end_a_heartbeat(queue: Queue) -> None:
    lease = await claimed(queue)
    await lease.beat(Progress(Stage.TRAINING, 2, 3, rate=float("inf"), loss=((1, float("nan")), (2, 0.5))))
    progress = (await queue.jobs.get(lease.job.id)).progress
    assert progress is not None
    assert (progress.loss, progress.rate) == (((2, 0.5),), None)


WRITES: dict[str, Callable[[Lease], Awaitable[None]]] = {
    "beat": lambda lease: lease.beat(PROGRESS),
    "checkpoint": lambda lease: lease.checkpoint(ResumePoint(40, "jobs/x/resume/1-40.safetensors")),
    "notice": lambda lease: lease.notice(BROKEN),
    "succeed": lambda lease: lease.succeed(OUTCOME),
    "fail": lambda lease: lease.fail(BROKEN),
    "cancelled": lambda lease: lease.cancelled(),
    "crashed": lambda lease: lease.crashed("oom", BROKEN),
    "release": lambda lease: lease.release(),
}


@pytest.mark.parametrize("write", WRITES)
async def test_who_lost_the_lease_can_write_nothing(queue: Queue, write: str) -> None:
    lost = await claimed(queue)
    await lapse(queue, lost.job.id)
    assert await queue.jobs.claim("w2") is not None
    before, events = await queue.jobs.get(lost.job.id), await queue.jobs.events(lost.job.id)
    with pytest.raises(LeaseLost):
        await WRITES[write](lost)
    assert await queue.jobs.get(lost.job.id) == before
    assert await queue.jobs.events(lost.job.id) == events
    assert await queue.outbox.pending() == []


@pytest.mark.parametrize("end", ["succeed", "fail", "cancelled"])
async def test_an_ended_job_takes_no_further_write(queue: Queue, end: str) -> None:
    lease = await claimed(queue)
    await WRITES[end](lease)
    for write in WRITES.values():
        with pytest.raises(LeaseLost):
            await write(lease)
    assert [entry.kind for entry in await queue.outbox.pending()] == ["outcome"]


async def test_a_lapsed_lease_that_nobody_claimed_is_taken_up_again(queue: Queue) -> None:
    lease = await claimed(queue)
    await lapse(queue, lease.job.id)
    assert await queue.jobs.runnable() == 1
    await lease.beat()
    assert (await queue.jobs.runnable(), await queue.jobs.running()) == (0, 1)
    assert await queue.jobs.claim("w2") is None


async def test_success_stores_the_outcome_and_the_news_of_it(queue: Queue) -> None:
    lease = await claimed(queue)
    await lease.succeed(OUTCOME)
    job = await queue.jobs.get(lease.job.id)
    assert (job.state, job.outcome) == (JobState.SUCCEEDED, OUTCOME)
    assert job.finished_at is not None
    assert [event.kind for event in await queue.jobs.events(job.id)] == ["submitted", "claimed", "succeeded"]


async def test_an_end_whose_news_can_not_be_stored_does_not_happen(
    spoilable_url: str, no_redis: str, tmp_path: Path
) -> None:
    async with open_queue(QUICK, spoilable_url, no_redis, str(tmp_path / "blobs")) as queue:
        lease = await claimed(queue)
        async with queue.database.write() as connection:
            await connection.execute(text("DROP TABLE outbox"))
        with pytest.raises(DBAPIError):
            await lease.succeed(OUTCOME)
        assert (await queue.jobs.get(lease.job.id)).state is JobState.RUNNING


async def test_failure_carries_its_reason(queue: Queue) -> None:
    lease = await claimed(queue)
    await lease.fail(BROKEN)
    job = await queue.jobs.get(lease.job.id)
    assert (job.state, job.failure, job.crashes) == (JobState.FAILED, BROKEN, 0)
    (entry,) = await queue.outbox.pending()
    assert entry.message == BROKEN


async def test_a_cancel_reaches_the_worker_with_the_next_beat(queue: Queue) -> None:
    lease = await claimed(queue)
    await queue.jobs.cancel(lease.job.id, "web:ann")
    with pytest.raises(CancelRequested):
        await lease.beat(PROGRESS)
    await lease.cancelled()
    assert (await queue.jobs.get(lease.job.id)).state is JobState.CANCELLED


async def test_a_cancel_in_the_last_moment_wins_over_success(queue: Queue) -> None:
    lease = await claimed(queue)
    await queue.jobs.cancel(lease.job.id, "web:ann")
    with pytest.raises(CancelRequested):
        await lease.succeed(OUTCOME)
    assert (await queue.jobs.get(lease.job.id)).state is JobState.RUNNING
    await lease.cancelled()
    assert (await queue.jobs.get(lease.job.id)).outcome is None


@pytest.mark.parametrize("end", ["crashed", "release"])
async def test_a_job_that_is_to_be_cancelled_does_not_wait_for_another_attempt(queue: Queue, end: str) -> None:
    lease = await claimed(queue)
    await queue.jobs.cancel(lease.job.id, "web:ann")
    await WRITES[end](lease)
    assert (await queue.jobs.get(lease.job.id)).state is JobState.CANCELLED


async def test_the_next_attempt_goes_on_from_the_checkpoint(queue: Queue) -> None:
    lease = await claimed(queue)
    point = ResumePoint(40, "jobs/x/resume/1-40.safetensors")
    await lease.checkpoint(point)
    await lease.crashed("oom", BROKEN)
    again = await queue.jobs.claim("w2")
    assert again is not None
    assert (again.attempt, again.job.resume) == (2, point)


async def test_three_crashes_of_the_same_kind_fail_the_job_with_the_reason(queue: Queue) -> None:
    lease = await claimed(queue)
    for signature in ("oom", "segfault", "oom", "oom"):
        assert (await queue.jobs.get(lease.job.id)).state is JobState.RUNNING
        await lease.crashed(signature, BROKEN)
        lease = await queue.jobs.claim("w1") or lease
    job = await queue.jobs.get(lease.job.id)
    assert (job.state, job.failure, job.crashes) == (JobState.FAILED, BROKEN, 4)
    assert [entry.message for entry in await queue.outbox.pending()] == [BROKEN]


async def test_a_job_that_crashes_differently_each_time_is_failed_in_the_end(queue: Queue) -> None:
    lease = await claimed(queue)
    for number in range(queue.config.any_crashes):
        await lease.crashed(f"at {number}", BROKEN)
        lease = await queue.jobs.claim("w1") or lease
    assert (await queue.jobs.get(lease.job.id)).state is JobState.FAILED


async def test_being_given_back_is_no_crash(queue: Queue) -> None:
    lease = await claimed(queue)
    for _ in range(queue.config.same_crashes + 1):
        await lease.release()
        again = await queue.jobs.claim("w1")
        assert again is not None
        lease = again
    assert lease.job.crashes == 0


async def test_a_job_that_loses_its_worker_three_times_is_failed(queue: Queue) -> None:
    job = await submit(queue)
    for _ in range(queue.config.same_crashes):
        assert await queue.jobs.claim("w") is not None
        assert await queue.jobs.reap() == []
        await lapse(queue, job.id)
    assert await queue.jobs.claim("w") is None
    assert await queue.jobs.runnable() == 0
    (ended,) = await queue.jobs.reap()
    assert (ended.state, ended.crashes) == (JobState.FAILED, 3)
    assert ended.failure == Message("queue-worker-lost", {"times": 3})
    assert [entry.message for entry in await queue.outbox.pending()] == [ended.failure]


async def test_a_lost_job_that_is_to_be_cancelled_is_ended_not_run_again(queue: Queue) -> None:
    lease = await claimed(queue)
    await queue.jobs.cancel(lease.job.id, "web:ann")
    await lapse(queue, lease.job.id)
    assert await queue.jobs.claim("w2") is None
    (ended,) = await queue.jobs.reap()
    assert ended.state is JobState.CANCELLED
    assert await queue.jobs.reap() == []


async def test_notices_go_to_the_jobs_conversation(queue: Queue) -> None:
    lease = await claimed(queue)
    await lease.notice(BROKEN)
    (entry,) = await queue.outbox.pending()
    assert (entry.kind, entry.message, entry.address) == ("notice", BROKEN, lease.job.address)


async def test_keeping_a_lease_writes_the_newest_progress(queue: Queue) -> None:
    lease = await claimed(queue)
    async with queue.changes("job:") as changes, lease.kept():
        for step in range(1, 5):
            lease.show(Progress(Stage.TRAINING, step, 4))
        assert await changes.wait(10) == {f"job:{lease.job.id}"}
        assert (await queue.jobs.get(lease.job.id)).progress == Progress(Stage.TRAINING, 4, 4)
    lease.show(Progress(Stage.EXPORTING, 4, 4))
    await lease.succeed(OUTCOME)
    assert (await queue.jobs.get(lease.job.id)).progress == Progress(Stage.EXPORTING, 4, 4)


async def test_keeping_a_lease_outlasts_its_length(queue: Queue) -> None:
    lease = await claimed(queue)

    async def renewed() -> bool:
        return await queue.jobs.running() == 1

    async with lease.kept():
        for _ in range(2):
            await lapse(queue, lease.job.id)
            await eventually(renewed)
        assert await queue.jobs.claim("w2") is None
    await lease.succeed(OUTCOME)


async def test_a_cancel_interrupts_what_runs_under_a_kept_lease(queue: Queue) -> None:
    lease = await claimed(queue)

    async def work() -> None:
        async with asyncio.timeout(10), lease.kept():
            await queue.jobs.cancel(lease.job.id, "web:ann")
            await asyncio.Event().wait()

    with pytest.raises(CancelRequested):
        await work()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_losing_a_kept_lease_interrupts_what_runs(queue: Queue) -> None:
    lease = await claimed(queue)

    async def work() -> None:
        async with asyncio.timeout(10), lease.kept():
            while await queue.jobs.claim("w2") is None:
                await lapse(queue, lease.job.id)
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost):
        await work()


async def test_a_workers_own_cancellation_passes_through_a_kept_lease(queue: Queue) -> None:
    lease = await claimed(queue)
    inside = asyncio.Event()

    async def work() -> None:
        async with lease.kept():
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lease.release()
    assert (await queue.jobs.get(lease.job.id)).state is JobState.QUEUED
