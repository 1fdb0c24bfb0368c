"""Workers: killed, stopped, cut off from Redis or the database, a job ends once and where it should."""

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from redis.exceptions import RedisError

from lorabot.locale import Message
from lorabot.queue import Lease, Queue, database, open_queue, run_reconciler, run_worker
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.model import Job, JobState, Outcome, Progress, Stage, TrainerState
from lorabot.queue.reconciler import reconcile
from lorabot.queue.redis import connect
from lorabot.queue.worker import LeasedWorker
from tests.queue.conftest import LAPSING
from tests.queue.samples import eventually, submit
from tests.queue.servers import PostgreSQL

DONE = Outcome((), {"steps": 1})


@pytest.fixture
async def online(sqlite_url: str, valkey: EmbeddedValkey, tmp_path: Path) -> AsyncIterator[Queue]:
    """A queue with everything that belongs to it."""
    async with open_queue(LAPSING, sqlite_url, valkey.url, str(tmp_path / "blobs")) as queue:
        yield queue


@asynccontextmanager
async def worker(
    queue: Queue, handle: Callable[[Lease], Awaitable[None]], name: str = "here", bases: Collection[str] | None = None
) -> AsyncIterator[asyncio.Event]:
    """A worker in this process, stopped at the end of the block. ``bases`` are those that it has; None: all."""
    stop = asyncio.Event()

    async def has() -> Collection[str]:
        assert bases is not None
        return bases

    running = asyncio.create_task(run_worker(queue, handle, name, stop, has if bases is not None else None))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)


@asynccontextmanager
async def worker_process(
    queue_url: str, redis_url: str, folder: Path, name: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker in a process of its own, killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.queue.worker_process", queue_url, redis_url, str(folder), name
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def freeze(pid: int, queue: Queue) -> None:
    """Stop a worker's process while it does not hold the database's lock, which nobody could take from it."""
    async with queue.database.write():
        os.kill(pid, signal.SIGSTOP)

        async def frozen() -> bool:
            return psutil.Process(pid).status() == psutil.STATUS_STOPPED

        await eventually(frozen)


async def until(queue: Queue, job_id: str, condition: Callable[[Job], bool], timeout_s: float = 20.0) -> Job:
    """Look at the job at each change, and now and then, until it is as it should be."""
    async with asyncio.timeout(timeout_s), queue.changes(f"job:{job_id}") as changes:
        while not condition(job := await queue.jobs.get(job_id)):
            await changes.wait(0.1)
    return job


def final(job: Job) -> bool:
    return job.state.final


def has_step(job: Job) -> bool:
    return job.progress is not None and job.progress.step > 0


async def test_a_worker_runs_what_is_submitted_and_takes_its_tickets_away(online: Queue) -> None:
    seen = []

    async def handle(lease: Lease) -> None:
        seen.append(lease.job.name)
        await lease.succeed(DONE)

    async with worker(online, handle):
        jobs = [await submit(online, f"web:{name}", name) for name in ("ann", "bob", "eve")]
        for job in jobs:
            assert (await until(online, job.id, final)).outcome == DONE
    assert sorted(seen) == ["ann", "bob", "eve"]


async def test_a_job_waits_for_a_worker_that_has_its_base_and_holds_up_no_other(online: Queue) -> None:
    done = []

    async def handle(lease: Lease) -> None:
        done.append((lease.job.name, lease.worker))
        await lease.succeed(DONE)

    async with worker(online, handle, "small", {"demo"}), worker(online, handle, "also small", {"demo", "sd15"}):
        large = await submit(online, "web:ann", "large", "sdxl")
        small = await submit(online, "web:bob", "small")
        await until(online, small.id, final)
        await asyncio.sleep(3 * LAPSING.reconcile_s)
        assert (await online.jobs.get(large.id)).state is JobState.QUEUED
        async with worker(online, handle, "large", {"sdxl"}):
            await until(online, large.id, final)
    assert [name for name, _ in done] == ["small", "large"]
    assert done[1][1] == "large"


async def test_no_tickets_are_put_for_what_no_trainer_can_do(online: Queue) -> None:
    await submit(online, base="sdxl")
    await online.redis.flushall()
    await online.trainers.announce("small", TrainerState("a processor", bases=("demo",)))
    assert await reconcile(online) == 0
    await online.redis.flushall()
    await online.trainers.announce("large", TrainerState("a card", bases=("demo", "sdxl")))
    assert await reconcile(online) == 1


async def test_tickets_say_nothing_and_are_plain_json(online: Queue) -> None:
    job = await submit(online)
    await online.tickets.add()
    (ticket, *_) = await online.redis.queued_jobs()
    assert (ticket.function, list(ticket.args), ticket.kwargs) == ("ticket", [], {})
    stored = await online.redis.get(f"arq:job:{ticket.job_id}")
    assert stored is not None
    assert stored.startswith(b"{")
    assert job.id.encode() not in stored
    assert 0 < await online.redis.ttl(f"arq:job:{ticket.job_id}") <= LAPSING.ticket_expiry_s


async def test_a_ticket_in_work_is_claimed_for_moments_only_and_renewed(online: Queue) -> None:
    job = await submit(online)

    async def handle(lease: Lease) -> None:
        async with lease.kept():
            await asyncio.Event().wait()

    async def moments_left() -> list[int]:
        return [await online.redis.pttl(key) for key in await online.redis.keys("arq:in-progress:*")]

    async def claimed() -> bool:
        return any(left > 0 for left in await moments_left())

    async with worker(online, handle):
        await until(online, job.id, lambda job: job.state is JobState.RUNNING)
        await asyncio.sleep(LAPSING.lease_s * 1.25)
        await eventually(claimed)
        assert all(left <= LAPSING.lease_s * 1000 for left in await moments_left())
    assert await moments_left() == []


async def test_a_redis_that_fails_in_the_middle_costs_the_worker_no_slot(queue: Queue) -> None:
    async def never() -> None:
        raise AssertionError

    worker = LeasedWorker(queue, "here", never)
    for _ in range(3):
        with pytest.raises(RedisError):
            await worker.start_jobs([b"ticket"])


async def test_another_worker_goes_on_when_one_is_killed(
    sqlite_url: str, valkey: EmbeddedValkey, online: Queue, tmp_path: Path
) -> None:
    job = await submit(online)
    async with worker_process(sqlite_url, valkey.url, tmp_path, "killed") as process:
        await until(online, job.id, has_step)
        process.kill()
        await process.wait()
        async with worker(online, lambda lease: lease.succeed(Outcome((), {"worker": "heir"}))):
            ended = await until(online, job.id, final)
    assert (ended.state, ended.attempt, ended.crashes) == (JobState.SUCCEEDED, 2, 1)
    assert [entry.kind for entry in await online.outbox.pending()] == ["outcome"]


async def test_a_worker_that_was_frozen_and_replaced_can_change_nothing(
    sqlite_url: str, valkey: EmbeddedValkey, online: Queue, tmp_path: Path
) -> None:
    job = await submit(online)
    async with worker_process(sqlite_url, valkey.url, tmp_path, "frozen") as process:
        await until(online, job.id, has_step)
        await freeze(process.pid, online)
        async with worker(online, lambda lease: lease.succeed(Outcome((), {"worker": "heir"}))):
            ended = await until(online, job.id, final)
        (tmp_path / "finish").touch()
        os.kill(process.pid, signal.SIGCONT)

        async def noticed() -> bool:
            return (tmp_path / "lost").exists()

        await eventually(noticed)
    assert ended.outcome == Outcome((), {"worker": "heir"})
    assert await online.jobs.get(job.id) == ended


async def test_a_worker_that_is_told_to_stop_gives_its_job_back_at_once(
    sqlite_url: str, valkey: EmbeddedValkey, online: Queue, tmp_path: Path
) -> None:
    job = await submit(online)
    async with worker_process(sqlite_url, valkey.url, tmp_path, "polite") as process:
        await until(online, job.id, has_step)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    back = await online.jobs.get(job.id)
    assert (back.state, back.crashes) == (JobState.QUEUED, 0)
    async with worker(online, lambda lease: lease.succeed(DONE)):
        assert (await until(online, job.id, final)).attempt == 2


async def test_a_handler_has_time_to_save_when_its_worker_stops(online: Queue) -> None:
    saved = asyncio.Event()
    job = await submit(online)

    async def handle(lease: Lease) -> None:
        try:
            await lease.beat(Progress(Stage.TRAINING, 1, 2))
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)
            await lease.beat(Progress(Stage.TRAINING, 2, 2))
            saved.set()
            raise

    async with worker(online, handle):
        await until(online, job.id, has_step)
    assert saved.is_set()
    back = await online.jobs.get(job.id)
    assert back.state is JobState.QUEUED
    assert back.progress == Progress(Stage.TRAINING, 2, 2)


async def test_a_cancelled_job_is_ended_by_its_worker(online: Queue) -> None:
    async def handle(lease: Lease) -> None:
        async with lease.kept():
            await asyncio.Event().wait()

    job = await submit(online)
    async with worker(online, handle):
        await until(online, job.id, lambda job: job.state is JobState.RUNNING)
        await online.jobs.cancel(job.id, "web:ann")
        assert (await until(online, job.id, final)).state is JobState.CANCELLED


async def test_a_handler_that_breaks_in_the_same_way_each_time_fails_the_job(online: Queue) -> None:
    async def handle(_lease: Lease) -> None:
        raise RuntimeError("no such card")

    job = await submit(online)
    async with worker(online, handle):
        ended = await until(online, job.id, final)
    assert (ended.state, ended.attempt) == (JobState.FAILED, LAPSING.same_crashes)
    assert ended.failure is not None
    assert ended.failure.code == "queue-crashed"


async def test_a_handler_that_ends_nothing_is_a_crash(online: Queue) -> None:
    async def handle(lease: Lease) -> None:
        if lease.attempt > 1:
            await lease.succeed(DONE)

    job = await submit(online)
    async with worker(online, handle):
        assert (await until(online, job.id, final)).crashes == 1


async def test_the_log_says_how_each_attempt_ended_and_after_what_time(
    online: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lorabot.queue.worker")
    waiting = asyncio.Event()

    async def handle(lease: Lease) -> None:
        match lease.job.name:
            case "done":
                await lease.succeed(DONE)
            case "refused":
                await lease.fail(Message("queue-crashed", {"id": lease.job.id}))
            case "broken":
                raise RuntimeError("no such card")
        async with lease.kept():
            waiting.set()
            await asyncio.Event().wait()

    jobs = {}
    async with worker(online, handle):
        for name in ("done", "refused", "broken", "taken back"):
            waiting.clear()
            jobs[name] = await submit(online, "web:ann", name)
            if name == "taken back":
                await waiting.wait()
                await online.jobs.cancel(jobs[name].id, "web:ann")
            await until(online, jobs[name].id, final)
        waiting.clear()
        jobs["left"] = await submit(online, "web:ann", "left")
        await waiting.wait()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    ends = {
        name: [line.partition(": ")[2] for line in said if job.id in line and "begins" not in line]
        for name, job in jobs.items()
    }
    again = [f"attempt {number} crashed" for number in range(1, LAPSING.same_crashes)]
    assert {name: [line.partition(" after ")[0] for line in lines] for name, lines in ends.items()} == {
        "done": ["attempt 1 succeeded"],
        "refused": ["attempt 1 failed"],
        "broken": [*again, f"attempt {LAPSING.same_crashes} failed"],
        "taken back": ["attempt 1 cancelled"],
        "left": ["attempt 1 released"],
    }
    assert all(re.search(r" after \d+ s$", line) for lines in ends.values() for line in lines)
    assert not any("web:ann" in line for line in said)


async def test_jobs_are_found_again_after_redis_was_flushed(online: Queue) -> None:
    first, second = await submit(online, "web:ann"), await submit(online, "web:bob")
    go_on = asyncio.Event()

    async def handle(lease: Lease) -> None:
        async with lease.kept():
            await go_on.wait()
        await lease.succeed(DONE)

    async with worker(online, handle):
        await until(online, first.id, lambda job: job.state is JobState.RUNNING)
        await online.redis.flushall()
        go_on.set()
        await until(online, first.id, final)
        ended = await until(online, second.id, final)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)


async def test_a_worker_and_its_job_outlast_redis_going_away(online: Queue, valkey: EmbeddedValkey) -> None:
    job = await submit(online)
    go_on = asyncio.Event()

    async def handle(lease: Lease) -> None:
        async with lease.kept():
            await go_on.wait()
        await lease.succeed(DONE)

    async with worker(online, handle):
        await until(online, job.id, lambda job: job.state is JobState.RUNNING)
        await valkey.stop()
        late = await submit(online, "web:bob")
        await asyncio.sleep(3.0)
        go_on.set()
        assert (await until(online, job.id, final)).attempt == 1
        await valkey.start()
        ended = await until(online, late.id, final)
    assert (ended.state, ended.attempt, ended.crashes) == (JobState.SUCCEEDED, 1, 0)


async def test_a_worker_starts_before_redis_does(sqlite_url: str, tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    async with open_queue(LAPSING, sqlite_url, server.url, str(tmp_path / "blobs")) as queue:
        job = await submit(queue)
        async with worker(queue, lambda lease: lease.succeed(DONE)):
            await asyncio.sleep(0.5)
            await server.start()
            try:
                await until(queue, job.id, final)
            finally:
                await server.stop()


async def test_a_job_goes_on_when_postgresql_comes_back(
    postgresql: PostgreSQL, postgresql_url: str, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    async with open_queue(LAPSING, postgresql_url, valkey.url, str(tmp_path / "blobs")) as queue:
        job = await submit(queue)
        go_on = asyncio.Event()

        async def handle(lease: Lease) -> None:
            async with lease.kept():
                lease.show(Progress(Stage.TRAINING, 1, 2))
                await go_on.wait()
            await lease.succeed(DONE)

        async with worker(queue, handle), worker(queue, handle, "idle"):
            await until(queue, job.id, has_step)
            await asyncio.to_thread(postgresql.stop)
            try:
                # Longer than the lease: it lapses, and an idle worker stands by.
                await asyncio.sleep(LAPSING.lease_s * 1.25)
            finally:
                await asyncio.to_thread(postgresql.start)
            go_on.set()
            ended = await until(queue, job.id, final)
    assert (ended.state, ended.attempt, ended.crashes) == (JobState.SUCCEEDED, 1, 0)


async def test_a_job_goes_on_when_sqlite_was_locked_for_longer_than_its_patience(
    sqlite_url: str, valkey: EmbeddedValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    async with open_queue(LAPSING, sqlite_url, valkey.url, str(tmp_path / "blobs")) as queue:
        job = await submit(queue)

        async def handle(lease: Lease) -> None:
            async with lease.kept():
                lease.show(Progress(Stage.TRAINING, 1, 2))
                await locked_out.wait()
            await lease.succeed(DONE)

        locked_out = asyncio.Event()
        async with worker(queue, handle):
            await until(queue, job.id, has_step)
            locker = database.Database(database.create_engine(database.parse_database_url(sqlite_url)))
            async with locker.write():
                locked_out.set()
                await asyncio.sleep(LAPSING.lease_s * 1.25)
            await locker.close()
            ended = await until(queue, job.id, final)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)


async def test_the_reconciler_makes_tickets_for_jobs_submitted_without_redis(sqlite_url: str, tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    stop = asyncio.Event()
    async with open_queue(LAPSING, sqlite_url, server.url, str(tmp_path / "blobs")) as queue:
        for owner in ("web:ann", "web:bob"):
            await submit(queue, owner)
        reconciler = asyncio.create_task(run_reconciler(queue, stop))
        await server.start()
        try:

            async def enough() -> bool:
                return await queue.tickets.count() >= 2

            await eventually(enough)
            await asyncio.sleep(LAPSING.reconcile_s * 3)
            assert await queue.tickets.count() == 2
        finally:
            stop.set()
            await reconciler
            await server.stop()


async def test_a_crafted_ticket_is_no_way_into_the_worker(
    online: Queue, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path}/owned",)

    redis = connect(valkey.url, patient=False)
    await redis.psetex("arq:job:evil", 60_000, pickle.dumps(Evil()))
    await redis.zadd("arq:queue", {"evil": 1})
    async with worker(online, lambda lease: lease.succeed(DONE)):
        job = await submit(online)
        await until(online, job.id, final)

        async def taken() -> bool:
            return await redis.zscore("arq:queue", "evil") is None

        await eventually(taken)
    await redis.aclose(close_connection_pool=True)
    assert not (tmp_path / "owned").exists()
