"""A whole job from a checkpoint as people download it, of each family, with every network refused."""

import logging
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from lorabot.presets import NamedBase, RealFamily
from lorabot.trainer import wire
from lorabot.trainer.bases import BaseStore
from lorabot.trainer.control import Control
from lorabot.trainer.job import run
from lorabot.trainer.models import Models
from lorabot.trainer.tokenizer import BLANK, END, load_tokenizer
from tests.trainer.conftest import QUICK, make_job, presets, tiny_recipe
from tests.trainer.small_bases import FAMILIES, make, write_file, write_folder
from tests.trainer.test_job import losses, made_file

pytestmark = pytest.mark.slow
STEPS = 3


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def job_on(family: RealFamily, folder: Path) -> wire.TrainingJob:
    """A job on the checkpoint in ``folder`` that teaches all there is: convolutions and text encoders, too."""
    named = NamedBase(id="mine", title="Mine", source=str(folder / f"{family}.safetensors"))
    recipe = tiny_recipe(
        views=2 * STEPS,
        rank=2,
        layers="all",
        text_encoder_lr=1e-3,
        warmup=0.0,
        sample_steps=2,
        sample_prompts=("{trigger} in a forest",),
        caption={"method": "none"},
        resolution=64,
    )
    return make_job(
        folder / "job",
        4,
        base=BaseStore(folder / "store").locate(named.of(family), lambda: None),
        preset=presets().get("anime").model_copy(update={"recipes": {family: recipe}}),
        vocabulary=None,
    )


def diffusers_own(family: RealFamily, folder: Path) -> Any:
    """diffusers' pipeline from the same file; a folder gives it the configurations it would ask the hub for."""
    tokenizer = load_tokenizer(BLANK if family == "sd21" else END)
    common: dict[str, Any] = {
        "config": str(folder / "configs"), "local_files_only": True, "tokenizer": tokenizer
    }  # fmt: skip
    file = str(folder / f"{family}.safetensors")
    if family == "sdxl":
        xl: Any = StableDiffusionXLPipeline
        return xl.from_single_file(file, tokenizer_2=load_tokenizer(BLANK), add_watermarker=False, **common)
    plain: Any = StableDiffusionPipeline
    return plain.from_single_file(file, safety_checker=None, feature_extractor=None, **common)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_becomes_a_lora_that_diffusers_loads_onto_that_checkpoint(
    family: RealFamily, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = make(family)
    write_file(small, tmp_path / f"{family}.safetensors")
    write_folder(small, tmp_path / "configs")
    job = job_on(family, tmp_path)
    config = QUICK.model_copy(update={"validations": 1, "sample_rounds": 0, "checkpoint_s": 0})
    events: list[wire.Event] = []
    whole = run(job, Models("cpu"), config, Control(), events.append)
    assert len(losses(whole)) == STEPS
    assert all(loss is not None and 0 < loss < 10 for loss in losses(whole))
    drawn = [event.path for event in events if isinstance(event, wire.SampleMade)]
    assert [Image.open(path).size for path in drawn] == [(64, 64)] * 2
    assert drawn[0].read_bytes() != drawn[-1].read_bytes()

    (state,) = [event.path for event in events if isinstance(event, wire.CheckpointMade) and event.step == 2]
    again = job.model_copy(update={"folder": tmp_path / "elsewhere", "resume": state})
    resumed = run(again, Models("cpu"), config, Control(), lambda _: None)
    assert losses(resumed) == losses(whole)
    lora = load_file(made_file(whole, "lora"))
    assert all(torch.equal(value, lora[name]) for name, value in load_file(made_file(resumed, "lora")).items())

    with safe_open(made_file(whole, "lora"), framework="pt") as file:
        about = file.metadata()
    assert about["ss_v2"] == str(family == "sd21")
    assert about["modelspec.prediction_type"] == ("v" if family == "sd21" else "epsilon")
    pipe = diffusers_own(family, tmp_path)
    with caplog.at_level(logging.WARNING):
        pipe.load_lora_weights(str(made_file(whole, "lora")))
    assert not [record for record in caplog.records if "key" in record.message.lower()]
    parts = [pipe.unet, pipe.text_encoder, *([pipe.text_encoder_2] if family == "sdxl" else [])]
    loaded = [[name for name, module in part.named_modules() if hasattr(module, "lora_A")] for part in parts]
    assert all(loaded), "each part learnt"
    assert sum(len(names) for names in loaded) == sum(name.endswith(".alpha") for name in lora)
