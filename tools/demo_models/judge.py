"""The judge: a small network that reads a picture's attributes, held-out ones included. It measures the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from tools.demo_models.world import (
    ACCESSORIES,
    COLOURS,
    CREATURES,
    FEATURES,
    HELD_OUT_CHARACTERS,
    HELD_OUT_OBJECTS,
    HELD_OUT_STYLE_NAMES,
    LIGHTS,
    OBJECTS,
    POSES,
    SETTINGS,
    STYLE_NAMES,
)

WEIGHTS = Path(__file__).parent / "judge.safetensors"
READS: dict[str, tuple[str, ...]] = {
    "kind": (*CREATURES, *OBJECTS, *HELD_OUT_CHARACTERS, *HELD_OUT_OBJECTS),
    "colour": (*COLOURS, "none"),
    "setting": SETTINGS,
    "light": (*LIGHTS, "none"),
    "style": (*STYLE_NAMES, *HELD_OUT_STYLE_NAMES),
    "pose": (*POSES, "none"),
    "feature": FEATURES,
    "accessory": ACCESSORIES,
    "accessory_colour": (*COLOURS, "none"),
}
"""What it reads, and the answers it can give, in the order of `captions.FIELDS`."""


def style_number(name: str) -> int:
    return READS["style"].index(name)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_one = nn.BatchNorm2d(channels)
        self.two = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_two = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm_one(self.one(x)))
        return torch.relu(x + self.norm_two(self.two(inner)))


class Judge(nn.Module):
    """(N, 3, 128, 128) in -1..1 -> logits (N, sum of answers), cut by `split`."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width, blocks in ((24, 0), (40, 2), (72, 1), (88, 1)):
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [_Block(width) for _ in range(blocks)]
            before = width
        self.body = nn.Sequential(*layers)
        self.shrink = nn.Sequential(
            nn.Conv2d(before, 112, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(112), nn.ReLU()
        )
        self.head = nn.Linear(112 * 2, sum(len(answers) for answers in READS.values()))

    def forward(self, x: Tensor) -> Tensor:
        h = self.shrink(self.body(x))
        pooled: Tensor = self.head(torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1))
        return pooled


def split(logits: Tensor) -> dict[str, Tensor]:
    """The logits of each attribute."""
    open_logits: Any = logits  # torch gives `split` no hints
    parts = open_logits.split([len(answers) for answers in READS.values()], dim=1)
    return dict(zip(READS, parts, strict=True))


def load_judge(path: Path = WEIGHTS) -> Judge:
    judge = Judge()
    judge.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}
    )
    return judge.eval()


@torch.no_grad()
def read(judge: Judge, images: Sequence[Image.Image]) -> list[dict[str, str]]:
    """What each picture shows, as the judge sees it."""
    answers: list[dict[str, str]] = []
    for start in range(0, len(images), 50):
        batch = np.stack([np.asarray(image.convert("RGB").resize((128, 128))) for image in images[start : start + 50]])
        logits = split(judge(torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1))
        best = {name: values.argmax(1).tolist() for name, values in logits.items()}
        answers += [{name: READS[name][best[name][i]] for name in READS} for i in range(len(batch))]
    return answers
