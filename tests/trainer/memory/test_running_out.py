"""Memory that runs out within an attempt: every rung of the ladder, and the same result as without."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from lorabot.locale import Message, translator
from lorabot.trainer import adapter, resume
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.denoising import LOST, Denoiser, denoiser, plain
from lorabot.trainer.descent import Descent
from lorabot.trainer.devices import Card
from lorabot.trainer.errors import OutOfMemory
from lorabot.trainer.memory import Fitting, away
from lorabot.trainer.planning import Hardware, Plan
from lorabot.trainer.route import route
from tests.trainer.lessons import SEED, Lesson, learn, make_setup
from tests.trainer.memory.simulated_card import SimulatedCard
from tests.trainer.small_bases import TEXT_WIDTH

STEPS, ROWS = 5, 4
SLACK = 200_000
"""Bytes that a whole training needs beside a step: the optimiser, latents, texts."""
HARDWARE = Hardware("cpu", "a card", "fp32", Card(0, "GPU-1", "a card", 1 << 30, 1 << 30, ()), "chrome (3.1 GB)")
EVERY = (
    Fitting(4),
    Fitting(2),
    Fitting(1),
    Fitting(1, checkpointing=True),
    Fitting(1, checkpointing=True, offloading=True),
)


@dataclass(slots=True)
class Trial:
    """A training on a simulated card, with the plan that it came to its end with and what was said."""

    lesson: Lesson
    plan: Plan
    said: list[Message]


@contextmanager
def trained(folder: Path, shrinking: Mapping[int, int] | None = None, saved: int | None = None) -> Iterator[Trial]:
    """Train on a card that from the step of a number on has so many bytes; from the one ``saved``, or the first."""
    setup = make_setup(STEPS, batch=ROWS, views=ROWS * STEPS)
    card = SimulatedCard()
    said: list[Message] = []

    def check(step: int) -> None:
        card.budget = (shrinking or {}).get(step, card.budget)

    card.bring(setup.base.unet)
    with route(setup.base.unet, card, lambda way, _: denoiser(setup.base.unet, "fp32", way, card=True)) as denoise:
        descent = Descent(setup.plan, denoise, card, lambda: HARDWARE, said.append)
        begun = None
        if saved is not None:
            begun = resume.read(folder / f"{saved}.safetensors")
            denoise.choose(begun.plan.fitting)
            descent.plan = begun.plan
        setup = replace(setup, denoise=denoise, plan=descent.plan)
        with card:
            lesson = learn(setup, folder, begun, check=check, make_room=descent.down, plan_now=lambda: descent.plan)
        yield Trial(lesson, descent.plan, said)


def needs(fitting: Fitting) -> int:
    """The bytes that a training step takes at its peak."""
    setup = make_setup(1, batch=ROWS, views=ROWS)
    card = SimulatedCard()
    card.bring(setup.base.unet)
    with (
        adapter.attached(setup.modules, setup.recipe, SEED),
        route(setup.base.unet, card, lambda way, _: denoiser(setup.base.unet, "fp32", way, card=True)) as denoise,
        card,
    ):
        denoise.choose(fitting)
        card.reset_peak()
        latents = torch.randn(fitting.batch, 4, 8, 8)
        states = Conditions(torch.randn(fitting.batch, 77, TEXT_WIDTH))
        denoise(latents, torch.full((fitting.batch,), 500), states).square().mean().backward()  # type: ignore[no-untyped-call]
        found = card.peak()
    setup.base.unet.zero_grad(set_to_none=True)
    return found


@pytest.fixture(scope="module")
def peaks() -> dict[Fitting, int]:
    return {fitting: needs(fitting) for fitting in EVERY}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    with trained(tmp_path_factory.mktemp("undisturbed")) as trial:
        assert trial.said == []
        return trial.lesson


def test_every_rung_takes_less_than_the_one_above(peaks: dict[Fitting, int]) -> None:
    needed = list(peaks.values())
    assert needed == sorted(needed, reverse=True)
    assert all(below < 0.97 * above for above, below in pairwise(needed)), needed


@pytest.fixture(scope="module")
def disturbed(peaks: dict[Fitting, int], tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """From step to step, another program leaves less of the card: just enough for one rung further down."""
    shrinking = {step: peaks[fitting] + SLACK for step, fitting in enumerate(EVERY)}
    with trained(tmp_path_factory.mktemp("disturbed"), shrinking) as trial:
        return trial


def test_when_memory_shrinks_it_goes_down_rung_by_rung_and_each_is_told(disturbed: Trial) -> None:
    assert disturbed.plan.fitting == EVERY[-1]
    told = [message for message in disturbed.said if "down" in message.code]
    assert [(message.code.rpartition("-")[2], message.params["step"]) for message in told] == [
        ("batch", 1),
        ("batch", 2),
        ("checkpointing", 3),
        ("offloading", 4),
    ]
    assert told[0].params == {"step": 1, "batch": 2, "before": 4, "why": "full"}
    assert [reason for reason in disturbed.plan.reasons if reason in disturbed.said] == disturbed.said


def test_no_step_down_leaves_a_trace_in_what_is_learnt(disturbed: Trial, undisturbed: Lesson) -> None:
    assert losses(disturbed.lesson) == pytest.approx(losses(undisturbed), rel=1e-4)
    for name, value in undisturbed.weights.items():
        torch.testing.assert_close(disturbed.lesson.weights[name], value, rtol=1e-3, atol=1e-5)


def test_what_is_gone_on_from_goes_on_as_it_was_done_last(disturbed: Trial) -> None:
    with trained(disturbed.lesson.folder, saved=3) as again:
        assert again.plan.fitting == EVERY[2]
        assert losses(again.lesson) == pytest.approx(losses(disturbed.lesson), rel=1e-6)


def test_weights_that_find_no_room_after_the_pictures_stay_off_the_card_and_the_training_goes_on(
    undisturbed: Lesson, tmp_path: Path
) -> None:
    setup = make_setup(STEPS, batch=ROWS, views=ROWS * STEPS)
    unet, card, said = setup.base.unet, SimulatedCard(), list[Message]()
    card.bring(unet)

    def opener(checkpointing: bool, offloading: bool) -> AbstractContextManager[Denoiser]:
        return denoiser(unet, "fp32", checkpointing, card=True)

    with card, route(unet, card, opener) as denoise:
        descent = Descent(setup.plan, denoise, card, lambda: HARDWARE, said.append)

        def draw(step: int) -> None:
            with denoise.aside():
                if step:
                    card.budget = card.held() + denoise.away - 1

        setup = replace(setup, denoise=denoise, plan=descent.plan)
        lesson = learn(setup, tmp_path, None, drawing=draw, make_room=descent.down, plan_now=lambda: descent.plan)
        assert descent.plan.offloading
        assert (said[0].code, said[0].params["step"]) == ("training-notice-down-offloading", 2)
        assert losses(lesson) == pytest.approx(losses(undisturbed), rel=1e-4)
        card.budget = card.held() + denoise.away - 1
    assert away(unet), "the attempt has ended, and there is no room still"
    card.budget = 1 << 40
    with card, route(unet, card, opener) as denoise:
        denoise.choose(Fitting(1))
        assert not denoise.away, "the next one brings them back"


@pytest.mark.parametrize("lost", [True, False])
def test_steps_of_a_way_that_was_lost_are_slow_and_no_sign_of_paging(lost: bool) -> None:
    setup = make_setup(STEPS, batch=ROWS, views=ROWS * STEPS)
    card, said = SimulatedCard(), list[Message]()
    card.bring(setup.base.unet)
    with route(setup.base.unet, card, lambda way, _: denoiser(setup.base.unet, "fp32", way, card=True)) as denoise:
        descent = Descent(replace(setup.plan, step_s=0.2), denoise, card, lambda: HARDWARE, said.append)
        if lost:
            denoise.tell(LOST)
        for step in range(20):
            descent.stepped(step, 2.0)
    assert (said == [LOST]) == lost
    assert (descent.plan.fitting == setup.plan.fitting) == lost


def test_where_nothing_smaller_is_left_the_holder_is_named_and_what_was_learnt_is_saved(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemory) as caught, trained(tmp_path, {2: 1000}):
        pass
    assert caught.value.message.params == {"holders": "chrome (3.1 GB)"}
    assert (tmp_path / "2.safetensors").exists()


def test_what_asks_without_learning_goes_through_in_portions_that_fit(peaks: dict[Fitting, int]) -> None:
    setup = make_setup()
    card = SimulatedCard()
    said: list[Message] = []
    noisy, timesteps = torch.randn(8, 4, 8, 8), torch.arange(8)
    conditions = Conditions(torch.randn(8, 77, TEXT_WIDTH))
    with adapter.attached(setup.modules, setup.recipe, SEED), torch.no_grad():
        whole = plain(setup.base.unet, "fp32")(noisy, timesteps, conditions)
        with route(setup.base.unet, card, lambda way, _: denoiser(setup.base.unet, "fp32", way, card=True)) as denoise:
            denoise.choose(Fitting(4))
            denoise.tell = said.append
            with card:
                card.reset_peak()
                denoise(noisy[:1], timesteps[:1], conditions.take(slice(1)))
                card.budget = round(1.2 * card.peak())
                parts = denoise(noisy, timesteps, conditions)
            refused = card.refused
            with card:
                denoise(noisy, timesteps, conditions)
            assert card.refused == refused, "what was found stays known"
    torch.testing.assert_close(parts, whole)
    assert [message.params["rows"] for message in said] == [4, 2, 1][:refused]
    assert refused


@pytest.mark.parametrize(
    ("way", "portions"),
    [
        ({}, [2, 2, 1]),
        ({"checkpointing": True}, [2, 2, 1]),
        ({"checkpointing": True, "offloading": True}, [5]),
    ],
)
def test_what_asks_without_learning_takes_no_more_rows_at_once_than_the_plan(
    way: dict[str, Any], portions: list[int]
) -> None:
    """The fast way has its way back along; on the plain one many rows without it are less than one with it."""
    setup, seen = make_setup(), list[int]()

    @contextmanager
    def opener(_: bool, __: bool) -> Iterator[Denoiser]:
        def denoise(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
            seen.append(len(noisy))
            return noisy

        yield denoise

    plan = replace(setup.plan, batch=2, **way)
    noisy = torch.randn(5, 4, 8, 8)
    with route(setup.base.unet, SimulatedCard(), opener) as denoise, torch.no_grad():
        Descent(plan, denoise, SimulatedCard(), lambda: HARDWARE, lambda _: None)
        found = denoise(noisy, torch.arange(5), Conditions(torch.randn(5, 77, TEXT_WIDTH)))
    assert torch.equal(found, noisy)
    assert seen == portions


def test_an_error_of_another_kind_is_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    def check(step: int) -> None:
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        learn(make_setup(), tmp_path, check=check)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_rung_has_a_line_for_the_person(language: str, disturbed: Trial) -> None:
    say = translator(language)
    for message in disturbed.said:
        assert "{" not in say.text(message)
        assert say.text(message) != message.code


def losses(lesson: Lesson) -> list[float]:
    return [loss for loss in lesson.course.losses if loss is not None]
