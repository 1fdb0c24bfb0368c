"""What chance decides in a training, as a function of seed and step."""

import pytest
import torch

from lorabot.presets import TimestepBias
from lorabot.trainer.draws import Draw, draw, measure

SHAPE = (4, 8, 8)


def make(step: int = 0, batch: int = 4, offset: float = 0.0, dropout: float = 0.1, views: int = 2) -> Draw:
    return draw(1, step, torch.arange(batch), SHAPE, views, 1000, offset, dropout)


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(3)
    first = make(step=17, offset=0.1)
    torch.rand(100)
    for step in range(5):
        make(step=step)
    again = make(step=17, offset=0.1)
    for name in ("images", "views", "orders", "uncaptioned", "timesteps", "noise"):
        assert torch.equal(getattr(first, name), getattr(again, name))


def test_each_equal_range_of_timesteps_is_met_once_a_step() -> None:
    for step in range(20):
        timesteps = make(step=step).timesteps
        assert sorted((timesteps // 250).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(("bias", "median"), [("none", 500), ("content", 875), ("style", 125)])
def test_biased_timesteps_lie_as_dense_as_stated_and_a_step_still_spreads_its_own(
    bias: TimestepBias, median: int
) -> None:
    steps = [draw(1, step, torch.arange(4), SHAPE, 1, 1000, 0.0, 0.0, bias).timesteps for step in range(500)]
    assert float(torch.cat(steps).float().median()) == pytest.approx(median, abs=15)
    for timesteps in steps:
        assert int((timesteps >= median).sum()) == 2
    below_half = float((torch.cat(steps) < 500).float().mean())
    assert below_half == pytest.approx(
        {"none": 0.5, "content": 1 - 0.5 ** (1 / 3), "style": 0.5 ** (1 / 3)}[bias], abs=0.02
    )


def test_timesteps_are_even_over_all_steps() -> None:
    all_steps = torch.cat([make(step=step, batch=1).timesteps for step in range(2000)])
    assert abs(float(all_steps.float().mean()) - 499.5) < 25
    assert int(all_steps.min()) < 20
    assert int(all_steps.max()) > 980


def test_the_given_share_of_views_has_no_caption_and_all_views_and_orders_come() -> None:
    drawn = [make(step=step, views=4) for step in range(500)]
    dropped = torch.cat([each.uncaptioned for each in drawn]).float().mean()
    assert 0.07 < float(dropped) < 0.13
    for chosen in (torch.cat([each.views for each in drawn]), torch.cat([each.orders for each in drawn]) % 4):
        shares = torch.bincount(chosen, minlength=4) / 2000
        assert len(shares) == 4
        assert 0.2 < float(shares.min()) <= float(shares.max()) < 0.3
    still = make(batch=64, dropout=0.0, views=1)
    assert not still.views.any()
    assert not still.uncaptioned.any()


def test_noise_offset_moves_whole_channels() -> None:
    plain = make().noise
    moved = make(offset=0.5).noise - plain
    assert torch.allclose(moved.std(dim=(2, 3)), torch.zeros(4, 4), atol=1e-5)
    assert 0.2 < float(moved[:, :, 0, 0].std()) < 0.9


def test_a_measurement_spreads_its_timesteps_over_all_buckets_and_is_always_the_same() -> None:
    shapes = [SHAPE, SHAPE, (4, 4, 12), SHAPE]
    one, two = (measure(1, (1, 2, 3), shapes, 16, 1000) for _ in range(2))
    assert all(torch.equal(mine.noise, theirs.noise) for mine, theirs in zip(one, two, strict=True))
    timesteps = torch.cat([each.timesteps for each in one])
    assert sorted((timesteps * 16 // 1000).tolist()) == list(range(16))
    assert [set(each.images.tolist()) for each in one] == [{2}, {1, 3}]
    assert [each.noise.shape[1:] for each in one] == [(4, 4, 12), SHAPE]
