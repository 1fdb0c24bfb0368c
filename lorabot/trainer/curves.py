"""Turns raw losses into lines that people can read: smoothed, and thinned to few points."""

from collections.abc import Sequence
from math import isfinite

MOST_POINTS = 200


def window(steps: int) -> int:
    """Over how many steps a training of ``steps`` steps is smoothed."""
    return max(5, steps // 12)


def smooth(values: Sequence[float | None], over: int) -> list[float | None]:
    """Exponential mean over about ``over`` steps, corrected for its start; a skipped step (None) repeats it."""
    decay = 1.0 - 1.0 / over
    total = weight = 0.0
    means: list[float | None] = []
    for value in values:
        if value is not None and isfinite(value):
            total = decay * total + (1.0 - decay) * value
            weight = decay * weight + (1.0 - decay)
        means.append(total / weight if weight else None)
    return means


def thin(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> tuple[tuple[int, float], ...]:
    """At most ``most`` of ``points`` at equal distances, the last one always among them."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round((i + 1) * len(points) / most) - 1] for i in range(most))


def for_people(losses: Sequence[float | None]) -> tuple[tuple[int, float], ...]:
    """The smoothed and thinned curve of the losses of steps 1, 2, ..."""
    means = smooth(losses, window(max(len(losses), 60)))
    return thin([(step, round(mean, 5)) for step, mean in enumerate(means, start=1) if mean is not None])
