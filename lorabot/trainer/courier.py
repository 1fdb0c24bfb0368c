"""Carries an engine's news to the queue and its files to the blobs, while the training goes on and whoever is away."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lorabot.queue import Lease, Queue, keys
from lorabot.queue.errors import BlobMissing, BlobsUnavailable, LeaseLost, StoreUnavailable
from lorabot.queue.model import Artefact, Job, Outcome, Progress, ResumePoint, Sample, Stage
from lorabot.trainer import wire

T = TypeVar("T")
_RETRY_FIRST_S, _RETRY_MOST_S = 0.5, 10.0
_log = logging.getLogger(__name__)


async def insist(operation: Callable[[], Awaitable[T]]) -> T:
    """Repeat ``operation`` until the blobs and the database answer. Raises ``BlobMissing``."""
    delay, away = _RETRY_FIRST_S, False
    while True:
        try:
            return await operation()
        except (BlobsUnavailable, StoreUnavailable) as error:
            if not away:
                _log.warning("%s; trying again until it is back", type(error).__name__)
            away = True
            await asyncio.sleep(delay)
            delay = min(2 * delay, _RETRY_MOST_S)


async def attempt(operation: Callable[[], Awaitable[object]]) -> None:
    """Do ``operation`` if the blobs answer: for what may as well stay undone."""
    try:
        await operation()
    except (BlobsUnavailable, BlobMissing) as error:
        _log.warning("%s; leaving it at that", type(error).__name__)


class Courier:
    """Of one attempt. ``take`` is called with every event and returns at once; uploads follow in their order."""

    def __init__(self, queue: Queue, lease: Lease) -> None:
        self._queue = queue
        self._lease = lease
        self._progress = _at_first(lease.job)
        self._samples: dict[tuple[int, int], Sample] = {}
        self._waiting: asyncio.Queue[wire.SampleMade | wire.CheckpointMade | wire.Notice] = asyncio.Queue()
        self._newest = 0
        self._saved: str | None = lease.job.resume.key if lease.job.resume is not None else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Upload what was taken while the block runs; what is left at its end is left."""
        task = asyncio.create_task(self._carry(), name=f"courier of {self._lease.job.id}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def begin(self) -> None:
        """Show that the attempt prepares; what it goes on from stays shown."""
        self._lease.show(self._progress)

    def take(self, event: wire.Event) -> None:
        """Note what the engine said."""
        match event:
            case wire.Progress():
                self._progress = replace(
                    self._progress,
                    stage=Stage(event.stage),
                    step=event.step,
                    total_steps=event.total_steps,
                    rate=event.rate,
                    eta_s=event.eta_s,
                    loss=event.loss,
                    validation=event.validation,
                    note=event.note,
                )
                self._lease.show(self._progress)
            case wire.SampleMade() | wire.Notice():
                self._waiting.put_nowait(event)
            case wire.CheckpointMade():
                self._newest = event.step
                self._waiting.put_nowait(event)

    async def all_delivered(self) -> None:
        """Wait until everything taken so far is where it belongs."""
        await self._waiting.join()

    async def deliver(self, done: wire.Done) -> Outcome:
        """Upload the files of a finished job."""
        artefacts = [await self._upload(file) for file in done.files]
        return Outcome(tuple(artefacts), done.summary)

    async def _carry(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                match event:
                    case wire.SampleMade():
                        await self._sample(event)
                    case wire.CheckpointMade():
                        await self._checkpoint(event)
                    case wire.Notice(message=message):
                        await self._lease.notice(message)
            except LeaseLost:  # the lease's own keeper finds that out as well, and ends the attempt
                _log.info("job %s: nothing more to report", self._lease.job.id)
            except BlobMissing:  # the file to upload is gone from the work folder
                _log.error("job %s: %s is gone before it was uploaded", self._lease.job.id, event.type)
            finally:
                self._waiting.task_done()

    async def _sample(self, event: wire.SampleMade) -> None:
        key = keys.artefact_key(self._lease.job.id, self._lease.attempt, event.path.name)
        await insist(lambda: self._queue.blobs.put(key, event.path, content_type="image/png"))
        self._samples[event.step, event.index] = Sample(event.step, key, event.prompt)
        samples = tuple(sample for _, sample in sorted(self._samples.items()))
        self._progress = replace(self._progress, samples=samples)
        self._lease.show(self._progress)

    async def _checkpoint(self, event: wire.CheckpointMade) -> None:
        """Upload the state, unless a newer one waits already; then the one before is not needed any more."""
        try:
            if event.step < self._newest:
                return
            key = keys.resume_key(self._lease.job.id, self._lease.attempt, event.step)
            await insist(lambda: self._queue.blobs.put(key, event.path))
            await self._lease.checkpoint(ResumePoint(event.step, key))
            old, self._saved = self._saved, key
            if old is not None and old != key:
                await attempt(lambda: self._queue.blobs.delete(old))
        finally:
            await asyncio.to_thread(event.path.unlink, missing_ok=True)

    async def _upload(self, file: wire.MadeFile) -> Artefact:
        key = keys.artefact_key(self._lease.job.id, self._lease.attempt, file.path.name)
        name = file.path.name
        await insist(lambda: self._queue.blobs.put(key, file.path, content_type=file.content_type, filename=name))
        size, digest = await asyncio.to_thread(_measure, file.path)
        return Artefact(file.kind, name, key, size, file.content_type, digest)


def _at_first(job: Job) -> Progress:
    if job.progress is None or job.resume is None:
        return Progress(Stage.PREPARING)
    return replace(job.progress, stage=Stage.PREPARING, rate=None, eta_s=None, note=None)


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
