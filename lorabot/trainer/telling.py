"""How a running job tells what it does: progress at a bearable pace, and the seconds that went into each thing."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lorabot.locale import Message, Param
from lorabot.trainer.course import Course
from lorabot.trainer.curves import for_people, thin
from lorabot.trainer.wire import Event, Progress, StageName

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Span:
    """What went on from ``begin`` to ``end``, in seconds since the attempt began.

    Where it was done in parts with nothing else in between, steps say, ``first`` is when the first of them ended.
    """

    name: str
    begin: float
    first: float
    end: float


class Stopwatch:
    """Seconds by what they were spent on, by this attempt and those before. ``spans``: when it was, in this attempt."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.spans: list[Span] = []
        self._began = self._origin = time.perf_counter()

    def go_on(self, spent: Mapping[str, float]) -> None:
        """Count the seconds too that earlier attempts have spent."""
        for name, seconds in spent.items():
            self._count(name, seconds)
        self._began -= sum(spent.values())

    def add(self, name: str, seconds: float) -> None:
        """Something of that name took so many seconds until now."""
        self._count(name, seconds)
        end = time.perf_counter() - self._origin
        if self.spans and self.spans[-1].name == name:
            self.spans[-1] = replace(self.spans[-1], end=end)
        else:
            self.spans.append(Span(name, end - seconds, end, end))

    def rest(self, name: str) -> None:
        """Add to ``name`` what nothing else has accounted for until now."""
        self._count(name, max(0.0, time.perf_counter() - self._began - sum(self.seconds.values())))

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - began)

    def _count(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class Teller:
    """Sends a job's progress: every new stage at once, the steps in between at most once per ``interval_s``."""

    def __init__(self, emit: Emit, job: str, interval_s: float) -> None:
        self._emit = emit
        self._job = job
        self._interval_s = interval_s
        self._next = 0.0
        self._last = Progress(job=job, stage="preparing")

    def stage(self, stage: StageName, note: str | None = None, **params: Param) -> None:
        """A stage begins, or goes on with something worth a ``note``; what is known of the training stays shown."""
        message = Message(note, params) if note else None
        self._send(self._last.model_copy(update={"stage": stage, "note": message}))

    def known(self, course: Course, total: int) -> None:
        """An earlier attempt came this far: from its first stage on, what this one tells shows it."""
        self._last = self._trained(course, total, None)

    def training(self, course: Course, total: int, rate: float | None) -> None:
        """A step was done, or the training goes on after something else; ``rate`` in steps/s, of steps alone."""
        if course.step == total or time.monotonic() >= self._next:
            self._send(self._trained(course, total, rate))

    def _trained(self, course: Course, total: int, rate: float | None) -> Progress:
        return Progress(
            job=self._job,
            stage="training",
            step=course.step,
            total_steps=total,
            rate=rate,
            eta_s=(total - course.step) / rate if rate and course.step < total else None,
            loss=for_people(course.losses),
            validation=thin(course.validation),
        )

    def _send(self, progress: Progress) -> None:
        self._last = progress
        self._next = time.monotonic() + self._interval_s
        self._emit(progress)
