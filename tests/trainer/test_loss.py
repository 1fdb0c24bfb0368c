"""What the UNet has to predict at each timestep, how an error counts, and what each option changes about it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.training_utils import compute_snr

from lorabot.presets import Prediction
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.draws import draw
from lorabot.trainer.errors import NeedsVelocity
from lorabot.trainer.loss import Rows, Schedule, forward_process, losses, rows, schedule
from lorabot.trainer.training import fixed_loss
from tests.trainer.conftest import tiny_recipe
from tests.trainer.lessons import learn, make_setup

CPU = torch.device("cpu")
CONFIG = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "epsilon"}
"""Stable Diffusion's own."""


def process(prediction: Prediction = "epsilon", **recipe: object) -> Schedule:
    config = {**CONFIG, "prediction_type": prediction}
    chosen = tiny_recipe(**{"min_snr_gamma": None, "p2_gamma": 0.0, **recipe})
    return schedule(forward_process(config, chosen), chosen, CPU)


def ratio(of: Schedule) -> torch.Tensor:
    return (of.signal / of.noise).square()


def test_without_options_all_timesteps_weigh_the_same() -> None:
    assert torch.equal(process().weight, torch.ones(1000))
    assert torch.equal(process("v_prediction").weight, torch.ones(1000))


def test_min_snr_takes_weight_from_the_nearly_clean_and_leaves_the_noisy_alone() -> None:
    made = process(min_snr_gamma=5.0)
    assert torch.all(made.weight[ratio(made) < 5] == 1)
    assert torch.allclose(made.weight[0] * ratio(made)[0], torch.tensor(5.0))


def test_min_snr_counts_an_error_in_the_picture_the_same_whatever_is_predicted() -> None:
    """An error d in the picture is one of d signal / noise in the noise, and of d / noise in v (arXiv 2202.00512)."""
    noise, velocity = process(min_snr_gamma=5.0), process("v_prediction", min_snr_gamma=5.0)
    in_noise = noise.weight * (noise.signal / noise.noise).square()
    in_velocity = velocity.weight / velocity.noise.square()
    torch.testing.assert_close(in_noise, in_velocity, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(in_noise, ratio(noise).clamp(max=5.0), rtol=1e-3, atol=1e-6)


def test_p2_gives_weight_to_the_noisy_and_keeps_the_mean() -> None:
    made = process(min_snr_gamma=5.0, p2_gamma=0.5)
    assert made.weight.mean() == pytest.approx(1)
    assert torch.all(made.weight.diff() >= 0)
    assert 2 < made.weight[900] / made.weight[500] < 4
    assert made.weight[999] < 2 * made.weight[900]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_what_is_to_be_predicted_is_what_diffusers_says(prediction: Prediction) -> None:
    setup = make_setup(prediction=prediction)
    made = schedule(setup.base.scheduler, setup.recipe, CPU)
    drawn = draw(1, 0, torch.tensor([0, 1, 2, 0]), setup.encoded.latents.shapes[0], 2, 1000, 0.0, 0.0)
    asked = rows(setup.encoded, drawn, slice(None), made)
    theirs = DDPMScheduler.from_config(setup.base.scheduler)
    clean = setup.encoded.clean(drawn.images, drawn.views)
    torch.testing.assert_close(asked.noisy, theirs.add_noise(clean, drawn.noise, drawn.timesteps))
    velocity = theirs.get_velocity(clean, drawn.noise, drawn.timesteps)
    torch.testing.assert_close(asked.target, velocity if prediction == "v_prediction" else drawn.noise)
    snr: Any = compute_snr
    torch.testing.assert_close(ratio(made)[drawn.timesteps], snr(theirs, drawn.timesteps), rtol=1e-3, atol=1e-6)


def test_a_base_that_predicts_v_learns(tmp_path: Path) -> None:
    setup = make_setup(20, prediction="v_prediction", unet_lr=0.01)
    validation = learn(setup, tmp_path, saving=False).course.validation
    assert validation[-1][1] < 0.995 * validation[0][1]


def test_zero_terminal_snr_ends_in_noise_alone_and_samples_begin_there() -> None:
    config = {**CONFIG, "prediction_type": "v_prediction"}
    known = forward_process(config, tiny_recipe(zero_terminal_snr=True))
    made = schedule(known, tiny_recipe(min_snr_gamma=None, p2_gamma=0.0), CPU)
    assert made.signal[-1] == 0
    assert made.noise[-1] == 1
    assert torch.isfinite(schedule(known, tiny_recipe(min_snr_gamma=5.0, p2_gamma=0.5), CPU).weight).all()
    usual = process("v_prediction")
    assert usual.signal[-1] > 0.03
    torch.testing.assert_close(made.signal[0], usual.signal[0])
    sampler = DDPMScheduler.from_config(known)
    sampler.set_timesteps(10)
    assert int(sampler.timesteps[0]) == 999


def test_zero_terminal_snr_is_refused_where_the_noise_is_predicted() -> None:
    with pytest.raises(NeedsVelocity):
        process(zero_terminal_snr=True)


def test_huber_is_the_square_for_small_errors_and_a_line_for_large_ones() -> None:
    made = process(loss="huber", huber_delta=0.1)
    assert made.delta is not None
    assert made.delta[0] == 1
    assert made.delta[-1] == pytest.approx(0.1)
    assert torch.all(made.delta.diff() < 0)

    def loss_of(error: float, timestep: int, of: Schedule) -> float:
        zero = torch.zeros(1, 4, 2, 2)
        conditions = Conditions(torch.zeros(1, 77, 8))
        asked = Rows(zero, torch.tensor([timestep]), conditions, zero, torch.ones(1))
        return float(losses(lambda noisy, *_: noisy + error, asked, of))

    assert loss_of(0.001, 999, made) == pytest.approx(loss_of(0.001, 999, process()), rel=0.01)
    assert loss_of(20.0, 999, made) - loss_of(19.0, 999, made) == pytest.approx(2 * 0.1, rel=0.01)
    assert loss_of(0.05, 0, made) == pytest.approx(0.05**2, rel=0.01), "details are learnt by the square"
    assert loss_of(1.0, 999, made) < 0.25 * loss_of(1.0, 0, made), "an outlier pulls less where noise decides"


def test_an_option_of_the_loss_changes_what_is_measured(tmp_path: Path) -> None:
    found = []
    for recipe in ({}, {"loss": "huber"}, {"min_snr_gamma": 5.0}, {"p2_gamma": 0.5}):
        setup = make_setup(**recipe)
        found.append(fixed_loss(setup, (0, 1, 2), schedule(setup.base.scheduler, setup.recipe, CPU)))
    assert len(set(found)) == len(found)
