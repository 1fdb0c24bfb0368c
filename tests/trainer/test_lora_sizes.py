"""The size that a LoRA file will have is known before there is one, from the layers of the published models."""

from collections.abc import Iterator
from typing import get_args

import pytest
import torch

from lorabot.presets import Family, Layers
from lorabot.presets.lora_sizes import LAYERS, Shapes, lora_bytes
from lorabot.trainer import adapter
from lorabot.trainer.bases import load_base
from lorabot.trainer.export import file_bytes
from lorabot.trainer.export.names import layer_namer
from lorabot.trainer.models import Models
from tests.trainer.conftest import tiny_recipe
from tests.trainer.published import published

Part = tuple[str, torch.nn.Module]


def parts_of(family: Family) -> tuple[Part, ...]:
    if family == "demo":
        base = load_base()
        return (("unet", base.unet), *((f"te{n}", tower.encoder) for n, tower in enumerate(base.towers, 1)))
    with torch.device("meta"):
        whole = published(family)
    return (("unet", whole.unet), *((f"te{number}", encoder) for number, encoder in enumerate(whole.encoders, 1)))


def targets(layers: Layers, module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Linear | torch.nn.Conv2d]]:
    """What peft puts an adapter on when it is told these ends of names."""
    ends = tuple(f".{end}" for end in adapter.TARGETS[layers])
    for name, layer in module.named_modules():
        if f".{name}".endswith(ends) and isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            yield name, layer


def shapes(family: Family, layers: Layers, parts: tuple[Part, ...], unet: torch.nn.Module) -> Shapes:
    count = inputs = outputs = letters = 0
    namer = layer_namer(family, unet)  # type: ignore[arg-type]
    for prefix, module in parts:
        for name, layer in targets(layers, module):
            count += 1
            letters += len(namer(f"{prefix}.{name}"))
            inputs += layer.weight[0].numel()
            outputs += layer.weight.shape[0]
    return Shapes(count, inputs, outputs, letters)


@pytest.mark.parametrize("family", get_args(Family))
def test_the_table_is_that_of_the_published_models_layers(family: Family) -> None:
    parts = parts_of(family)
    (_, unet), *texts = parts
    for layers in get_args(Layers):
        found = shapes(family, layers, parts[:1], unet), shapes(family, layers, tuple(texts), unet)
        assert LAYERS[family, layers] == found


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": "attention"},
        {"layers": "all", "rank": 16, "text_encoder_lr": 1e-4},
        {"layers": "linear", "dora": True, "save_precision": "fp32"},
    ],
)
def test_the_size_is_that_of_the_file(changes: dict[str, object], models: Models) -> None:
    base, recipe = models.base(), tiny_recipe(**changes)
    modules = {"unet": base.unet, **({"te1": base.towers[0].encoder} if recipe.text_encoder_lr else {})}
    with adapter.attached(modules, recipe, 7):
        size = file_bytes(adapter.read(modules), base.family, base.unet, recipe.save_precision)
    assert lora_bytes("demo", recipe) == pytest.approx(size, rel=0.01)
