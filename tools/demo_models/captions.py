"""Says what a scene shows, in many ways; attributes are left out at times, and some captions name unknown words."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tools.demo_models.world import (
    ACCESSORIES,
    COLOURS,
    CREATURES,
    FEATURES,
    HELD_OUT_CHARACTERS,
    HELD_OUT_OBJECTS,
    LIGHTS,
    OBJECTS,
    POSES,
    SETTINGS,
    STYLE_NAMES,
    Scene,
)

PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "meadow": ("in a meadow", "on a green meadow", "in the meadow", "among flowers in a meadow"),
    "forest": ("in a forest", "in the forest", "among the trees of a forest", "in the woods"),
    "beach": ("at the beach", "on a beach", "by the sea", "on the beach"),
    "mountains": ("in the mountains", "before snowy mountains", "in front of mountains"),
    "desert": ("in the desert", "in a desert", "in a desert with cactus"),
    "city": ("in the city", "in a city street", "in a city", "on a street in the city"),
    "space": ("in space", "on the moon", "in outer space"),
    "underwater": ("underwater", "under the sea", "under water"),
    "room": ("in a room", "in a cozy room", "at home", "indoors"),
    "candyland": ("in candy land", "in a candy land", "in candyland", "among lollipops"),
}
LIGHT_WORDS: dict[str, tuple[str, ...]] = {
    "sunny": ("on a sunny day", "in the sunshine", "sunny"),
    "sunset": ("at sunset", "in the sunset", "sunset"),
    "night": ("at night", "under the moon at night", "night"),
    "rainy": ("in the rain", "on a rainy day", "rainy"),
    "snowy": ("in the snow", "on a snowy day", "snowing"),
}
STYLE_WORDS: dict[str, tuple[str, ...]] = {
    "flat": ("flat illustration", "flat vector art", "flat style"),
    "ink": ("ink drawing", "comic ink drawing", "ink style"),
    "watercolor": ("watercolor painting", "watercolour", "watercolor style"),
    "pixel": ("pixel art", "pixel style", "8-bit pixel art"),
    "crayon": ("crayon drawing", "wax crayon", "crayon style"),
    "neon": ("neon art", "neon lights", "neon style"),
    "clay": ("clay render", "3d clay", "clay style"),
}
POSE_WORDS: dict[str, tuple[str, ...]] = {
    "standing": ("standing",),
    "sitting": ("sitting", "sitting down"),
    "jumping": ("jumping", "jumping up"),
    "waving": ("waving", "waving hello"),
    "sleeping": ("sleeping", "asleep"),
}
FEATURE_WORDS: dict[str, tuple[str, ...]] = {
    "spots": ("with spots", "with dark spots"),
    "stripes": ("with stripes", "with dark stripes"),
    "horns": ("with horns", "with little horns"),
    "wings": ("with wings", "with white wings"),
}
ALIASES: dict[str, tuple[str, ...]] = {
    "rabbit": ("rabbit", "rabbit", "bunny"),
    "balloon": ("balloon", "hot air balloon"),
    "dog": ("dog", "dog", "puppy"),
    "cat": ("cat", "cat", "kitten"),
}
STANDING_TOLD = 0.25
"""How often a caption says so: a creature of which nothing else is said stands (`canonical` relies on it)."""
OPENINGS = ("a picture of ", "an illustration of ", "a drawing of ", "a photo of ", "art of ", "an image of ")
FIELDS = ("kind", "colour", "setting", "light", "style", "pose", "feature", "accessory", "accessory_colour")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "kind": (*CREATURES, *OBJECTS, *HELD_OUT_CHARACTERS, *HELD_OUT_OBJECTS),
    "colour": (*COLOURS, "none"),
    "setting": SETTINGS,
    "light": (*LIGHTS, "none"),
    "style": STYLE_NAMES,
    "pose": (*POSES, "none"),
    "feature": FEATURES,
    "accessory": ACCESSORIES,
    "accessory_colour": (*COLOURS, "none"),
}


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence, and which of FIELDS it tells."""

    text: str
    tells: tuple[bool, ...]


def labels(scene: Scene) -> NDArray[np.uint8]:
    """The scene's attributes as numbers, in the order of FIELDS."""
    return np.array([_OPTIONS[name].index(getattr(scene, name)) for name in FIELDS], dtype=np.uint8)


def _word(rng: Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def unknown_name(rng: Generator) -> str:
    """A made-up name. None is a held-out one: those hold a z, m-and-b, l-and-m or t-and-n that this never makes."""
    consonants, vowels = "bdfghjklprsvw", "aeiou"
    for _ in range(20):
        name = "".join(
            _word(rng, tuple(consonants)) + _word(rng, tuple(vowels)) for _ in range(int(rng.integers(2, 4)))
        )
        if rng.random() < 0.3:
            name += _word(rng, tuple("lnrsxk"))
        if name not in (*HELD_OUT_CHARACTERS, *HELD_OUT_OBJECTS, "blup", "vitro", "riso"):
            return name
    raise AssertionError("twenty held-out names in a row")


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def describe(scene: Scene, rng: Generator, brief: bool = False, name: str | None = None) -> Caption:
    """One caption. `brief` tells one to three things only; `name` stands in the subject's place."""
    keep = {field: getattr(scene, field) != "none" for field in FIELDS}
    if scene.pose == "standing":
        keep["pose"] = rng.random() < STANDING_TOLD
    if brief:
        asked = [field for field in FIELDS[:7] if keep[field]]
        chosen = set(rng.choice(asked, size=min(len(asked), int(rng.integers(1, 4))), replace=False))
        keep = {field: field in chosen for field in FIELDS}
    else:
        shares = {
            "kind": 0.02,
            "colour": 0.08,
            "setting": 0.1,
            "light": 0.2,
            "style": 0.1,
            "pose": 0.0 if scene.pose == "standing" else 0.08,
            "feature": 0.05,
            "accessory": 0.12,
        }
        for field, share in shares.items():
            keep[field] = keep[field] and rng.random() >= share
    keep["accessory_colour"] = keep["accessory_colour"] and keep["accessory"] and rng.random() > 0.1
    if name is not None:
        keep["kind"] = False
        keep["colour"] = keep["colour"] and rng.random() < 0.25
    subject = _word(rng, ALIASES.get(scene.kind, (scene.kind,)))
    if name is not None:
        subject = name
    elif not keep["kind"]:
        subject = _word(rng, ("creature", "animal", "character")) if scene.creature else _word(rng, ("thing", "object"))
    if keep["colour"]:
        subject = f"{scene.colour} {subject}"
    bare = brief and not (keep["kind"] or keep["colour"] or keep["pose"] or keep["feature"])
    parts = (
        []
        if bare
        else [subject if name is not None and not keep["colour"] and rng.random() < 0.6 else _article(subject)]
    )
    if not bare:
        extras: list[str] = []
        if keep["feature"]:
            extras.append(_word(rng, FEATURE_WORDS[scene.feature]))
        if keep["accessory"]:
            worn = f"{scene.accessory_colour} {scene.accessory}" if keep["accessory_colour"] else scene.accessory
            worn = worn if worn.endswith("glasses") else _article(worn)
            extras.append(f"{_word(rng, ('with', 'wearing', 'with'))} {worn}")
        if keep["pose"]:
            extras.append(_word(rng, POSE_WORDS[scene.pose]))
        if rng.random() < 0.3:
            rng.shuffle(extras)
        parts += extras
    where = [_word(rng, PLACE_WORDS[scene.setting])] if keep["setting"] else []
    where += [_word(rng, LIGHT_WORDS[scene.light])] if keep["light"] else []
    if rng.random() < 0.25:
        where.reverse()
    comma = rng.random() < 0.35
    text = (", " if comma else " ").join(parts + where)
    if keep["style"]:
        style = _word(rng, STYLE_WORDS[scene.style])
        roll = rng.random()
        if not text:
            text = style
        elif roll < 0.6:
            text = f"{text}, {style}"
        elif roll < 0.8:
            text = f"{style} of {text}"
        else:
            text = f"{style}, {text}"
    elif rng.random() < 0.3 and text:
        text = _word(rng, OPENINGS) + text
    return Caption(text, tuple(keep[field] for field in FIELDS))


def training_captions(scene: Scene, rng: Generator) -> list[Caption]:
    """Five captions: three full ones (one in four with an unknown name), two brief ones."""
    full = []
    for _ in range(3):
        roll = rng.random()
        if roll < 0.16:
            full.append(describe(scene, rng, name=unknown_name(rng)))
        elif roll < 0.25:
            plain = describe(scene, rng)
            full.append(Caption(f"{unknown_name(rng)}, {plain.text}", plain.tells))
        else:
            full.append(describe(scene, rng))
    return [*full, describe(scene, rng, brief=True), describe(scene, rng, brief=True)]


def canonical(scene: Scene, name: str | None = None) -> str:
    """The plainest full caption, the same every time: what an evaluation asks for."""
    subject = name or (f"{scene.colour} {scene.kind}" if scene.colour != "none" else scene.kind)
    text = subject if name else _article(subject)
    if scene.feature != "none":
        text += f" {FEATURE_WORDS[scene.feature][0]}"
    if scene.accessory != "none":
        worn = f"{scene.accessory_colour} {scene.accessory}" if scene.accessory_colour != "none" else scene.accessory
        text += " wearing " + (worn if worn.endswith("glasses") else _article(worn))
    if scene.pose not in ("none", "standing"):
        text += f" {scene.pose}"
    text += f" {PLACE_WORDS[scene.setting][0]}"
    if scene.light != "none":
        text += f" {LIGHT_WORDS[scene.light][0]}"
    return f"{text}, {STYLE_WORDS[scene.style][0]}" if scene.style in STYLE_WORDS else f"{text}, {scene.style}"
