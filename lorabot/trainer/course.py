"""How far a training has come: what was measured, what was drawn, and which states are worth keeping."""

from dataclasses import dataclass, field, replace
from math import isfinite

from lorabot.trainer.adapter import State

KEPT = 3
"""Candidates kept for the choice at the end."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The adapter after ``step``, and the validation loss it had there."""

    step: int
    validation: float
    state: State


@dataclass(slots=True)
class Course:
    """Grows while the training runs; together with the optimiser's state it is all that a resumed training needs.

    ``losses``: the training loss of each step done, None where the step was skipped because it was not finite;
    ``rates``: the learning rate of each; ``durations``: its seconds. ``validation`` and ``seen``: the fixed loss on
    held-out images and on training images as (steps done, loss); without held-out images ``validation`` is measured on
    training images and ``seen`` stays empty. ``pictures``: PNG files by steps done, one a prompt; 0 is the base model
    without adapter.
    """

    losses: list[float | None] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    seen: list[tuple[int, float]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    pictures: dict[int, tuple[bytes, ...]] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)

    @property
    def skipped(self) -> int:
        return sum(loss is None for loss in self.losses)

    def skipped_in_a_row(self) -> int:
        """How many of the last steps were skipped without one good among them."""
        for count, loss in enumerate(reversed(self.losses)):
            if loss is not None:
                return count
        return len(self.losses)

    def copy(self) -> "Course":
        """The same until now; what is put down from here on is put down in one of them."""
        return replace(
            self,
            losses=list(self.losses),
            rates=list(self.rates),
            durations=list(self.durations),
            validation=list(self.validation),
            seen=list(self.seen),
            candidates=list(self.candidates),
            pictures=dict(self.pictures),
        )

    def propose(self, candidate: Candidate) -> None:
        """Keep ``candidate`` if it is among the best."""
        if isfinite(candidate.validation):
            ranked = sorted([*self.candidates, candidate], key=lambda c: (c.validation, c.step))
            self.candidates = ranked[:KEPT]


def candidate_from(steps: int) -> int:
    """The first step whose adapter may be chosen: half of the training.

    Before, the learning rate is near its peak and the subject is hardly learnt, while a loss on few held-out images can
    already be at its lowest.
    """
    return (steps + 1) // 2


def choose(course: Course) -> Candidate:
    """The candidate with the lowest validation loss, the earlier of two equal ones: rather under- than over-fitted.

    Raises ``ValueError`` when there is none.
    """
    return min(course.candidates, key=lambda candidate: (candidate.validation, candidate.step))
