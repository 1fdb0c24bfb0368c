"""What a LoRA file calls the layers it changes: the names that loaders look for, by family of base models."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lorabot.presets import Family

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_ONE_TEXT_ENCODER = {"unet": "lora_unet", "te1": "lora_te"}
PREFIXES: Mapping[Family, Mapping[str, str]] = {
    "demo": _ONE_TEXT_ENCODER,
    "sd15": _ONE_TEXT_ENCODER,
    "sd21": _ONE_TEXT_ENCODER,
    "sdxl": {"unet": "lora_unet", "te1": "lora_te1", "te2": "lora_te2"},
}
"""Per family: a name's beginning, by the part of the base that it belongs to."""

_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_out": "out.2",
}
_IN_RESNET = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def layer_namer(family: Family, unet: "UNet2DConditionModel") -> Callable[[str], str]:
    """A function from an adapter's layer, ``unet.mid_block.[...]to_q``, to its name, ``lora_unet_mid_block_[...]to_q``.

    SDXL's UNet goes by the names of its original code (SGM), since AUTOMATIC1111 knows no others of its up-samplers;
    they follow from the structure of ``unet``.
    """
    prefixes = PREFIXES[family]
    original = sgm_names(unet) if family == "sdxl" else {}

    def name(layer: str) -> str:
        part, _, path = layer.partition(".")
        if part != "unet":
            # transformers' CLIPTextModel has lost the level that all loaders still look for.
            path = f"text_model.{path.removeprefix('text_model.')}"
        elif original:
            path = sgm_path(path, original)
        return f"{prefixes[part]}_{path}".replace(".", "_")

    return name


def sgm_names(unet: "UNet2DConditionModel") -> dict[str, str]:
    """The original (LDM and SGM) names of a UNet's blocks by their names in diffusers.

    The original code numbers what follows one another: ``input_blocks`` are the first convolution, each residual block
    with its attention, and each down-sampler; ``output_blocks`` are the residual blocks, the last of a level with its
    attention and the up-sampler in one.
    """
    blocks: Any = unet
    names = dict(_OUTSIDE)
    number = 1
    for level, block in enumerate(blocks.down_blocks):
        for index in range(len(block.resnets)):
            names[f"down_blocks.{level}.resnets.{index}"] = f"input_blocks.{number}.0"
            names[f"down_blocks.{level}.attentions.{index}"] = f"input_blocks.{number}.1"
            number += 1
        if block.downsamplers:
            names[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    for index, name in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        names[f"mid_block.{name}"] = f"middle_block.{index}"
    number = 0
    for level, block in enumerate(blocks.up_blocks):
        attends = bool(getattr(block, "attentions", None))
        for index in range(len(block.resnets)):
            names[f"up_blocks.{level}.resnets.{index}"] = f"output_blocks.{number}.0"
            names[f"up_blocks.{level}.attentions.{index}"] = f"output_blocks.{number}.1"
            number += 1
        if block.upsamplers:
            names[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{number - 1}.{2 if attends else 1}"
    return names


def sgm_path(path: str, original: Mapping[str, str]) -> str:
    """``path`` with its block under its original name; raises ``ValueError`` for a layer outside of all blocks."""
    block = max((name for name in original if f"{path}.".startswith(f"{name}.")), key=len)
    rest = path.removeprefix(block)
    if ".resnets." in block:
        rest = "." + _IN_RESNET[rest.removeprefix(".")]
    return original[block] + rest
