"""Tries one training step for real: how long it takes, and whether it fits."""

import time
from typing import TYPE_CHECKING

import torch

from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.planning import DoesNotFit, Probe
from lorabot.trainer.shapes import Shapes

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel


def probe(base: "BaseModel", denoise: Denoiser, resolution: int) -> Probe:
    """A probe of ``base`` with its adapter on, at ``resolution``. Its first step warms up, its second is timed."""

    def run(batch: int) -> float:
        seconds = 0.0
        try:
            for _ in range(2):
                seconds = _step(base, denoise, batch, resolution)
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


def _step(base: "BaseModel", denoise: Denoiser, batch: int, resolution: int) -> float:
    unet = base.unet
    shapes = Shapes.of(base)
    side = resolution // shapes.factor
    chance = torch.Generator().manual_seed(0)
    latents = torch.randn(batch, shapes.channels, side, side, generator=chance).to(unet.device, unet.dtype)
    length = base.towers[0].tokenizer.model_max_length
    texts = torch.zeros(batch, length, shapes.text_width, device=unet.device, dtype=unet.dtype)
    timesteps = torch.full((batch,), 500, device=unet.device)
    began = time.perf_counter()
    denoise(latents, timesteps, Conditions(texts)).square().mean().backward()  # type: ignore[no-untyped-call]
    if unet.device.type == "cuda":
        torch.cuda.synchronize(unet.device)
    return time.perf_counter() - began
