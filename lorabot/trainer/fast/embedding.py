"""What the time tells all residual blocks, and in SDXL the text in one vector and sizes; how such a text learns."""

from dataclasses import dataclass
from typing import Any

import torch

from lorabot.trainer.conditions import Conditions


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The UNet's own modules; ``size_proj`` and ``added`` are SDXL's, and None elsewhere. ``dtype``: the network's."""

    time_proj: Any
    time: Any
    size_proj: Any
    added: Any
    dtype: torch.dtype

    def __call__(self, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """Timesteps (B) and conditions to vectors (B, E), before the activation."""
        embedded: torch.Tensor = self.time(self.time_proj(timesteps).to(self.dtype))
        if self.added is None:
            return embedded
        assert conditions.pooled is not None
        return embedded + self._add(conditions.pooled, conditions)

    def learn(self, conditions: Conditions, gradient: torch.Tensor) -> torch.Tensor:
        """From the ``gradient`` (B, E) of the vectors that of the texts in one vector, (B, P)."""
        assert conditions.pooled is not None
        with torch.enable_grad():  # a few layers only: autograd has them as fast
            pooled = conditions.pooled.detach().requires_grad_()
            (found,) = torch.autograd.grad(self._add(pooled, conditions), pooled, gradient)
        return found

    def _add(self, pooled: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        assert conditions.sizes is not None
        sizes = self.size_proj(conditions.sizes.flatten()).view(len(conditions), -1)
        added: torch.Tensor = self.added(torch.cat([pooled.to(self.dtype), sizes.to(self.dtype)], dim=1))
        return added
