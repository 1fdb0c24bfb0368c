"""Saves the state of a running job, so that it can be gone on from after whatever happens."""

import logging
import time

from lorabot.locale import Message
from lorabot.trainer import adapter, resume
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.captioning import Caption
from lorabot.trainer.course import Course
from lorabot.trainer.disk import disk_is_full
from lorabot.trainer.optimisers import Moments
from lorabot.trainer.planning import Plan
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.telling import Emit, Stopwatch
from lorabot.trainer.wire import CheckpointMade, Notice, TrainingJob

_log = logging.getLogger(__name__)


class Saver:
    """Saves at an interval, and whenever the training says so. ``last``: the state it was called with last, if it was.

    A disk that takes no more is no reason to stop what needs none: the person hears of it once, and it is tried again.
    """

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
        self._said = False
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
                course=course.copy(),
                adapter=adapter.read(modules),
                moments=moments,
                seconds=self._clock.seconds,
            )
            self.last = state
            self._next = time.monotonic() + self._interval_s
            try:
                resume.write(path, state)
            except Exception as error:
                if not disk_is_full(error):
                    raise
                self._tell(course.step, error)
                return
        self._emit(CheckpointMade(job=self._job.id, step=course.step, path=path))

    def _tell(self, step: int, error: Exception) -> None:
        _log.error("job %s: the state after step %d can't be saved: %s", self._job.id, step, error)
        if not self._said:
            self._emit(Notice(job=self._job.id, message=Message("training-notice-not-saved", {"step": step})))
        self._said = True
