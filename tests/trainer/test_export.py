"""The LoRA file: what others' loaders make of it, and that its weights mean the same."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, get_args

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from lorabot.presets import Layers
from lorabot.trainer import adapter, wire
from lorabot.trainer.bases import load_base, pipeline
from lorabot.trainer.captioning import Caption
from lorabot.trainer.export import hashes, rounded, tag_frequency, tensors
from lorabot.trainer.finishing import file_name
from lorabot.trainer.models import Models
from tests.trainer.conftest import Trained, tiny_recipe


def header(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def test_every_module_has_down_up_and_alpha_under_the_names_that_loaders_know(trained: Trained) -> None:
    found = load_file(trained.file("lora"))
    modules = {name.split(".", 1)[0] for name in found}
    assert {name.split(".", 1)[1] for name in found} == {"lora_down.weight", "lora_up.weight", "alpha"}
    assert len(found) == 3 * len(modules)
    assert all(name.startswith("lora_unet_") and "." not in name for name in modules)
    assert "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q" in modules
    assert "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0" in modules
    for module in modules:
        down, up = found[f"{module}.lora_down.weight"], found[f"{module}.lora_up.weight"]
        assert down.shape[0] == up.shape[1] == 4
        assert float(found[f"{module}.alpha"]) == 6.0


@pytest.mark.parametrize("layers", get_args(Layers))
def test_the_files_merged_deltas_equal_pefts_own_with_alpha_other_than_rank(models: Models, layers: Layers) -> None:
    unet = models.base("demo").unet
    modules = {"unet": unet}
    with adapter.attached(modules, tiny_recipe(alpha=10.0, layers=layers), seed=3):
        chance = torch.Generator().manual_seed(0)
        state = {name: torch.randn(value.shape, generator=chance) for name, value in adapter.read(modules).items()}
        state = rounded(state)
        adapter.write(modules, state)
        file = tensors(state, 10.0)
        compared = 0
        for name, module in unet.named_modules():
            if hasattr(module, "lora_A"):
                key = "lora_unet_" + name.replace(".", "_")
                up, down = file[f"{key}.lora_up.weight"].float(), file[f"{key}.lora_down.weight"].float()
                delta = up.flatten(1) @ down.flatten(1) * (float(file[f"{key}.alpha"]) / down.shape[0])
                delta = delta.view(module.get_delta_weight("default").shape)
                torch.testing.assert_close(delta, module.get_delta_weight("default"), rtol=1e-5, atol=1e-5)
                compared += 1
    assert compared == len(file) / 3 > 0


def test_diffusers_loads_the_file_without_a_key_left_over_and_draws_the_engines_own_picture(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    base = load_base("demo")
    pipe: Any = pipeline(base)
    with caplog.at_level(logging.WARNING):
        pipe.load_lora_weights(trained.file("lora"))
    assert not [text for text in caplog.messages if "unexpected" in text.split(".")[0] or "missing" in text]
    loaded = sum("lora_A" in name for name, _ in base.unet.named_parameters())
    assert loaded == len(load_file(trained.file("lora"))) / 3
    pipe.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(base.scheduler, use_karras_sigmas=True)  # type: ignore[no-untyped-call]
    recipe = trained.job.preset.recipes["demo"]
    pictures = pipe(
        [text.replace("{trigger}", "zuri") for text in recipe.sample_prompts],
        negative_prompt=[recipe.negative_prompt] * 2,
        height=64,
        width=64,
        num_inference_steps=recipe.sample_steps,
        guidance_scale=recipe.guidance,
        generator=[torch.Generator().manual_seed(trained.job.seed + index) for index in range(2)],
    ).images
    ours = [
        Image.open(event.path) for event in trained.events if isinstance(event, wire.SampleMade) and event.step == 6
    ]
    before = [
        Image.open(event.path) for event in trained.events if isinstance(event, wire.SampleMade) and event.step == 0
    ]
    for own, theirs, untrained in zip(ours, pictures, before, strict=True):
        difference = np.abs(np.asarray(own, dtype=int) - np.asarray(theirs, dtype=int))
        assert difference.max() <= 2
        assert np.abs(np.asarray(own, dtype=int) - np.asarray(untrained, dtype=int)).max() > difference.max()


def test_the_metadata_is_what_loaders_and_sites_read(trained: Trained) -> None:
    meta = header(trained.file("lora"))
    assert meta["modelspec.sai_model_spec"] == "1.0.1"
    assert meta["modelspec.architecture"] == "lorabot-demo/lora"
    assert meta["modelspec.trigger_phrase"] == "zuri"
    assert meta["ss_output_name"] == trained.file("lora").stem == "My-Zuri"
    assert meta["ss_network_module"] == "networks.lora"
    assert (meta["ss_network_dim"], meta["ss_network_alpha"]) == ("4", "6")
    assert meta["ss_num_train_images"] == "8"
    frequency = json.loads(meta["ss_tag_frequency"])
    assert frequency["1_zuri"]["zuri"] == 10
    assert json.loads(meta["ss_dataset_dirs"]) == {"1_zuri": {"n_repeats": 1, "img_count": 10}}


def test_no_name_or_path_or_caption_of_a_person_is_in_the_file(trained: Trained) -> None:
    text = json.dumps(header(trained.file("lora")), ensure_ascii=False)
    for word in ("photo", "friend", str(trained.job.folder), trained.job.folder.name, "/tmp", ".png"):
        assert word not in text


def test_the_hashes_are_those_of_the_bytes_after_a_header_of_ss_keys(trained: Trained) -> None:
    path = trained.file("lora")
    meta = header(path)
    content = path.read_bytes()
    after_header = 8 + int.from_bytes(content[:8], "little")
    # The tensors' bytes are the same whatever the header says.
    assert meta["sshs_model_hash"] == hashlib.sha256(content[after_header:]).hexdigest()
    assert len(meta["sshs_legacy_hash"]) == 8
    again = hashes(load_file(path), {key: value for key, value in meta.items() if not key.startswith("sshs_")})
    assert again["sshs_model_hash"] == meta["sshs_model_hash"]


def test_words_of_captions_that_people_wrote_are_not_counted() -> None:
    captions = (
        Caption("zuri, at night, flat", "zero-shot"),
        Caption("zuri, my sister", "person"),
        Caption("zuri", "trigger"),
    )
    assert tag_frequency("zuri", captions) == {"zuri": 3, "at night": 1, "flat": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("My Zuri", "My-Zuri"), ("../../etc/passwd", "etc-passwd"), ("祖里 2", "祖里-2"), ("", "lora"), ("<a:b>", "a-b")],
)
def test_file_names_are_safe_everywhere(name: str, expected: str) -> None:
    assert file_name(name) == expected
