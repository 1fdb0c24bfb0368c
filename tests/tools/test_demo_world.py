"""The picture world: the same scene gives the same pixels, and captions tell nothing that is not there."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.demo_models.captions import FIELDS, canonical, describe, training_captions, unknown_name
from tools.demo_models.data import Plan, scene_of
from tools.demo_models.evaluate import exam, lesson
from tools.demo_models.examples import pack
from tools.demo_models.world import (
    COLOURS,
    CREATURES,
    HELD_OUT_CHARACTERS,
    HELD_OUT_OBJECTS,
    HELD_OUT_STYLE_NAMES,
    OBJECTS,
    SETTINGS,
    STYLE_NAMES,
    in_style,
    render,
    scene_at,
)

HELD_OUT = (*HELD_OUT_CHARACTERS, *HELD_OUT_OBJECTS, *HELD_OUT_STYLE_NAMES)


def test_a_scene_gives_the_same_pixels_every_time() -> None:
    for i in range(4):
        assert render(scene_at(1, i)).tobytes() == render(scene_at(1, i)).tobytes()


def test_another_seed_gives_another_picture() -> None:
    assert render(scene_at(1, 0)).tobytes() != render(scene_at(2, 0)).tobytes()


@pytest.mark.parametrize("style", [*STYLE_NAMES, *HELD_OUT_STYLE_NAMES])
def test_every_style_draws_every_size(style: str) -> None:
    scene = in_style(scene_at(3, 1), style)
    for size in (128, 200):
        picture = render(scene, size)
        assert picture.size == (size, size)
        assert np.asarray(picture).std() > 8


@pytest.mark.parametrize("kind", [*CREATURES, *OBJECTS, *HELD_OUT_CHARACTERS, *HELD_OUT_OBJECTS])
def test_every_subject_stands_out_of_its_place(kind: str) -> None:
    """The same place with two different subjects differs where the subject is."""
    scene = scene_at(4, 2, kind=kind, setting="meadow", light="sunny", style="flat", pose="standing")
    other = scene_at(4, 2, kind="owl" if kind != "owl" else "car", setting="meadow", light="sunny", style="flat")
    difference = np.abs(np.asarray(render(scene), dtype=float) - np.asarray(render(other), dtype=float))
    assert difference[40:110, 30:98].mean() > 5


def test_random_scenes_spread_over_the_world_and_leave_out_what_is_held_out() -> None:
    scenes = [scene_at(5, i) for i in range(1500)]
    assert {scene.kind for scene in scenes} == {*CREATURES, *OBJECTS}
    assert {scene.style for scene in scenes} == set(STYLE_NAMES)
    assert {scene.colour for scene in scenes} == set(COLOURS)
    assert {scene.setting for scene in scenes} == set(SETTINGS)


def test_training_captions_never_name_what_is_held_out() -> None:
    rng = np.random.default_rng(0)
    texts = [caption.text for i in range(400) for caption in training_captions(scene_at(6, i), rng)]
    assert not [text for text in texts if any(word in text.replace(",", " ").split() for word in HELD_OUT)]


def test_unknown_names_are_many_and_none_is_held_out() -> None:
    rng = np.random.default_rng(0)
    names = {unknown_name(rng) for _ in range(3000)}
    assert len(names) > 1500
    assert not names & set(HELD_OUT)


def test_a_caption_that_tells_the_colour_names_it() -> None:
    rng = np.random.default_rng(1)
    for i in range(200):
        scene = scene_at(7, i)
        caption = describe(scene, rng)
        if caption.tells[FIELDS.index("colour")]:
            assert scene.colour in caption.text
        elif scene.accessory_colour == "none":
            assert not any(f" {colour} " in f" {caption.text} " for colour in COLOURS if colour != "white")


def test_a_pose_that_goes_unsaid_is_mostly_standing() -> None:
    rng = np.random.default_rng(2)
    silent = []
    for i in range(1500):
        scene = scene_at(9, i, kind="cat")
        if not describe(scene, rng).tells[FIELDS.index("pose")]:
            silent.append(scene.pose)
    assert 0.6 < silent.count("standing") / len(silent) < 0.9  # of all scenes it is one in five


def test_spots_and_stripes_are_rendered_more_often_where_a_plan_says_so() -> None:
    def share(patterned: float) -> float:
        plan = Plan(Path("unused"), 800, 3, patterned=patterned)
        return sum(scene_of(plan, i).feature in ("spots", "stripes") for i in range(plan.count)) / plan.count

    assert share(0.5) > share(0.0) + 0.15


def test_the_plain_caption_of_a_character_uses_its_trigger() -> None:
    scene = scene_at(8, 0, kind="zuri", setting="forest", light="night", style="ink", pose="sitting")
    assert canonical(scene, name="zuri") == "zuri sitting in a forest at night, ink drawing"


@pytest.mark.parametrize("name", HELD_OUT)
def test_exams_ask_for_scenes_that_the_lesson_did_not_show(name: str) -> None:
    taught, asked = lesson(name), exam(name, 12)
    assert not set(taught) & set(asked)
    if name in HELD_OUT_STYLE_NAMES:
        assert not {scene.kind for scene in taught} & {scene.kind for scene in asked}


def test_an_example_zip_is_what_a_person_would_send(tmp_path: Path) -> None:
    pack("zuri", tmp_path / "zuri.zip")
    with zipfile.ZipFile(tmp_path / "zuri.zip") as archive:
        names = [
            name for name in archive.namelist() if not name.startswith("__MACOSX") and not name.endswith(".DS_Store")
        ]
        pictures = [Image.open(io.BytesIO(archive.read(name))) for name in names]
    assert len(pictures) == 12
    assert {picture.format for picture in pictures} == {"PNG", "JPEG", "WEBP"}
    assert len({picture.size for picture in pictures}) > 1
    assert any(picture.getexif().get(0x0112, 1) != 1 for picture in pictures)


def test_the_example_of_a_style_brings_captions_that_do_not_name_it(tmp_path: Path) -> None:
    pack("blup", tmp_path / "blup.zip")
    with zipfile.ZipFile(tmp_path / "blup.zip") as archive:
        words = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".txt")]
    assert len(words) == 24
    assert all(text.strip() and "blup" not in text for text in words)
