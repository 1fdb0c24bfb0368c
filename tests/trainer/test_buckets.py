"""Which sizes images are trained at, and which images make up a step."""

from collections import Counter

import pytest

from lorabot.trainer.batches import Batches
from lorabot.trainer.buckets import MOST_UPSCALED, Bucket, assign, filled, sizes, step_of, together


@pytest.mark.parametrize(("resolution", "step"), [(512, 64), (768, 64), (1024, 64), (128, 32)])
def test_buckets_are_multiples_with_about_the_area_of_the_square_and_none_is_dearer(resolution: int, step: int) -> None:
    found = sizes(resolution, step)
    assert Bucket(resolution, resolution) in found
    for bucket in found:
        assert bucket.width % step == bucket.height % step == 0
        assert 0.6 * resolution**2 < bucket.area <= resolution**2
        assert Bucket(bucket.height, bucket.width) in found


def test_sides_are_64_pixels_apart_unless_the_resolution_is_small_or_the_network_wants_more() -> None:
    assert [step_of(resolution, 64) for resolution in (512, 768, 1024)] == [64, 64, 64]
    assert step_of(1024, 32) == 64
    assert step_of(128, 32) == 32
    assert step_of(128, 8) == 16


@pytest.mark.parametrize("size", [(3024, 4032), (4000, 1000), (1920, 1080), (513, 700), (300, 2000)])
def test_an_image_goes_where_least_of_it_is_cut_off(size: tuple[int, int]) -> None:
    bucket = assign(*size, 512, 64)
    side = max(round(bucket.area**0.5 / 64 + 0.49) * 64, 64)
    assert bucket.lost(*size) == min(other.lost(*size) for other in sizes(min(side, 512), 64))
    assert bucket.scale(*size) <= MOST_UPSCALED


def test_a_small_image_goes_to_a_smaller_bucket_instead_of_being_enlarged() -> None:
    assert assign(512, 512, 512, 64) == Bucket(512, 512)
    assert assign(420, 420, 512, 64) == Bucket(512, 512)
    assert assign(400, 400, 512, 64) == Bucket(448, 448)
    assert assign(400, 300, 1024, 64).scale(400, 300) <= MOST_UPSCALED
    assert assign(64, 64, 512, 64) == Bucket(128, 128), "below a quarter of the resolution there is no bucket"


def test_the_buckets_are_counted_and_their_images_found() -> None:
    wide, square = Bucket(576, 448), Bucket(512, 512)
    buckets = [wide, square, wide, wide]
    assert [(each.width, each.height, each.count) for each in filled(buckets)] == [(576, 448, 3), (512, 512, 1)]
    shapes = [(4, 56, 72), (4, 64, 64), (4, 56, 72), (4, 56, 72)]
    assert together(shapes, (0, 1, 3)) == ((0, 3), (1,))


def test_a_batch_is_of_one_bucket_and_every_image_is_seen_equally_often() -> None:
    groups = ((0, 1, 2, 3, 4, 5, 6), (7, 8), (9,))
    batches = Batches(5, groups, 4, 200)
    seen: Counter[int] = Counter()
    for step in range(200):
        images = batches.at(step).tolist()
        assert any(set(images) <= set(group) for group in groups)
        seen.update(images)
        for group in groups:
            counts = [seen[image] for image in group]
            assert max(counts) - min(counts) <= 1
            assert abs(sum(counts) - (step + 1) * 4 * len(group) / 10) < 2 * 4
    assert set(seen) == set(range(10))
    assert max(seen.values()) - min(seen.values()) <= 4


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    groups = ((0, 1, 2, 3, 4), (5, 6))
    one, two, other = Batches(1, groups, 3, 50), Batches(1, groups, 3, 80), Batches(2, groups, 3, 50)
    assert [one.at(step).tolist() for step in (40, 3, 17)] == [two.at(step).tolist() for step in (40, 3, 17)]
    assert any(one.at(step).tolist() != other.at(step).tolist() for step in range(10))
