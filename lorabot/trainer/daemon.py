"""The trainer's daemon: takes jobs from the queue, has its engine do them, and carries news and files back.

Imports no torch: the engine is a child process.
"""

import asyncio
import json
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lorabot.locale import Message
from lorabot.presets import Bases, Preset, Vocabulary
from lorabot.queue import Lease, Queue, keys, run_worker
from lorabot.queue.errors import BlobMissing, CancelRequested
from lorabot.queue.model import Dataset, Job
from lorabot.trainer import wire
from lorabot.trainer.bases import BaseStore
from lorabot.trainer.bases.locating import locate
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.courier import Courier, attempt, insist
from lorabot.trainer.errors import TrainerError
from lorabot.trainer.presence import get_ready, present
from lorabot.trainer.supervising import Engine, EngineDied
from lorabot.trainer.workspace import cache_of, workspace

T = TypeVar("T")
_DOWNLOADS = 8
_START_AGAIN_S = 10.0
_log = logging.getLogger(__name__)


async def run_trainer(
    queue: Queue, config: TrainerConfig, data_dir: Path, stop: asyncio.Event, bases: Bases, worker: str | None = None
) -> None:
    """Work off jobs one by one until ``stop`` is set; a job that runs then is saved and given back.

    ``bases`` are the base models that can be trained on; what there is to keep of them lies in ``data_dir``, too.

    No job is claimed before the engine is up. Raises ``EngineRefused`` when it can't work with these settings.
    """
    name = worker or f"{socket.gethostname()}-{os.getpid()}"
    with workspace(data_dir / "work") as folder:
        async with Engine(config, kernels=data_dir / "kernels") as engine:
            store = BaseStore(data_dir / "bases")
            has = partial(asyncio.to_thread, store.having, bases)
            if await _started(engine, stop):
                speeds = await _unless(stop, get_ready(queue, engine, bases, store)) or {}
                async with present(queue, engine, name, speeds, has):
                    trainer = _Trainer(queue, engine, folder, stop, bases, store, data_dir / "measured.json")
                    await run_worker(queue, trainer.handle, name, stop, has)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an attempt ended. It is told after the lease's beats have stopped: a beat on an ended lease finds it lost."""

    tell: Callable[[Lease], Awaitable[None]]
    final: bool


class _Trainer:
    """Handles one lease after the other."""

    def __init__(
        self,
        queue: Queue,
        engine: Engine,
        folder: Path,
        stop: asyncio.Event,
        bases: Bases,
        store: BaseStore,
        measured: Path,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._folder = folder
        self._stop = stop
        self._bases = bases
        self._store = store
        self._measured = measured

    async def handle(self, lease: Lease) -> None:
        """Do the attempt and end its lease; leaves what it was stopped by to the worker."""
        folder = self._folder / f"{lease.job.id}-{lease.attempt}"
        courier = Courier(self._queue, lease)
        ending: _Ending | None = None
        try:
            async with lease.kept(), courier.running():
                ending = await self._attempt(lease, folder, courier)
            await ending.tell(lease)
            if ending.final:
                await self._forget_states(lease)
        except CancelRequested:
            await lease.cancelled()
            await self._forget_states(lease)
        except asyncio.CancelledError:
            if self._stop.is_set() and not lease.ended:
                await lease.release()
            elif ending is not None and ending.final and lease.ended:
                await self._forget_states(lease)  # the job was told to be over just before
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _attempt(self, lease: Lease, folder: Path, courier: Courier) -> "_Ending":
        courier.begin()
        try:
            job = await self._prepare(lease, folder)
        except BlobMissing:
            lost = Message("trainer-dataset-lost")
            return _Ending(lambda lease: lease.fail(lost, photos_gone=True), final=True)
        except TrainerError as error:
            refusal = error.message
            _log.warning("job %s failed: %s", lease.job.id, error)
            return _Ending(lambda lease: lease.fail(refusal), final=True)
        try:
            terminal = await self._engine.run(job, courier.take, keep=self._stop.is_set)
        except EngineDied as error:
            terminal = wire.Crashed(job=job.id, signature=error.signature)
        except asyncio.CancelledError:
            if self._stop.is_set():
                await courier.all_delivered()
            raise
        await courier.all_delivered()
        match terminal:
            case wire.Done():
                outcome = await courier.deliver(terminal)
                return _Ending(lambda lease: lease.succeed(outcome), final=True)
            case wire.Failed(message=failure):
                return _Ending(lambda lease: lease.fail(failure), final=True)
            case wire.Stopped():  # the engine alone was told to end
                return _Ending(lambda lease: lease.release(), final=False)
            case wire.Crashed(signature=signature):
                told = Message("trainer-crashed", {"signature": signature})
                return _Ending(lambda lease: lease.crashed(signature, told), final=False)

    async def _prepare(self, lease: Lease, folder: Path) -> wire.TrainingJob:
        """Find the base model, fetch the images and the state to go on from.

        Raises ``TrainerError`` when the base can't be had, ``BlobMissing`` when an image is gone.
        """
        job = lease.job
        base = await locate(self._store, self._bases[job.base])
        dataset = await insist(lambda: self._queue.drafts.dataset(job.dataset_id))
        images = await self._fetch(dataset, folder / "images")
        return wire.TrainingJob(
            id=job.id,
            name=job.name,
            trigger=job.trigger,
            base=base,
            language=job.language,
            seed=job.seed,
            preset=Preset.model_validate_json(json.dumps(job.preset)),
            vocabulary=Vocabulary.model_validate_json(json.dumps(job.vocabulary)) if job.vocabulary else None,
            images=images,
            folder=folder,
            resume=await self._fetch_state(lease, folder / "resume.safetensors"),
            cache=cache_of(self._folder.parent, job.id),
            expected=_expected(job),
            measured=self._measured,
        )

    async def _fetch(self, dataset: Dataset, folder: Path) -> tuple[wire.TrainingImage, ...]:
        await asyncio.to_thread(folder.mkdir, parents=True)
        gate = asyncio.Semaphore(_DOWNLOADS)
        found: list[wire.TrainingImage] = []
        try:
            async with asyncio.TaskGroup() as group:
                for index, image in enumerate(dataset.images):
                    path = folder / f"{index:05d}{Path(image.key).suffix}"
                    found.append(wire.TrainingImage(path=path, name=image.name, caption=image.caption))
                    group.create_task(self._download(image.key, path, gate))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return tuple(found)

    async def _download(self, key: str, path: Path, gate: asyncio.Semaphore) -> None:
        async with gate:
            await insist(lambda: self._queue.blobs.download(key, path))

    async def _fetch_state(self, lease: Lease, path: Path) -> Path | None:
        point = lease.job.resume
        if point is None:
            return None
        try:
            await insist(lambda: self._queue.blobs.download(point.key, path))
        except BlobMissing:
            _log.warning("job %s: the state after step %d is gone; beginning anew", lease.job.id, point.step)
            return None
        _log.info("job %s: going on after step %d", lease.job.id, point.step)
        return path

    async def _forget_states(self, lease: Lease) -> None:
        """Delete the saved states of a job that has ended, and what of its images was kept for another attempt."""
        await asyncio.to_thread(shutil.rmtree, cache_of(self._folder.parent, lease.job.id), ignore_errors=True)
        prefix = f"{keys.job_prefix(lease.job.id)}resume/"
        await attempt(lambda: self._queue.blobs.delete_prefix(prefix))


def _expected(job: Job) -> wire.Expected | None:
    """The estimate that was kept with ``job``; None where there is none, or one of another version."""
    try:
        return wire.Expected.model_validate(job.options.get("estimate"))
    except ValidationError:
        return None


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What ``work`` returns; None when told to stop meanwhile."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.wait({working, stopping})


async def _started(engine: Engine, stop: asyncio.Event) -> bool:
    """Bring the engine up, again and again if need be; False when told to stop meanwhile."""
    while not stop.is_set():
        starting = asyncio.create_task(engine.start())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                return True
        except EngineDied as error:
            _log.error("the engine does not start (%s); trying again in %g s", error, _START_AGAIN_S)
            await asyncio.wait({stopping}, timeout=_START_AGAIN_S)
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.wait({starting, stopping})
    return False
