"""What a part of a job costs in seconds, by what such parts of past jobs took."""

from collections.abc import Sequence
from statistics import median

from lorabot.bot.commands.work import Part

_SAME = 1.02
_APART = 1.25
"""Sizes must differ by this factor to tell what more of it costs; between nearer ones chance decides."""
_LATEST = 10


def price(past: Sequence[tuple[Part, float]], part: Part) -> float:
    """Seconds that ``part`` takes, by the ``past`` ones with theirs, newest first; 0 where there are none.

    Parts of the same size tell by their median. Otherwise one time is a fixed cost and a cost by size: the line through
    all points whose slope is the median of those between any two (Theil 1950, Sen 1968), which no single odd job bends.
    """
    points = [(each.size, seconds / each.count) for each, seconds in past if each.count]
    same = [time for size, time in points if _near(size, part.size)]
    if same:
        return part.count * median(same[:_LATEST])
    return part.count * _line(points, part.size)


def _near(one: float, other: float) -> bool:
    return max(one, other) <= _SAME * min(one, other)


def _line(points: Sequence[tuple[float, float]], size: float) -> float:
    """The time at ``size``; never falling with the size, and never below what size 0 would cost."""
    if not points:
        return 0.0
    slopes = [
        (time - other_time) / (at - other_at)
        for index, (at, time) in enumerate(points)
        for other_at, other_time in points[:index]
        if max(at, other_at) >= _APART * min(at, other_at) and at != other_at
    ]
    if slopes:
        slope = max(0.0, median(slopes))
        fixed = median(time - slope * at for at, time in points)
        if fixed >= 0:
            return fixed + slope * size
    sized = [time / at for at, time in points if at]
    return median(sized) * size if sized else median(time for _, time in points)
