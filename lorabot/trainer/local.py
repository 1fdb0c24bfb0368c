"""Trains without queue: the same engine, for one set of images on this machine."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorabot.locale import UserError
from lorabot.presets import Preset, Vocabulary
from lorabot.trainer import wire
from lorabot.trainer.bases import LocatedBase
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.supervising import Engine, EngineDied


class LocalTrainingBroke(UserError):
    """The engine broke down; the log says where."""

    def __init__(self, signature: str) -> None:
        super().__init__("trainer-crashed", signature=signature)


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image file; ``name`` is what reports call it, ``caption`` what its owner wrote about it."""

    path: Path
    name: str
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class LocalOutcome:
    """What a training left: its files in the folder that was asked for, and its numbers."""

    files: tuple[wire.MadeFile, ...]
    summary: Mapping[str, str | int | float | None]


async def train(
    images: Sequence[LocalImage],
    *,
    preset: Preset,
    vocabulary: Vocabulary | None,
    trigger: str,
    base: LocatedBase,
    name: str,
    seed: int,
    language: str,
    out: Path,
    config: TrainerConfig,
    measured: Path | None = None,
    on_event: Callable[[wire.Event], None],
) -> LocalOutcome:
    """Train on ``images`` and put the files into ``out``, which is made if need be.

    ``measured``: the file of what training steps took on this host; None where nothing is to be kept.
    ``on_event`` gets progress, samples and notices as they come; sample pictures lie in a folder that is gone at the
    end. Raises ``UserError`` with the reason when it can't be done. A cancelled call ends the engine with it.
    """
    await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lorabot-") as work:
        job = wire.TrainingJob(
            id=f"local-{hashlib.sha256(f'{name}:{seed}'.encode()).hexdigest()[:8]}",
            name=name,
            trigger=trigger,
            base=base,
            language=language,
            seed=seed,
            preset=preset,
            vocabulary=vocabulary,
            images=tuple(wire.TrainingImage(path=i.path, name=i.name, caption=i.caption) for i in images),
            folder=Path(work),
            measured=measured,
        )
        async with Engine(config) as engine:
            terminal = await _run(engine, job, on_event)
        match terminal:
            case wire.Done(files=files, summary=summary):
                kept = await asyncio.to_thread(lambda: tuple(_keep(file, out) for file in files))
                return LocalOutcome(kept, summary)
            case wire.Failed(message=message):
                raise UserError(message.code, **message.params)
            case wire.Crashed(signature=signature):
                raise LocalTrainingBroke(signature)
            case wire.Stopped():
                raise asyncio.CancelledError


async def _run(engine: Engine, job: wire.TrainingJob, on_event: Callable[[wire.Event], None]) -> wire.Terminal:
    """Run ``job``; saved states are deleted as they come, since nobody goes on from them."""

    def sieve(event: wire.Event) -> None:
        if isinstance(event, wire.CheckpointMade):
            event.path.unlink(missing_ok=True)
        else:
            on_event(event)

    try:
        return await engine.run(job, sieve, keep=lambda: False)
    except EngineDied as error:
        raise LocalTrainingBroke(error.signature) from error


def _keep(file: wire.MadeFile, out: Path) -> wire.MadeFile:
    path = out / file.path.name
    shutil.move(file.path, path)
    return file.model_copy(update={"path": path})
