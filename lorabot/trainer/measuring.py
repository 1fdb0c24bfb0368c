"""Times a training step before there is any job to learn it from, so that the first one can be estimated."""

import gc
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from lorabot.presets import Recipe
from lorabot.trainer import adapter
from lorabot.trainer.captioning import Caption
from lorabot.trainer.denoising import Denoiser, denoiser, why_plain
from lorabot.trainer.encoding import Told, listening, tell
from lorabot.trainer.fast import Warm
from lorabot.trainer.memory.shortage import ran_out_of_memory
from lorabot.trainer.planning import Precision
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.wire import Measured

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel


def measure(base: "BaseModel", recipe: Recipe, precision: Precision, warm: Warm) -> Measured:
    """Seconds of forward and backward, and of forward alone, over as many squares as a step of ``recipe`` has.

    The step is done twice, the first time for warming up; what takes a while to make is kept ``warm`` for later jobs.
    With fewer squares where so many do not fit; raises what torch raises where not even one does.
    """
    modules = {"unet": base.unet}
    rows = recipe.batch + (recipe.preserve.rows if recipe.preserve else 0)
    with (
        adapter.attached(modules, recipe, seed=0),
        denoiser(base.unet, precision, recipe.checkpointing, why_plain(recipe), warm=warm) as denoise,
    ):
        told = tell(listening(base, recipe), [Caption("", "trigger")], recipe, 0, base.device)
        while True:
            try:
                return _timed(base, denoise, told, recipe.resolution, rows)
            except (RuntimeError, MemoryError) as error:
                if rows == 1 or not ran_out_of_memory(error):
                    raise
            gc.collect()  # a recording that was broken off is held by its own error
            rows //= 2


def _timed(base: "BaseModel", denoise: Denoiser, told: Told, side: int, rows: int) -> Measured:
    device = base.device
    conditions = told.texts(torch.full((rows,), told.empty)).whole(side)
    latents = torch.zeros(rows, *Shapes.of(base).latent(side, side), device=device)
    timesteps = torch.full((rows,), 500, device=device)

    def step() -> None:
        denoise(latents, timesteps, conditions).square().mean().backward()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def forward() -> None:
        denoise(latents, timesteps, conditions)

    try:
        step()
        return Measured(pixels=rows * side**2, step_s=_seconds(step, device), forward_s=_seconds(forward, device))
    finally:
        base.unet.zero_grad(set_to_none=True)


def _seconds(run: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
