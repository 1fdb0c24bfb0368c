"""Reads a LoRA file for diffusers, DoRA and all: its own reader of such files leaves DoRA's lengths out."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lorabot.presets import Family
from lorabot.trainer.adapter import State
from lorabot.trainer.export.names import layer_namer

_PARTS = {"unet": "unet", "te1": "text_encoder", "te2": "text_encoder_2"}
_KINDS = {"lora_down.weight": "lora_A", "lora_up.weight": "lora_B", "dora_scale": "lora_magnitude_vector"}


def for_diffusers(path: Path, pipe: Any) -> State:
    """What ``pipe.load_lora_weights`` takes, for a pipeline of Stable Diffusion 1.x, 2.x or XL.

    The names are peft's, which carry no alpha: ``alpha / rank`` is multiplied into the up matrices, in float32. Raises
    ``KeyError`` when the file changes a layer that ``pipe`` lacks: it belongs to another family.
    """
    modules = {part: getattr(pipe, attribute, None) for part, attribute in _PARTS.items()}
    family: Family = "sd15" if modules["te2"] is None else "sdxl"
    name_layer = layer_namer(family, pipe.unet)
    layers = {
        name_layer(f"{part}.{layer}"): f"{_PARTS[part]}.{layer}"
        for part, module in modules.items()
        if module is not None
        for layer, found in module.named_modules()
        if isinstance(found, torch.nn.Linear | torch.nn.Conv2d)
    }
    file = load_file(path)
    state: State = {}
    for name, value in file.items():
        layer, _, kind = name.partition(".")
        if kind == "alpha":
            continue
        value = value.float()
        if kind == "lora_up.weight":
            value = value * (file[f"{layer}.alpha"].item() / value.shape[1])
        elif kind == "dora_scale":
            value = value.flatten() if value.dim() == 2 else value.transpose(0, 1)
        state[f"{layers[layer]}.{_KINDS[kind]}.weight"] = value
    return state
