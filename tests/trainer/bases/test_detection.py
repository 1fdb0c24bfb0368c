"""What is no base model is told apart by its header, and refused in a sentence that says what it is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lorabot.locale import translator
from lorabot.presets import NamedBase, Prediction, RealFamily
from lorabot.trainer.bases import BaseStore, Survey
from lorabot.trainer.bases.detection import CLIP, FIRST_OF_XL, OPEN_CLIP, REFINER, SECOND_OF_XL, UNET, VAE
from lorabot.trainer.errors import BadBase
from tests.trainer.bases.files import Shapes, write_header
from tests.trainer.small_bases import make, write_folder

CONV = f"{UNET}input_blocks.0.0.weight"
VAE_PART = {f"{VAE}encoder.conv_in.weight": (32, 3, 3, 3)}
WHOLE: dict[RealFamily, Shapes] = {
    "sd15": {CONV: (32, 4, 3, 3), f"{CLIP}text_model.final_layer_norm.weight": (32,), **VAE_PART},
    "sd21": {CONV: (32, 4, 3, 3), f"{OPEN_CLIP}ln_final.weight": (32,), **VAE_PART},
    "sdxl": {CONV: (32, 4, 3, 3), f"{FIRST_OF_XL}a": (32,), f"{SECOND_OF_XL}ln_final.weight": (32,), **VAE_PART},
}


def named(source: Path, **more: object) -> NamedBase:
    return NamedBase.model_validate({"id": "mine", "title": "Mine", "source": str(source), **more})


def survey(source: Path, **more: object) -> Survey:
    return BaseStore(source.parent / "store").survey(named(source, **more))


@pytest.mark.parametrize("family", WHOLE)
def test_the_family_shows_in_the_text_encoders(family: RealFamily, tmp_path: Path) -> None:
    assert survey(write_header(tmp_path / "a.safetensors", WHOLE[family])).family == family


def test_an_anime_model_saved_by_an_old_library_is_sd15_too(tmp_path: Path) -> None:
    shapes = {CONV: (32, 4, 3, 3), f"{CLIP}embeddings.token_embedding.weight": (49408, 32), **VAE_PART}
    assert survey(write_header(tmp_path / "a.safetensors", shapes)).family == "sd15"


def test_what_the_unet_predicts_is_the_operators_word_else_the_files_else_usual(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    def told(shapes: Shapes, metadata: dict[str, str], **said: object) -> tuple[Prediction, bool, bool]:
        found = survey(write_header(path, shapes, metadata), **said)
        return found.prediction, found.sure, found.zero_snr

    v_and_zero = {**WHOLE["sdxl"], "v_pred": (0,), "ztsnr": (0,)}
    assert told(WHOLE["sdxl"], {}) == ("epsilon", False, False)
    assert told(WHOLE["sd21"], {}) == ("v_prediction", False, False)
    assert told(WHOLE["sd21"], {"modelspec.prediction_type": "epsilon"}) == ("epsilon", True, False)
    assert told(WHOLE["sdxl"], {"modelspec.prediction_type": "v"}) == ("v_prediction", True, False)
    assert told(v_and_zero, {}) == ("v_prediction", True, True)
    assert told(v_and_zero, {}, prediction="epsilon") == ("epsilon", True, True)


def test_a_family_that_is_not_the_files_is_refused_with_both_names(tmp_path: Path) -> None:
    path = write_header(tmp_path / "mine.safetensors", WHOLE["sdxl"])
    sentence = refusal(lambda: survey(path, family="sd15"))
    assert "sd15" in sentence
    assert "sdxl" in sentence
    assert "mine.safetensors" in sentence


def refusal(look: Callable[[], object]) -> str:
    """The English sentence with which ``look`` is refused."""
    with pytest.raises(BadBase) as caught:
        look()
    assert translator("zh-CN").text(caught.value.message) != caught.value.message.code
    return translator("en").text(caught.value.message)


OTHERS: dict[str, tuple[Shapes, str]] = {
    "a LoRA by kohya": ({"lora_unet_a.lora_down.weight": (8, 32), "lora_unet_a.alpha": ()}, "is a LoRA"),
    "a LoRA by peft": ({"unet.down_blocks.0.to_q.lora_A.weight": (8, 32)}, "is a LoRA"),
    "a LoHa": ({"lora_unet_a.hada_w1_a": (8, 32)}, "is a LoRA"),
    "a VAE": ({"encoder.down.0.block.0.conv1.weight": (32, 32, 3, 3), "quant_conv.bias": (8,)}, "is a VAE alone"),
    "a VAE by diffusers": ({"encoder.down_blocks.0.resnets.0.conv1.weight": (32, 32, 3, 3)}, "is a VAE alone"),
    "CLIP": ({"text_model.encoder.layers.0.mlp.fc1.weight": (128, 32)}, "is a text encoder alone"),
    "an embedding": ({"emb_params": (4, 768)}, "is an embedding"),
    "an embedding for XL": ({"clip_g": (4, 1280), "clip_l": (4, 768)}, "is an embedding"),
    "a ControlNet": ({"control_model.input_blocks.0.0.weight": (32, 4, 3, 3)}, "is a ControlNet"),
    "a UNet": ({"down_blocks.0.resnets.0.conv1.weight": (32, 32, 3, 3)}, "holds a UNet alone"),
    "Flux": ({"double_blocks.0.img_attn.norm.key_norm.scale": (128,)}, "is a Flux model"),
    "Flux in a checkpoint": ({f"{UNET}double_blocks.0.img_attn.norm.key_norm.scale": (128,)}, "is a Flux model"),
    "SD3": ({f"{UNET}joint_blocks.0.context_block.adaLN_modulation.1.bias": (9216,)}, "is a Stable Diffusion 3 model"),
    "an upscaler of pictures": ({"body.0.rdb1.conv1.weight": (32, 64, 3, 3)}, "holds no model that lorabot knows"),
    "nothing": ({}, "holds no model that lorabot knows"),
    "no text encoder": ({CONV: (32, 4, 3, 3), **VAE_PART}, "no text encoder"),
    "no VAE": ({CONV: (32, 4, 3, 3), f"{CLIP}a": (1,)}, "has no VAE"),
    "the refiner": ({CONV: (32, 4, 3, 3), f"{REFINER}ln_final.weight": (32,), **VAE_PART}, "is SDXL's refiner"),
    "inpainting": ({**WHOLE["sd15"], CONV: (32, 9, 3, 3)}, "takes 9 channels"),
    "a change by words": ({**WHOLE["sd15"], CONV: (32, 8, 3, 3)}, "takes 8 channels"),
    "depth": ({**WHOLE["sd21"], CONV: (32, 5, 3, 3)}, "takes 5 channels"),
    "upscaling": ({**WHOLE["sd21"], CONV: (32, 7, 3, 3)}, "takes 7 channels"),
    "a scaled fp8 checkpoint": (
        {**WHOLE["sdxl"], f"{CONV.removesuffix('.weight')}.scale_weight": ()},
        "compressed in a way",
    ),
    "an NF4 checkpoint": ({**WHOLE["sd15"], f"{CONV}.quant_state.bitsandbytes__nf4": (81,)}, "compressed in a way"),
    "another UNet": ({**WHOLE["sd15"], CONV: (32, 3, 3, 3)}, "3 channels"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_checkpoint_is_named(kind: str, tmp_path: Path) -> None:
    shapes, words = OTHERS[kind]
    sentence = refusal(lambda: survey(write_header(tmp_path / "that.safetensors", shapes)))
    assert words in sentence
    assert "that.safetensors" in sentence
    assert str(tmp_path) not in sentence  # it may be read in a chat


BYTES: dict[str, tuple[str, bytes, str]] = {
    "a pickle by its name": ("a.ckpt", b"PK\x03\x04anything", "is a pickle"),
    "a pickle under another name": ("a.safetensors", b"\x80\x02}q\x00", "is a pickle"),
    "a new pickle under another name": ("a.safetensors", b"PK\x03\x04archive/data.pkl", "is a pickle"),
    "GGUF": ("a.gguf", b"GGUF", "is a GGUF file"),
    "git's pointer": ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
    "a web page": ("a.safetensors", b"<!DOCTYPE html><html>Log in</html>", "is a web page"),
    "an empty file": ("a.safetensors", b"", "is no safetensors file"),
    "noise": ("a.safetensors", bytes(range(255, 100, -1)), "is no safetensors file"),
    "a header that is no JSON": ("a.safetensors", (5).to_bytes(8, "little") + b"hello", "is no safetensors file"),
    "a header of odd JSON": ("a.safetensors", (9).to_bytes(8, "little") + b'{"a":[1]}', "is no safetensors file"),
    "half a header": ("a.safetensors", (900).to_bytes(8, "little") + b'{"a":', "is cut short"),
}


@pytest.mark.parametrize("kind", BYTES)
def test_a_file_of_another_format_is_named(kind: str, tmp_path: Path) -> None:
    name, content, words = BYTES[kind]
    (tmp_path / name).write_bytes(content)
    assert words in refusal(lambda: survey(tmp_path / name))


def test_a_file_cut_short_is_refused_with_what_it_has_and_should_have(tmp_path: Path) -> None:
    path = write_header(tmp_path / "a.safetensors", WHOLE["sd15"], missing=100)
    size = path.stat().st_size
    sentence = refusal(lambda: survey(path))
    assert f"{size:,}" in sentence
    assert f"{size + 100:,}" in sentence


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "no file or folder nowhere.safetensors" in refusal(lambda: survey(tmp_path / "nowhere.safetensors"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(make("sd15"), tmp_path_factory.mktemp("folder") / "model")


def test_a_folder_says_what_it_is(folder: Path) -> None:
    found = survey(folder)
    assert (found.family, found.prediction, found.sure) == ("sd15", "epsilon", True)
    assert {path.name for path in found.files} >= {"model.safetensors", "config.json", "scheduler_config.json"}


def test_a_folder_that_can_not_be_used_is_refused(folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    changed.symlink_to(folder, target_is_directory=True)

    def without(name: str) -> str:
        hidden = (folder / name).rename(tmp_path / "hidden")
        try:
            return refusal(lambda: survey(changed))
        finally:
            hidden.rename(folder / name)

    assert "has no model_index.json" in without("model_index.json")
    assert "has no scheduler/scheduler_config.json" in without("scheduler/scheduler_config.json")
    assert "no weights for its vae" in without("vae/diffusion_pytorch_model.safetensors")
    pickle = folder / "vae" / "diffusion_pytorch_model.bin"
    pickle.write_bytes(b"PK\x03\x04")
    try:
        assert "comes as a pickle only" in without("vae/diffusion_pytorch_model.safetensors")
    finally:
        pickle.unlink()
    index = (folder / "model_index.json").read_text()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    try:
        assert "holds a FluxPipeline" in refusal(lambda: survey(changed))
    finally:
        (folder / "model_index.json").write_text(index)


def test_every_sentence_about_a_file_says_what_to_do() -> None:
    """One sentence says what it is, and another what to do."""
    catalogue = translator("en").templates("base-")
    assert len(catalogue) > 40
    for code, sentence in catalogue.items():
        assert len(re.findall(r"[.?;:](\s|$)", sentence)) >= 2, code
