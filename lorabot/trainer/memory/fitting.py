"""What decides how much memory a training step takes, and the next thing to do with less."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

Rung = Literal["batch", "checkpointing", "offloading"]


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a step goes through the model: ``batch`` rows at once, and then the next, until all rows were seen.

    ``checkpointing``: activations are computed again for the backward pass instead of being kept. ``offloading``: the
    frozen weights lie in the host's memory and come over layer by layer. Neither changes what is learnt.
    """

    batch: int
    checkpointing: bool = False
    offloading: bool = False


def even(batch: int, rows: int) -> int:
    """The smallest batch that takes no more goes through ``rows`` than ``batch`` does: 3 and 3 rather than 4 and 2."""
    return ceil(rows / ceil(rows / batch))


def smaller(fitting: Fitting, rows: int, card: bool) -> tuple[Rung, Fitting] | None:
    """The next rung down for a step of ``rows`` rows, with what it changes; None below the last.

    Off-loading needs a ``card`` to load off from.
    """
    if fitting.batch > 1:
        return "batch", replace(fitting, batch=even(ceil(fitting.batch / 2), rows))
    if not fitting.checkpointing:
        return "checkpointing", replace(fitting, checkpointing=True)
    if card and not fitting.offloading:
        return "offloading", replace(fitting, offloading=True)
    return None
