"""The LoRA file of every family in diffusers' own loader: no key left over, and every layer changed as peft would."""

import copy
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file, save_file

from lorabot.presets import Family
from lorabot.trainer import adapter
from lorabot.trainer.adapter import TARGETS, Modules
from lorabot.trainer.export.file import tensors
from lorabot.trainer.export.names import layer_namer, sgm_names, sgm_path
from lorabot.trainer.export.reading import for_diffusers
from tests.trainer import small_bases

RANK, ALPHA = 3, 5.0


@pytest.fixture(scope="module", params=small_bases.FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def untrained(family: Family) -> dict[str, torch.nn.Module]:
    """The UNet and the text encoders of a small base, by their names in an adapter."""
    base = small_bases.make(family)
    return {"unet": base.unet, **{f"te{number}": encoder for number, encoder in enumerate(base.encoders, start=1)}}


@dataclass(frozen=True, slots=True)
class Exported:
    """A file, and what it is about: by layer, the weights without and with the adapter."""

    path: Path
    merged: Mapping[str, tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture(scope="module")
def plain(family: Family, untrained: Modules, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Rank-stabilised, so that the alpha in the file is neither the rank nor the alpha that was asked for."""
    config = LoraConfig(use_rslora=True)
    return exported(tmp_path_factory.mktemp("plain"), family, untrained, config, ALPHA * math.sqrt(RANK))


@pytest.fixture(scope="module")
def dora(family: Family, untrained: Modules, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("dora"), family, untrained, LoraConfig(use_dora=True), ALPHA)


def test_every_key_of_linear_layers_convolutions_and_text_encoders_is_matched_with_the_effect_it_had(
    family: Family, untrained: Modules, plain: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = copy.deepcopy(untrained)
    with caplog.at_level(logging.WARNING):
        pipe(family, theirs).load_lora_weights(plain.path)
    assert not [text for text in caplog.messages if "unexpected" in text.lower() or "missing" in text.lower()]
    assert_changed_alike(plain, theirs, layers=len(load_file(plain.path)) // 3)


def test_dora_is_loaded_by_diffusers_from_what_we_read_for_it(
    family: Family, untrained: Modules, dora: Exported
) -> None:
    theirs = copy.deepcopy(untrained)
    loaded = pipe(family, theirs)
    loaded.load_lora_weights(for_diffusers(dora.path, loaded))
    assert_changed_alike(dora, theirs, layers=len(load_file(dora.path)) // 4)


def test_dora_lengths_have_lycoris_layout_of_a_decomposition_along_the_output(dora: Exported) -> None:
    file = load_file(dora.path)
    for name, lengths in file.items():
        if name.endswith(".dora_scale"):
            up = file[name.replace(".dora_scale", ".lora_up.weight")]
            assert lengths.shape == (len(up), *[1] * (up.dim() - 1))


def test_text_encoders_have_the_names_that_loaders_look_for(family: Family, plain: Exported) -> None:
    """Whatever transformers calls them. ``lora_te1``, which diffusers writes for SD1.5, AUTOMATIC1111 can't read."""
    names = [name for name in load_file(plain.path) if not name.startswith("lora_unet_")]
    beginnings = {name.partition("_text_model_encoder_layers_")[0] for name in names}
    assert beginnings == ({"lora_te1", "lora_te2"} if family == "sdxl" else {"lora_te"})


def test_every_layer_of_the_published_xl_has_the_name_of_its_original_code() -> None:
    """Against diffusers' own table for checkpoints of the original code, at full size without weights."""
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=2,
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )
    original = sgm_names(unet)
    layers = [name for name, layer in unet.named_modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    checkpoint = {f"out.0.{kind}": "conv_norm_out" for kind in ("weight", "bias")}  # it looks for this one by name
    checkpoint |= {f"{sgm_path(layer, original)}.{kind}": layer for layer in layers for kind in ("weight", "bias")}
    prefixed = {f"model.diffusion_model.{name}": layer for name, layer in checkpoint.items()}
    found = convert_ldm_unet_checkpoint(prefixed, dict(unet.config))  # type: ignore[no-untyped-call]
    assert len(layers) == 794
    assert len(found) == 2 * len(layers) + 2
    assert all(name.rpartition(".")[0] == layer for name, layer in found.items())


def exported(folder: Path, family: Family, untrained: Modules, config: LoraConfig, alpha: float) -> Exported:
    """An adapter with random weights on every layer that a recipe can name, in float32 to compare the last digits."""
    modules = copy.deepcopy(untrained)
    config.r, config.lora_alpha, config.target_modules = RANK, int(ALPHA), list(TARGETS["all"])
    chance = torch.Generator().manual_seed(1)
    for module in modules.values():
        inject_adapter_in_model(config, module, adapter_name="default")
    for name, parameter in adapter.parameters(modules):
        drawn = torch.randn(parameter.shape, generator=chance) * 0.1
        parameter.data = parameter.data + drawn if "magnitude" in name else drawn
    unet: Any = modules["unet"]
    content = tensors(adapter.read(modules), layer_namer(family, unet), alpha, torch.float32)
    save_file(content, folder / "lora.safetensors")
    return Exported(folder / "lora.safetensors", merged(modules))


def pipe(family: Family, modules: Modules) -> Any:
    """diffusers' pipeline around ``modules``, without what loading a LoRA has no need of."""
    scheduler = diffusers.DDIMScheduler(steps_offset=1, clip_sample=False)  # type: ignore[no-untyped-call]
    parts: dict[str, Any] = {"vae": None, "text_encoder": modules["te1"], "tokenizer": None, "unet": modules["unet"]}
    if family == "sdxl":
        more = {"text_encoder_2": modules["te2"], "tokenizer_2": None, "add_watermarker": False}
        make: Any = diffusers.StableDiffusionXLPipeline
        return make(**parts, **more, scheduler=scheduler)
    none: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    make = diffusers.StableDiffusionPipeline
    return make(**parts, **none, scheduler=scheduler)


def assert_changed_alike(own: Exported, theirs: Modules, layers: int) -> None:
    found = merged(theirs)
    assert own.merged.keys() == found.keys()
    assert len(found) == layers
    for name, (before, after) in own.merged.items():
        torch.testing.assert_close(found[name][0], before, rtol=0, atol=0)
        torch.testing.assert_close(found[name][1], after, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(before, after, rtol=1e-2, atol=1e-2)


def merged(modules: Modules) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """By layer: its weights without and with the adapter, as peft merges them."""
    found = {}
    for part, module in modules.items():
        layers: list[tuple[str, Any]] = list(module.named_modules())
        for name, layer in layers:
            if hasattr(layer, "lora_A"):
                weight = layer.base_layer.weight
                before = weight.detach().clone()
                layer.merge()
                found[f"{part}.{name}"] = before, weight.detach().clone()
    return found
