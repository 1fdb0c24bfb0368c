"""Chooses how a step goes through the model: the fastest way that fits, by what was measured.

Memory is modelled as a line for each way of going: what lies there already, and so much for each row of the batch. Two
measurements fix it; before there are two, all that the first one took is counted as the row's. On a card the batch
grows for as long as that gains images/s, at once to the whole step where the line says that it fits; where there is
room for far more than that, nothing less is tried. Where the line says that a batch does not fit, that one is not
tried, since a driver that pages to the host's memory would rather crawl than refuse; where it was wrong, the largest is
taken that lies below.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from lorabot.trainer.memory.fitting import Fitting, even

GAIN = 1.03
"""How many times as many images/s a larger batch must make to be worth its memory, and off-loading to be worth its."""
_IDLE = 1 / 3
"""The share of a pass that does not grow with its rows from which on more rows may be worth the off-loading: twice as
many are 1.2 times as fast then. Where a card is busy with few rows, moving weights gains nothing."""


_SPARE, _SPARE_SHARE = 128 * 1024 * 1024, 32


class DoesNotFit(Exception):
    """A step ran out of memory, or nothing fits."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One forward and backward pass: its seconds, and the bytes it took at its peak beside what lay there before.

    ``resting``: those that going this way takes before the first pass; negative where weights are off-loaded.
    ``stays``: those that it takes from then on between passes too, since recorded passes keep their memory.
    ``in_want``: it went another way than it will another time, for lack of room say, so this is nothing to remember.
    """

    seconds: float
    taken: int = 0
    resting: int = 0
    stays: int = 0
    in_want: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """A card's memory in bytes: what this process may still take, what it ``held`` when it began to measure, and what
    will come ``later`` that the measured passes don't take: the optimiser's moments and such. ``one``: what a picture
    takes on its way through the VAE, ``several``: what as many as ``pictures`` at once do, where there is room; where
    there is too little for one, parts of it go through. ``kept``: what of ``held`` is there for such passes.
    ``movable``: whether weights may be off-loaded where this isn't the only way. ``row``: far more than any row takes,
    0 where nobody knows.
    """

    free: int
    held: int
    later: int = 0
    one: int = 0
    several: int = 0
    pictures: int = 1
    kept: int = 0
    movable: bool = True
    row: int = 0

    @property
    def usable(self) -> int:
        """What a pass may take. Some is left: memory is given out in blocks, and other programs breathe."""
        return self.free - max(_SPARE, self.free // _SPARE_SHARE) - self.later

    def peak(self, taken: int, stays: int) -> int:
        """The most that will be held where a pass takes ``taken`` and ``stays`` is there between passes."""
        stays = max(stays - self.kept, 0)
        left = max(self.usable - stays, 0)
        more = min(self.pictures, max(left // max(self.one, 1), 1)) - 1
        aside = self.one + max(self.several - self.one, 0) * more // max(self.pictures - 1, 1)
        return self.held + self.later + max(taken - self.kept, stays + min(aside, left))


Measure = Callable[[Fitting], Measured]
"""A pass over as many rows as go through the model at once. Raises ``DoesNotFit``."""

Limit = Literal["whole", "gain", "memory"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was chosen: the seconds of a whole step, the bytes it takes beside what lies there, those that stay.

    ``limit``: why the batch is not larger: it is the whole step, more would gain nothing, or would not fit. ``peak``:
    the most that the process will hold of the card, in bytes; None on a processor.
    """

    fitting: Fitting
    step_s: float
    taken: int = 0
    stays: int = 0
    limit: Limit = "whole"
    peak: int | None = None


def on_processor(rows: int, measure: Measure, checkpointing: bool) -> Fitted:
    """The most rows at once that the host's memory takes, where each row costs its time however many there are.

    Raises ``DoesNotFit``.
    """
    for batch in sorted(_batches(rows), reverse=True):
        fitting = Fitting(batch, checkpointing)
        try:
            measured = measure(fitting)
        except DoesNotFit:
            continue
        return _fitted(fitting, rows, measured, "whole" if batch == rows else "memory")
    raise DoesNotFit


def on_card(rows: int, measure: Measure, room: Room, checkpointing: bool) -> Fitted:
    """The fastest way for a step of ``rows`` rows that finds ``room``.

    Activations are computed twice, and then weights off-loaded, only where that makes the steps faster, by letting more
    rows through at once, or possible at all (or ``checkpointing`` says so). Raises ``DoesNotFit``.
    """
    best: Fitted | None = None
    known: dict[int, Measured] = {}
    for way in _ways(checkpointing):
        if way.offloading and best is not None:
            gains = best.fitting.checkpointing and _idle(known) >= _IDLE
            if not (gains and room.movable):
                break
        worth = inf if best is None else best.step_s / (GAIN if way.offloading else 1)
        ample = way == Fitting(1) and 0 < rows * room.row <= room.usable
        found, known = _climbed(way, rows, measure, room.usable, worth, rows if ample else 1)
        if found is not None and found.step_s < worth:
            best = found
        if found is not None and found.limit != "memory":
            break
    if best is None:
        raise DoesNotFit
    return replace(best, peak=room.peak(best.taken, best.stays))


def _ways(checkpointing: bool) -> Iterator[Fitting]:
    if not checkpointing:
        yield Fitting(1)
    yield Fitting(1, checkpointing=True)
    yield Fitting(1, checkpointing=True, offloading=True)


def _idle(known: Mapping[int, Measured]) -> float:
    """The share of the longest pass that is there whatever the rows; all of it, for all that one batch says of it."""
    fewest, most = min(known), max(known)
    if fewest == most:
        return 1.0
    row = (known[most].seconds - known[fewest].seconds) / (most - fewest)
    return 1 - row * most / known[most].seconds


def _climbed(
    way: Fitting, rows: int, measure: Measure, room: int, worth: float, wanted: int
) -> tuple[Fitted | None, dict[int, Measured]]:
    """The fastest batch going ``way``, None where not even one row fits, and what was measured by the batch.

    Where it is plain that no batch makes a step take less than ``worth`` seconds, no more are tried. ``wanted`` is the
    first that is.
    """
    known: dict[int, Measured] = {}
    best: Fitted | None = None
    too_large = rows + 1
    while True:
        batch = even(wanted, rows)
        limit: Limit = "whole" if batch == rows else "gain"
        if batch >= too_large or (known and taken(known, batch) > room):
            # Between the last that fits and this one may lie another.
            most = min(batch, too_large)
            between = [size for size in _batches(rows) if best and best.fitting.batch < size < most]
            fits = [size for size in between if taken(known, size) <= room]
            if not fits:
                return best and replace(best, limit="memory"), known
            batch, limit = fits[-1], "memory"
        fitting = replace(way, batch=batch)
        try:
            known[batch] = measure(fitting)
        except DoesNotFit:
            found = None
        else:
            found = _fitted(fitting, rows, known[batch], limit)
        if found is None or found.taken > room:
            too_large = batch
            wanted = wanted if best else 1
            continue
        if best is not None and found.step_s * GAIN > best.step_s:
            return replace(best, limit="gain"), known
        best = found
        if batch == rows or (len(known) > 1 and _at_best(known, rows, room) >= worth):
            return best, known
        # Each try costs seconds, so where all rows should fit, nothing in between is tried.
        wanted = rows if taken(known, rows) <= room else 2 * batch


def _at_best(known: Mapping[int, Measured], rows: int, room: int) -> float:
    """The seconds of a step if as many rows as fit took no longer than the shortest pass that was tried."""
    most = max(size for size in _batches(rows) if size <= max(known) or taken(known, size) <= room)
    return min(each.seconds for each in known.values()) * rows / most


def taken(known: Mapping[int, Measured], batch: int) -> int:
    """The bytes that ``batch`` rows should take, from what others took, by the batch: one at least."""
    if batch in known:
        return known[batch].taken
    *others, last = sorted(known)
    if not others:
        resting = known[last].resting
        return resting + (known[last].taken - resting) * batch // last
    slope = (known[last].taken - known[others[-1]].taken) / (last - others[-1])
    return round(known[last].taken + max(slope, 0) * (batch - last))


def _batches(rows: int) -> Sequence[int]:
    return sorted({even(size, rows) for size in range(1, rows + 1)})


def _fitted(fitting: Fitting, rows: int, measured: Measured, limit: Limit) -> Fitted:
    return Fitted(fitting, measured.seconds * rows / fitting.batch, measured.taken, measured.stays, limit)
