"""How the loss weighs the timesteps."""

import pytest
import torch

from lorabot.trainer.bases import load_base
from lorabot.trainer.loss import Schedule, schedule

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    return load_base().scheduler


def ratio(process: Schedule) -> torch.Tensor:
    return (process.signal / process.noise).square()


def test_without_options_all_timesteps_weigh_the_same(config: dict[str, object]) -> None:
    assert torch.equal(schedule(config, None, 0.0, CPU).weight, torch.ones(1000))


def test_min_snr_takes_weight_from_the_nearly_clean_and_leaves_the_noisy_alone(config: dict[str, object]) -> None:
    process = schedule(config, 5.0, 0.0, CPU)
    assert torch.all(process.weight[ratio(process) < 5] == 1)
    assert torch.allclose(process.weight[0] * ratio(process)[0], torch.tensor(5.0))


def test_p2_gives_weight_to_the_noisy_and_keeps_the_mean(config: dict[str, object]) -> None:
    process = schedule(config, 5.0, 0.5, CPU)
    assert process.weight.mean() == pytest.approx(1)
    assert torch.all(process.weight.diff() >= 0)
    assert 2 < process.weight[900] / process.weight[500] < 4
    assert process.weight[999] < 2 * process.weight[900]
