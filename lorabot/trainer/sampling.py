"""Draws sample pictures with DPM++ 2M and classifier-free guidance, the way diffusers' own pipelines do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from lorabot import __version__
from lorabot.presets import Recipe
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.encoding import hear
from lorabot.trainer.infotext import Drawn
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.texts import Texts

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel, TextTower

RESCALE = 0.7
"""How far guided predictions are brought back to the unguided one's contrast where the noise schedule ends in noise
alone (arXiv 2305.08891, section 3.4, with its own value): guidance would burn such a model's pictures out."""
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one row of the sample grid shows, and the seed of its first noise."""

    text: str
    seed: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How pictures are drawn. ``texts`` holds a row for each prompt and then one for ``negative``.

    ``scheduler``: the noise schedule's configuration, as the UNet was trained and as the recipe goes on with it.
    """

    prompts: tuple[Prompt, ...]
    negative: str
    texts: Texts
    scheduler: Mapping[str, Any]
    steps: int
    guidance: float
    resolution: int
    model: str
    clip_skip: int

    @property
    def to_noise(self) -> bool:
        """Whether the noise schedule ends in noise alone (zero terminal SNR)."""
        return bool(self.scheduler.get("rescale_betas_zero_snr"))

    def drawn(self, prompt: Prompt) -> Drawn:
        """How the picture of ``prompt`` is drawn, in the words of other programs."""
        return Drawn(
            prompt=prompt.text,
            negative=self.negative,
            steps=self.steps,
            sampler="DPM++ 2M",
            schedule="SGM Uniform" if self.to_noise else "Karras",
            guidance=self.guidance,
            seed=prompt.seed,
            size=(self.resolution, self.resolution),
            model=self.model,
            version=f"lorabot {__version__}",
            clip_skip=self.clip_skip,
            rescale=RESCALE if self.to_noise else 0.0,
        )


def settings(
    base: "BaseModel",
    towers: Sequence["TextTower"],
    recipe: Recipe,
    scheduler: Mapping[str, Any],
    trigger: str,
    seed: int,
) -> Settings:
    """The recipe's sample prompts with ``trigger`` filled in; each prompt keeps one seed over the whole training."""
    prompts = tuple(
        Prompt(text.replace("{trigger}", trigger), (seed + index) % 2**32)
        for index, text in enumerate(recipe.sample_prompts)
    )
    texts = [*(prompt.text for prompt in prompts), recipe.negative_prompt]
    return Settings(
        prompts=prompts,
        negative=recipe.negative_prompt,
        texts=hear(towers, texts, base.device, recipe.text_encoder_lr > 0),
        scheduler=scheduler,
        steps=recipe.sample_steps,
        guidance=recipe.guidance,
        resolution=recipe.resolution,
        model=base.name,
        clip_skip=1 if base.family == "sdxl" else towers[0].clip_skip,  # SDXL has one only
    )


def sample(
    base: "BaseModel",
    denoise: Denoiser,
    wanted: Settings,
    check: Callable[[], None],
    autoencoder: Autoencoder,
    at_once: int = _AT_ONCE,
) -> tuple[Image.Image, ...]:
    """One picture a prompt by ``denoise``, ``at_once`` together. ``check`` is called before every denoising step."""
    pictures: list[Image.Image] = []
    for start in range(0, len(wanted.prompts), at_once):
        latents = _denoise(base, denoise, wanted, slice(start, start + at_once), check)
        with autoencoder.at_work():
            pictures.extend(_pictures(autoencoder.decode(latents)))
    return tuple(pictures)


@torch.no_grad()
def _denoise(
    base: "BaseModel", denoise: Denoiser, wanted: Settings, part: slice, check: Callable[[], None]
) -> torch.Tensor:
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    device = base.device
    options: dict[str, Any] = {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True}
    if wanted.to_noise:
        # Its first sigma is endless, which Karras' spacing would spend most steps on; and it must be begun with
        # (arXiv 2305.08891, section 3.3).
        options |= {"use_karras_sigmas": False, "timestep_spacing": "trailing"}
    scheduler: Any = DPMSolverMultistepScheduler.from_config(dict(wanted.scheduler), **options)
    scheduler.set_timesteps(wanted.steps, device=device)
    shape = (1, *Shapes.of(base).latent(wanted.resolution, wanted.resolution))
    # On the CPU whatever the device, so that a seed means the same picture everywhere.
    first = [torch.randn(shape, generator=torch.Generator().manual_seed(p.seed)) for p in wanted.prompts[part]]
    latents: torch.Tensor = torch.cat(first).to(device) * scheduler.init_noise_sigma
    conditions = _conditions(wanted, part)
    for timestep in scheduler.timesteps:
        check()
        given = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        predicted = denoise(given, timestep.to(device).expand(len(given)), conditions)
        without, with_text = predicted.chunk(2)
        guided = without + wanted.guidance * (with_text - without)
        if wanted.to_noise:
            guided = _rescaled(guided, with_text)
        latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]
    return latents


def _conditions(wanted: Settings, part: slice) -> Conditions:
    """What the pictures are drawn without, then what they are drawn with."""
    rows = list(range(len(wanted.prompts)))[part]
    return wanted.texts(torch.tensor([len(wanted.prompts)] * len(rows) + rows)).whole(wanted.resolution)


def _rescaled(guided: torch.Tensor, with_text: torch.Tensor) -> torch.Tensor:
    """``guided`` (B, C, H, W) with its contrast brought back (arXiv 2305.08891, equations 15 and 16)."""
    every = (1, 2, 3)
    contrast = with_text.std(dim=every, keepdim=True) / guided.std(dim=every, keepdim=True)
    return RESCALE * guided * contrast + (1 - RESCALE) * guided


def _pictures(pixels: torch.Tensor) -> list[Image.Image]:
    arrays = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(array) for array in arrays]
