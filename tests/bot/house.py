"""The real bot on loopback over the real queue, and a worker that is nothing but a lease."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from lorabot.bot.config import DeliveryConfig, IntakeConfig, WebConfig
from lorabot.bot.parts import MakeFrontEnd
from lorabot.bot.run import run_bot
from lorabot.presets import load_presets
from lorabot.queue import Lease, Queue
from lorabot.queue.keys import artefact_key
from lorabot.queue.model import Artefact, ArtefactKind, Outcome, Progress, Sample, Stage
from tests.bot.pictures import encoded, picture

SECRET = SecretStr("the tests' signing secret")
PRESETS = load_presets(None)
WEB = WebConfig(port=0, update_interval_s=0)
DELIVERY = DeliveryConfig(poll_s=0.1, retry_s=0.1, retry_max_s=0.5)
INTAKE = IntakeConfig(
    max_file_bytes=4_000_000,
    max_image_bytes=2_000_000,
    max_unpacked_bytes=8_000_000,
    max_zip_entries=60,
    max_files=40,
    max_pixels=4_000_000,
    decode_seconds=20,
)


@dataclass(frozen=True, slots=True)
class House:
    """A running bot."""

    url: str
    queue: Queue
    folder: Path


@asynccontextmanager
async def running_bot(
    queue: Queue,
    folder: Path,
    *,
    web: WebConfig = WEB,
    intake: IntakeConfig = INTAKE,
    delivery: DeliveryConfig = DELIVERY,
    front_ends: Sequence[MakeFrontEnd] = (),
    secret: SecretStr = SECRET,
) -> AsyncIterator[House]:
    """``run_bot`` until the block ends."""
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        run_bot(
            queue,
            PRESETS,
            web=web,
            intake=intake,
            delivery=delivery,
            secret=secret,
            folder=folder / "bot",
            stop=stop,
            front_ends=front_ends,
            started=address.set_result,
        )
    )
    serving.add_done_callback(lambda task: address.done() or address.cancel())
    try:
        yield House(await _unless_failed(address, serving), queue, folder)
    finally:
        stop.set()
        await serving


async def _unless_failed(address: asyncio.Future[str], serving: asyncio.Task[None]) -> str:
    try:
        return await address
    except asyncio.CancelledError:
        await serving
        raise


async def claimed(queue: Queue) -> Lease:
    """The next job, as a worker gets it."""
    async with asyncio.timeout(20), queue.changes() as changes:
        while (lease := await queue.jobs.claim("tester")) is None:
            await changes.wait(0.1)
    return lease


async def show(lease: Lease, queue: Queue, step: int, total: int = 100) -> None:
    """Let the job have come to ``step``, with a sample."""
    key = artefact_key(lease.job.id, lease.attempt, f"sample-{step}.png")
    await queue.blobs.put(key, encoded(picture(step)))
    progress = Progress(
        Stage.TRAINING,
        step=step,
        total_steps=total,
        rate=4.0,
        eta_s=(total - step) / 4.0,
        loss=((0, 0.2), (step, 0.1)),
        validation=((0, 0.25),),
        samples=(Sample(step, key, "zuri in a meadow"),),
    )
    await lease.beat(progress)


async def finish(lease: Lease, queue: Queue, lora: bytes = b"weights") -> None:
    """End the job with a LoRA, a plot, a grid and a report."""
    name = f"{lease.job.name}.safetensors"
    made: Sequence[tuple[ArtefactKind, str, bytes, str]] = (
        ("lora", name, lora, "application/octet-stream"),
        ("plot", "loss.png", encoded(picture(1)), "image/png"),
        ("grid", "samples.png", encoded(picture(2)), "image/png"),
        ("report", "report.md", b"# Report", "text/markdown"),
    )
    artefacts = []
    for kind, filename, data, content_type in made:
        key = artefact_key(lease.job.id, lease.attempt, filename)
        await queue.blobs.put(key, data)
        artefacts.append(Artefact(kind, filename, key, len(data), content_type, sha256(data).hexdigest()))
    counted = {"images": 12, "labelled": 12, "measured": 11, "drawn": 4, "steps": 100}
    times = {"seconds": 83.4, "seconds_training": 80.0, "seconds_exporting": 3.4}
    summary = {**counted, **times, "first_validation": 0.21, "best_step": 60, "best_validation": 0.12}
    await lease.succeed(Outcome(tuple(artefacts), summary))


async def eventually(holds: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait until ``holds``, for what gives no sign: files that come and go."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def settled(queue: Queue) -> None:
    """Wait until no outcome or notice is due any more: delivered, given up, or left for later."""
    async with asyncio.timeout(20):
        while await queue.outbox.pending():  # noqa: ASYNC110 - a delivery gives no sign
            await asyncio.sleep(0.05)


async def given_up(queue: Queue, owner: str) -> None:
    """Wait until it is noted that ``owner`` can't be reached, and nothing is left to be delivered."""
    await settled(queue)
    async with asyncio.timeout(20):
        while (await queue.people.get(owner)).unreachable_at is None:  # noqa: ASYNC110 - it gives no sign
            await asyncio.sleep(0.05)


@asynccontextmanager
async def store_away(queue: Queue, folder: Path) -> AsyncIterator[None]:
    """The database in ``folder`` is away until the block ends."""
    parts = [folder / f"lorabot.sqlite3{suffix}" for suffix in ("", "-wal", "-shm")]
    there = [part for part in parts if part.exists()]
    for part in there:
        part.rename(part.with_name(f"away-{part.name}"))
    await queue.database.close()  # its connections are to the file, not to its name
    try:
        yield
    finally:
        for part in reversed(there):  # whoever finds the file finds its write-ahead log as well
            part.with_name(f"away-{part.name}").rename(part)


@asynccontextmanager
async def store_locked(file: Path) -> AsyncIterator[None]:
    """Nobody can write to the database in ``file`` until the block ends, not even another process."""
    holder = await asyncio.to_thread(sqlite3.connect, file, isolation_level=None, check_same_thread=False)
    try:
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        yield
        await asyncio.to_thread(holder.execute, "ROLLBACK")
    finally:
        holder.close()
