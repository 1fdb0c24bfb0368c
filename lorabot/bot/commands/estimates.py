"""How long a job will take and when it will start, as far as past jobs tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lorabot.presets import Bases
from lorabot.queue import Queue
from lorabot.queue.model import Job, JobState, NewJob

_LOOKED_AT = 50
_ALIKE = 10
_AHEAD = 100


@dataclass(frozen=True, slots=True)
class Work:
    """What a job's time depends on. ``views`` is the preset's budget in image-views."""

    base: str
    preset: str
    views: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds that a job takes; ``scaled``: taken from jobs of other presets or lengths, so only roughly known."""

    seconds: float
    scaled: bool


def work_of(job: NewJob, bases: Bases) -> Work:
    """What ``job`` asks for, by the snapshot of its preset."""
    return Work(job.base, str(job.preset.get("id")), views_of(job, bases))


def views_of(job: NewJob, bases: Bases) -> int:
    """The image-views of the job's recipe; 0 where the snapshot has none for its base model, or that is gone."""
    base, recipes = bases.get(job.base), job.preset.get("recipes")
    recipe = recipes.get(base.family) if base is not None and isinstance(recipes, dict) else None
    views = recipe.get("views") if isinstance(recipe, dict) else None
    return views if isinstance(views, int) else 0


class Estimates:
    """Estimates from the last successes in this installation. Each object looks at a base model's jobs once."""

    def __init__(self, queue: Queue, bases: Bases) -> None:
        self._queue = queue
        self._bases = bases
        self._known: dict[str, Sequence[tuple[Work, float]]] = {}

    async def duration(self, work: Work) -> Estimate | None:
        """The median of jobs of the same base and preset, by views; else of those of the same base; else None."""
        ran = await self._ran(work.base)
        alike = [(other, seconds) for other, seconds in ran if other.preset == work.preset][:_ALIKE]
        rates = [(seconds / other.views if other.views else 0.0) for other, seconds in alike or ran if other.views]
        if not rates or not work.views:
            return None
        same = bool(alike) and any(other.views == work.views for other, _ in alike)
        return Estimate(median(rates) * work.views, scaled=not same)

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
            estimate = await self.duration(work_of(job, self._bases))
            if job.state is JobState.RUNNING and job.progress is not None and job.progress.eta_s is not None:
                total += job.progress.eta_s
            elif estimate is None:
                return None
            else:
                total += estimate.seconds
        return total / len(running)

    async def _ran(self, base: str) -> Sequence[tuple[Work, float]]:
        if base not in self._known:
            jobs = await self._queue.jobs.succeeded(base, _LOOKED_AT)
            measured = ((work_of(job, self._bases), _seconds(job)) for job in jobs)
            self._known[base] = [(work, seconds) for work, seconds in measured if seconds is not None]
        return self._known[base]


def _seconds(job: Job) -> float | None:
    """How long the job took, without what was lost to a crash."""
    seconds = job.outcome.summary.get("seconds") if job.outcome else None
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
        return float(seconds)
    return None
