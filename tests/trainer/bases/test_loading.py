"""A checkpoint in the original layout loads as diffusers loads it, without a network, and in precisions that hold."""

import gc
import socket
import weakref
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import load_file, save_file

from lorabot.locale import translator
from lorabot.presets import NamedBase, RealFamily
from lorabot.trainer.bases import BaseModel, BaseStore, LocatedBase, load_base, pipeline
from lorabot.trainer.bases.digests import Digests
from lorabot.trainer.bases.folder import load_folder
from lorabot.trainer.bases.loading import place_of_the_rest
from lorabot.trainer.bases.single_file import load_single_file
from lorabot.trainer.errors import BadBase
from lorabot.trainer.models import Models
from lorabot.trainer.tokenizer import BLANK, END, load_tokenizer
from tests.trainer.small_bases import FAMILIES, SmallBase, make, write_file, write_folder

PROMPTS = ["a red fox in the snow, zuri", ""]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Case:
    """A small model as a file and as a folder, and what our loader makes of the file."""

    def __init__(self, family: RealFamily, folder: Path) -> None:
        self.small: SmallBase = make(family)
        self.file = write_file(self.small, folder / f"{family}.safetensors", torch.float32)
        self.folder = write_folder(self.small, folder / family, "fp16")
        self.store = BaseStore(folder / "store")
        self.base = load_base(self.located(self.file))

    def located(self, source: Path, **more: object) -> LocatedBase:
        named = NamedBase.model_validate({"id": "mine", "title": "Mine", "source": str(source), **more})
        return self.store.locate(named.of(self.small.family), lambda: None)


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case("sd15", tmp_path_factory.mktemp("sd15"))


def _theirs(case: Case) -> Any:
    """diffusers' own pipeline from the same file, with the configurations of the same model as a folder."""
    end, blank = load_tokenizer(END), load_tokenizer(BLANK)
    scheduler = DDIMScheduler.from_config(case.small.scheduler)
    common: dict[str, Any] = {"config": str(case.folder), "local_files_only": True, "scheduler": scheduler}
    if case.small.family == "sdxl":
        kind: Any = StableDiffusionXLPipeline
        return kind.from_single_file(str(case.file), tokenizer=end, tokenizer_2=blank, add_watermarker=False, **common)
    kind = StableDiffusionPipeline
    tokenizer = blank if case.small.family == "sd21" else end
    return kind.from_single_file(
        str(case.file), tokenizer=tokenizer, safety_checker=None, feature_extractor=None, **common
    )


@torch.no_grad()
def test_text_towers_unet_and_vae_give_what_diffusers_own_loading_gives(case: Case) -> None:
    ours: Any = pipeline(case.base)
    theirs = _theirs(case)
    asked: dict[str, Any] = {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    told, theirs_told = ours.encode_prompt(PROMPTS, **asked), theirs.encode_prompt(PROMPTS, **asked)
    assert [value is None for value in told] == [value is None for value in theirs_told]
    for value, other in zip(told, theirs_told, strict=True):
        assert value is None or torch.equal(value, other)
    states = told[0]
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    more: dict[str, Any] = {}
    if case.small.family == "sdxl":
        more = {"added_cond_kwargs": {"text_embeds": told[2], "time_ids": torch.full((2, 6), 64.0)}}
    steps = torch.tensor([3, 900])
    assert torch.equal(ours.unet(noise, steps, states, **more).sample, theirs.unet(noise, steps, states, **more).sample)
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(ours.vae.encode(pixels).latent_dist.mean, theirs.vae.encode(pixels).latent_dist.mean)
    assert torch.equal(ours.vae.decode(noise[:1]).sample, theirs.vae.decode(noise[:1]).sample)
    assert ours.vae.config.scaling_factor == theirs.vae.config.scaling_factor
    for name in ("prediction_type", "beta_start", "beta_end", "beta_schedule", "steps_offset"):
        assert ours.scheduler.config[name] == theirs.scheduler.config[name]


def test_a_folder_loads_in_half_precision_files_with_the_same_weights(case: Case) -> None:
    base = load_base(case.located(case.folder))
    for part, original in _pairs(base, case.small):
        for name, value in part.state_dict().items():
            assert torch.equal(value, original.state_dict()[name]), name
    assert (base.family, base.resolution) == (case.small.family, case.base.resolution)
    assert base.scheduler["prediction_type"] == case.base.scheduler["prediction_type"]


def test_weights_of_eight_bits_are_trained_on_as_the_numbers_they_stand_for(tmp_path: Path) -> None:
    small = make("sdxl")
    file = write_file(small, tmp_path / "fp8.safetensors", torch.float8_e4m3fn)
    named = NamedBase(id="mine", title="Mine", source=str(file))
    base = load_base(BaseStore(tmp_path / "store").locate(named.of("sdxl"), lambda: None), dtype=torch.bfloat16)
    for part, original in _pairs(base, small):
        for name, value in part.named_parameters():
            rounded = original.get_parameter(name).to(torch.float8_e4m3fn)
            assert torch.equal(value.float(), rounded.float()), name
    assert base.unet.dtype == torch.bfloat16


def test_a_folder_in_pieces_loads_as_a_whole_and_is_refused_where_one_is_missing(case: Case, tmp_path: Path) -> None:
    folder = write_folder(case.small, tmp_path / "pieces", "fp16", shard="1MB")
    pieces = sorted(path.relative_to(folder) for path in folder.glob("*/*-of-*.safetensors"))
    assert {piece.parts[0] for piece in pieces} >= {"unet", "text_encoder"}
    for part, original in _pairs(load_base(case.located(folder)), case.small):
        for name, value in part.state_dict().items():
            assert torch.equal(value, original.state_dict()[name]), name
    for lost in (pieces[-1], next(path.relative_to(folder) for path in folder.glob("unet/*.index*.json"))):
        (folder / lost).unlink()
        with pytest.raises(BadBase) as caught:
            case.located(folder)
        assert caught.value.message.params["file"] == "pieces"
        assert str(caught.value.message.params["part"]).startswith(f"{lost.parts[0]}/")


def _pairs(base: BaseModel, small: SmallBase) -> Iterator[tuple[torch.nn.Module, torch.nn.Module]]:
    yield base.unet, small.unet
    yield base.vae, small.vae
    yield from zip((tower.encoder for tower in base.towers), small.encoders, strict=True)


def test_everything_is_frozen_and_the_towers_are_listened_to_where_the_family_wants(case: Case) -> None:
    for part, _ in _pairs(case.base, case.small):
        assert not part.training
        assert not any(value.requires_grad for value in part.parameters())
    heard = [(tower.clip_skip, tower.normed, tower.pooled) for tower in case.base.towers]
    assert (
        heard
        == {
            "sd15": [(1, True, False)],
            "sd21": [(2, True, False)],
            "sdxl": [(2, False, False), (2, False, True)],
        }[case.small.family]
    )
    assert [tower.tokenizer.pad_token for tower in case.base.towers] == {
        "sd15": [END],
        "sd21": [BLANK],
        "sdxl": [END, BLANK],
    }[case.small.family]


def test_clip_skip_and_prediction_are_as_the_operator_says(case: Case) -> None:
    base = load_base(case.located(case.file, clip_skip=3, prediction="v_prediction"))
    assert {tower.clip_skip for tower in base.towers} == {3}
    assert base.scheduler["prediction_type"] == "v_prediction"


def test_an_anime_model_saved_by_an_old_library_loads_too(sd15: Case, tmp_path: Path) -> None:
    state = load_file(sd15.file)
    old = {name.replace("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."): state[name]
           for name in state}  # fmt: skip
    save_file(old, tmp_path / "old.safetensors")
    base = load_base(sd15.located(tmp_path / "old.safetensors"))
    ours, theirs = base.towers[0].encoder.state_dict(), sd15.base.towers[0].encoder.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_vae_that_overflows_in_half_precision_still_draws(sd15: Case, tmp_path: Path) -> None:
    """As SDXL's does, and those of some merges: its activations grow beyond 65,504, and the picture would be black."""
    state = load_file(sd15.file)
    state["first_stage_model.decoder.conv_in.weight"] *= 2e5
    save_file({name: value.half() for name, value in state.items()}, tmp_path / "loud.safetensors")
    located = sd15.located(tmp_path / "loud.safetensors")
    latents = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.bfloat16, torch.float32):
        vae = load_base(located, dtype=torch.bfloat16, vae_dtype=dtype).vae
        with torch.no_grad():
            drawn = vae.decode(latents.to(dtype)).sample.float()
            broken = torch.nn.Module.to(vae, torch.float16).decode(latents.half()).sample
        assert drawn.isfinite().all()
        assert drawn.std() > 0.01
        assert not broken.isfinite().all()


def test_infinite_weights_are_refused_before_anything_is_trained_on_them(sd15: Case, tmp_path: Path) -> None:
    state = load_file(sd15.file)
    state["first_stage_model.decoder.conv_out.bias"][0] = float("nan")
    save_file(state, tmp_path / "broken.safetensors")
    assert "is broken" in _refusal(sd15.located(tmp_path / "broken.safetensors"))


def test_a_checkpoint_without_some_of_its_weights_is_refused_with_their_number(sd15: Case, tmp_path: Path) -> None:
    state = load_file(sd15.file)
    del state["model.diffusion_model.out.2.bias"]
    save_file(state, tmp_path / "partial.safetensors")
    sentence = _refusal(sd15.located(tmp_path / "partial.safetensors"))
    assert "lacks 1 weights of its UNet2DConditionModel, such as conv_out.bias" in sentence


def test_a_unet_with_more_in_it_than_it_should_have_is_refused(sd15: Case, tmp_path: Path) -> None:
    state = load_file(sd15.file)
    state["model.diffusion_model.label_emb.extra.weight"] = torch.zeros(1)
    save_file(state, tmp_path / "more.safetensors")
    assert "not built like" in _refusal(sd15.located(tmp_path / "more.safetensors"))


def test_a_base_that_does_not_fit_into_memory_is_refused_before_the_kernel_ends_us(
    sd15: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(1000))
    assert "0.0 GB are free" in _refusal(sd15.located(sd15.file))


def _refusal(located: LocatedBase) -> str:
    with pytest.raises(BadBase) as caught:
        load_base(located)
    return translator("en").text(caught.value.message)


def test_only_the_unet_needs_room_on_a_card_and_what_others_hold_is_waited_for(
    sd15: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, host = torch.device("cuda:0"), torch.device("cpu")
    unet = sum(value.numel() for value in sd15.small.unet.state_dict().values()) * 2
    for path in (sd15.file, sd15.folder):
        located = sd15.located(path)
        files = [path] if path.is_file() else sorted(path.rglob("*.safetensors"))

        def place(free: int, total: int = 1 << 40) -> torch.device:
            monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 40, 1 << 40))
            monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: total / (1 << 40))
            monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: total - free)
            return place_of_the_rest(located, files, card, torch.bfloat16)  # noqa: B023

        assert place(1 << 40) == card
        assert place(round(1.1 * unet) + 1) == host
        with pytest.raises(torch.OutOfMemoryError, match="the UNet of"):
            place(unet)
        with pytest.raises(BadBase, match="base-no-card-memory"):
            place(unet, unet)


def test_all_but_the_unet_may_stay_in_the_hosts_memory(sd15: Case) -> None:
    apart = torch.device("meta"), torch.device("cpu"), torch.float32, torch.float32
    for parts in (
        load_folder(sd15.located(sd15.folder), *apart),
        load_single_file(sd15.located(sd15.file), *apart),
    ):
        places = [next(part.parameters()).device.type for part in (parts.unet, parts.vae, *parts.encoders)]
        assert places == ["meta", "cpu", "cpu"]


def test_one_base_leaves_before_another_comes(sd15: Case) -> None:
    models = Models("cpu")
    first = weakref.ref(models.base(sd15.located(sd15.file)).unet)
    assert models.base(sd15.located(sd15.file)).unet is first()
    models.base()
    gc.collect()
    assert first() is None


def test_a_file_is_read_once_for_its_digest_and_again_only_when_it_changes(tmp_path: Path) -> None:
    path, memory = tmp_path / "large", tmp_path / "digests.json"
    path.write_bytes(b"a" * 100)
    reads: list[None] = []
    first = Digests(memory).sha256(path, lambda: reads.append(None))
    assert Digests(memory).sha256(path, lambda: reads.append(None)) == first
    assert len(reads) == 1
    memory.write_text("{broken")
    assert Digests(memory).sha256(path, lambda: reads.append(None)) == first
    path.write_bytes(b"b" * 101)
    assert Digests(memory).sha256(path, lambda: reads.append(None)) != first
    assert len(reads) == 3


def test_the_identity_changes_with_a_single_weight(sd15: Case, tmp_path: Path) -> None:
    state = load_file(sd15.file)
    state["model.diffusion_model.out.2.bias"][0] += 1
    save_file(state, tmp_path / "other.safetensors")
    one, other = sd15.located(sd15.file), sd15.located(tmp_path / "other.safetensors")
    assert one.identity != other.identity
    assert sd15.located(sd15.file).identity == one.identity == load_base(one).identity
    assert sd15.located(sd15.folder).identity != one.identity
