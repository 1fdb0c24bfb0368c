"""All chance of a training, as a pure function of seed and step: what is drawn for a step never depends on the past.

So a resumed training draws exactly what the uninterrupted one would have, on any device and with any split of the
batch, and no generator's state has to be saved.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lorabot.presets import TimestepBias


@dataclass(frozen=True, slots=True)
class Draw:
    """The chance of one optimiser step over B images, on the CPU.

    ``images``: the dataset's images, all of one bucket. ``views``: which of each image's latents. ``orders``: which
    order of its caption's tags, to be counted round those there are. ``timesteps``. All these int64 (B).
    ``uncaptioned``: bool (B). ``noise``: float32 (B, C, H, W).
    """

    images: torch.Tensor
    views: torch.Tensor
    orders: torch.Tensor
    uncaptioned: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor


def draw(
    seed: int,
    step: int,
    images: torch.Tensor,
    shape: tuple[int, int, int],
    views: int,
    timesteps: int,
    offset: float,
    dropout: float,
    bias: TimestepBias = "none",
) -> Draw:
    """How step number ``step`` (from 0) trains on ``images`` (B), each with ``views`` latents of ``shape`` (C, H, W).

    Timesteps are stratified: each of B equal ranges holds one, which
    keeps the expectation and lowers the variance of the loss. ``offset`` adds a constant per image and channel to the
    noise (noise offset). ``dropout`` is the share of views without caption.

    ``bias`` bends the even density of x = timestep / timesteps: ``content`` to (1 - x) ** (-2 / 3) / 3, so that half of
    all lie in the noisiest eighth, where a picture's layout is settled (cubic sampling, arXiv 2302.08453, section 3.4);
    ``style`` to its mirror image. The ranges stay equal in what they hold.
    """
    chance = generator(seed, "step", step)
    batch = len(images)
    ranges = (torch.randperm(batch, generator=chance) + torch.rand(batch, generator=chance)) / batch
    if bias != "none":
        ranges = ranges**3 if bias == "style" else 1 - ranges**3
    noise = torch.randn(batch, *shape, generator=chance)
    noise += offset * torch.randn(batch, shape[0], 1, 1, generator=chance)
    return Draw(
        images=images,
        views=(torch.rand(batch, generator=chance) * views).long(),
        uncaptioned=torch.rand(batch, generator=chance) < dropout,
        orders=torch.randint(2**31, (batch,), generator=chance),
        timesteps=(ranges * timesteps).long().clamp_(max=timesteps - 1),
        noise=noise,
    )


def measure(
    seed: int, members: Sequence[int], shapes: Sequence[tuple[int, int, int]], pairs: int, timesteps: int
) -> tuple[Draw, ...]:
    """A fixed set of ``pairs`` images, timesteps and noises for a loss that can be compared over time, by bucket.

    Timesteps are spread evenly and dealt to ``members`` in turn, each in its first view and with its whole caption.
    ``shapes``: those of the latents of all the dataset's images.
    """
    chance = generator(seed, "measure", len(members))
    middle = ((torch.arange(pairs) + 0.5) * (timesteps / pairs)).long()
    images = [members[pair % len(members)] for pair in range(pairs)]
    noise = [torch.randn(shapes[image], generator=chance) for image in images]
    found = []
    for shape in sorted({shapes[image] for image in images}):
        chosen = [pair for pair, image in enumerate(images) if shapes[image] == shape]
        none = torch.zeros(len(chosen), dtype=torch.int64)
        found.append(
            Draw(
                images=torch.tensor([images[pair] for pair in chosen]),
                views=none,
                orders=none,
                uncaptioned=none.bool(),
                timesteps=middle[chosen],
                noise=torch.stack([noise[pair] for pair in chosen]),
            )
        )
    return tuple(found)


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A generator on the CPU whose stream depends on ``seed`` and ``name`` alone."""
    digest = hashlib.sha256(repr((seed, *name)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
