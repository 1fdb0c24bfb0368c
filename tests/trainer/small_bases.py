"""Small Stable Diffusions of each family with random weights: in memory, as one file, as a folder.

Everything is as in the published models (blocks, names, which text state is listened to) but narrower and shallower, so
that a test trains on them in seconds.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lorabot.presets import Family, Prediction
from lorabot.trainer.bases import BaseModel, LocatedBase, Parts, assembled
from lorabot.trainer.clip import open_clip_text_state

State = dict[str, torch.Tensor]

FAMILIES: tuple[Family, ...] = ("sd15", "sd21", "sdxl")
CHANNELS = (32, 64)
TEXT_WIDTH, SECOND_TEXT_WIDTH, POOLED_WIDTH = 32, 64, 48
TEXT_LAYERS = 3
"""As the original file has them; diffusers' SD2.x leaves the last one out, since nothing listens to it."""


@dataclass(frozen=True, slots=True)
class SmallBase:
    """A model of ``family`` as diffusers has it. ``encoders``: its one text encoder, or SDXL's two."""

    family: Family
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    encoders: tuple[CLIPTextModel | CLIPTextModelWithProjection, ...]
    scheduler: dict[str, Any]


def make(family: Family, prediction: Prediction | None = None, seed: int = 0) -> SmallBase:
    """A small model with random weights, always the same for a ``seed``. SD2.1 predicts v unless told otherwise."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = (_unet(family), _vae(family), _encoders(family))
    for part in (parts[0], parts[1], *parts[2]):
        part.requires_grad_(False).eval()
    return SmallBase(family, *parts, scheduler_of(family, prediction))


def scheduler_of(family: Family, prediction: Prediction | None = None) -> dict[str, Any]:
    """The noise schedule of Stable Diffusion as diffusers has it."""
    return {
        "_class_name": "DDIMScheduler",
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "prediction_type": prediction or ("v_prediction" if family == "sd21" else "epsilon"),
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }


def base_model(family: Family, prediction: Prediction | None = None, seed: int = 0) -> BaseModel:
    """``make``'s model as the trainer holds it, without a file in between."""
    small = make(family, prediction, seed)
    located = LocatedBase(
        id=f"small-{family}",
        title=f"Small {family}",
        family=family,
        prediction=small.scheduler["prediction_type"],
        path=Path("in-memory"),
        known_as=f"small-{family}.safetensors",
        identity=f"small-{family}-{seed}",
    )
    return assembled(located, Parts(small.unet, small.vae, small.encoders, small.scheduler))


def write_file(small: SmallBase, path: Path, dtype: torch.dtype = torch.float16, **metadata: str) -> Path:
    """``small`` as people download models: one .safetensors file with the names of the original code."""
    state = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous()
        for name, value in original_state(small).items()
    }
    save_file(state, path, metadata=metadata or None)
    return path


def write_folder(small: SmallBase, folder: Path, variant: str | None = None, shard: str = "10GB") -> Path:
    """``small`` as diffusers keeps models; ``variant`` ``fp16`` is put into the files' names, ``shard`` their size."""
    small.unet.save_pretrained(folder / "unet", variant=variant, max_shard_size=shard)
    small.vae.save_pretrained(folder / "vae", variant=variant, max_shard_size=shard)
    for index, encoder in enumerate(small.encoders):
        name = "text_encoder" if index == 0 else "text_encoder_2"
        encoder.save_pretrained(folder / name, variant=variant, max_shard_size=shard)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(small.scheduler))
    components: dict[str, object] = {
        "_class_name": "StableDiffusionXLPipeline" if small.family == "sdxl" else "StableDiffusionPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if small.family == "sdxl":
        components["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        components["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
    (folder / "model_index.json").write_text(json.dumps(components))
    return folder


def original_state(small: SmallBase) -> State:
    """All weights under the names of the original code (LDM, for XL SGM), and what else such files hold."""
    unet = {f"model.diffusion_model.{name}": value for name, value in _original_unet(small.unet).items()}
    vae = {f"first_stage_model.{name}": value for name, value in _original_vae(small.vae).items()}
    state = {**unet, **vae}
    first, *more = small.encoders
    if small.family == "sd15":
        state.update(_prefixed("cond_stage_model.transformer.text_model.", _plain(first)))
        state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    elif small.family == "sd21":
        encoder = _open_clip(first)
        width, last = first.config.hidden_size, first.config.num_hidden_layers
        unheard = {  # the last layer, which the original code computes and throws away
            name.replace("resblocks.0.", f"resblocks.{last}."): torch.randn_like(value)
            for name, value in encoder.items()
            if "resblocks.0." in name
        }
        state.update(_prefixed("cond_stage_model.model.", {**encoder, **unheard}))
        state["cond_stage_model.model.text_projection"] = torch.randn(width, width)
    else:
        state.update(_prefixed("conditioner.embedders.0.transformer.text_model.", _plain(first)))
        state["conditioner.embedders.0.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
        state.update(_prefixed("conditioner.embedders.1.model.", _open_clip(more[0])))
        state["conditioner.embedders.1.model.logit_scale"] = torch.tensor(4.6)
    if small.family != "sdxl":
        state["alphas_cumprod"] = torch.linspace(0.9991, 0.0047, 1000)
    return state


def _unet(family: Family) -> UNet2DConditionModel:
    values: dict[str, Any] = {
        "sample_size": {"sd15": 64, "sd21": 96, "sdxl": 128}[family],
        "block_out_channels": CHANNELS,
        "layers_per_block": 1,
        "cross_attention_dim": TEXT_WIDTH,
    }
    if family == "sdxl":
        values |= {
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2),
            "cross_attention_dim": TEXT_WIDTH + SECOND_TEXT_WIDTH,
            "attention_head_dim": (1, 1),  # diffusers' name for the number of heads
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": POOLED_WIDTH + 6 * 256,
        }
    else:
        values |= {
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "attention_head_dim": 8 if family == "sd15" else (1, 1),
            "use_linear_projection": family == "sd21",
        }
    unet: UNet2DConditionModel = UNet2DConditionModel(**values)
    return unet


def _vae(family: Family) -> AutoencoderKL:
    vae: AutoencoderKL = AutoencoderKL(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        sample_size={"sd15": 512, "sd21": 768, "sdxl": 1024}[family],
        scaling_factor=0.13025 if family == "sdxl" else 0.18215,
        force_upcast=True,
    )
    return vae


def _encoders(family: Family) -> tuple[CLIPTextModel | CLIPTextModelWithProjection, ...]:
    if family == "sd15":
        return (CLIPTextModel(_text_config(TEXT_WIDTH, "quick_gelu", TEXT_LAYERS)),)
    if family == "sd21":
        return (CLIPTextModel(_text_config(TEXT_WIDTH, "gelu", TEXT_LAYERS - 1)),)
    second = _text_config(SECOND_TEXT_WIDTH, "gelu", TEXT_LAYERS, projection_dim=POOLED_WIDTH)
    return (CLIPTextModel(_text_config(TEXT_WIDTH, "quick_gelu", TEXT_LAYERS)), CLIPTextModelWithProjection(second))


def _text_config(width: int, activation: str, layers: int, projection_dim: int = 512) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=1,
        max_position_embeddings=77,
        hidden_act=activation,
        eos_token_id=2,  # as published; transformers then takes the highest id, which is the end mark
        projection_dim=projection_dim,
    )


_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}


def _original_unet(unet: UNet2DConditionModel) -> State:
    """The original code has one running number over all blocks of a side, whatever level they are on."""
    places = dict(_UNET_ENDS)
    blocks: Any = unet.down_blocks
    number = 1
    for level, down in enumerate(blocks):
        for index in range(len(down.resnets)):
            places[f"down_blocks.{level}.resnets.{index}"] = f"input_blocks.{number}.0"
            places[f"down_blocks.{level}.attentions.{index}"] = f"input_blocks.{number}.1"
            number += 1
        if down.downsamplers is not None:
            places[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    blocks = unet.up_blocks
    number = 0
    for level, up in enumerate(blocks):
        for index in range(len(up.resnets)):
            places[f"up_blocks.{level}.resnets.{index}"] = f"output_blocks.{number}.0"
            places[f"up_blocks.{level}.attentions.{index}"] = f"output_blocks.{number}.1"
            number += 1
        if up.upsamplers is not None:
            after = 2 if getattr(up, "attentions", None) else 1
            places[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{number - 1}.{after}.conv"
    return dict(_renamed(unet.state_dict(), places))


def _renamed(state: Mapping[str, torch.Tensor], places: Mapping[str, str]) -> Iterator[tuple[str, torch.Tensor]]:
    longest_first = sorted(places, key=len, reverse=True)
    for name, value in state.items():
        place = next(place for place in longest_first if name.startswith(f"{place}."))
        rest = name.removeprefix(f"{place}.")
        layer, _, kind = rest.rpartition(".")
        if ".resnets." in place:
            rest = f"{_RESNET[layer]}.{kind}"
        yield f"{places[place]}.{rest}", value


def _original_vae(vae: AutoencoderKL) -> State:
    state: State = {}
    levels = len(vae.config["block_out_channels"])
    for name, value in vae.state_dict().items():
        new = name.replace("mid_block.attentions.0.", "mid.attn_1.")
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", new)
        new = re.sub(r"down_blocks\.(\d)", r"down.\1", new)
        new = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{levels - 1 - int(found[1])}", new)
        new = (
            new.replace("resnets.", "block.").replace("samplers.0.", "sample.").replace("conv_shortcut", "nin_shortcut")
        )
        new = new.replace("conv_norm_out", "norm_out")
        if "mid.attn_1." in new:
            for ours, theirs in (("group_norm", "norm"), ("to_out.0", "proj_out"), ("to_", "")):
                new = new.replace(ours, theirs)
            if value.ndim == 2:
                value = value[:, :, None, None]  # the original's attention is made of 1 x 1 convolutions
        state[new] = value
    return state


def _plain(encoder: torch.nn.Module) -> State:
    """The encoder's weights without the prefix that some versions of transformers put before them."""
    return {name.removeprefix("text_model."): value for name, value in encoder.state_dict().items()}


def _open_clip(encoder: torch.nn.Module) -> State:
    weights = _plain(encoder)
    projection = weights.pop("text_projection.weight", None)
    state = open_clip_text_state(weights)
    return state if projection is None else {**state, "text_projection": projection.T}


def _prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}
