"""The presets that come along."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

import lorabot.presets
from lorabot.locale import translator
from lorabot.presets import Family, NoRecipe, Preset, UnknownPreset, Vocabulary, load_presets

FOLDER = Path(lorabot.presets.__file__).parent
CATALOGUE = load_presets()
FAMILIES: tuple[Family, ...] = get_args(Family)
PRESETS = list(CATALOGUE.presets.values())
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_all_files_load_and_none_is_broken() -> None:
    assert CATALOGUE.broken == ()
    assert set(CATALOGUE.presets) == {
        *("anime", "character", "portrait", "style", "ink-landscape", "product", "pet", "pixel-art")
    }
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(CATALOGUE.presets)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_can_be_trained_on_every_family(preset: Preset) -> None:
    for family in FAMILIES:
        caption = preset.recipe(family).caption
        vocabulary = CATALOGUE.vocabulary_for(caption)
        assert (vocabulary is None) == (caption.method == "none"), family


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_speaks_both_languages(preset: Preset) -> None:
    for text in (preset.title, preset.description, preset.send.kind):
        assert CHINESE.search(text.get("zh-CN"))
        assert not CHINESE.search(text.get("en"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_the_samples_show_the_trigger_in_use_and_once_what_is_kept(preset: Preset) -> None:
    for recipe in preset.recipes.values():
        with_trigger = ["{trigger}" in prompt for prompt in recipe.sample_prompts]
        assert sum(with_trigger) >= 2
        assert with_trigger.count(False) == 1


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_real_bases_get_a_budget_within_the_well_tried_range(preset: Preset) -> None:
    for family in ("sd15", "sd21", "sdxl"):
        assert 500 <= preset.recipes[family].views <= 4000
        assert (
            1e-4 <= preset.recipes[family].unet_lr * preset.recipes[family].alpha / preset.recipes[family].rank <= 5e-4
        )


@pytest.mark.parametrize("name", CATALOGUE.presets)
def test_every_recipe_is_argued_in_a_comment(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    for family in FAMILIES:
        assert lines[lines.index(f"  {family}:") + 1].startswith("    # ")


def test_a_preset_survives_its_way_through_the_database() -> None:
    for preset in PRESETS:
        assert Preset.model_validate(json.loads(json.dumps(preset.model_dump(mode="json")))) == preset
    for vocabulary in CATALOGUE.vocabularies.values():
        assert Vocabulary.model_validate(json.loads(json.dumps(vocabulary.model_dump(mode="json")))) == vocabulary


def test_a_vocabulary_for_a_subject_never_says_what_it_is_and_one_for_a_style_how_it_is_drawn() -> None:
    """That is what the trigger word has to learn."""
    groups = {name: {group.name for group in vocabulary.groups} for name, vocabulary in CATALOGUE.vocabularies.items()}
    for subject in ("person", "figure", "pet", "product", "demo-subject"):
        assert not groups[subject] & {"kind", "subject", "colour", "hair"}
    for style in ("scene", "landscape", "sprite"):
        assert not groups[style] & {"style", "medium"}


def test_a_preset_is_found_however_it_is_written() -> None:
    for wish in ("pixel-art", "Pixel Art", "PIXEL_ART", " pixel-art "):
        assert CATALOGUE.get(wish).id == "pixel-art"


@pytest.mark.parametrize(
    ("wish", "nearest"),
    [
        ("anmie", "anime"),
        ("animee", "anime"),
        ("ink", "ink-landscape"),
        ("landscape", "ink-landscape"),
        ("动漫", "anime"),
        ("宠物", "pet"),
        ("mascot", "character"),
        ("portait", "portrait"),
        ("pixelart", "pixel-art"),
    ],
)
def test_an_unknown_preset_is_answered_with_the_nearest(wish: str, nearest: str) -> None:
    with pytest.raises(UnknownPreset) as caught:
        CATALOGUE.get(wish)
    assert str(caught.value.message.params["nearest"]).split(", ")[0] == nearest
    for language in ("en", "zh-CN"):
        sentence = translator(language).text(caught.value.message)
        assert nearest in sentence
        assert wish in sentence


def test_a_preset_unlike_any_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(UnknownPreset) as caught:
        CATALOGUE.get("zzzz")
    sentence = translator("en").text(caught.value.message)
    assert all(name in sentence for name in CATALOGUE.presets)


def test_a_very_long_wish_is_not_repeated_in_full() -> None:
    with pytest.raises(UnknownPreset) as caught:
        CATALOGUE.get("a" * 10_000)
    assert len(translator("en").text(caught.value.message)) < 400


def test_a_preset_without_a_recipe_for_the_base_says_which_it_has() -> None:
    preset = PRESETS[0].model_copy(update={"recipes": {"sd15": PRESETS[0].recipes["sd15"]}})
    with pytest.raises(NoRecipe) as caught:
        preset.recipe("sdxl")
    assert "sd15" in translator("en").text(caught.value.message)
