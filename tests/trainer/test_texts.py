"""What the UNet hears of a text is what diffusers' pipelines would tell it; long texts are heard to their end."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from lorabot.presets import Family
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.encoding import hear
from lorabot.trainer.texts import cached, chunks_needed, encode_texts, live, too_long
from tests.trainer import small_bases

TEXTS = ["zuri, a cat on a hill", "", "night"]


@pytest.fixture(scope="module")
def bases() -> dict[Family, BaseModel]:
    return {family: small_bases.base_model(family) for family in small_bases.FAMILIES}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of a scheduler that is not used
@pytest.mark.parametrize("family", ["sd15", "sd21"])
def test_sd_texts_are_diffusers_own(bases: dict[Family, BaseModel], family: Family) -> None:
    base = bases[family]
    (tower,) = base.towers
    make: Any = StableDiffusionPipeline
    pipe = make(
        base.vae, tower.encoder, tower.tokenizer, base.unet, DDIMScheduler(), None, None, requires_safety_checker=False
    )
    expected, _ = pipe.encode_prompt(TEXTS, "cpu", 1, False)
    found = encode_texts([tower], TEXTS)
    torch.testing.assert_close(found.states, expected)
    assert found.pooled is None


def test_clip_skip_hears_the_encoder_without_its_last_layers(bases: dict[Family, BaseModel]) -> None:
    (tower,) = bases["sd15"].towers
    shorter: Any = copy.deepcopy(tower.encoder)
    for skip in (1, 2, 3):
        torch.testing.assert_close(
            encode_texts([tower.skipping(skip)], TEXTS).states,
            encode_texts([replace(tower, encoder=shorter)], TEXTS).states,
        )
        shorter.encoder.layers = shorter.encoder.layers[:-1]


def test_sdxl_texts_are_diffusers_own_with_the_pooled_embedding(bases: dict[Family, BaseModel]) -> None:
    base = bases["sdxl"]
    one, two = base.towers
    make: Any = StableDiffusionXLPipeline
    pipe = make(base.vae, one.encoder, two.encoder, one.tokenizer, two.tokenizer, base.unet, DDIMScheduler())
    states, _, pooled, _ = pipe.encode_prompt(TEXTS, device="cpu", do_classifier_free_guidance=False)
    found = encode_texts(base.towers, TEXTS)
    torch.testing.assert_close(found.states, states)
    torch.testing.assert_close(found.pooled, pooled)


def test_a_long_text_is_heard_in_chunks_that_end_at_commas(bases: dict[Family, BaseModel]) -> None:
    (tower,) = bases["sd15"].towers
    tags = [f"a{number} b c" for number in range(30)]
    text = ", ".join(tags)
    assert chunks_needed([tower], [text]) == 3
    found = encode_texts([tower], [text]).states
    assert found.shape[1] == 3 * 77
    for chunk in range(3):
        fitting = [
            count for count in range(len(tags) + 1) if chunks_needed([tower], [", ".join(tags[:count]) + ","]) == 1
        ]
        heard, tags = tags[: fitting[-1]], tags[fitting[-1] :]
        alone = encode_texts([tower], [", ".join(heard) + ("," if tags else "")]).states
        torch.testing.assert_close(found[:, 77 * chunk : 77 * (chunk + 1)], alone)
    assert not tags


def test_short_texts_are_as_long_as_the_longest_beside_them_by_empty_chunks(bases: dict[Family, BaseModel]) -> None:
    for family in ("sd21", "sdxl"):
        towers = bases[family].towers
        both = encode_texts(towers, ["night", "word " * 100])
        assert both.states.shape[1] == 2 * 77
        torch.testing.assert_close(both.states[:1, :77], encode_texts(towers, ["night"]).states)
        torch.testing.assert_close(both.states[:1, 77:], encode_texts(towers, [""]).states)


def test_what_is_beyond_225_tokens_is_not_heard_and_known(bases: dict[Family, BaseModel]) -> None:
    towers = bases["sd15"].towers
    assert not too_long(towers, "word " * 225)
    assert too_long(towers, "word " * 226)
    long = encode_texts(towers, ["word " * 225, "word " * 300]).states
    assert torch.equal(long[0], long[1])


def test_live_texts_say_the_same_as_cached_ones_and_can_be_learnt_from(bases: dict[Family, BaseModel]) -> None:
    towers = bases["sdxl"].towers
    rows = torch.tensor([2, 0])
    kept, heard = cached(towers, TEXTS, torch.device("cpu"))(rows), live(towers, TEXTS)
    for mine, theirs in zip(heard(rows).tensors(), kept.tensors(), strict=True):
        torch.testing.assert_close(mine, theirs)
    with torch.no_grad():
        weights = [next(tower.encoder.parameters()) for tower in towers]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        for tensor in heard(rows).tensors():
            assert tensor.requires_grad
        assert not any(tensor.requires_grad for tensor in cached(towers, TEXTS, torch.device("cpu"))(rows).tensors())
    finally:
        for weight in weights:
            weight.requires_grad_(False)


def test_encoders_that_find_no_room_on_the_card_are_heard_where_they_are(bases: dict[Family, BaseModel]) -> None:
    (tower,) = bases["sd15"].towers
    asked: list[object] = []

    def arrive(device: object) -> None:
        asked.append(device)
        if device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. (simulated)")

    encoder: Any = copy.copy(tower.encoder)
    encoder.to = arrive
    cpu = torch.device("cpu")
    found = hear([replace(tower, encoder=encoder)], TEXTS, cpu, learning=False)
    assert asked == [cpu, "cpu"], "what has come over in part goes back"
    torch.testing.assert_close(found(torch.arange(3)).states, encode_texts([tower], TEXTS).states)
