"""What flows through the network, and what its parts say of themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from lorabot.trainer.fast.primitives import Primitives, Source, Stats

Gradients = tuple[torch.Tensor | None, ...]
Back = Callable[[torch.Tensor, Sequence[Sequence[torch.Tensor]]], Gradients]
"""From the gradient of what a part made those of what it was given: of each source that is ``learnt``, with what is
given ``more`` for it added, else None."""


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """``rows`` (B * height * width, C) with their statistics. ``learnt``: whether an adapted layer has been at it."""

    rows: torch.Tensor
    batch: int
    height: int
    width: int
    stats: Stats
    learnt: bool

    @property
    def source(self) -> Source:
        return self.rows, self.stats

    def pictures(self) -> torch.Tensor:
        """The same seen as (B, C, H, W), channels last."""
        return pictures(self.rows, self.batch, self.height, self.width)

    def next(self, rows: torch.Tensor, stats: Stats, learnt: bool) -> "Map":
        """Another map of this size."""
        return Map(rows, self.batch, self.height, self.width, stats, learnt)


@dataclass(slots=True, eq=False)
class Step:
    """What all parts work with in one pass: the primitives; each residual block's ``shift`` (B, C) by its number, made
    of the time; the ``texts``' keys and values of all layers (B, L, all), and on the way back the ``gradients`` of
    their parts, by where each begins. ``again``: what lies within a part is computed again for the way back instead of
    being kept (Chen et al., arXiv 1604.06174). ``shifting``: whether the shifts learn, too; the gradients ``of_shifts``
    (B, C) come by their numbers then."""

    ops: Primitives
    shifts: Sequence[torch.Tensor]
    texts: torch.Tensor
    again: bool = False
    shifting: bool = False
    gradients: dict[int, torch.Tensor] = field(default_factory=dict)
    of_shifts: dict[int, torch.Tensor] = field(default_factory=dict)


class Part(Protocol):
    """A part of the network, with one input or two side by side."""

    def forward(self, step: Step, sources: Sequence[Map]) -> tuple[Map, Back]: ...


def pictures(rows: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
    """Rows seen as (B, C, H, W), channels last."""
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)


def flat(maps: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) as contiguous rows; a view where channels lie last."""
    return maps.permute(0, 2, 3, 1).contiguous().view(-1, maps.shape[1])
