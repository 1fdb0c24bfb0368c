"""How large a LoRA file will be: from the shapes of the layers that get one, by family and choice of layers."""

from typing import NamedTuple

from lorabot.presets.schema import Family, Layers, Recipe


class Shapes(NamedTuple):
    """Of the layers that get a LoRA: how many, their inputs and outputs together, the letters of their names."""

    layers: int
    inputs: int
    outputs: int
    letters: int


# As the published models are; a test counts them. The UNet's layers, then those of the text encoders.
LAYERS: dict[tuple[Family, Layers], tuple[Shapes, Shapes]] = {
    ("demo", "attention"): (Shapes(56, 5952, 6144, 3768), Shapes(16, 1536, 1536, 840)),
    ("demo", "linear"): (Shapes(84, 11328, 14592, 5302), Shapes(24, 3456, 3456, 1184)),
    ("demo", "all"): (Shapes(118, 51072, 19264, 6648), Shapes(24, 3456, 3456, 1184)),
    ("sd15", "attention"): (Shapes(128, 99456, 99840, 8656), Shapes(48, 36864, 36864, 2528)),
    ("sd15", "linear"): (Shapes(192, 186816, 237120, 12184), Shapes(72, 82944, 82944, 3564)),
    ("sd15", "all"): (Shapes(256, 707136, 295360, 14716), Shapes(72, 82944, 82944, 3564)),
    ("sd21", "attention"): (Shapes(128, 107648, 99840, 8656), Shapes(92, 94208, 94208, 4882)),
    ("sd21", "linear"): (Shapes(192, 195008, 237120, 12184), Shapes(138, 211968, 211968, 6886)),
    ("sd21", "all"): (Shapes(256, 715328, 295360, 14716), Shapes(138, 211968, 211968, 6886)),
    ("sdxl", "attention"): (Shapes(560, 785920, 665600, 33168), Shapes(176, 200704, 200704, 9512)),
    ("sdxl", "linear"): (Shapes(722, 1223680, 1436160, 42157), Shapes(264, 451584, 451584, 13432)),
    ("sdxl", "all"): (Shapes(771, 1563520, 1475200, 44069), Shapes(264, 451584, 451584, 13432)),
}

_ENTRY = 67
"""Letters that safetensors writes about a tensor beside its name: dtype, shape and place."""
_ENDS = len(".lora_down.weight.lora_up.weight.alpha")
_ALPHA = 4


def lora_bytes(family: Family, recipe: Recipe) -> int:
    """The size of the file that a training by ``recipe`` ends with, but for the words about it: they are a few KB."""
    number = 4 if recipe.save_precision == "fp32" else 2
    size = 8
    for each in LAYERS[family, recipe.layers][: 2 if recipe.text_encoder_lr > 0 else 1]:
        kinds = 4 if recipe.dora else 3
        size += number * (recipe.rank * (each.inputs + each.outputs) + (each.outputs if recipe.dora else 0))
        size += _ALPHA * each.layers
        size += kinds * (each.letters + _ENTRY * each.layers) + _ENDS * each.layers
        size += len(".dora_scale") * each.layers if recipe.dora else 0
    return size
