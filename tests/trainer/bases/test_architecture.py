"""The configurations derived from a file's shapes are those that were published with the full-size models."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig

from lorabot.presets import Prediction, RealFamily
from lorabot.trainer.bases.architecture import text_parts, unet_config, vae_config
from lorabot.trainer.bases.detection import Detected, detect
from lorabot.trainer.bases.header import Header, read_header
from tests.trainer.bases.files import write_header
from tests.trainer.published import TEXTS, UNETS, published
from tests.trainer.small_bases import SmallBase, original_state

FOUND: dict[RealFamily, Detected] = {
    "sd15": Detected("sd15", "epsilon", sure=False, zero_snr=False),
    "sd21": Detected("sd21", "v_prediction", sure=False, zero_snr=False),
    "sdxl": Detected("sdxl", "epsilon", sure=False, zero_snr=False),
}


@cache
def _full_size(family: RealFamily) -> SmallBase:
    """The published model without its weights."""
    with torch.device("meta"):
        return published(family)


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
