"""What chance decides in a training, as a function of seed and step."""

import torch

from lorabot.trainer.draws import draw, measure

SHAPE = (4, 8, 8)


def make(seed: int = 1, step: int = 0, batch: int = 4, images: int = 5, offset: float = 0.0) -> object:
    return draw(seed, step, batch, images, SHAPE, 1000, True, offset, 0.1)


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(3)
    first = draw(1, 17, 4, 5, SHAPE, 1000, True, 0.1, 0.1)
    torch.rand(100)
    for step in range(5):
        make(step=step)
    again = draw(1, 17, 4, 5, SHAPE, 1000, True, 0.1, 0.1)
    for name in ("images", "mirrored", "uncaptioned", "timesteps", "noise"):
        assert torch.equal(getattr(first, name), getattr(again, name))


def test_every_image_is_seen_once_before_any_is_seen_again() -> None:
    order = torch.cat([draw(1, step, 4, 10, SHAPE, 1000, False, 0.0, 0.1).images for step in range(5)]).tolist()
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]


def test_each_equal_range_of_timesteps_is_met_once_a_step() -> None:
    for step in range(20):
        timesteps = draw(1, step, 4, 5, SHAPE, 1000, False, 0.0, 0.1).timesteps
        assert sorted((timesteps // 250).tolist()) == [0, 1, 2, 3]


def test_timesteps_are_even_over_all_steps() -> None:
    all_steps = torch.cat([draw(1, step, 1, 5, SHAPE, 1000, False, 0.0, 0.1).timesteps for step in range(2000)])
    assert abs(float(all_steps.float().mean()) - 499.5) < 25
    assert int(all_steps.min()) < 20
    assert int(all_steps.max()) > 980


def test_the_share_without_caption_is_as_asked_and_every_other_view_is_mirrored() -> None:
    drawn = [draw(1, step, 4, 5, SHAPE, 1000, True, 0.0, 0.1) for step in range(500)]
    dropped = torch.cat([each.uncaptioned for each in drawn]).float().mean()
    mirrored = torch.cat([each.mirrored for each in drawn]).float().mean()
    assert 0.07 < float(dropped) < 0.13
    assert 0.45 < float(mirrored) < 0.55
    still = draw(1, 0, 64, 5, SHAPE, 1000, False, 0.0, 0.0)
    assert not still.mirrored.any()
    assert not still.uncaptioned.any()


def test_noise_offset_moves_whole_channels() -> None:
    plain = draw(1, 0, 4, 5, SHAPE, 1000, False, 0.0, 0.1).noise
    moved = draw(1, 0, 4, 5, SHAPE, 1000, False, 0.5, 0.1).noise - plain
    assert torch.allclose(moved.std(dim=(2, 3)), torch.zeros(4, 4), atol=1e-5)
    assert 0.2 < float(moved[:, :, 0, 0].std()) < 0.9


def test_a_measurement_spreads_its_timesteps_and_is_always_the_same() -> None:
    one, two = measure(1, 3, 16, SHAPE, 1000), measure(1, 3, 16, SHAPE, 1000)
    assert torch.equal(one.noise, two.noise)
    assert sorted((one.timesteps * 16 // 1000).tolist()) == list(range(16))
    assert set(one.images.tolist()) == {0, 1, 2}
