"""How long a job will take, what it needs and when it will start, as far as this installation's past tells."""

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Literal

from lorabot.bot.commands.prices import price
from lorabot.bot.commands.work import COUNTED, Course, Done, Work, done_in, recipe_of, work_of
from lorabot.presets import Bases
from lorabot.queue import Queue
from lorabot.queue.model import Job, JobState, JsonObject, NewJob, Speed

Basis = Literal["alike", "others", "step"]
_LOOKED_AT = 30
_AHEAD = 100
_KEY = "estimate"
_LATEST = 10
_TELLING = 5
"""Errors of so many past estimates say how wide the range has to be."""
_LEAST_SPREAD = 0.1
_ALIKE_SPREAD = 0.15
_OTHER_SPREAD = 0.35
_FIRST_SPREAD = 0.4
_AROUND_S = 5.0
"""What a first job takes for all that no trainer measures beforehand: labels, encoding, files."""
_STEPPING = ("training", "validation", "sampling", "preserving")
_USUAL = Course(measured=11, drawn=4)
"""As the trainer's settings are unless somebody changes them."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is expected of a job: its seconds, ``low`` to ``high`` most likely; memory of the card in bytes, if known.

    ``basis`` is what it was taken from: jobs that were trained alike, other jobs, or a single step that was timed.
    """

    seconds: float
    low: float
    high: float
    basis: Basis = "alike"
    peak_bytes: int | None = None

    def stored(self) -> JsonObject:
        """What is kept with the job, to be compared with what comes true."""
        return asdict(self)


def estimated_s(job: NewJob) -> float | None:
    """The seconds that were estimated when ``job`` was asked for."""
    kept = job.options.get(_KEY)
    seconds = kept.get("seconds") if isinstance(kept, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


def with_estimate(options: JsonObject, estimate: Estimate | None) -> JsonObject:
    """``options`` of a job with ``estimate`` in the place of another's."""
    others = {name: value for name, value in options.items() if name != _KEY}
    return others if estimate is None else {**others, _KEY: estimate.stored()}


class Estimates:
    """Estimates from the last successes in this installation. Each object looks at a base model's jobs once."""

    def __init__(self, queue: Queue, bases: Bases) -> None:
        self._queue = queue
        self._bases = bases
        self._known: dict[str, Sequence[Done]] = {}

    async def of(self, job: NewJob, images: int, captioned: int) -> Estimate | None:
        """What to expect of ``job`` on so many ``images``, ``captioned`` ones by their owner; None where unknown."""
        recipe = recipe_of(job, self._bases)
        if recipe is None:
            return None
        trainers = (await self._queue.trainers.present()).values()
        past = _on({state.device for state in trainers}, await self._past(job.base))
        wanted = work_of(job.base, recipe, images, images - captioned, _course(past))
        if past:
            return estimate(wanted, past)
        speeds = [state.speeds[job.base] for state in trainers if job.base in state.speeds]
        return first_estimate(wanted, speeds[0]) if speeds else None

    async def wait(self, place: int) -> float | None:
        """Seconds until the job at ``place`` in line starts; None where that can't be known.

        As many jobs as run now are taken to run side by side.
        """
        ahead = await self._queue.jobs.unfinished(_AHEAD)
        running = [job for job in ahead if job.state is JobState.RUNNING]
        waiting = [job for job in ahead if job.state is JobState.QUEUED][: place - 1]
        if not running or len(waiting) < place - 1:
            return None
        total = 0.0
        for job in (*running, *waiting):
            seconds = _left_s(job)
            if seconds is None:
                return None
            total += seconds
        return total / len(running)

    async def _past(self, base: str) -> Sequence[Done]:
        if base not in self._known:
            jobs: Sequence[Job] = await self._queue.history.succeeded(base, _LOOKED_AT)
            self._known[base] = [done for done in (done_in(job, self._bases) for job in jobs) if done is not None]
        return self._known[base]


def _on(devices: Container[str], past: Sequence[Done]) -> Sequence[Done]:
    """Those of the ``past`` that were done on ``devices``; all of them where none was, which is better than nothing."""
    return [done for done in past if done.device in devices] or past


def _course(past: Sequence[Done]) -> Course:
    """How often is validated and drawn; short jobs do less of both, so the most that the last ones did."""
    last = [done.course for done in past[:_TELLING]] or [_USUAL]
    return Course(max(each.measured for each in last), max(each.drawn for each in last))


def estimate(wanted: Work, past: Sequence[Done]) -> Estimate:
    """What to expect of ``wanted`` after the ``past``, which holds at least one job of the same base, newest first."""
    alike = [done for done in past if done.work.alike == wanted.alike]
    told_by = alike or past
    seconds = 0.0
    for name, part in wanted.parts.items():
        took = [(done.work.parts[name], done.seconds[name]) for done in told_by if name in done.seconds]
        seconds += price(took, part)
    for name in {name for done in told_by for name in done.seconds} - COUNTED:
        seconds += median(done.seconds.get(name, 0.0) for done in told_by[:_LATEST])
    spread = _spread(past, rough=not alike)
    rows = wanted.parts["training"].size
    peaks = [done.peak_bytes for done in alike if done.peak_bytes and done.work.parts["training"].size == rows]
    low, high = seconds * (1 - spread), seconds * (1 + spread)
    return Estimate(seconds, low, high, "alike" if alike else "others", max(peaks) if peaks else None)


def _left_s(job: Job) -> float | None:
    """How long an unfinished job will still take. What its trainer says is for the steps alone, so it is the least."""
    told, steps = estimated_s(job), job.progress.eta_s if job.progress else None
    if job.state is not JobState.RUNNING or job.started_at is None or told is None:
        return told if steps is None else steps
    return max(told - (datetime.now(UTC) - job.started_at).total_seconds(), steps or 0.0)


def first_estimate(wanted: Work, speed: Speed) -> Estimate:
    """What to expect of ``wanted`` by the step that a trainer has timed, where no job has told anything yet."""
    seconds = _AROUND_S
    for name, part in wanted.parts.items():
        if name in _STEPPING:
            seconds += part.count * part.size * (speed.step_s if name == "training" else speed.forward_s) / speed.pixels
    return Estimate(seconds, seconds * (1 - _FIRST_SPREAD), seconds * (1 + _FIRST_SPREAD), basis="step")


def _spread(past: Sequence[Done], rough: bool) -> float:
    """Which share of an estimate the truth is mostly within: what four of five past estimates kept to."""
    errors = [abs(done.error) for done in past if done.error is not None]
    if rough or len(errors) < _TELLING:
        return _OTHER_SPREAD if rough else _ALIKE_SPREAD
    return min(max(quantiles(errors, n=5, method="inclusive")[-1], _LEAST_SPREAD), _OTHER_SPREAD)
