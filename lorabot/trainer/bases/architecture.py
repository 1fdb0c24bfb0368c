"""Derives the parts' configurations from a checkpoint's shapes, as diffusers and transformers want them.

What shapes do not tell (how many heads, the activation, the latents' scale) is as published with each family: SD1.5's
v1-inference.yaml, SD2.1's v2-inference-v.yaml, SDXL's sd_xl_base.yaml, and the configurations beside their weights.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lorabot.presets import Prediction, RealFamily
from lorabot.trainer.bases.detection import CLIP, FIRST_OF_XL, OPEN_CLIP, SECOND_OF_XL, UNET, VAE
from lorabot.trainer.bases.header import Header
from lorabot.trainer.errors import BadBase

Config = dict[str, Any]
_Shapes = Mapping[str, tuple[int, ...]]

TIME_EMBEDDING = 256
"""Width of the embedding of each of SDXL's six sizes."""
_HEAD = 64
"""A head's width, in every CLIP and in the UNets since 2.0; UNets of 1.x have eight heads on every level instead."""
_HEADS_OF_SD15 = 8
_LATENT_FACTOR = 8


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text encoder: where it is in the file, whether in OpenCLIP's layout, and its CLIPTextConfig.

    ``projected``: whether it gives a pooled embedding; ``cut``: how many of its last layers are left out.
    """

    prefix: str
    open_clip: bool
    config: Config
    projected: bool = False
    cut: int = 0


def side(family: RealFamily, prediction: Prediction) -> int:
    """The side in pixels of the pictures that the published model of this kind was trained on."""
    return {"sd15": 512, "sd21": 768 if prediction == "v_prediction" else 512, "sdxl": 1024}[family]


def unet_config(header: Header, family: RealFamily, prediction: Prediction) -> Config:
    """The configuration of the UNet2DConditionModel. Raises ``BadBase`` where the shapes are not of such a UNet."""
    shapes = _under(header.shapes, UNET)
    try:
        levels = _levels(shapes)
        widths = tuple(level.width for level in levels)
        depths = tuple(level.depth for level in levels)
        config: Config = {
            "sample_size": side(family, prediction) // _LATENT_FACTOR,
            "in_channels": shapes["input_blocks.0.0.weight"][1],
            "out_channels": shapes["out.2.weight"][0],
            "block_out_channels": widths,
            "layers_per_block": levels[0].layers,
            "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
            "up_block_types": tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)),
            "cross_attention_dim": next(
                shape[1] for name, shape in shapes.items() if name.endswith(".attn2.to_k.weight")
            ),
            "attention_head_dim": _HEADS_OF_SD15  # diffusers' name for the number of heads
            if family == "sd15"
            else tuple(_heads(width) for width in widths),
            "use_linear_projection": next(
                len(shape) == 2 for name, shape in shapes.items() if name.endswith(".proj_in.weight")
            ),
        }
        if family == "sd21" and prediction == "v_prediction":
            config["upcast_attention"] = True
        if any(depth > 1 for depth in depths):
            config["transformer_layers_per_block"] = tuple(max(depth, 1) for depth in depths)
        if "label_emb.0.0.weight" in shapes:
            config |= {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": TIME_EMBEDDING,
                "projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1],
            }
    except (KeyError, IndexError, StopIteration, ValueError):
        raise BadBase("base-odd-unet", file=header.path.name, channels=4) from None
    return config


def vae_config(header: Header, family: RealFamily, prediction: Prediction) -> Config:
    """The configuration of the AutoencoderKL. Raises ``BadBase`` where the shapes are not of this kind of VAE."""
    shapes = _under(header.shapes, VAE)
    try:
        levels = _numbers(shapes, r"encoder\.down\.(\d+)\.block\.")
        widths = tuple(shapes[f"encoder.down.{level}.block.0.conv2.weight"][0] for level in levels)
        return {
            "sample_size": side(family, prediction),
            "in_channels": shapes["encoder.conv_in.weight"][1],
            "out_channels": shapes["decoder.conv_out.weight"][0],
            "latent_channels": shapes["decoder.conv_in.weight"][1],
            "block_out_channels": widths,
            "layers_per_block": len(_numbers(shapes, r"encoder\.down\.0\.block\.(\d+)\.")),
            "down_block_types": ("DownEncoderBlock2D",) * len(widths),
            "up_block_types": ("UpDecoderBlock2D",) * len(widths),
            "scaling_factor": 0.13025 if family == "sdxl" else 0.18215,
        }
    except (KeyError, IndexError):
        raise BadBase("base-odd-vae", file=header.path.name) from None


def text_parts(header: Header, family: RealFamily) -> tuple[TextPart, ...]:
    """The text encoders in the order in which the UNet gets their states. Raises ``BadBase`` where they are no CLIP."""
    try:
        if family == "sd15":
            return (TextPart(CLIP, False, _clip(_flat(_under(header.shapes, CLIP)), projection=768)),)
        if family == "sd21":
            # The UNet listens to the last layer but one, so diffusers' model has no last one.
            return (TextPart(OPEN_CLIP, True, _open_clip(_under(header.shapes, OPEN_CLIP), 1, projection=512), cut=1),)
        second = _under(header.shapes, SECOND_OF_XL)
        pooled = second["text_projection"][1]
        return (
            TextPart(FIRST_OF_XL, False, _clip(_flat(_under(header.shapes, FIRST_OF_XL)), projection=768)),
            TextPart(SECOND_OF_XL, True, _open_clip(second, 0, projection=pooled), projected=True),
        )
    except (KeyError, IndexError):
        raise BadBase("base-odd-text-encoder", file=header.path.name) from None


def scheduler_config(prediction: Prediction, zero_snr: bool) -> Config:
    """The noise schedule that all families share, as diffusers' schedulers take it."""
    return {
        "_class_name": "DDIMScheduler",
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "num_train_timesteps": 1000,
        "prediction_type": prediction,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "rescale_betas_zero_snr": zero_snr,
        # The first step of a zero-SNR model has to see noise alone, which `leading` steps over (arXiv 2305.08891).
        "timestep_spacing": "trailing" if zero_snr else "leading",
    }


@dataclass(frozen=True, slots=True)
class _Level:
    """One resolution of the UNet: its width, ResNets a block, and transformer layers (0: no attention)."""

    width: int
    layers: int
    depth: int


def _levels(shapes: _Shapes) -> list[_Level]:
    """The input blocks in turn: ResNets, with attention after them or not, and a convolution that halves the side."""
    levels: list[_Level] = []
    width = layers = depth = 0
    for number in _numbers(shapes, r"input_blocks\.(\d+)\.")[1:]:
        if f"input_blocks.{number}.0.op.weight" in shapes:
            levels.append(_Level(width, layers, depth))
            layers = depth = 0
            continue
        width = shapes[f"input_blocks.{number}.0.out_layers.3.weight"][0]
        layers += 1
        depth = len(_numbers(shapes, rf"input_blocks\.{number}\.1\.transformer_blocks\.(\d+)\."))
    levels.append(_Level(width, layers, depth))
    middle = len(_numbers(shapes, r"middle_block\.1\.transformer_blocks\.(\d+)\."))
    # diffusers gives the middle block as many transformer layers as the deepest level has.
    if len({level.layers for level in levels}) != 1 or middle != max(levels[-1].depth, 1):
        raise ValueError("not a UNet of the Stable Diffusions")
    return levels


def _clip(shapes: _Shapes, projection: int) -> Config:
    return _text_config(
        width=shapes["embeddings.token_embedding.weight"],
        positions=shapes["embeddings.position_embedding.weight"],
        inner=shapes["encoder.layers.0.mlp.fc1.weight"],
        layers=len(_numbers(shapes, r"encoder\.layers\.(\d+)\.")),
        activation="quick_gelu",
        projection=projection,
    )


def _open_clip(shapes: _Shapes, cut: int, projection: int) -> Config:
    return _text_config(
        width=shapes["token_embedding.weight"],
        positions=shapes["positional_embedding"],
        inner=shapes["transformer.resblocks.0.mlp.c_fc.weight"],
        layers=len(_numbers(shapes, r"transformer\.resblocks\.(\d+)\.")) - cut,
        activation="gelu",
        projection=projection,
    )


def _text_config(
    width: tuple[int, ...],
    positions: tuple[int, ...],
    inner: tuple[int, ...],
    layers: int,
    activation: str,
    projection: int,
) -> Config:
    return {
        "vocab_size": width[0],
        "hidden_size": width[1],
        "intermediate_size": inner[0],
        "num_hidden_layers": layers,
        "num_attention_heads": _heads(width[1]),
        "max_position_embeddings": positions[0],
        "hidden_act": activation,
        "projection_dim": projection,
        # As published. transformers takes an end mark of 2 for `the highest id`, which CLIP's end mark is.
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def _heads(width: int) -> int:
    return max(width // _HEAD, 1)


def _numbers(names: Iterable[str], pattern: str) -> list[int]:
    """The different numbers that ``pattern`` finds at the start of ``names``, rising."""
    matches = (re.match(pattern, name) for name in names)
    return sorted({int(found[1]) for found in matches if found})


def _under(shapes: _Shapes, prefix: str) -> _Shapes:
    return MappingProxyType(
        {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    )


def _flat(shapes: _Shapes) -> _Shapes:
    """Some anime models were saved by an old transformers, which has ``text_model.`` nowhere."""
    return {name.removeprefix("text_model."): shape for name, shape in shapes.items()}
