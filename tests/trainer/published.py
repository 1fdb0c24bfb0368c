"""The published architectures of the base models at full size: what tests compare with and benchmarks train on."""

from typing import Any

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lorabot.presets import RealFamily
from tests.trainer.small_bases import SmallBase, scheduler_of

# What stands in the configurations on the hub of stable-diffusion-v1-5, stable-diffusion-2-1 and
# stable-diffusion-xl-base-1.0, as far as it differs from the libraries' defaults.
CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UP_CROSS, UP_PLAIN = "CrossAttnUpBlock2D", "UpBlock2D"
UNETS: dict[RealFamily, dict[str, Any]] = {
    "sd15": {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
        "up_block_types": (UP_PLAIN, UP_CROSS, UP_CROSS, UP_CROSS),
        "layers_per_block": 2,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "sd21": {
        "sample_size": 96,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
        "up_block_types": (UP_PLAIN, UP_CROSS, UP_CROSS, UP_CROSS),
        "layers_per_block": 2,
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
        "upcast_attention": True,
    },
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": (PLAIN, CROSS, CROSS),
        "up_block_types": (UP_CROSS, UP_CROSS, UP_PLAIN),
        "layers_per_block": 2,
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
VAES: dict[RealFamily, dict[str, Any]] = {
    "sd15": {**VAE, "sample_size": 512, "scaling_factor": 0.18215},
    "sd21": {**VAE, "sample_size": 768, "scaling_factor": 0.18215},
    "sdxl": {**VAE, "sample_size": 1024, "scaling_factor": 0.13025},
}
COMMON = {"vocab_size": 49408, "max_position_embeddings": 77, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}


def _text(width: int, layers: int, heads: int, activation: str, projection: int) -> dict[str, Any]:
    return {
        **COMMON,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_act": activation,
        "projection_dim": projection,
    }


TEXTS: dict[RealFamily, list[dict[str, Any]]] = {
    "sd15": [_text(768, 12, 12, "quick_gelu", 768)],
    "sd21": [_text(1024, 23, 16, "gelu", 512)],
    "sdxl": [_text(768, 12, 12, "quick_gelu", 768), _text(1280, 32, 20, "gelu", 1280)],
}


def published(family: RealFamily) -> SmallBase:
    """The published model with fresh random weights on torch's current device, trainable as yet."""
    kinds: list[Any] = [CLIPTextModel, CLIPTextModelWithProjection]
    unet, vae = UNet2DConditionModel(**UNETS[family]), AutoencoderKL(**VAES[family])
    texts = [kind(CLIPTextConfig(**config)) for kind, config in zip(kinds, TEXTS[family], strict=False)]
    return SmallBase(family, unet, vae, tuple(texts), scheduler_of(family))
