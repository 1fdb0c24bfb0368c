"""The built-in models know their world: a small sample of what tools/demo_models/evaluate.py measures in full."""

from typing import Any

import pytest
import torch

from lorabot.trainer.bases import DEMO_FOLDER, BaseModel, load_base
from lorabot.trainer.clip import load_clip
from tools.demo_models.captions import canonical
from tools.demo_models.evaluate import FRESH, MEASURED, adherence, generate, measure_clip, measure_vae
from tools.demo_models.joint import new_joint
from tools.demo_models.judge import Judge, load_judge, read
from tools.demo_models.world import HELD_OUT_CHARACTERS, render, scene_at


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base()


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def test_all_files_together_stay_under_40_megabytes() -> None:
    assert sum(path.stat().st_size for path in DEMO_FOLDER.rglob("*") if path.is_file()) < 40_000_000


def test_the_autoencoder_gives_pictures_back_at_30_decibels(base: BaseModel) -> None:
    assert measure_vae(base, 24)["all"] >= 30


def test_the_clip_names_what_a_picture_shows() -> None:
    right = measure_clip(100)
    assert min(right[name] for name in MEASURED) >= 90, right


def test_the_judge_reads_renderings_and_knows_held_out_characters(judge: Judge) -> None:
    scenes = [scene_at(FRESH + 7, i) for i in range(60)]
    right = adherence(judge, scenes, [render(scene) for scene in scenes])
    assert min(right[name] for name in MEASURED) >= 85, right
    strangers = [scene_at(FRESH + 8, i, kind=kind) for kind in HELD_OUT_CHARACTERS for i in range(8)]
    seen = [answer["kind"] for answer in read(judge, [render(scene) for scene in strangers])]
    assert sum(kind == scene.kind for kind, scene in zip(seen, strangers, strict=True)) >= 22


def test_a_build_that_goes_on_begins_with_what_the_folder_holds(base: BaseModel) -> None:
    joint = new_joint(1, torch.device("cpu"), DEMO_FOLDER)
    for ours, theirs in ((joint.unet, base.unet), (joint.text, base.towers[0].encoder)):
        wanted = theirs.state_dict()
        assert all(torch.equal(value, wanted[name]) for name, value in ours.state_dict().items())
    known: Any = load_clip().model
    pictures = torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        assert torch.allclose(joint.clip.eval().encode_image(pictures), known.encode_image(pictures), atol=1e-5)


@pytest.mark.slow
def test_the_base_draws_what_a_prompt_asks_for_and_no_character_it_never_saw(base: BaseModel, judge: Judge) -> None:
    scenes = [scene_at(FRESH + 6, i) for i in range(16)]
    right = adherence(judge, scenes, generate(base, [canonical(scene) for scene in scenes], 5, steps=15))
    assert min(right[name] for name in MEASURED) >= 70, right
    strangers = [scene_at(FRESH + 5, i, kind="zuri") for i in range(6)]
    drawn = generate(base, [canonical(scene, name="zuri") for scene in strangers], 6, steps=15)
    assert not any(answer["kind"] == "zuri" for answer in read(judge, drawn))
