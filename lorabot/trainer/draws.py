"""All chance of a training, as a pure function of seed and step: what is drawn for a step never depends on the past.

So a resumed training draws exactly what the uninterrupted one would have, on any device and with any split of the
batch, and no generator's state has to be saved.
"""

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Draw:
    """The chance of one optimiser step over B images, on the CPU.

    ``images``: indices into the training images. ``mirrored``, ``uncaptioned``: bool (B). ``timesteps``: int64 (B).
    ``noise``: float32 (B, C, H, W).
    """

    images: torch.Tensor
    mirrored: torch.Tensor
    uncaptioned: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor


def draw(
    seed: int,
    step: int,
    batch: int,
    images: int,
    shape: tuple[int, int, int],
    timesteps: int,
    flip: bool,
    offset: float,
    dropout: float,
) -> Draw:
    """What step number ``step`` (from 0) trains on, out of ``images`` images with latents of ``shape`` (C, H, W).

    Every image is seen once before any is seen again. Timesteps are stratified: each of B equal ranges holds one, which
    keeps the expectation and lowers the variance of the loss. ``offset`` adds a constant per image and channel to the
    noise (noise offset). ``dropout`` is the share of views without caption.
    """
    chance = generator(seed, "step", step)
    ranges = (torch.randperm(batch, generator=chance) + torch.rand(batch, generator=chance)) / batch
    noise = torch.randn(batch, *shape, generator=chance)
    noise += offset * torch.randn(batch, shape[0], 1, 1, generator=chance)
    return Draw(
        images=torch.tensor([_image(seed, step * batch + place, images) for place in range(batch)]),
        mirrored=(torch.rand(batch, generator=chance) < 0.5) & flip,
        uncaptioned=torch.rand(batch, generator=chance) < dropout,
        timesteps=(ranges * timesteps).long().clamp_(max=timesteps - 1),
        noise=noise,
    )


def measure(seed: int, images: int, pairs: int, shape: tuple[int, int, int], timesteps: int) -> Draw:
    """A fixed set of ``pairs`` images, timesteps and noises for a loss that can be compared over time.

    Timesteps are spread evenly and dealt to the images in turn; nothing is mirrored or uncaptioned.
    """
    chance = generator(seed, "measure", images)
    middle = (torch.arange(pairs) + 0.5) * (timesteps / pairs)
    no = torch.zeros(pairs, dtype=torch.bool)
    return Draw(
        images=torch.arange(pairs) % images,
        mirrored=no,
        uncaptioned=no,
        timesteps=middle.long(),
        noise=torch.randn(pairs, *shape, generator=chance),
    )


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A generator on the CPU whose stream depends on ``seed`` and ``name`` alone."""
    digest = hashlib.sha256(repr((seed, *name)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _image(seed: int, view: int, images: int) -> int:
    epoch, place = divmod(view, images)
    return int(torch.randperm(images, generator=generator(seed, "order", epoch))[place])
