"""What is cut out of an image: nothing stretched, the subject in it, and SDXL told the truth about it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lorabot.trainer.buckets import Bucket
from lorabot.trainer.views import MOST_ZOOM, View, views


def textured(width: int, height: int, seed: int = 0) -> Image.Image:
    """A meadow: the same unrest everywhere."""
    noise = np.random.default_rng(seed).normal(120, 25, (height // 4, width // 4, 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def with_subject(width: int, height: int, x: int, y: int, radius: int = 60) -> Image.Image:
    picture = textured(width, height)
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill="white", outline="red")
    return picture


@pytest.mark.parametrize(("size", "at"), [((900, 300), 170), ((900, 300), 730), ((300, 900), 170), ((300, 900), 730)])
def test_a_crop_keeps_the_subject(size: tuple[int, int], at: int) -> None:
    along = 0 if size[0] > size[1] else 1
    spot = (at, 150) if along == 0 else (150, at)
    (view,) = views(with_subject(*size, *spot), Bucket(256, 256), 1, False, 1, 0)
    corner = (view.left, view.top)[along] * size[along] / view.scaled[along]
    assert corner <= at - 60
    assert at + 60 <= corner + 300


def test_a_crop_of_a_picture_that_shows_nothing_is_its_middle() -> None:
    (view,) = views(Image.new("RGB", (600, 300), "grey"), Bucket(256, 256), 1, False, 1, 0)
    assert abs(view.left - 128) <= 3


def test_nothing_is_stretched() -> None:
    picture = Image.new("RGB", (800, 600))
    ImageDraw.Draw(picture).ellipse((300, 200, 500, 400), fill="white")
    for bucket in (Bucket(256, 256), Bucket(512, 192), Bucket(128, 320)):
        for view in views(picture, bucket, 3, False, 1, 0):
            mask = np.asarray(view.cut(picture).convert("L")) > 128
            wide, high = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
            whole = wide[0] > 0 and high[0] > 0 and wide[-1] < bucket.width - 1 and high[-1] < bucket.height - 1
            assert not whole or abs(len(wide) - len(high)) <= 1


def test_a_picture_of_the_buckets_shape_is_seen_whole_and_then_from_nearer() -> None:
    picture = with_subject(640, 640, 320, 320)
    first, *others = views(picture, Bucket(256, 256), 4, False, 1, 0)
    assert (first.left, first.top, first.scaled) == (0, 0, (256, 256))
    assert len({(view.scaled, view.left, view.top) for view in others}) == 3
    for view in others:
        assert 256 < view.scaled[0] <= 256 * MOST_ZOOM
        assert 0 <= view.left <= view.scaled[0] - 255
    assert views(picture, Bucket(256, 256), 4, False, 1, 0) == (first, *others)
    assert views(picture, Bucket(256, 256), 4, False, 1, 1)[1:] != tuple(others), "every image has its own chance"


def test_a_mirrored_view_follows_its_own_and_is_told_where_it_lies_in_the_mirrored_picture() -> None:
    picture = with_subject(900, 300, 200, 150)
    one, mirror = views(picture, Bucket(256, 256), 1, True, 1, 0)
    assert np.array_equal(np.asarray(one.cut(picture))[:, ::-1], np.asarray(mirror.cut(picture)))
    turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    again = View(one.bucket, one.original, one.scaled, mirror.sizes()[3], one.top)
    difference = np.asarray(again.cut(turned), dtype=int) - np.asarray(mirror.cut(picture), dtype=int)
    assert np.abs(difference).max() <= 2


def test_sdxl_is_told_the_sizes_as_they_are() -> None:
    picture = with_subject(900, 300, 450, 150)
    (view,) = views(picture, Bucket(512, 192), 1, False, 1, 0)
    height, width, top, left, target_height, target_width = view.sizes()
    assert (height, width, target_height, target_width) == (300, 900, 192, 512)
    assert (top, left) == (view.top, view.left)
    scaled = picture.resize((576, 192), Image.Resampling.LANCZOS)
    cut = np.asarray(scaled.crop((left, top, left + 512, top + 192)), dtype=int)
    assert np.abs(cut - np.asarray(view.cut(picture), dtype=int)).mean() < 2
