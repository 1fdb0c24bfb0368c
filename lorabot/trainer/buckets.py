"""Aspect-ratio buckets: the sizes that images are trained at, and which image goes where. Knows no pixels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

MOST_UPSCALED = 1.25
"""An image is enlarged by no more than this; beyond, its blur would be learnt. It goes to a smaller bucket instead."""
LEAST_SHARE = 4
"""The smallest buckets have this part of the resolution as their side. Only what is too small for them is enlarged
further: below, a base model draws no picture at all."""
_STEP, _STEPS = 64, 8
_LONGEST = 2  # sides reach from half the resolution to twice it: pictures up to 1 : 4


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """A size in pixels that images are trained at."""

    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    def scale(self, width: int, height: int) -> float:
        """The factor by which an image of this size is scaled to cover the bucket."""
        return max(self.width / width, self.height / height)

    def lost(self, width: int, height: int) -> float:
        """The share of an image of this size that the bucket cuts off: 0 where the shapes are the same."""
        return 1 - self.area / (width * height * self.scale(width, height) ** 2)


@dataclass(frozen=True, slots=True)
class Filled:
    """A bucket and how many images are in it."""

    width: int
    height: int
    count: int


@dataclass(frozen=True, slots=True)
class Sorted:
    """Each image's bucket, and the images that had to be enlarged too much, being too small for all of them."""

    buckets: tuple[Bucket, ...]
    enlarged: tuple[int, ...]

    @property
    def largest(self) -> Bucket:
        """The dearest of them."""
        return max(self.buckets, key=lambda bucket: bucket.area)


def step_of(resolution: int, grain: int) -> int:
    """How far the sides of buckets are apart, in pixels.

    64, which all base models in use were trained with; for small resolutions an eighth of it, as 64 is of 512, since
    64 would leave them three shapes. Always a multiple of ``grain``, the side in pixels of the UNet's coarsest cell.
    """
    wanted = min(_STEP, max(resolution // _STEPS, 1))
    return -(-wanted // grain) * grain


@cache
def sizes(resolution: int, step: int) -> tuple[Bucket, ...]:
    """The buckets of one resolution: to each side the longest other one with which the area is not above the square's.

    So the square is the dearest of them: what fits there, fits in all.
    """
    found = {Bucket(resolution, resolution)}
    for width in range(step, _LONGEST * resolution + 1, step):
        height = resolution**2 // width // step * step
        if min(width, height) >= resolution // _LONGEST and max(width, height) <= _LONGEST * resolution:
            found |= {Bucket(width, height), Bucket(height, width)}
    return tuple(sorted(found))


def assign(width: int, height: int, resolution: int, step: int) -> Bucket:
    """The bucket of an image: of the largest resolution that needs no undue enlarging, the one that cuts off least."""
    least = max(resolution // LEAST_SHARE, step)
    best = Bucket(least, least)
    for side in range(resolution, least - 1, -step):
        best = min(sizes(side, step), key=lambda bucket: (bucket.lost(width, height), -bucket.area, bucket))
        if best.scale(width, height) <= MOST_UPSCALED:
            break
    return best


def sort_in(images: Iterable[tuple[int, int]], resolution: int, grain: int) -> Sorted:
    """The buckets of ``images``, given as width and height."""
    step = step_of(resolution, grain)
    found = [(size, assign(*size, resolution, step)) for size in images]
    too_small = [index for index, (size, bucket) in enumerate(found) if bucket.scale(*size) > MOST_UPSCALED]
    return Sorted(tuple(bucket for _, bucket in found), tuple(too_small))


def filled(buckets: Iterable[Bucket]) -> tuple[Filled, ...]:
    """The buckets of all images, each with its count, the fullest first."""
    counts = Counter(buckets)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Filled(bucket.width, bucket.height, count) for bucket, count in ranked)


def together(shapes: Sequence[tuple[int, ...]], members: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """``members``, indices into the ``shapes`` of all images' latents, grouped by bucket; each group in their order."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for member in members:
        groups.setdefault(shapes[member], []).append(member)
    return tuple(tuple(groups[shape]) for shape in sorted(groups))
