"""Whatever people and workers do, in whatever order, a job's life stays one that makes sense."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from lorabot.locale import Message
from lorabot.queue import Lease, Queue, open_queue
from lorabot.queue.errors import CancelRequested, LeaseLost, QueueError
from lorabot.queue.model import Job, JobState, Outcome, Progress, ResumePoint, Stage
from lorabot.queue.tables import attempts, outbox
from tests.queue.conftest import QUICK
from tests.queue.samples import lapse, submit

NEXT = {
    "submitted": {"claimed", "held", "fronted", "cancelled"},
    "held": {"unheld", "cancelled"},
    "unheld": {"claimed", "held", "fronted", "cancelled"},
    "fronted": {"claimed", "held", "fronted", "cancelled"},
    "claimed": {
        "claimed", "checkpoint", "cancel_requested", "succeeded", "failed", "cancelled", "crashed", "released",
    },
    "checkpoint": {
        "claimed", "checkpoint", "cancel_requested", "succeeded", "failed", "cancelled", "crashed", "released",
    },
    "cancel_requested": {"checkpoint", "cancelled", "failed"},
    "crashed": {"claimed", "held", "fronted", "cancelled"},
    "released": {"claimed", "held", "fronted", "cancelled"},
    "succeeded": set(),
    "failed": set(),
    "cancelled": set(),
}  # fmt: skip
REASON = Message("queue-crashed", {"id": "x"})
LEASE_ACTS: dict[str, Callable[[Lease], Awaitable[None]]] = {
    "beat": lambda lease: lease.beat(Progress(Stage.TRAINING, 1, 2)),
    "checkpoint": lambda lease: lease.checkpoint(ResumePoint(1, "a/b")),
    "succeed": lambda lease: lease.succeed(Outcome(())),
    "fail": lambda lease: lease.fail(REASON),
    "cancelled": lambda lease: lease.cancelled(),
    "crashed": lambda lease: lease.crashed("oom", REASON),
    "release": lambda lease: lease.release(),
}
JOB_ACTS = ("cancel", "hold", "unhold", "front", "lapse")
ACTS = st.lists(
    st.tuples(st.sampled_from(("submit", "claim", "claim", "reap", *LEASE_ACTS, *JOB_ACTS)), st.integers(0, 5)),
    min_size=4,
    max_size=25,
)


async def act(queue: Queue, name: str, number: int, jobs: list[str], leases: list[Lease]) -> None:
    if name == "submit":
        jobs.append((await submit(queue, f"web:{number % 2}")).id)
    elif name == "claim":
        if (lease := await queue.jobs.claim(f"w{number}")) is not None:
            leases.append(lease)
    elif name == "reap":
        await queue.jobs.reap()
    elif name in LEASE_ACTS and leases:
        await LEASE_ACTS[name](leases[number % len(leases)])
    elif name == "lapse" and leases:
        job = await queue.jobs.get(leases[number % len(leases)].job.id)
        if job.state is JobState.RUNNING:
            await lapse(queue, job.id)
    elif name in JOB_ACTS and jobs and name != "lapse":
        await getattr(queue.jobs, name)(jobs[number % len(jobs)], f"web:{number % 2}")


async def check(queue: Queue, before: dict[str, Job], jobs: list[str]) -> None:
    async with queue.database.read() as connection:
        told = {
            row.job_id: row.count
            for row in await connection.execute(
                select(outbox.c.job_id, func.count().label("count")).group_by(outbox.c.job_id)
            )
        }
        open_attempts = (
            (await connection.execute(select(attempts.c.job_id).where(attempts.c.ending.is_(None)))).scalars().all()
        )
    running = []
    for job_id in jobs:
        job = await queue.jobs.get(job_id)
        if job.state is JobState.RUNNING:
            running.append(job_id)
        events = await queue.jobs.events(job_id)
        kinds = [event.kind for event in events]
        # Owners who take back a job that waits know it already.
        taken_back = kinds[-1] == "cancelled" and events[-1].actor == job.owner
        assert told.get(job_id, 0) in {int(job.state.final), int(job.state.final and not taken_back)}
        assert all(after in NEXT[kind] for kind, after in pairwise(kinds)), kinds
        assert kinds.count("claimed") == job.attempt
        earlier = before.get(job_id)
        if earlier is not None:
            assert job.version >= earlier.version
            assert job == earlier or (not earlier.state.final and job.attempt >= earlier.attempt)
        before[job_id] = job
    assert sorted(open_attempts) == sorted(running)


async def live(template: Path, acts: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, f"{folder}/db.sqlite3")
        async with open_queue(QUICK, f"sqlite:///{folder}/db.sqlite3", f"unix://{folder}/none", folder) as queue:
            jobs: list[str] = []
            leases: list[Lease] = []
            before: dict[str, Job] = {}
            for name, number in acts:
                with suppress(LeaseLost, CancelRequested, QueueError):
                    await act(queue, name, number, jobs, leases)
                await check(queue, before, jobs)


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(acts=ACTS)
def test_no_sequence_of_acts_leads_to_an_impossible_job(migrated_database: Path, acts: list[tuple[str, int]]) -> None:
    asyncio.run(live(migrated_database, [("submit", 0), ("claim", 0), *acts]))
