"""Stage: computes once what the training looks at again and again: latents of the images, states of the texts."""

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from PIL import Image

from lorabot.locale import Message
from lorabot.presets import Recipe
from lorabot.trainer.autoencoding import Autoencoder
from lorabot.trainer.buckets import Bucket
from lorabot.trainer.captioning import Caption
from lorabot.trainer.conditions import Conditions
from lorabot.trainer.control import Control
from lorabot.trainer.disk import disk_is_full
from lorabot.trainer.latents import Item, Latents, Place, keep, name_of
from lorabot.trainer.memory import ran_out_of_memory
from lorabot.trainer.offloading import on_card
from lorabot.trainer.pictures import read_picture, side_by_side
from lorabot.trainer.sending import sent
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.shuffling import variants
from lorabot.trainer.texts import Texts, cached, encode_texts, live
from lorabot.trainer.views import View, views
from lorabot.trainer.wire import TrainingImage

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel, TextTower

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """The captions as they are trained with: for each image the rows of ``texts`` with its caption in several orders.

    ``empty`` is the row of no caption.
    """

    texts: Texts
    captions: tuple[tuple[int, ...], ...]
    empty: int

    def probed(self, count: int) -> Conditions:
        """What ``count`` pictures cost to be told, as it is for all of these texts."""
        return self.texts(torch.full((count,), self.empty)).whole(0)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A dataset as the UNet sees it: ``views`` latents of each image, and what is said about it.

    ``sizes``: what SDXL is told of each view, int64 (N, V, 6); None for the others.
    """

    latents: Latents
    views: int
    told: Told
    sizes: torch.Tensor | None

    def clean(self, images: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
        """The latents of one view of each of ``images``, all of one bucket: (B, C, H, W) on the training device."""
        return self.latents.take(images.tolist(), views.tolist())

    def conditions(
        self, images: torch.Tensor, views: torch.Tensor, orders: torch.Tensor, uncaptioned: torch.Tensor
    ) -> Conditions:
        """What the UNet is told with them; an order is counted round those that the caption has."""
        captions = self.told.captions
        rows = [
            self.told.empty if without else captions[image][order % len(captions[image])]
            for image, order, without in zip(images.tolist(), orders.tolist(), uncaptioned.tolist(), strict=True)
        ]
        told = self.told.texts(torch.tensor(rows))
        if self.sizes is None:
            return told
        return told.sized(sent(self.sizes[images, views].float(), told.states.device))


def listening(base: "BaseModel", recipe: Recipe) -> tuple["TextTower", ...]:
    """The text encoders of ``base``, heard where ``recipe`` says."""
    skip = recipe.clip_skip
    return base.towers if skip is None else tuple(tower.skipping(skip) for tower in base.towers)


def text_learners(base: "BaseModel", recipe: Recipe) -> dict[str, torch.nn.Module]:
    """The text encoders that learn too, by the prefix of their adapters' names."""
    if recipe.text_encoder_lr == 0:
        return {}
    learners: dict[str, torch.nn.Module] = {f"te{number}": tower.encoder for number, tower in enumerate(base.towers, 1)}
    for learner in learners.values():
        learner.to(base.device)
    return learners


def tell(
    towers: Sequence["TextTower"], captions: Sequence[Caption], recipe: Recipe, seed: int, device: torch.device
) -> Told:
    """``captions`` in the orders that ``recipe`` asks for, as ``towers`` hear them."""
    orders = [variants(each.text, recipe.shuffle_captions, seed, index) for index, each in enumerate(captions)]
    texts = list(dict.fromkeys([*(text for each in orders for text in each), ""]))
    row = {text: index for index, text in enumerate(texts)}
    heard = hear(towers, texts, device, recipe.text_encoder_lr > 0)
    return Told(heard, tuple(tuple(row[text] for text in each) for each in orders), row[""])


def encode(
    base: "BaseModel",
    images: Sequence[TrainingImage],
    buckets: Sequence[Bucket],
    told: Told,
    recipe: Recipe,
    seed: int,
    where: Place,
    cache: Path,
    control: Control,
    autoencoder: Autoencoder,
    tell: Callable[[Message], None] = lambda _: None,
) -> Encoded:
    """Encode ``images``, each at the size of its bucket and in all views that ``recipe`` asks for.

    ``cache`` is the folder for latents ``where`` they go to disk; those that are kept nowhere are encoded by
    ``autoencoder`` later, as are those that the disk takes no more: ``tell`` hears of it. Raises ``BrokenImage`` and
    what ``control`` raises.
    """
    shapes = Shapes.of(base)
    items: list[Item] = []
    sizes = []

    def opened(number: int) -> tuple[str, tuple[View, ...], torch.Tensor]:
        image = images[number]
        picture = read_picture(image)
        seen = views(picture, buckets[number], recipe.crops, recipe.flip, seed, number)
        content = hashlib.sha256(image.path.read_bytes()).hexdigest() if where == "disk" else ""
        return content, seen, torch.stack([_pixels(view.cut(picture)) for view in seen])

    def anew(number: int, view: int) -> torch.Tensor:
        _, _, pixels = opened(number)
        with autoencoder.at_work():
            return autoencoder.encode(pixels[view : view + 1])[0]

    with autoencoder.at_work():
        for content, seen, pixels in side_by_side(opened, range(len(images))):
            control.check()
            sizes.append([view.sizes() for view in seen])
            if where != "nowhere":
                name = name_of(content, base.identity, base.vae.dtype, seen)
                try:
                    items.append(keep(where, cache, name, partial(autoencoder.encode, pixels)))
                    continue
                except Exception as error:
                    if not disk_is_full(error):
                        raise
                    _log.warning("the disk takes no more latents: %s", error)
                where = "nowhere"
                tell(Message("training-notice-latents-nowhere", {"count": len(images) - len(items)}))
            items.append(partial(anew, len(items)))
    latents = Latents(
        tuple(items), tuple(shapes.latent(bucket.width, bucket.height) for bucket in buckets), base.device
    )
    return Encoded(latents, len(sizes[0]), told, torch.tensor(sizes) if base.family == "sdxl" else None)


def latent_bytes(base: "BaseModel", buckets: Sequence[Bucket], recipe: Recipe) -> int:
    """What the latents of all views of all images take up, in float32."""
    shapes = Shapes.of(base)
    views = recipe.crops * (2 if recipe.flip else 1)
    return 4 * views * sum(math.prod(shapes.latent(bucket.width, bucket.height)) for bucket in buckets)


def hear_once(towers: Sequence["TextTower"], texts: Sequence[str], device: torch.device, learning: bool) -> Conditions:
    """``texts`` as ``towers`` hear them now, on ``device``; unless ``learning``, they leave the card afterwards."""

    def heard() -> Conditions:
        return encode_texts(towers, texts).to(device)

    return heard() if learning else _with_encoders(towers, device, heard)


def hear(towers: Sequence["TextTower"], texts: Sequence[str], device: torch.device, learning: bool) -> Texts:
    """``texts`` as ``towers`` hear them: anew each time while these are ``learning``, else once and for all."""
    if learning:
        return live(towers, texts)
    return _with_encoders(towers, device, lambda: cached(towers, texts, device))


def _with_encoders(towers: Sequence["TextTower"], device: torch.device, do: Callable[[], T]) -> T:
    """What ``do`` returns with the encoders of ``towers`` on ``device``; where there is no room, in the host's memory,
    which takes some seconds."""
    try:
        with on_card(device, *(tower.encoder for tower in towers)):
            return do()
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        _log.warning("the text encoders find no room on the card: %s", error)
    return do()


def _pixels(picture: Image.Image) -> torch.Tensor:
    """(3, H, W) in -1..1."""
    array = np.asarray(picture, dtype=np.float32)
    return torch.from_numpy(array / 127.5 - 1.0).permute(2, 0, 1)
