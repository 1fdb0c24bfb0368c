"""The recipes a person can ask for: one YAML file each, their schema, and the catalogue that holds them."""

from lorabot.presets.catalogue import Catalogue, Override, UnknownPreset, load_presets
from lorabot.presets.schema import (
    AVAILABLE_BASES,
    BASES,
    DEFAULT_BASE,
    Bilingual,
    Caption,
    Family,
    Group,
    Layers,
    NoRecipe,
    Preserve,
    Preset,
    Recipe,
    SavePrecision,
    Send,
    Vocabulary,
)
from lorabot.presets.source import BrokenPreset

__all__ = [
    "AVAILABLE_BASES",
    "BASES",
    "DEFAULT_BASE",
    "Bilingual",
    "BrokenPreset",
    "Caption",
    "Catalogue",
    "Family",
    "Group",
    "Layers",
    "NoRecipe",
    "Override",
    "Preserve",
    "Preset",
    "Recipe",
    "SavePrecision",
    "Send",
    "UnknownPreset",
    "Vocabulary",
    "load_presets",
]
