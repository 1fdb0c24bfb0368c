"""Teaches the demo base a held-out thing the way people do, by lorabot's own training, to measure what comes of it."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lorabot.presets import Preset, load_presets
from lorabot.trainer.bases import BaseModel, demo_base, pipeline
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.local import LocalImage, train

CALM = TrainerConfig(device="cpu", sample_rounds=0, validations=2)
"""The measuring draws its own pictures."""


def teach(images: Sequence[Image.Image], captions: Sequence[str | None], trigger: str, preset: str, out: Path) -> Path:
    """Train with a built-in preset on `images`, with captions where there are some; returns the LoRA file in `out`."""
    catalogue = load_presets()
    chosen: Preset = catalogue.get(preset)
    with tempfile.TemporaryDirectory() as folder:
        sent = []
        for number, image in enumerate(images):
            path = Path(folder) / f"{number:02}.png"
            image.save(path)
            sent.append(LocalImage(path, path.name, captions[number]))
        outcome = asyncio.run(
            train(
                sent,
                preset=chosen,
                vocabulary=catalogue.vocabulary_for(chosen.recipe("demo").caption),
                trigger=trigger,
                base=demo_base(),
                name=trigger,
                seed=1,
                language="en",
                out=out,
                config=CALM,
                on_event=lambda _: None,
            )
        )
    return next(file.path for file in outcome.files if file.kind == "lora")


def wear(base: BaseModel, file: Path) -> None:
    """Load a LoRA file into the base as diffusers' users do."""
    pipe: Any = pipeline(base)
    pipe.load_lora_weights(file)
