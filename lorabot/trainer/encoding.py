"""Stage: computes once what the training looks at again and again: latents of the images, states of the texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from lorabot.trainer.conditions import Conditions
from lorabot.trainer.control import Control
from lorabot.trainer.pictures import cover, read_picture
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.wire import TrainingImage

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel

_BATCH = 4


@dataclass(frozen=True, slots=True)
class Encoded:
    """A dataset as the UNet sees it, on the training device.

    ``latents``: float32 (N, F, C, H, W), scaled; F is 2 (the image, its mirror image) or 1. ``texts``: the conditions
    of T different captions, the empty one last. ``text_of``: int64 (N), on the CPU, the caption of each image.
    """

    latents: torch.Tensor
    texts: Conditions
    text_of: torch.Tensor


def encode(
    base: "BaseModel",
    images: Sequence[TrainingImage],
    captions: Sequence[str],
    resolution: int,
    flip: bool,
    control: Control,
) -> Encoded:
    """Encode ``images`` at ``resolution`` x ``resolution`` pixels and their ``captions``.

    Raises ``BrokenImage`` and what ``control`` raises.
    """
    latents = []
    for start in range(0, len(images), _BATCH):
        control.check()
        pixels = [_pixels(read_picture(image), resolution) for image in images[start : start + _BATCH]]
        views = [torch.stack(pixels)] + ([torch.stack(pixels).flip(-1)] if flip else [])
        latents.append(torch.stack([encode_pixels(base, view) for view in views], dim=1))
    different = list(dict.fromkeys(captions))
    texts = encode_texts(base, [*different, ""])
    return Encoded(
        latents=torch.cat(latents),
        texts=texts,
        text_of=torch.tensor([different.index(text) for text in captions]),
    )


@torch.no_grad()
def encode_pixels(base: "BaseModel", pixels: torch.Tensor) -> torch.Tensor:
    """Scaled latents, float32 (B, C, H/8, W/8), of ``pixels`` (B, 3, H, W) in -1..1.

    The mean of the distribution, so that they never vary.
    """
    moved = pixels.to(base.vae.device, base.vae.dtype)
    mean: torch.Tensor = base.vae.encode(moved).latent_dist.mode()
    return (mean * Shapes.of(base).scale).float()


@torch.no_grad()
def encode_texts(base: "BaseModel", texts: Sequence[str]) -> Conditions:
    """Last states of the text encoder, on its device; what is longer than 77 tokens is cut."""
    (tower,) = base.towers
    tokens = tower.tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=tower.tokenizer.model_max_length
    )
    ids = torch.tensor(tokens["input_ids"], device=tower.encoder.device)
    return Conditions(tower.encoder(ids)[0])


def _pixels(picture: Image.Image, side: int) -> torch.Tensor:
    """(3, H, W) in -1..1."""
    array = np.asarray(cover(picture, side, side), dtype=np.float32)
    return torch.from_numpy(array / 127.5 - 1.0).permute(2, 0, 1)
