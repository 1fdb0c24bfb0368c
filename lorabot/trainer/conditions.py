"""What the UNet is told about each picture beside its noise: the states of its text and, for SDXL, more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the UNet listens to, item by item.

    ``states``: hidden states of the texts (B, L, D); L is 77 for each chunk of 75 tokens. SDXL alone has the other two:
    ``pooled``, the text in one vector (B, P), and ``sizes``, float32 (B, 6), in pixels: the original picture's height
    and width, the crop's top and left, the target's height and width (arXiv 2307.01952, section 2.2).
    """

    states: torch.Tensor
    pooled: torch.Tensor | None = None
    sizes: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.states)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Those that there are, in the order of the fields; ``Conditions(*tensors)`` makes the same again."""
        return tuple(tensor for tensor in (self.states, self.pooled, self.sizes) if tensor is not None)

    def take(self, indices: torch.Tensor | slice) -> "Conditions":
        """The items at ``indices``, in their order."""
        return Conditions(
            self.states[indices],
            None if self.pooled is None else self.pooled[indices],
            None if self.sizes is None else self.sizes[indices],
        )

    def to(self, device: torch.device) -> "Conditions":
        return Conditions(*(tensor.to(device) for tensor in self.tensors()))

    def sized(self, sizes: torch.Tensor | None) -> "Conditions":
        """The same texts for pictures of ``sizes`` (B, 6)."""
        return replace(self, sizes=sizes)

    def whole(self, side: int) -> "Conditions":
        """The same texts for whole pictures of ``side`` x ``side`` pixels; only SDXL is told so."""
        if self.pooled is None:
            return self
        sizes = torch.tensor([side, side, 0, 0, side, side], dtype=torch.float32, device=self.states.device)
        return self.sized(sizes.expand(len(self), 6))

    def added(self) -> dict[str, torch.Tensor] | None:
        """What diffusers' UNet of SDXL takes as ``added_cond_kwargs``; the others take none."""
        if self.pooled is None or self.sizes is None:
            return None
        return {"text_embeds": self.pooled, "time_ids": self.sizes}


def cat(parts: Sequence[Conditions]) -> Conditions:
    """All items of ``parts``, one after the other; their states must be equally long."""
    return Conditions(*(torch.cat(tensors) for tensors in zip(*(part.tensors() for part in parts), strict=True)))
