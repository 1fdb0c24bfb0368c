"""Every optimiser with every schedule: what is learnt, how fast, and that an interruption leaves no trace."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorabot.presets import OptimiserName, ScheduleName
from lorabot.trainer import draws, resume, training
from lorabot.trainer.errors import Diverged, NotFinite, Suspended
from lorabot.trainer.optimisers import WEIGHT_DECAY, Optimiser
from lorabot.trainer.planning import moved
from lorabot.trainer.rates import share
from tests.trainer.conftest import tiny_recipe
from tests.trainer.lessons import fits, learn, make_setup
from tests.trainer.test_planning import CARD, CPU, codes, make

RATES: dict[OptimiserName, float] = {"adamw": 1e-2, "prodigy": 1.0, "schedule-free": 1e-2}
COMBINED: list[tuple[OptimiserName, ScheduleName]] = [
    *(("adamw", schedule) for schedule in ("constant", "linear", "cosine", "restarts")),
    *(("prodigy", schedule) for schedule in ("constant", "linear", "cosine", "restarts")),
    ("schedule-free", "constant"),
]
ONE_OF_EACH: list[tuple[OptimiserName, ScheduleName]] = [
    ("adamw", "cosine"),
    ("prodigy", "constant"),
    ("schedule-free", "constant"),
]


@pytest.mark.parametrize(("optimiser", "schedule"), COMBINED)
def test_an_interrupted_training_goes_on_to_the_same_last_bit(
    optimiser: OptimiserName, schedule: ScheduleName, tmp_path: Path
) -> None:
    """Saved after the first step, and right after a measurement and pictures."""
    setup = make_setup(optimiser=optimiser, schedule=schedule, unet_lr=RATES[optimiser])
    whole = learn(setup, tmp_path)
    for step in (1, 2):
        again = learn(setup, tmp_path / "again", whole.saved(step))
        assert again.course.losses == whole.course.losses
        assert again.course.rates == whole.course.rates
        assert again.course.validation == whole.course.validation
        assert all(torch.equal(value, whole.weights[name]) for name, value in again.weights.items())


@pytest.mark.parametrize(("optimiser", "schedule"), ONE_OF_EACH)
def test_a_suspension_while_pictures_are_drawn_leaves_no_trace(
    optimiser: OptimiserName, schedule: ScheduleName, tmp_path: Path
) -> None:
    setup = make_setup(optimiser=optimiser, schedule=schedule, unet_lr=RATES[optimiser])
    whole = learn(setup, tmp_path)

    def suspend(step: int) -> None:
        if step == 2:
            raise Suspended

    with pytest.raises(Suspended):
        learn(setup, tmp_path / "stopped", drawing=suspend)
    saved = resume.read(tmp_path / "stopped" / "2.safetensors")
    assert learn(setup, tmp_path / "again", saved).course.losses == whole.course.losses


def test_steps_whose_outcome_comes_late_are_put_down_like_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As from a card, which gets the next step before it is asked; suspended while one is still waited for."""
    setup = make_setup(steps=6)
    prompt = learn(setup, tmp_path / "prompt", saving=False)
    monkeypatch.setattr(training._Taken, "known", lambda _: False)

    def suspend(step: int) -> None:
        if step == 4:
            raise Suspended

    with pytest.raises(Suspended):
        learn(setup, tmp_path / "stopped", saving=False, check=suspend)
    late = learn(setup, tmp_path / "late", saving=False)
    resumed = learn(setup, tmp_path / "resumed", resume.read(tmp_path / "stopped" / "5.safetensors"), saving=False)
    for lesson in (late, resumed):
        assert lesson.course.losses == prompt.course.losses
        assert lesson.course.rates == prompt.course.rates
        assert lesson.course.validation == prompt.course.validation
        assert len(lesson.course.durations) == setup.plan.steps
        assert all(torch.equal(value, prompt.weights[name]) for name, value in lesson.weights.items())


@pytest.mark.parametrize(("optimiser", "schedule"), ONE_OF_EACH)
def test_every_optimiser_learns(optimiser: OptimiserName, schedule: ScheduleName, tmp_path: Path) -> None:
    steps = 90 if optimiser == "prodigy" else 20
    setup = make_setup(steps, optimiser=optimiser, schedule=schedule, unet_lr=RATES[optimiser], warmup=0.05)
    course = learn(setup, tmp_path, saving=False).course
    assert course.validation[-1][1] < 0.99 * course.validation[0][1]
    if optimiser == "prodigy":  # finds a rate by itself, and the curve shows what it found
        assert course.rates[0] < 1e-5
        assert 1e-4 < course.rates[-1] < 0.1
    else:
        assert max(course.rates) == RATES[optimiser]


@pytest.mark.parametrize(("optimiser", "schedule"), ONE_OF_EACH)
def test_a_step_that_is_not_finite_is_skipped_and_changes_nothing(
    optimiser: OptimiserName, schedule: ScheduleName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _poison(monkeypatch, 1, 2)
    lesson = learn(make_setup(optimiser=optimiser, schedule=schedule, unet_lr=RATES[optimiser]), tmp_path)
    assert [loss is None for loss in lesson.course.losses] == [False, True, False, False]
    before, after = lesson.saved(1), lesson.saved(2)
    assert all(torch.equal(value, after.adapter[name]) for name, value in before.adapter.items())
    assert all(
        torch.equal(value, after.moments[name][key])
        for name in before.moments
        for key, value in before.moments[name].items()
    )
    assert all(torch.isfinite(value).all() for value in lesson.weights.values())


@pytest.mark.parametrize(("optimiser", "schedule"), ONE_OF_EACH)
def test_a_training_that_never_is_finite_or_runs_away_is_given_up(
    optimiser: OptimiserName, schedule: ScheduleName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_setup(40, optimiser=optimiser, schedule=schedule, unet_lr=RATES[optimiser])
    begun = learn(make_setup(2, optimiser=optimiser, schedule=schedule, unet_lr=RATES[optimiser]), tmp_path).saved(1)
    begun.course.validation[0] = (0, begun.course.validation[0][1] / 10)
    with pytest.raises(Diverged):
        learn(setup, tmp_path, begun, saving=False)
    _poison(monkeypatch, 0, 100)
    with pytest.raises(NotFinite):
        learn(setup, tmp_path, saving=False)


def test_schedule_free_is_measured_and_kept_at_the_mean_and_trained_elsewhere(tmp_path: Path) -> None:
    """arXiv 2405.15682: y, where gradients are taken, is beta x + (1 - beta) z; x is what was found."""
    lesson = learn(make_setup(optimiser="schedule-free", schedule="constant", unet_lr=1e-3), tmp_path)
    saved = lesson.saved(2)
    for name, found in lesson.seen[1].items():
        mean = 0.9 * found + 0.1 * saved.moments[name]["z"]
        torch.testing.assert_close(saved.adapter[name], mean, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(lesson.seen[1][name], value) for name, value in saved.adapter.items())
    chosen = lesson.course.candidates[0]
    assert any(not torch.equal(chosen.state[name], value) for name, value in lesson.weights.items())


def test_up_matrices_learn_faster_by_the_ratio_of_lora_plus() -> None:
    """Adam's first step is the rate itself, whatever the gradient."""
    trained = [(f"unet.layer.lora_{side}.default.weight", torch.nn.Parameter(torch.zeros(2, 2))) for side in "AB"]
    trained.append(("te1.layer.lora_B.default.weight", torch.nn.Parameter(torch.zeros(2, 2))))
    optimiser = Optimiser("adamw", tiny_recipe(unet_lr=1e-3, text_encoder_lr=1e-4, lora_plus=16.0), trained)
    assert optimiser.set_rate(0.5) == pytest.approx(5e-4), "the curve shows the UNet's"
    for _, parameter in trained:
        parameter.grad = torch.full((2, 2), -3.0)
    optimiser.step()
    assert [parameter[0, 0].item() for _, parameter in trained] == pytest.approx([5e-4, 16 * 5e-4, 16 * 5e-5], rel=1e-4)


@pytest.mark.parametrize("name", ["adamw", "schedule-free"])
def test_the_optimisers_decay_weights_in_the_same_measure(name: OptimiserName) -> None:
    parameter = torch.nn.Parameter(torch.ones(4))
    recipe = tiny_recipe(optimiser=name, unet_lr=RATES[name], schedule="constant")
    optimiser = Optimiser(name, recipe, [("unet.a", parameter)])
    rate = optimiser.set_rate(1.0)
    parameter.grad = torch.zeros(4)
    optimiser.step()
    assert parameter[0].item() == pytest.approx(1 - rate * WEIGHT_DECAY, abs=1e-7)


def test_rates_rise_and_then_follow_their_schedule() -> None:
    def shares(schedule: ScheduleName, restarts: int = 3) -> list[float]:
        plan = make(views=404, batch=4, warmup=0.01, schedule=schedule, restarts=restarts)
        assert (plan.steps, plan.warmup_steps) == (101, 2)
        return [share(plan, step) for step in range(plan.steps)]

    assert shares("constant") == [0.5, *[1.0] * 100]
    for schedule in ("linear", "cosine", "restarts"):
        assert shares(schedule)[:3] == [0.5, 1.0, 1.0], schedule
    assert shares("linear")[2 + 33] == pytest.approx(1 - 33 / 99)
    assert shares("cosine")[2 + 33] == pytest.approx(0.75)
    again = shares("restarts", restarts=3)
    assert [step for step in range(3, 101) if again[step] > again[step - 1]] == [2 + 33, 2 + 66]
    assert again[2 + 33] == pytest.approx(1)
    assert again[1 + 33] < 0.01
    assert 0 < min(shares("linear")[-1], shares("cosine")[-1], again[-1]) < 0.02


def test_8_bits_without_a_card_are_32_and_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(optimiser="adamw8bit")
    assert made.optimiser == "adamw"
    assert "plan-optimiser-no-8bit" in codes(made)
    on_a_card = replace(made, optimiser="adamw8bit", device="cuda:0", device_name="a card", precision="bf16")
    elsewhere = moved(on_a_card, CPU, fits)
    assert elsewhere.optimiser == "adamw"
    assert [reason.code for reason in elsewhere.reasons[-2:]] == ["plan-moved", "plan-optimiser-no-8bit"]
    assert moved(made, CARD, fits).optimiser == "adamw", "what was begun with 32 bits goes on with them"


def _poison(monkeypatch: pytest.MonkeyPatch, first: int, end: int) -> None:
    """Noise that is not a number in the steps from ``first`` to before ``end``."""
    whole = draws.draw

    def draw(seed: int, step: int, *rest: Any) -> draws.Draw:
        drawn = whole(seed, step, *rest)
        if first <= step < end:
            drawn.noise.fill_(float("nan"))
        return drawn

    monkeypatch.setattr(training, "draw", draw)


def test_a_step_that_is_skipped_after_all_leaves_no_trace() -> None:
    """Only the device knows yet: the same steps with one in between that is skipped, and without it."""
    ends = []
    for skips in ((0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)):
        parameter = torch.nn.Parameter(torch.arange(4.0))
        optimiser = Optimiser("adamw", tiny_recipe(), [("unet.x.lora_A.default.weight", parameter)])
        assert optimiser.can_skip
        for skipped in skips:
            parameter.grad = torch.full((4,), float("nan")) if skipped else parameter.detach() + 1
            optimiser.step(torch.tensor(skipped))
        ends.append(parameter.detach().clone())
    assert ends[0].isfinite().all()
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])
