"""Draws sample pictures with DPM++ 2M Karras and classifier-free guidance, the way diffusers' own pipeline does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image

from lorabot.presets import Recipe
from lorabot.trainer.conditions import Conditions, cat
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.encoding import encode_texts
from lorabot.trainer.shapes import Shapes

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one row of the sample grid shows, and the seed of its first noise."""

    text: str
    seed: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How pictures are drawn. ``texts`` has an item for each prompt, ``negative`` one for all."""

    prompts: tuple[Prompt, ...]
    texts: Conditions
    negative: Conditions
    steps: int
    guidance: float
    resolution: int


def settings(base: "BaseModel", recipe: Recipe, trigger: str, seed: int) -> Settings:
    """The recipe's sample prompts with ``trigger`` filled in; each prompt keeps one seed over the whole training."""
    prompts = tuple(
        Prompt(text.replace("{trigger}", trigger), (seed + index) % 2**32)
        for index, text in enumerate(recipe.sample_prompts)
    )
    return Settings(
        prompts=prompts,
        texts=encode_texts(base, [prompt.text for prompt in prompts]),
        negative=encode_texts(base, [recipe.negative_prompt]),
        steps=recipe.sample_steps,
        guidance=recipe.guidance,
        resolution=recipe.resolution,
    )


def sample(
    base: "BaseModel", denoise: Denoiser, wanted: Settings, check: Callable[[], None]
) -> tuple[Image.Image, ...]:
    """One picture a prompt by ``denoise``. ``check`` is called before every denoising step."""
    pictures: list[Image.Image] = []
    for start in range(0, len(wanted.prompts), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        latents = _denoise(base, denoise, wanted, part, check)
        pictures.extend(_decode(base, latents))
    return tuple(pictures)


@torch.no_grad()
def _denoise(
    base: "BaseModel", denoise: Denoiser, wanted: Settings, part: slice, check: Callable[[], None]
) -> torch.Tensor:
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    device = base.unet.device
    scheduler = DPMSolverMultistepScheduler.from_config(
        base.scheduler, algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=True
    )
    scheduler.set_timesteps(wanted.steps, device=device)
    shapes = Shapes.of(base)
    side = wanted.resolution // shapes.factor
    shape = (1, shapes.channels, side, side)
    # On the CPU whatever the device, so that a seed means the same picture everywhere.
    first = [torch.randn(shape, generator=torch.Generator().manual_seed(p.seed)) for p in wanted.prompts[part]]
    latents: torch.Tensor = torch.cat(first).to(device) * scheduler.init_noise_sigma
    conditions = cat([*[wanted.negative] * len(first), wanted.texts.take(part)])
    for timestep in scheduler.timesteps:
        check()
        given = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        noise = denoise(given, timestep.to(device).expand(len(given)), conditions)
        without, with_text = noise.chunk(2)
        guided = without + wanted.guidance * (with_text - without)
        latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]
    return latents


@torch.no_grad()
def _decode(base: "BaseModel", latents: torch.Tensor) -> list[Image.Image]:
    scaled = (latents / Shapes.of(base).scale).to(base.vae.dtype)
    pixels = base.vae.decode(scaled, return_dict=False)[0].float()
    arrays = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(array) for array in arrays]
