"""The shapes of the demo models, and how their parts are written as a model folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from lorabot.trainer.clip import open_clip_text_state
from lorabot.trainer.tokenizer import load_tokenizer

RESOLUTION = 128
LATENT_SIDE, LATENT_CHANNELS = 16, 4
TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 96, 4, 4

# The forward process of Stable Diffusion 1.5 (its scheduler/scheduler_config.json).
SCHEDULER: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "variance_type": "fixed_small",
}

CLIP: dict[str, Any] = {
    "embed_dim": 128,
    "quick_gelu": True,
    "vision_cfg": {"image_size": RESOLUTION, "layers": [1, 2, 2, 1], "width": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": TEXT_WIDTH,
        "heads": TEXT_HEADS,
        "layers": TEXT_LAYERS,
    },
}


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything in a model folder. `clip` is an open_clip model whose text tower has `text_encoder`'s weights."""

    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    clip: open_clip.CLIP


def text_encoder() -> CLIPTextModel:
    """CLIP's text transformer. Its end token's state is what the image tower is matched with."""
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        projection_dim=CLIP["embed_dim"],
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    model = CLIPTextModel(config)
    # Words that no caption holds keep their first, random row. A wide spread keeps such words (a trigger, say) apart.
    words: Any = model.get_input_embeddings()
    nn.init.normal_(words.weight, std=0.06)
    return model


def vae() -> AutoencoderKL:
    """Stable Diffusion's autoencoder at factor 8 with 4 latent channels, thin."""
    model: AutoencoderKL = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(32, 64, 112, 112),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=RESOLUTION,
    )
    return model


def unet() -> UNet2DConditionModel:
    """Stable Diffusion's denoiser with three levels and one layer a block: attention at 16 x 16 and 8 x 8."""
    model: UNet2DConditionModel = UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128, 192),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads
        norm_num_groups=32,
    )
    return model


def clip() -> open_clip.CLIP:
    """The open_clip model: a small ResNet with attention pooling, beside the text tower."""
    config = CLIP
    return open_clip.CLIP(
        embed_dim=config["embed_dim"],
        vision_cfg=config["vision_cfg"],
        text_cfg=config["text_cfg"],
        quick_gelu=config["quick_gelu"],
    )


TEXT_TOWER = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.")
"""How the names of an open_clip model's text weights begin, the projection aside."""


def write(parts: Parts, folder: Path) -> None:
    """Write the model folder, weights as float16."""

    def half(module: nn.Module) -> Any:
        return module.to("cpu", torch.float16)

    for name, part in (("unet", parts.unet), ("vae", parts.vae), ("text_encoder", parts.text_encoder)):
        half(part).save_pretrained(folder / name, safe_serialization=True)
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    (folder / "clip").mkdir(exist_ok=True)
    _write_json(folder / "clip" / "lorabot-demo.json", CLIP)
    state = {
        key: value.half().cpu().contiguous() if value.is_floating_point() else value.cpu()
        for key, value in parts.clip.state_dict().items()
        if not key.startswith(TEXT_TOWER)
    }
    save_file(state, folder / "clip" / "visual.safetensors")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDPMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": [None, None],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    _write_json(folder / "model_index.json", index)


def read(folder: Path) -> Parts:
    """What `write` wrote, as float32. Raises RuntimeError where the weights have other shapes than the ones above."""
    parts = Parts(text_encoder(), vae(), unet(), clip())
    told = load_file(folder / "text_encoder" / "model.safetensors")
    parts.text_encoder.load_state_dict(told)
    parts.vae.load_state_dict(load_file(folder / "vae" / "diffusion_pytorch_model.safetensors"))
    parts.unet.load_state_dict(load_file(folder / "unet" / "diffusion_pytorch_model.safetensors"))
    parts.clip.load_state_dict(load_file(folder / "clip" / "visual.safetensors") | open_clip_text_state(told))
    open_vae: Any = parts.vae  # diffusers gives `register_to_config` no hints
    config = json.loads((folder / "vae" / "config.json").read_text())
    open_vae.register_to_config(scaling_factor=config["scaling_factor"])
    return parts


def tokenise(texts: list[str]) -> torch.Tensor:
    """Token ids, padded with the end mark, (N, 77) int64."""
    ids = load_tokenizer()(texts, padding="max_length", truncation=True, max_length=77)["input_ids"]
    return torch.tensor(ids)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
