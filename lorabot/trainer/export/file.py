"""Writes a LoRA as one file that AUTOMATIC1111, Forge, ComfyUI, kohya's scripts and diffusers load."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save

from lorabot.presets import Family, SavePrecision
from lorabot.trainer.adapter import State
from lorabot.trainer.export.header import Description, metadata
from lorabot.trainer.export.names import layer_namer

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

DTYPES: Mapping[SavePrecision, torch.dtype] = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
_NAMES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32"}
_ALPHA = torch.float32
"""Always whole: the scale of a rank-stabilised LoRA has no short binary form, and rounds the whole layer."""
_KINDS = {"lora_A": "lora_down.weight", "lora_B": "lora_up.weight", "lora_magnitude_vector": "dora_scale"}


def rounded(state: State, precision: SavePrecision) -> State:
    """``state`` as the file will hold it: float32 values that its precision can express."""
    return {name: value.to(DTYPES[precision]).float() for name, value in state.items()}


def tensors(
    state: State, name_layer: Callable[[str], str], alpha: float, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """peft's parameters under the names of kohya's scripts, with ``alpha`` written beside each pair.

    A layer's update is ``lora_up @ lora_down * alpha / rank``: (out, rank) and (rank, in) of a linear layer,
    (out, rank, 1, 1) and (rank, in, height, width) of a convolution (LoCon). ``dora_scale`` is DoRA's length of each
    output's weights, (out, 1) or (out, 1, 1, 1): LyCORIS' layout of a decomposition along the output.
    """
    named: dict[str, torch.Tensor] = {}
    for parameter, value in state.items():
        layer, kind = _split(parameter)
        name = name_layer(layer)
        if kind == "lora_magnitude_vector":
            # peft keeps (out) for a linear layer and (1, out, 1, 1) for a convolution.
            value = value.view(-1, *[1] * (max(value.dim(), 2) - 1))
        named[f"{name}.{_KINDS[kind]}"] = value.to(dtype).contiguous()
        named[f"{name}.alpha"] = torch.tensor(alpha, dtype=_ALPHA)
    return dict(sorted(named.items()))


def file_bytes(state: State, family: Family, unet: "UNet2DConditionModel", precision: SavePrecision) -> int:
    """The size of the file that ``state`` will become, but for the words about it: they are a few KB.

    Nothing is copied for it: a safetensors file is the length of a header in 8 bytes, the header, which is JSON filled
    up to a multiple of 8, and the values, the widest numbers first
    (https://github.com/huggingface/safetensors#format).
    """
    shapes = {name: value.to("meta") for name, value in state.items()}
    header: dict[str, object] = {}
    end = 0
    content = tensors(shapes, layer_namer(family, unet), 1.0, DTYPES[precision])
    for name, value in sorted(content.items(), key=lambda each: (-each[1].itemsize, each[0])):
        begin, end = end, end + value.nbytes
        header[name] = {"dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [begin, end]}
    words = len(json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode())
    return 8 + 8 * math.ceil(words / 8) + end


def export(path: Path, state: State, unet: "UNet2DConditionModel", alpha: float, about: Description) -> int:
    """Write the file and return its size in bytes. ``alpha`` is the effective one: a layer's scale times the rank."""
    content = tensors(state, layer_namer(about.family, unet), alpha, DTYPES[about.recipe.save_precision])
    header = metadata(about)
    header.update(hashes(content, header))
    path.write_bytes(save(content, metadata=header))
    return path.stat().st_size


def model_hash(
    state: State, family: Family, unet: "UNet2DConditionModel", alpha: float, precision: SavePrecision
) -> str:
    """The SHA-256 by which AUTOMATIC1111 will know the file of ``state``: of all that comes after its header."""
    return hashes(tensors(state, layer_namer(family, unet), alpha, DTYPES[precision]), {})["sshs_model_hash"]


def hashes(content: dict[str, torch.Tensor], header: Mapping[str, str]) -> dict[str, str]:
    """The two hashes by which model sites and AUTOMATIC1111 know a file, over the tensors and ``ss_`` keys alone."""
    serialised = save(content, metadata={key: value for key, value in header.items() if key.startswith("ss_")})
    after_header = 8 + int.from_bytes(serialised[:8], "little")
    return {
        "sshs_model_hash": hashlib.sha256(serialised[after_header:]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(serialised[0x100000:0x110000]).hexdigest()[:8],
    }


def _split(parameter: str) -> tuple[str, str]:
    """The layer and the kind of a parameter: ``unet.[...].to_q.lora_A.default.weight`` is a ``lora_A`` of ``to_q``."""
    layer, kind, _adapter, _weight = parameter.rsplit(".", 3)
    return layer, kind
