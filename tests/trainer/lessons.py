"""Trainings of a few steps on the smallest of bases, from latents that stand for images: a job between its files."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from lorabot.presets import Prediction
from lorabot.trainer import adapter, resume
from lorabot.trainer.adapter import State
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.buckets import Bucket, Sorted
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.course import Course
from lorabot.trainer.denoising import plain
from lorabot.trainer.encoding import Encoded, Told
from lorabot.trainer.latents import Latents
from lorabot.trainer.memory import Fitted, Fitting
from lorabot.trainer.optimisers import Moments
from lorabot.trainer.planning import Hardware, Plan, plan
from lorabot.trainer.resume import ResumeState
from lorabot.trainer.training import Setup, Watch, batches_of, train
from tests.trainer.conftest import tiny_recipe
from tests.trainer.small_bases import TEXT_WIDTH, base_model

IMAGES, SIDE, SEED = 3, 8, 7


@dataclass(slots=True)
class Lesson:
    """A training that was done, with the state that was saved after each of its steps."""

    setup: Setup
    course: Course
    folder: Path
    weights: State = field(default_factory=dict)
    seen: list[State] = field(default_factory=list)
    """The weights whenever pictures were drawn."""

    def saved(self, step: int) -> ResumeState:
        return resume.read(self.folder / f"{step}.safetensors")


@cache
def smallest_base(prediction: Prediction = "epsilon") -> BaseModel:
    """A base whose UNet has one level, an attention in each half and nothing between: a step takes milliseconds."""
    small = base_model("sd15", prediction)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet: UNet2DConditionModel = UNet2DConditionModel(
            down_block_types=("CrossAttnDownBlock2D",),
            mid_block_type=None,
            up_block_types=("CrossAttnUpBlock2D",),
            block_out_channels=(32,),
            layers_per_block=1,
            cross_attention_dim=TEXT_WIDTH,
        )
    unet.requires_grad_(False).eval()
    return replace(small, unet=unet)


def make_setup(steps: int = 4, prediction: Prediction = "epsilon", **recipe: Any) -> Setup:
    """``steps`` steps of two images; measured before, after half and after all of them; pictures before and halfway."""
    base = smallest_base(prediction)
    made_recipe = tiny_recipe(
        **{
            "batch": 2,
            "layers": "attention",
            "views": 2 * steps,
            "min_snr_gamma": None,
            "p2_gamma": 0.0,
            "warmup": 0.2,
            **recipe,
        }
    )
    config = TrainerConfig(sample_rounds=1, validations=2)
    chance = torch.Generator().manual_seed(0)
    shape = (4, SIDE, SIDE)
    latents = torch.randn(IMAGES, 2, *shape, generator=chance)
    states = torch.randn(IMAGES + 1, 77, TEXT_WIDTH, generator=chance)
    encoded = Encoded(
        latents=Latents(tuple(latents), (shape,) * IMAGES, torch.device("cpu")),
        views=2,
        told=Told(lambda rows: Conditions(states[rows]), tuple((index,) for index in range(IMAGES)), IMAGES),
        sizes=None,
    )
    hardware = Hardware("cpu", "a processor", "fp32")
    squares = Sorted((Bucket(8 * SIDE, 8 * SIDE),) * IMAGES, ())
    made = plan(made_recipe, squares, SEED, hardware, config, fits, 1_000_000)
    batches = batches_of(encoded, made, SEED)
    return Setup(base, {"unet": base.unet}, plain(base.unet, "fp32"), encoded, batches, made, made_recipe, SEED)


def fits(rows: int) -> Fitted:
    """For plans that nothing is too large for."""
    return Fitted(Fitting(rows), 0.1)


def no_room(step: int) -> Plan:
    """For trainings that nothing should be too large for."""
    raise AssertionError(f"out of memory after step {step}")


def learn(
    setup: Setup,
    folder: Path,
    begun: ResumeState | None = None,
    saving: bool = True,
    check: Callable[[int], None] = lambda _: None,
    drawing: Callable[[int], None] = lambda _: None,
    make_room: Callable[[int], Plan] | None = None,
    plan_now: Callable[[], Plan] | None = None,
) -> Lesson:
    """Train from the beginning, or from what was saved, on a fresh adapter.

    ``check`` is called before every step and ``drawing`` with every picture, with the number of steps done.
    ``make_room`` makes smaller plans, of which ``plan_now`` is the one of the moment.
    """
    course = begun.course if begun else Course()
    lesson = Lesson(setup, course, folder)

    def save(now: Course, moments: Moments) -> None:
        state = ResumeState(
            "job", "base", plan_now() if plan_now else setup.plan, (), now, adapter.read(setup.modules), moments
        )
        resume.write(folder / f"{now.step}.safetensors", state)

    def pictures(step: int) -> tuple[bytes, ...]:
        drawing(step)
        lesson.seen.append(adapter.read(setup.modules))
        return (b"picture",)

    watch = Watch(
        check=lambda: check(course.step),
        progress=lambda *_: None,
        pictures=pictures,
        saving_due=lambda: saving,
        save=save,
        timed=lambda *_: None,
        make_room=make_room or no_room,
        stepped=lambda *_: plan_now() if plan_now else setup.plan,
    )
    with adapter.attached(setup.modules, setup.recipe, SEED):
        if begun:
            adapter.write(setup.modules, begun.adapter)
        train(setup, course, begun.moments if begun else None, watch)
        lesson.weights = adapter.read(setup.modules)
    return lesson
