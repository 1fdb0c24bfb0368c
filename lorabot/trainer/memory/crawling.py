"""Notices that steps crawl: a driver that pages a card's memory to the host's says nothing, it only gets slow."""

from collections import deque
from statistics import median

SLOW = 5.0
"""How many times as long as expected is no chance any more. Paging makes steps 10 to 150 times slower; a card that is
shared with another program that computes, two or three times."""
_STEPS = 8
_LEAST_S = 5.0
"""The steps looked at must have taken this long: below, paging hurts nobody."""


class Crawl:
    """Looks at the seconds of each step, without saving and sampling, against the ``expected`` ones.

    By the median of the last steps: one slow step, or a computer that slept in the middle of one, decides nothing.
    """

    def __init__(self, expected: float) -> None:
        self._expected: float | None = expected
        self._last: deque[float] = deque(maxlen=_STEPS)
        self._before: float | None = None

    def noticed(self, seconds: float) -> bool:
        """Whether the steps crawl, now that one took so long. Where the last change did not help, it is not memory that
        is scarce, and nothing is noticed any more."""
        self._last.append(seconds)
        if self._expected is None or len(self._last) < _STEPS or sum(self._last) < _LEAST_S:
            return False
        now = median(self._last)
        if now <= SLOW * self._expected:
            self._before = None
            return False
        self._last.clear()
        if self._before is not None and now > self._before / 2:
            self._expected = None
            return False
        self._before = now
        return True

    def changed(self, slower: float) -> None:
        """From here on steps may take ``slower`` times as long, for another reason."""
        self._last.clear()
        if self._expected is not None:
            self._expected *= slower
