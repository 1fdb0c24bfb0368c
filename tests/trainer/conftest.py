"""One tiny training for all tests that look at its results, and the pieces to train more."""

import gc
import os

# Before torch is imported: its threads would otherwise spin while they wait, and tests share their cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from lorabot.presets import Preset, Recipe, Vocabulary, load_presets
from lorabot.trainer import wire
from lorabot.trainer.bases import demo_base
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.job import run
from lorabot.trainer.models import Models

QUICK = TrainerConfig(
    device="cpu", sample_rounds=1, validations=3, checkpoint_s=3600, progress_s=0, alive_s=0.2, cancel_grace_s=30
)
"""Few pictures and measurements, and no saved states unless asked for."""


presets = cache(load_presets)
"""The built-in ones, read once: they never change."""


def tiny_preset(**changes: object) -> Preset:
    """The anime preset with ``tiny_recipe`` for the demo base."""
    return presets().get("anime").model_copy(update={"recipes": {"demo": tiny_recipe(**changes)}})


def tiny_recipe(**changes: object) -> Recipe:
    """The anime recipe of the demo base for 64 pixels, 6 steps of 2 images, alpha other than rank."""
    recipe = presets().get("anime").recipes["demo"]
    return Recipe.model_validate(
        recipe.model_dump()
        | {
            "resolution": 64,
            "views": 12,
            "batch": 2,
            "rank": 4,
            "alpha": 6.0,
            "sample_steps": 3,
            "flip": True,
            "noise_offset": 0.05,
            "caption_dropout": 0.1,
            "preserve": None,
            "sample_prompts": ("{trigger} in a forest", "a cat on a hill"),
            **changes,
        }
    )


def vocabulary() -> Vocabulary:
    return presets().vocabulary("demo-subject")


def draw_images(folder: Path, count: int) -> tuple[wire.TrainingImage, ...]:
    """Simple pictures of different sizes, one of them with a caption by its owner."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for index in range(count):
        size = (96 + 8 * index, 128 - 4 * index)
        picture = Image.new("RGB", size, (40 + 15 * index, 160, 200 - 12 * index))
        ImageDraw.Draw(picture).ellipse((20, 20, 70, 80), fill="orange", outline="black", width=3)
        path = folder / f"{index}.png"
        picture.save(path)
        caption = "a drawing, of a friend" if index == 1 else None
        images.append(wire.TrainingImage(path=path, name=f"photo {index}.png", caption=caption))
    return tuple(images)


def make_job(folder: Path, count: int = 10, **changes: object) -> wire.TrainingJob:
    """A tiny job whose work goes into ``folder``."""
    values: dict[str, object] = {
        "id": "job1",
        "name": "My Zuri",
        "trigger": "zuri",
        "base": demo_base(),
        "language": "en",
        "seed": 7,
        "preset": tiny_preset(),
        "vocabulary": vocabulary(),
        "images": draw_images(folder / "images", count),
        "folder": folder,
        **changes,
    }
    return wire.TrainingJob.model_validate(values)


@dataclass(frozen=True, slots=True)
class Trained:
    """A job that was done, and what was heard of it."""

    job: wire.TrainingJob
    done: wire.Done
    events: tuple[wire.Event, ...]

    def file(self, kind: wire.FileKind) -> Path:
        return next(file.path for file in self.done.files if file.kind == kind)


@pytest.fixture(scope="session")
def models() -> Models:
    import torch

    torch.set_num_threads(2)
    loaded = Models("cpu")
    loaded.base()
    loaded.clip()
    gc.freeze()  # as in an engine: this is here to stay
    return loaded


@pytest.fixture(scope="session")
def trained(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A whole job, saved after every step."""
    expected = wire.Expected(seconds=10, low=8.5, high=11.5, basis="alike")
    job = make_job(tmp_path_factory.mktemp("trained"), expected=expected)
    events: list[wire.Event] = []
    config = QUICK.model_copy(update={"checkpoint_s": 0})
    done = run(job, models, config, Control(), events.append)
    return Trained(job, done, tuple(events))
