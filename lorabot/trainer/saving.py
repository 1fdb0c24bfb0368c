"""Saves the state of a running job, so that it can be gone on from after whatever happens."""

import time

from lorabot.trainer import adapter, resume
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.captioning import Caption
from lorabot.trainer.course import Course
from lorabot.trainer.optimisers import Moments
from lorabot.trainer.planning import Plan
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.telling import Emit, Stopwatch
from lorabot.trainer.wire import CheckpointMade, TrainingJob


class Saver:
    """Saves at an interval, and whenever the training says so. ``last``: what was saved last, if anything was."""

    def __init__(
        self,
        job: TrainingJob,
        base: BaseModel,
        captions: tuple[Caption, ...],
        interval_s: float,
        clock: Stopwatch,
        emit: Emit,
    ) -> None:
        self._job, self._base, self._captions = job, base, captions
        self._interval_s, self._clock, self._emit = interval_s, clock, emit
        self._next = time.monotonic() + interval_s
        self.last: ResumeState | None = None

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def save(self, plan: Plan, modules: adapter.Modules, course: Course, moments: Moments) -> None:
        path = self._job.folder / "resume" / f"{course.step:06d}.safetensors"
        with self._clock.running("saving"):
            state = ResumeState(
                job=self._job.id,
                base=self._base.identity,
                plan=plan,
                captions=self._captions,
                course=course,
                adapter=adapter.read(modules),
                moments=moments,
                seconds=self._clock.seconds,
            )
            resume.write(path, state)
        self.last = state
        self._next = time.monotonic() + self._interval_s
        self._emit(CheckpointMade(job=self._job.id, step=course.step, path=path))
