"""What lies between the network's large products, as operations on rows: their types, and what each of them promises.

Rows are the pixels of all pictures of a batch, one after the other: (B * H * W, C), contiguous, which is a map with
channels last seen flat. ``reference`` does the operations in plain torch, ``compiled`` in Triton.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from lorabot.trainer.fast.attention import Attended


@dataclass(frozen=True, slots=True)
class Stats:
    """Means and sums of squared distances from them, of each channel in tiles of ``tile`` rows of one picture.

    ``mean`` and ``spread``: (B, T, C), at least float32; a picture's last tile may be cut short. Taken around each
    tile's own mean, not as the mean of squares, they lose nothing where a mean is large against the spread.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    tile: int


@dataclass(frozen=True, slots=True)
class GroupNorm:
    """Weight and bias (C), and over how many groups of channels is normalised."""

    weight: torch.Tensor
    bias: torch.Tensor
    groups: int
    eps: float


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Weight and bias (C)."""

    weight: torch.Tensor
    bias: torch.Tensor
    eps: float


@dataclass(frozen=True, slots=True)
class Factors:
    """What makes rows x normal: x * ``slope`` + ``offset``, each (B, C), at least float32; then weight and bias."""

    slope: torch.Tensor
    offset: torch.Tensor


Source = tuple[torch.Tensor, Stats | None]
"""Rows, with their statistics where those are known. One or two side by side stand for one map with all their channels,
never concatenated."""


class Primitives(Protocol):
    """The operations. Sums are taken in at least float32 whatever the rows' type."""

    def prepare(self, act: Callable[[], object]) -> Callable[[], None]:
        """Have all that ``act`` asks of these operations compiled, side by side; what comes back waits for it.

        What ``act`` computes is not to be used.
        """
        ...

    def add(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, batch: int
    ) -> tuple[torch.Tensor, Stats]:
        """``rows`` + ``other`` + ``bias`` (C), and the statistics of the sum."""
        ...

    def group_norm(
        self, sources: Sequence[Source], batch: int, shift: torch.Tensor | None, norm: GroupNorm, silu: bool
    ) -> tuple[torch.Tensor, Factors]:
        """The group norm (N, all channels) of ``sources`` + ``shift`` (B, C), a bias and a time embedding, say; with
        SiLU if so asked."""
        ...

    def normalise(self, sources: Sequence[torch.Tensor], factors: Factors, norm: GroupNorm, silu: bool) -> torch.Tensor:
        """What ``group_norm`` has made, once more from its factors."""
        ...

    def normalise_back(
        self,
        sources: Sequence[torch.Tensor],
        factors: Factors,
        norm: GroupNorm,
        silu: bool,
        gradient: torch.Tensor,
        more: Sequence[Sequence[torch.Tensor]],
    ) -> tuple[torch.Tensor, ...]:
        """From the ``gradient`` of ``group_norm`` that of each source; up to two ``more`` gradients of it are added."""
        ...

    def layer_norm(
        self, rows: torch.Tensor, other: torch.Tensor | None, bias: torch.Tensor | None, norm: LayerNorm
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``rows`` + ``other`` + ``bias``, and that normalised row by row."""
        ...

    def layer_norm_back(
        self, rows: torch.Tensor, norm: LayerNorm, gradient: torch.Tensor, more: torch.Tensor
    ) -> torch.Tensor:
        """From the ``gradient`` of ``layer_norm``'s second result that of its first, with ``more`` added."""
        ...

    def hears(self, keys: int, size: int) -> bool:
        """Whether ``hear`` is more than ``attend`` for so many ``keys`` of this ``size``."""
        ...

    def hear(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Attended:
        """``attend`` to texts, all three as it has them; queries are a view of rows, keys and values are of one."""
        ...

    def geglu(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """a * GELU(b) of ``rows`` + ``bias``, whose first half is a and second b (arXiv 2002.05202); exact GELU."""
        ...

    def geglu_back(
        self, rows: torch.Tensor, bias: torch.Tensor, gradient: torch.Tensor, again: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """From the ``gradient`` of ``geglu`` that of ``rows``; and ``geglu`` again, where asked for."""
        ...

    def interleave(self, made: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
        """Rows of a map of ``2 height`` x ``2 width`` from those (B * (height + 1) * (width + 1), 4 C) of four.

        The four are for pixels at (even, even), (even, odd), (odd, even) and (odd, odd) places; of each the first or
        the last row and column are left out.
        """
        ...

    def interleave_back(self, gradient: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
        """From the ``gradient`` of ``interleave`` that of ``made``."""
        ...

    def fold(
        self, base: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: torch.Tensor, folded: torch.Tensor
    ) -> None:
        """Set ``folded`` (n, out, in) to ``base`` + ``scale`` * ``up`` (n, out, r) @ ``down`` (n, r, in).

        Most changes that an adapter makes are smaller than the last digit of a bfloat16 weight; rounded to the nearest
        they would all be lost. So bfloat16 is rounded up or down in proportion, by a fixed pattern over the weights:
        right on average, the same every time, and ``base`` itself where nothing is added.
        """
        ...
