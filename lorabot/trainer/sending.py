"""Sends what was made on the CPU to where the training is, without waiting for what a card still has to do."""

import torch

from lorabot.trainer.memory import Pinning

_pinning = Pinning()


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``tensor``, which is on the CPU, on ``device``.

    From ordinary memory CUDA copies only once all that was asked of the card before is done; from pinned memory it
    copies when it comes to it.
    """
    return _pinning.copy(tensor).to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
