"""Keeps the latents of all views of all images: on the card, in memory or, where they are many, on disk. What finds no
room there either is made whenever it is looked at.

On disk each image has a file of its own, named by all that its latents depend on: the image's content, the base model's
weights, the VAE's number format and the views. So a later attempt at the same job, or a search's next trial, finds what
an earlier one has encoded, and never anything else.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lorabot.trainer.sending import sent

Place = Literal["card", "memory", "disk", "nowhere"]

CARD_SHARE = 0.1
"""Latents stay on the card while they take up less than this share of its free memory."""
MEMORY_SHARE = 0.25
"""Latents stay in memory while they take up less than this share of what is available; more of them go to disk."""
_KEY = "latents"

Shape = tuple[int, int, int]
Item = torch.Tensor | Path | Callable[[int], torch.Tensor]
"""Float32 (V, C, H, W), the V views of an image; the file they are in; or what makes one of them, (C, H, W)."""


@dataclass(frozen=True, slots=True)
class Latents:
    """The views of each image. ``shapes``: (C, H, W)."""

    items: tuple[Item, ...]
    shapes: tuple[Shape, ...]
    device: torch.device

    def take(self, images: Sequence[int], views: Sequence[int]) -> torch.Tensor:
        """One view of each of ``images``, which must be of one bucket: (B, C, H, W) on the training device."""
        found = [_view(self.items[image], view) for image, view in zip(images, views, strict=True)]
        stacked = torch.stack(found)
        return sent(stacked, self.device) if stacked.device.type == "cpu" else stacked


def place(size: int, device: torch.device, disk: int) -> Place:
    """Where ``size`` bytes of latents are best kept, with so many bytes to spare on ``disk``."""
    if device.type == "cuda" and size <= CARD_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "card"
    if size <= MEMORY_SHARE * psutil.virtual_memory().available:
        return "memory"
    return "disk" if size <= disk else "nowhere"


def keep(
    where: Literal["card", "memory", "disk"], folder: Path, name: str, make: Callable[[], torch.Tensor]
) -> torch.Tensor | Path:
    """What ``make`` makes, kept; on disk under ``name``, and not made again where it is there already."""
    if where == "card":
        return make()
    if where == "memory":
        return make().cpu()
    path = folder / f"{name}.safetensors"
    if not _whole(path):
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        try:
            save_file({_KEY: make().cpu().contiguous()}, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def name_of(*parts: object) -> str:
    """A file's name for what depends on ``parts`` and nothing else."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _whole(path: Path) -> bool:
    with suppress(OSError, SafetensorError), safe_open(path, framework="pt"):
        return True
    return False


def _view(item: Item, view: int) -> torch.Tensor:
    if isinstance(item, torch.Tensor):
        return item[view]
    if not isinstance(item, Path):
        return item(view)
    with safe_open(item, framework="pt") as file:
        found: torch.Tensor = file.get_slice(_KEY)[view]
    return found
