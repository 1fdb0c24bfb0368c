"""The views of an image that are cached: how each is scaled, cropped and mirrored, and what SDXL is told about it."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image

from lorabot.trainer.buckets import MOST_UPSCALED, Bucket
from lorabot.trainer.draws import generator
from lorabot.trainer.focus import Focus, focus, placed

MOST_ZOOM = 1.2
"""Further crops come up to this much closer; else a picture of its bucket's own shape would have one crop only."""


@dataclass(frozen=True, slots=True)
class View:
    """A window of the bucket's size into an image scaled to cover it; nothing is stretched.

    ``original`` and ``scaled`` are the image's sizes (width, height) before and after; ``left`` and ``top`` lie in the
    scaled image, which ``mirrored`` turns over first.
    """

    bucket: Bucket
    original: tuple[int, int]
    scaled: tuple[float, float]
    left: int
    top: int
    mirrored: bool = False

    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """What SDXL is told: original height and width, crop top and left, target height and width."""
        width, height = self.original
        left = round(self.scaled[0]) - self.bucket.width - self.left if self.mirrored else self.left
        return height, width, self.top, max(left, 0), self.bucket.height, self.bucket.width

    def cut(self, picture: Image.Image) -> Image.Image:
        """The view of ``picture``, which is of the ``original`` size."""
        across, down = picture.width / self.scaled[0], picture.height / self.scaled[1]
        box = (
            self.left * across,
            self.top * down,
            min((self.left + self.bucket.width) * across, picture.width),
            min((self.top + self.bucket.height) * down, picture.height),
        )
        size = (self.bucket.width, self.bucket.height)
        cut = picture.resize(size, Image.Resampling.LANCZOS, box=box)
        return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else cut


def views(picture: Image.Image, bucket: Bucket, crops: int, flip: bool, seed: int, image: int) -> tuple[View, ...]:
    """``crops`` views of image number ``image``, with ``flip`` each of them mirrored too, right after it.

    The first shows as much as the bucket can hold, around the subject; the others come closer by chance and wander from
    there by up to a quarter of the window, so that the subject stays in it.
    """
    found: list[View] = []
    seen = None
    for zoom, wander in _chances(crops, seed, image):
        scale = bucket.scale(*picture.size)
        scale *= max(min(zoom, MOST_UPSCALED / scale), 1.0)
        scaled = (picture.width * scale, picture.height * scale)
        if seen is None and (round(scaled[0]) > bucket.width or round(scaled[1]) > bucket.height):
            seen = focus(picture)
        left, top = _corner(seen, bucket, scaled, wander)
        view = View(bucket, picture.size, scaled, left, top)
        found.append(view)
        if flip:
            found.append(View(bucket, picture.size, scaled, left, top, mirrored=True))
    return tuple(found)


def _chances(crops: int, seed: int, image: int) -> Iterator[tuple[float, tuple[float, float]]]:
    yield 1.0, (0.0, 0.0)
    for number in range(1, crops):
        near, right, down = torch.rand(3, generator=generator(seed, "crop", image, number)).tolist()
        yield 1.0 + near * (MOST_ZOOM - 1.0), (right - 0.5, down - 0.5)


def _corner(
    seen: Focus | None, bucket: Bucket, scaled: tuple[float, float], wander: tuple[float, float]
) -> tuple[int, int]:
    corner = []
    for index, side in enumerate((bucket.width, bucket.height)):
        room = max(round(scaled[index]) - side, 0)
        if room == 0 or seen is None:
            corner.append(0)
            continue
        along = (seen.columns, seen.rows)[index]
        begin = placed(along, side / scaled[index]) * scaled[index] + wander[index] * min(room, side / 2)
        corner.append(min(max(round(begin), 0), room))
    return corner[0], corner[1]
