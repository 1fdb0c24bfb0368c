"""The recipes a person can ask for: one YAML file each, their schema, and the catalogue that holds them."""

from lorabot.presets.bases import DEMO, Base, Bases, NamedBase, Prediction, RealFamily, UnknownBase
from lorabot.presets.catalogue import Catalogue, Override, UnknownPreset, load_presets
from lorabot.presets.schema import (
    Bilingual,
    Caption,
    Family,
    Group,
    Layers,
    NoRecipe,
    OptimiserName,
    Preserve,
    Preset,
    Recipe,
    SavePrecision,
    ScheduleName,
    Send,
    TimestepBias,
    Vocabulary,
)
from lorabot.presets.source import BrokenPreset

__all__ = [
    "DEMO",
    "Base",
    "Bases",
    "Bilingual",
    "BrokenPreset",
    "Caption",
    "Catalogue",
    "Family",
    "Group",
    "Layers",
    "NamedBase",
    "NoRecipe",
    "OptimiserName",
    "Override",
    "Prediction",
    "Preserve",
    "Preset",
    "RealFamily",
    "Recipe",
    "SavePrecision",
    "ScheduleName",
    "Send",
    "TimestepBias",
    "UnknownBase",
    "UnknownPreset",
    "Vocabulary",
    "load_presets",
]
