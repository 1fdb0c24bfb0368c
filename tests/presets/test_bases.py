"""The catalogue of base models: the demo, and what the operator names."""

import pytest
from pydantic import ValidationError

from lorabot.locale import translator
from lorabot.presets import DEMO, Bases, NamedBase, UnknownBase

PONY = NamedBase(id="pony-v6", title="Pony Diffusion", source="/models/pony.safetensors", family="sdxl")
ANYTHING = NamedBase(id="anything", title="Anything", source="./anything", family="sd15")
BASES = Bases([PONY.of("sdxl"), ANYTHING.of("sd15")])


def test_the_demo_is_always_there_and_the_first_that_is_named_is_what_people_get() -> None:
    assert list(BASES) == ["demo", "pony-v6", "anything"]
    assert BASES.usual.id == "pony-v6"
    assert Bases().usual == DEMO


@pytest.mark.parametrize("wish", ["pony-v6", "PONY-V6", " Pony Diffusion "])
def test_a_base_is_found_by_id_and_by_title(wish: str) -> None:
    assert BASES.wished(wish).named == PONY


@pytest.mark.parametrize(
    ("wish", "nearest"), [("ponny-v6", "pony-v6"), ("sdxl", "pony-v6"), ("sd15", "anything"), ("diffusion", "pony-v6")]
)
def test_an_unknown_base_is_answered_with_the_nearest(wish: str, nearest: str) -> None:
    with pytest.raises(UnknownBase) as caught:
        BASES.wished(wish)
    for language in ("en", "zh-CN"):
        sentence = translator(language).text(caught.value.message)
        assert nearest in sentence
        assert wish in sentence


def test_a_base_unlike_any_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(UnknownBase) as caught:
        BASES.wished("zzzz" * 100)
    sentence = translator("en").text(caught.value.message)
    assert all(name in sentence for name in BASES)
    assert len(sentence) < 200


@pytest.mark.parametrize(
    ("source", "on_hub"),
    [
        ("org/name", True),
        ("./org/name", False),
        ("~/models", False),
        ("/models/a.safetensors", False),
        ("models/a.safetensors", False),
        ("models/a/b", False),
        ("../models", False),
    ],
)
def test_only_two_words_and_a_slash_mean_the_hub(source: str, on_hub: bool) -> None:
    assert NamedBase(id="a", title="A", source=source, family="sd15").on_hub == on_hub


def test_a_base_on_the_hub_needs_its_family_for_nobody_can_look_at_it_yet() -> None:
    with pytest.raises(ValidationError, match="family is needed"):
        NamedBase(id="a", title="A", source="org/name")
