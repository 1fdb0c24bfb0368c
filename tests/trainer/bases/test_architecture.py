"""The configurations derived from a file's shapes are those that were published with the full-size models."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lorabot.presets import Prediction, RealFamily
from lorabot.trainer.bases.architecture import text_parts, unet_config, vae_config
from lorabot.trainer.bases.detection import Detected, detect
from lorabot.trainer.bases.header import Header, read_header
from tests.trainer.bases.files import write_header
from tests.trainer.small_bases import SmallBase, original_state

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
FOUND: dict[RealFamily, Detected] = {
    "sd15": Detected("sd15", "epsilon", sure=False, zero_snr=False),
    "sd21": Detected("sd21", "v_prediction", sure=False, zero_snr=False),
    "sdxl": Detected("sdxl", "epsilon", sure=False, zero_snr=False),
}


@cache
def _full_size(family: RealFamily) -> SmallBase:
    """The published model without its weights."""
    kinds: list[Any] = [CLIPTextModel, CLIPTextModelWithProjection]
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel(**UNETS[family]), AutoencoderKL(**VAES[family])
        texts = [kind(CLIPTextConfig(**config)) for kind, config in zip(kinds, TEXTS[family], strict=False)]
    return SmallBase(family, unet, vae, tuple(texts), {})


@pytest.fixture(scope="module", params=list(UNETS))
def full_size(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallBase, Header]:
    model = _full_size(request.param)
    shapes = {name: tuple(value.shape) for name, value in original_state(model).items()}
    path = write_header(tmp_path_factory.mktemp("full") / f"{model.family}.safetensors", shapes)
    return model, read_header(path)


def test_a_file_of_seven_gigabytes_is_known_by_its_header_alone(full_size: tuple[SmallBase, Header]) -> None:
    model, header = full_size
    began = time.process_time()
    assert detect(read_header(header.path)) == FOUND[model.family]  # type: ignore[index]
    assert time.process_time() - began < 1
    assert header.size > {"sd15": 2.1e9, "sd21": 2.5e9, "sdxl": 6.9e9}[model.family]


def test_the_unet_gets_the_published_configuration(full_size: tuple[SmallBase, Header]) -> None:
    model, header = full_size
    found = FOUND[model.family]  # type: ignore[index]
    with torch.device("meta"):
        ours = UNet2DConditionModel(**unet_config(header, found.family, found.prediction))
    assert _values(ours) == _values(model.unet)
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in model.unet.state_dict().items()
    }


def test_the_vae_gets_the_published_configuration(full_size: tuple[SmallBase, Header]) -> None:
    model, header = full_size
    found = FOUND[model.family]  # type: ignore[index]
    with torch.device("meta"):
        ours = AutoencoderKL(**vae_config(header, found.family, found.prediction))
    assert _values(ours) == _values(model.vae)


def test_the_text_encoders_get_the_published_configurations(full_size: tuple[SmallBase, Header]) -> None:
    model, header = full_size
    found = FOUND[model.family]  # type: ignore[index]
    parts = text_parts(header, found.family)
    assert [CLIPTextConfig(**part.config).to_dict() for part in parts] == [
        CLIPTextConfig(**config).to_dict() for config in TEXTS[found.family]
    ]
    assert [part.projected for part in parts] == [False, True][: len(parts)]


@pytest.mark.parametrize(("prediction", "side"), [("epsilon", 64), ("v_prediction", 96)])
def test_the_two_models_called_2_1_differ_in_size_and_in_what_they_predict(
    prediction: Prediction, side: int, tmp_path: Path
) -> None:
    shapes = {name: tuple(value.shape) for name, value in original_state(_full_size("sd21")).items()}
    header = read_header(write_header(tmp_path / "a.safetensors", shapes))
    assert unet_config(header, "sd21", prediction)["sample_size"] == side


def _values(model: Any) -> dict[str, Any]:
    return {name: value for name, value in model.config.items() if name != "_use_default_values"}
