"""Tries one training step for real: how long it takes, and whether it fits."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.planning import DoesNotFit, Probe
from lorabot.trainer.shapes import Shapes

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel


def probe(
    base: "BaseModel", denoise: Denoiser, size: tuple[int, int], conditions: Callable[[int], Conditions]
) -> Probe:
    """A probe of ``base`` with its adapter on, for pictures of ``size`` (width, height in pixels).

    ``conditions`` makes those of as many items. The first step warms up, the second is timed.
    """

    def run(batch: int) -> float:
        seconds = 0.0
        try:
            for _ in range(2):
                seconds = _step(base, denoise, batch, size, conditions)
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise DoesNotFit from error
        finally:
            base.unet.zero_grad(set_to_none=True)
        return seconds

    return run


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that a card's or the host's memory is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _step(
    base: "BaseModel",
    denoise: Denoiser,
    batch: int,
    size: tuple[int, int],
    conditions: Callable[[int], Conditions],
) -> float:
    unet = base.unet
    chance = torch.Generator().manual_seed(0)
    latents = torch.randn(batch, *Shapes.of(base).latent(*size), generator=chance).to(unet.device)
    timesteps = torch.full((batch,), 500, device=unet.device)
    began = time.perf_counter()
    denoise(latents, timesteps, conditions(batch)).square().mean().backward()  # type: ignore[no-untyped-call]
    if unet.device.type == "cuda":
        torch.cuda.synchronize(unet.device)
    return time.perf_counter() - began
