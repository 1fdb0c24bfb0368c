"""Loads a base model from a folder in diffusers' layout, with diffusers' and transformers' own loaders."""

import json
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from lorabot.trainer.bases.located import LocatedBase, weights_of
from lorabot.trainer.bases.model import Parts
from lorabot.trainer.errors import BadBase


def load_folder(
    base: LocatedBase, device: torch.device, rest: torch.device, dtype: torch.dtype, vae_dtype: torch.dtype
) -> Parts:
    """The folder's UNet on ``device`` and all else on ``rest``. Raises ``BadBase`` where one can't be loaded."""
    second = [_load(base, CLIPTextModelWithProjection, "text_encoder_2", dtype)] if base.family == "sdxl" else []
    scheduler: dict[str, Any] = json.loads((base.path / "scheduler" / "scheduler_config.json").read_text())
    parts = Parts(
        unet=_load(base, UNet2DConditionModel, "unet", dtype),
        vae=_load(base, AutoencoderKL, "vae", vae_dtype),
        encoders=(_load(base, CLIPTextModel, "text_encoder", dtype), *second),
        scheduler={**scheduler, "prediction_type": base.prediction},
    )
    torch.nn.Module.to(parts.unet, device)
    for part in (parts.vae, *parts.encoders):
        torch.nn.Module.to(part, rest)
    return parts


def _load(base: LocatedBase, kind: Any, part: str, dtype: torch.dtype) -> Any:
    half = ".fp16" in weights_of(base.path / part)[0].name
    precision = "dtype" if part.startswith("text_encoder") else "torch_dtype"  # transformers' name and diffusers'
    try:
        return kind.from_pretrained(
            base.path / part,
            local_files_only=True,
            use_safetensors=True,
            variant="fp16" if half else None,
            **{precision: dtype},
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise BadBase("base-folder-part", file=base.path.name, part=part) from error
