"""Base models: finding them, seeing what they are, and loading them. What is imported from here loads no torch."""

from lorabot.trainer.bases.loading import assembled, load_base, pipeline
from lorabot.trainer.bases.located import DEMO_FOLDER, BaseStore, LocatedBase, Survey, demo_base
from lorabot.trainer.bases.model import BaseModel, Parts, TextTower

__all__ = [
    "DEMO_FOLDER",
    "BaseModel",
    "BaseStore",
    "LocatedBase",
    "Parts",
    "Survey",
    "TextTower",
    "assembled",
    "demo_base",
    "load_base",
    "pipeline",
]
