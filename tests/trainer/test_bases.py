"""The built-in base model loads from its files alone, and its parts fit together."""

import random
from typing import Any

import open_clip
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image

from lorabot.trainer.bases import BaseModel, demo_base, load_base, pipeline
from lorabot.trainer.clip import load_clip
from lorabot.trainer.tokenizer import BLANK, load_tokenizer


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base()


def _strings() -> list[str]:
    rng = random.Random(0)
    reference = SimpleTokenizer()
    words = [word.removesuffix("</w>") for word in reference.encoder if word.isascii() and "_of_text" not in word]
    odd = [
        "a photo of zuri",
        "Hello, World!! it's 3 o'clock",
        "日本語 テスト",
        "naïve café",
        "🦊🎉 yes",
        " tabs\tand\n lines ",
        "",
    ]
    phrases = [" ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(1500)]
    noise = ["".join(rng.choices("abcdefghij '-.,!é猫0123", k=rng.randint(1, 40))) for _ in range(1500)]
    return odd + phrases + noise


def test_the_tokenizer_gives_the_tokens_of_open_clips_own() -> None:
    ours = load_tokenizer()
    reference: Any = SimpleTokenizer()  # it carries no hints
    for text in _strings():
        assert ours(text, add_special_tokens=False)["input_ids"] == reference.encode(text), text


def test_a_prompt_is_padded_to_77_tokens_with_the_end_mark() -> None:
    ids = load_tokenizer()("a fox", padding="max_length")["input_ids"]
    assert len(ids) == 77
    assert ids[0] == 49406
    assert set(ids[3:]) == {49407}


def test_where_open_clip_trained_the_encoder_a_prompt_ends_once_and_is_filled_up_with_zeros() -> None:
    ids = load_tokenizer(BLANK)("a fox", padding="max_length")["input_ids"]
    assert len(ids) == 77
    assert ids[3] == 49407
    assert set(ids[4:]) == {0}


def test_the_base_is_the_demo_family_and_frozen(base: BaseModel) -> None:
    assert (base.name, base.family, base.resolution) == ("demo", "demo", 128)
    for part in (base.unet, base.vae, base.towers[0].encoder):
        assert not any(parameter.requires_grad for parameter in part.parameters())
    assert base.identity == demo_base().identity


def test_half_precision_is_given_when_asked_for() -> None:
    half = load_base(dtype=torch.bfloat16)
    for part in (half.unet, half.towers[0].encoder):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in half.vae.parameters()} == {torch.float32}


def test_the_pipeline_draws_the_same_picture_for_the_same_seed(base: BaseModel) -> None:
    pipe = pipeline(base)

    def draw(seed: int) -> Image.Image:
        generator = torch.Generator().manual_seed(seed)
        picture: Image.Image = pipe("a red fox", num_inference_steps=2, guidance_scale=3.0, generator=generator).images[
            0
        ]
        return picture

    first = draw(1)
    assert first.size == (128, 128)
    assert first.tobytes() == draw(1).tobytes()
    assert first.tobytes() != draw(2).tobytes()


def test_the_clip_reads_text_with_the_bases_own_encoder(base: BaseModel) -> None:
    clip = load_clip()
    text = "a blue owl in a forest, zuri"
    (tower,) = base.towers
    ids = torch.tensor([tower.tokenizer(text, padding="max_length")["input_ids"]])
    model = clip.model
    assert isinstance(model, open_clip.CLIP)
    with torch.no_grad():
        ours = tower.encoder(ids).pooler_output @ model.text_projection
        theirs = model.encode_text(clip.tokenizer([text]))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
