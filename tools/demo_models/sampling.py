"""Draws with the demo models while they are built and measured."""

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from tools.demo_models import architecture


@torch.no_grad()
def sample(
    unet: UNet2DConditionModel,
    text: CLIPTextModel | CLIPTextModelWithProjection,
    vae: AutoencoderKL,
    prompts: list[str],
    steps: int,
    guidance: float,
    seed: int,
) -> Tensor:
    """Pictures for the prompts by DDIM with guidance, (N, 128, 128, 3) uint8. Noise is the CPU's, prompt by prompt."""
    device = next(unet.parameters()).device
    scheduler = DDIMScheduler.from_config(architecture.SCHEDULER)
    scheduler.set_timesteps(steps)
    ids = architecture.tokenise([*prompts, *[""] * len(prompts)]).to(device)
    noise = [torch.randn((4, 16, 16), generator=torch.Generator().manual_seed(seed + i)) for i in range(len(prompts))]
    x = torch.stack(noise).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        hidden = text(ids).last_hidden_state
        for t in scheduler.timesteps:
            with_text, without = unet(torch.cat([x, x]), t.to(device), hidden).sample.float().chunk(2)
            x = scheduler.step(without + guidance * (with_text - without), t, x).prev_sample
        config: Any = vae.config
        out = vae.decode(x / config.scaling_factor).sample.float()
    pictures: Tensor = ((out.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
    return pictures
