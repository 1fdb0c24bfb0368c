"""Every family trains, goes on and draws: small models with all that their text encoders and conditions ask for."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from PIL import Image

from lorabot.presets import Family, Recipe
from lorabot.trainer import adapter
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.buckets import sort_in
from lorabot.trainer.captioning import Caption
from lorabot.trainer.control import Control
from lorabot.trainer.course import Course
from lorabot.trainer.denoising import denoiser, plain
from lorabot.trainer.encoding import encode, latent_bytes, listening, tell, text_learners
from lorabot.trainer.pictures import picture_size
from lorabot.trainer.planning import Hardware, Plan, plan
from lorabot.trainer.sampling import RESCALE, sample, settings
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.training import Setup, Watch, batches_of, train
from lorabot.trainer.wire import TrainingImage
from tests.trainer import small_bases
from tests.trainer.conftest import QUICK, tiny_preset
from tests.trainer.lessons import fits, no_room

SIZES = ((192, 64), (64, 64), (64, 192), (192, 64))
TAGS = "zuri, red, round, small"
CPU = torch.device("cpu")


base_of = cache(small_bases.base_model)


def recipe_of(**changes: object) -> Recipe:
    """Four steps of two pictures, with everything on."""
    wanted: dict[str, object] = {
        "views": 8,
        "crops": 2,
        "shuffle_captions": 3,
        "text_encoder_lr": 1e-3,
        "layers": "attention",
        "negative_prompt": "blurry",
        "sample_prompts": ("{trigger}, " + "very " * 90 + "old",),
        **changes,
    }
    return tiny_preset(**wanted).recipe("demo")


class Trial:
    """One training of a small base, from whatever state, in pieces."""

    def __init__(self, family: Family, recipe: Recipe, folder: Path) -> None:
        self.base, self.recipe = base_of(family), recipe
        towers = listening(self.base, recipe)
        self.modules: adapter.Modules = {"unet": self.base.unet, **text_learners(self.base, recipe)}
        images = drawn(folder)
        sorted_in = sort_in([picture_size(image) for image in images], 64, Shapes.of(self.base).grain)
        told = tell(towers, [Caption(TAGS, "person")] * len(images), recipe, 7, CPU)
        self.encoded = encode(
            self.base, images, sorted_in.buckets, told, recipe, 7, "memory", folder, Control(), Autoencoder(self.base)
        )
        self.wanted = settings(self.base, towers, recipe, self.base.scheduler, "zuri", 7)
        hardware = Hardware("cpu", "a processor", "fp32")
        self.plan: Plan = replace(
            plan(recipe, sorted_in, 7, hardware, QUICK, fits, 0), sample_at=(2,), validate_at=(2, 4)
        )

    def run(
        self, course: Course | None = None, state: Any = None, moments: Any = None, left: float | None = None
    ) -> "Outcome":
        """``left``: what somebody has left in every gradient."""
        saved: dict[int, tuple[adapter.State, Any]] = {}
        denoise = plain(self.base.unet, "fp32")
        with adapter.attached(self.modules, self.recipe, 7):
            if state:
                adapter.write(self.modules, state)
            if left is not None:
                for _, parameter in adapter.parameters(self.modules):
                    parameter.grad = torch.full_like(parameter, left)

            def save(now: Course, then: Any) -> None:
                saved[now.step] = adapter.read(self.modules), then

            def pictures(_: int) -> tuple[bytes, ...]:
                return tuple(
                    each.tobytes()
                    for each in sample(self.base, denoise, self.wanted, lambda: None, Autoencoder(self.base))
                )

            watch = Watch(
                lambda: None,
                lambda *_: None,
                pictures,
                lambda: True,
                save,
                lambda *_: None,
                no_room,
                lambda *_: self.plan,
            )
            batches = batches_of(self.encoded, self.plan, 7)
            setup = Setup(self.base, self.modules, denoise, self.encoded, batches, self.plan, self.recipe, 7)
            made = train(setup, course or Course(), moments, watch)
        return Outcome(made, saved)


class Outcome:
    def __init__(self, course: Course, saved: dict[int, tuple[adapter.State, Any]]) -> None:
        self.course, self.saved = course, saved


def drawn(folder: Path) -> tuple[TrainingImage, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(3)
    images = []
    for index, (width, height) in enumerate(SIZES):
        path = folder / f"{index}.png"
        Image.fromarray(chance.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        images.append(TrainingImage(path=path, name=path.name))
    return tuple(images)


@pytest.mark.parametrize("family", small_bases.FAMILIES)
def test_a_family_trains_in_buckets_goes_on_exactly_and_draws_what_its_text_encoders_learn(
    family: Family, tmp_path: Path
) -> None:
    trial = Trial(family, recipe_of(), tmp_path)
    assert [(each.width, each.height, each.count) for each in trial.plan.buckets] == [
        (96, 32, 2),
        (32, 96, 1),
        (64, 64, 1),
    ]
    whole = trial.run()
    assert len(whole.course.losses) == 4
    assert all(loss is not None and np.isfinite(loss) for loss in whole.course.losses)
    state, moments = whole.saved[2]
    begun = Course(losses=whole.course.losses[:2], validation=whole.course.validation[:2])
    again = trial.run(begun, state, moments)
    assert again.course.losses == whole.course.losses
    last, last_again = whole.saved[4][0], again.saved[4][0]
    assert all(torch.equal(value, last_again[name]) for name, value in last.items())
    for prefix in trial.modules:
        ups = [value for name, value in last.items() if name.startswith(f"{prefix}.") and ".lora_B." in name]
        assert any(float(value.abs().max()) > 0 for value in ups), prefix
    (before,), (after,) = whole.course.pictures[0], whole.course.pictures[2]
    assert len(before) == 64 * 64 * 3
    assert before != after


def test_a_training_does_not_learn_from_the_step_that_was_tried_before_it(tmp_path: Path) -> None:
    trial = Trial("sd15", recipe_of(views=2), tmp_path)
    clean, other = (trial.run(left=left).saved[1][0] for left in (None, 1.0))
    assert all(torch.equal(value, other[name]) for name, value in clean.items())


def test_texts_that_are_learnt_are_heard_anew_and_others_once(tmp_path: Path) -> None:
    for rate in (1e-3, 0.0):
        trial = Trial("sdxl", recipe_of(text_encoder_lr=rate), tmp_path)
        before = trial.wanted.texts(torch.tensor([0, 1]))
        assert before.states.shape[1] == 2 * 77, "the long prompt takes two chunks"
        assert set(trial.modules) == ({"unet", "te1", "te2"} if rate else {"unet"})
        with adapter.attached(trial.modules, trial.recipe, 1), torch.no_grad():
            for name, parameter in adapter.parameters(trial.modules):
                if name.startswith("te"):
                    parameter.normal_(std=0.1)
            for mine, theirs in zip(trial.wanted.texts(torch.tensor([0, 1])).tensors(), before.tensors(), strict=True):
                assert torch.equal(mine, theirs) == (rate == 0)


def test_each_view_is_told_with_its_own_sizes_and_some_order_of_its_tags(tmp_path: Path) -> None:
    encoded = Trial("sdxl", recipe_of(text_encoder_lr=0), tmp_path).encoded
    images, views = torch.tensor([0, 0, 3]), torch.tensor([0, 2, 1])
    no = torch.zeros(3, dtype=torch.bool)
    told = encoded.conditions(images, views, torch.tensor([0, 1, 5]), no)
    assert told.sizes is not None
    assert told.sizes[0].tolist() == [64, 192, 0, 0, 32, 96]
    assert told.sizes[:, 4:].tolist() == [[32, 96]] * 3
    assert not torch.equal(told.states[0], told.states[1])
    dropped = encoded.conditions(images, views, torch.tensor([0, 1, 5]), ~no)
    assert torch.equal(dropped.states[0], dropped.states[1])
    assert encoded.clean(images, views).shape == (3, 4, 4, 12)


def test_another_attempt_takes_latents_from_disk_and_only_those_of_its_own_model(tmp_path: Path) -> None:
    trial = Trial("sd15", recipe_of(text_encoder_lr=0), tmp_path / "images")
    base, recipe, told = trial.base, trial.recipe, trial.encoded.told
    images = drawn(tmp_path / "images")
    buckets = sort_in(SIZES, 64, Shapes.of(base).grain).buckets
    other = replace(base, vae=copy.deepcopy(base.vae), identity="another")
    for parameter in other.vae.parameters():
        parameter.data *= 0.9

    def latents(model: BaseModel) -> torch.Tensor:
        found = encode(
            model, images, buckets, told, recipe, 7, "disk", tmp_path / "cache", Control(), Autoencoder(model)
        )
        return found.clean(torch.tensor([0, 3]), torch.tensor([3, 1]))

    first = latents(base)
    assert torch.equal(first, trial.encoded.clean(torch.tensor([0, 3]), torch.tensor([3, 1])))
    assert torch.equal(latents(replace(other, identity=base.identity)), first), "found, not made again"
    assert not torch.equal(latents(other), first)
    held = sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) / 2
    assert 1 <= held / latent_bytes(base, buckets, recipe) < 1.1


@pytest.mark.parametrize(("family", "to_noise"), [("sdxl", False), ("sd21", True), ("sd21", False)])
def test_pictures_are_those_of_diffusers_own_pipelines(family: Family, to_noise: bool) -> None:
    """Noise and v predicted, with and without zero terminal SNR: steps from the last, guidance rescaled."""
    base, recipe = base_of(family), recipe_of(text_encoder_lr=0, sample_prompts=("{trigger} at night",))
    config = {**base.scheduler, "rescale_betas_zero_snr": to_noise}
    wanted = replace(settings(base, base.towers, recipe, config, "zuri", 7), steps=4)
    (picture,) = sample(base, plain(base.unet, "fp32"), wanted, lambda: None, Autoencoder(base))
    options: dict[str, Any] = {"timestep_spacing": "trailing"} if to_noise else {"use_karras_sigmas": True}
    scheduler: Any = DPMSolverMultistepScheduler.from_config(config, **options)
    one, *more = base.towers
    pipe: Any
    if family == "sdxl":
        make: Any = StableDiffusionXLPipeline
        pipe = make(
            base.vae, one.encoder, more[0].encoder, one.tokenizer, more[0].tokenizer, base.unet, scheduler,
            add_watermarker=False,
        )  # fmt: skip
    else:
        make = StableDiffusionPipeline
        pipe = make(
            base.vae, one.encoder, one.tokenizer, base.unet, scheduler, None, None, requires_safety_checker=False
        )
    pipe.set_progress_bar_config(disable=True)
    (prompt,) = wanted.prompts
    theirs = pipe(
        prompt.text,
        negative_prompt="blurry",
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=wanted.guidance,
        guidance_rescale=RESCALE if to_noise else 0.0,
        latents=torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(prompt.seed)),
    ).images[0]
    difference = np.abs(np.asarray(picture, dtype=int) - np.asarray(theirs, dtype=int))
    assert difference.max() <= 2


def test_checkpointing_keeps_less_and_learns_the_same(tmp_path: Path) -> None:
    trial = Trial("sd15", recipe_of(text_encoder_lr=0), tmp_path)
    kept, gradients = [], []
    images, first = torch.tensor([0, 3]), torch.zeros(2, dtype=torch.int64)
    noisy, told = trial.encoded.clean(images, first), trial.encoded.conditions(images, first, first, first.bool())
    with adapter.attached(trial.modules, trial.recipe, 7):
        parameters = [parameter for _, parameter in adapter.parameters(trial.modules)]
        for parameter in parameters:
            parameter.data.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
        for checkpointing in (False, True):
            sizes: list[int] = []

            def note(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
                sizes.append(tensor.numel())
                return tensor

            route = denoiser(trial.base.unet, "fp32", True) if checkpointing else None
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                if route is None:
                    loss = plain(trial.base.unet, "fp32")(noisy, first + 500, told).square().mean()
                else:
                    with route as denoise:
                        loss = denoise(noisy, first + 500, told).square().mean()
            kept.append(sum(sizes))
            gradients.append(torch.autograd.grad(loss, parameters))
    assert kept[1] < kept[0] / 2
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)
