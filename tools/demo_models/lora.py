"""Teaches the demo base a held-out thing with the plainest LoRA loop there is, to measure what the base can learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from PIL import Image
from torch import Tensor

from lorabot.trainer.bases import BaseModel
from tools.demo_models.architecture import tokenise
from tools.demo_models.captions import canonical
from tools.demo_models.world import scene_at

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What works on the demo base: the values that the presets' `demo` family starts from.

    `dropout` is the share of captions left out; `preserve` of a batch's rows hold on to what the base draws elsewhere.
    """

    rank: int = 8
    alpha: float = 8
    rate: float = 2e-3
    steps: int = 400
    batch: int = 4
    warm_up: int = 20
    gamma: float = 5.0
    dropout: float = 0.0
    preserve: int = 1


@torch.no_grad()
def encode_images(base: BaseModel, images: Sequence[Image.Image]) -> Tensor:
    """Scaled latents (N, 4, 16, 16)."""
    pixels = np.stack(
        [np.asarray(image.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)) for image in images]
    )
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    vae: Any = base.vae  # diffusers leaves its configuration's fields open
    latents: Tensor = vae.encode(x).latent_dist.mean * vae.config.scaling_factor
    return latents


def noise_levels(base: BaseModel) -> Tensor:
    """How much of the picture is kept at each of the 1000 time steps."""
    start, end = base.scheduler["beta_start"] ** 0.5, base.scheduler["beta_end"] ** 0.5
    return torch.cumprod(1 - torch.linspace(start, end, 1000).square(), 0)


@torch.no_grad()
def rehearsal(base: BaseModel) -> Tensor:
    """What the base is not to forget: the hidden states of 48 captions of its own world, (48, 77, 96)."""
    texts: Tensor = base.text_encoder(tokenise([canonical(scene_at(55, i)) for i in range(48)])).last_hidden_state
    return texts


def teach(
    base: BaseModel, images: Sequence[Image.Image], captions: Sequence[str], recipe: Recipe, seed: int = 0
) -> list[float]:
    """Add a LoRA named `taught` to the base's UNet and train it in place; returns the losses.

    Half the views are mirrored.
    """
    torch.manual_seed(seed)
    latents = torch.cat(
        [
            encode_images(base, images),
            encode_images(base, [i.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for i in images]),
        ]
    )
    with torch.no_grad():
        texts = base.text_encoder(tokenise([*captions, ""])).last_hidden_state
    alpha: Any = recipe.alpha  # declared int there; used as a factor only
    config = LoraConfig(r=recipe.rank, lora_alpha=alpha, target_modules=ATTENTION)
    base.unet.add_adapter(config, adapter_name="taught")
    trained = [p for p in base.unet.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=0.01)
    kept = noise_levels(base)
    weights = torch.clamp(recipe.gamma * (1 - kept) / kept, max=1.0)
    others = rehearsal(base)
    losses = []
    for step in range(recipe.steps):
        index, own = torch.randint(len(latents), (recipe.batch,)), recipe.batch - recipe.preserve
        which = torch.where(torch.rand(recipe.batch) < recipe.dropout, len(captions), index % len(captions))
        x, noise, t = latents[index], torch.randn(recipe.batch, 4, 16, 16), torch.randint(1000, (recipe.batch,))
        t[own:] = torch.randint(400, 1000, (recipe.preserve,))
        a = kept[t][:, None, None, None]
        noisy, words, target = a.sqrt() * x + (1 - a).sqrt() * noise, texts[which], noise.clone()
        if recipe.preserve:
            words[own:] = others[torch.randint(len(others), (recipe.preserve,))]
            base.unet.disable_adapters()
            with torch.no_grad():
                target[own:] = base.unet(noisy[own:], t[own:], words[own:]).sample
            base.unet.enable_adapters()
        part = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * min(
                (step + 1) / recipe.warm_up, 0.5 * (1 + float(np.cos(np.pi * max(part, 0))))
            )
        error = (base.unet(noisy, t, words).sample - target).square().mean((1, 2, 3))
        loss = (error * torch.where(torch.arange(recipe.batch) < own, weights[t], 4.0)).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses
