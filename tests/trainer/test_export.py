"""The LoRA file: what others' loaders make of it, and that its weights mean the same."""

import hashlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save

from lorabot.presets import Family, Layers, SavePrecision
from lorabot.trainer import adapter, wire
from lorabot.trainer.bases import load_base, pipeline
from lorabot.trainer.buckets import Bucket, Sorted
from lorabot.trainer.captioning import Caption
from lorabot.trainer.export import Description, export, file_bytes, rounded
from lorabot.trainer.export.file import hashes, tensors
from lorabot.trainer.export.header import metadata, tag_frequency
from lorabot.trainer.export.names import layer_namer
from lorabot.trainer.models import Models
from lorabot.trainer.naming import file_name
from lorabot.trainer.planning import Hardware, plan
from tests.trainer.conftest import QUICK, Trained, tiny_recipe
from tests.trainer.lessons import fits


def describe(family: Family = "demo", v_prediction: bool = False, **changes: object) -> Description:
    recipe = tiny_recipe(**changes)
    images = Sorted((Bucket(64, 64),) * 6 + (Bucket(96, 32),) * 4, ())
    return Description(
        name="My-Zuri",
        trigger="zuri",
        base="a-base",
        family=family,
        v_prediction=v_prediction,
        clip_skip=2,
        recipe=recipe,
        plan=plan(recipe, images, 7, Hardware("cpu", "a processor", "fp32"), QUICK, fits, 1000),
        captions=(Caption("zuri", "trigger"),),
        seed=7,
        step=4,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        finished=datetime(2026, 1, 2, 3, 9, 5, tzinfo=UTC),
    )


def header(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def test_the_header_names_the_buckets_and_how_many_images_they_hold() -> None:
    found = json.loads(metadata(describe())["ss_bucket_info"])["buckets"]
    assert found == {"0": {"resolution": [64, 64], "count": 6}, "1": {"resolution": [96, 32], "count": 4}}


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
    unet = models.base().unet
    modules = {"unet": unet}
    with adapter.attached(modules, tiny_recipe(alpha=10.0, layers=layers), seed=3):
        chance = torch.Generator().manual_seed(0)
        state = {name: torch.randn(value.shape, generator=chance) for name, value in adapter.read(modules).items()}
        state = rounded(state, "fp16")
        adapter.write(modules, state)
        file = tensors(state, layer_namer("demo", unet), 10.0, torch.float16)
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


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", "F16"), ("bf16", "BF16"), ("fp32", "F32")])
def test_the_file_holds_the_numbers_that_were_asked_for_and_has_the_size_that_was_said(
    models: Models, tmp_path: Path, precision: SavePrecision, dtype: str
) -> None:
    unet, path = models.base().unet, tmp_path / "lora.safetensors"
    alpha = 6 * 3**0.5  # which no 16 bits can hold
    state = {
        "unet.mid_block.attentions.0.proj_in.lora_A.default.weight": torch.randn(3, 256, 1, 1),
        "unet.mid_block.attentions.0.proj_in.lora_B.default.weight": torch.randn(256, 3, 1, 1),
        "unet.mid_block.resnets.1.conv2.lora_A.default.weight": torch.randn(3, 256, 3, 3),
        "unet.mid_block.resnets.1.conv2.lora_B.default.weight": torch.randn(256, 3, 1, 1),
    }
    size = export(path, state, unet, alpha, describe(save_precision=precision))
    with safe_open(path, framework="pt") as file:
        weights = [name for name in file.keys() if name.endswith(".weight")]  # noqa: SIM118
        assert {file.get_slice(name).get_dtype() for name in weights} == {dtype}
    read = load_file(path)
    name = "unet.mid_block.resnets.1.conv2.lora_A.default.weight"
    stored = read["lora_unet_mid_block_resnets_1_conv2.lora_down.weight"]
    assert torch.equal(stored.float(), rounded(state, precision)[name])
    assert torch.equal(stored, state[name]) == (precision == "fp32")
    assert float(read["lora_unet_mid_block_resnets_1_conv2.alpha"]) == pytest.approx(alpha, rel=1e-7)
    words = len(json.dumps(header(path), ensure_ascii=False, separators=(",", ":")).encode())
    assert size - words - 64 < file_bytes(state, "demo", unet, precision) <= size - words + 64
    assert file_bytes(state, "demo", unet, precision) == len(save(read))


def test_the_size_is_said_before_the_first_step(trained: Trained) -> None:
    path = trained.file("lora")
    progress = [event for event in trained.events if isinstance(event, wire.Progress)]
    before = progress[: next(index for index, event in enumerate(progress) if event.step)]
    said = [event.note.params["megabytes"] for event in before if event.note and "megabytes" in event.note.params]
    assert [float(str(size)) for size in said] == [pytest.approx(path.stat().st_size / 1e6, abs=0.1)]


def test_diffusers_loads_the_file_without_a_key_left_over_and_draws_the_engines_own_picture(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    base = load_base()
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


@pytest.mark.parametrize(
    ("family", "v_prediction", "architecture", "version", "second"),
    [
        ("sd15", False, "stable-diffusion-v1/lora", "sd_v1", "False"),
        ("sd15", True, "stable-diffusion-v1/lora", "sd_v1_v", "False"),
        ("sd21", False, "stable-diffusion-v2-512/lora", "sd_v2", "True"),
        ("sd21", True, "stable-diffusion-v2-768-v/lora", "sd_v2_v", "True"),
        ("sdxl", False, "stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0", "False"),
        ("sdxl", True, "stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0", "False"),
    ],
)
def test_a_file_says_its_family_as_kohyas_scripts_do(
    family: Family, v_prediction: bool, architecture: str, version: str, second: str
) -> None:
    meta = metadata(describe(family, v_prediction))
    assert meta["modelspec.architecture"] == architecture
    assert meta["modelspec.prediction_type"] == ("v" if v_prediction else "epsilon")
    assert (meta["ss_base_model_version"], meta["ss_v2"]) == (version, second)
    assert meta["modelspec.encoder_layer"] == meta["ss_clip_skip"] == "2"


def test_what_a_recipe_asks_for_is_written_down() -> None:
    meta = metadata(describe(layers="all", min_snr_gamma=None, flip=False))
    assert json.loads(meta["ss_network_args"]) == {"conv_dim": "4", "conv_alpha": "6"}
    assert (meta["ss_min_snr_gamma"], meta["ss_flip_aug"], meta["ss_noise_offset"]) == ("None", "False", "0.05")
    assert (meta["ss_steps"], meta["ss_max_train_steps"]) == ("4", "6")
    recipe = json.loads(meta["lorabot.recipe"])
    assert (recipe["layers"], recipe["rank"], recipe["p2_gamma"]) == ("all", 4, tiny_recipe().p2_gamma)
    assert not [name for name in recipe if "prompt" in name]


def test_what_a_recipe_asks_for_beyond_the_usual_is_written_down_too() -> None:
    meta = metadata(
        describe(
            optimiser="prodigy",
            unet_lr=1.0,
            schedule="restarts",
            rank_stabilised=True,
            dora=True,
            layers="attention",
            dropout=0.1,
            loss="huber",
        )
    )
    assert meta["ss_optimizer"] == "prodigyopt.Prodigy"
    assert meta["ss_lr_scheduler"] == "cosine_with_restarts"
    assert meta["ss_network_alpha"] == "12", "6 through the root of rank 4, times the rank"
    assert meta["ss_network_module"] == "lycoris.kohya"
    assert json.loads(meta["ss_network_args"]) == {"algo": "locon", "dora_wd": "True", "wd_on_output": "True"}
    assert (meta["ss_network_dropout"], meta["ss_loss_type"]) == ("0.1", "huber")


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
