"""The picture world: what a scene may hold, how a random one is chosen, and how it becomes a picture."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from PIL import Image

from tools.demo_models import held_out
from tools.demo_models.creatures import KINDS, draw_creature
from tools.demo_models.objects import THINGS
from tools.demo_models.settings import GROUND, PLACES, SHELTERED, draw_place, draw_shadow, draw_weather
from tools.demo_models.shapes import PALETTE, Colour
from tools.demo_models.sheet import Brush, Sheet
from tools.demo_models.styles import HELD_OUT_STYLES, STYLES, draw

CREATURES = tuple(KINDS)
OBJECTS = tuple(THINGS)
COLOURS = tuple(PALETTE)
SETTINGS = tuple(PLACES)
LIGHTS = ("sunny", "sunset", "night", "rainy", "snowy")
POSES = ("standing", "sitting", "jumping", "waving", "sleeping")
FEATURES = ("none", "spots", "stripes", "horns", "wings")
ACCESSORIES = ("none", "hat", "crown", "bow", "scarf", "glasses", "flower")
COLOURED_ACCESSORIES = ("hat", "bow", "scarf", "glasses", "flower")
STYLE_NAMES = tuple(STYLES)
HELD_OUT_CHARACTERS = tuple(held_out.CHARACTERS)
HELD_OUT_OBJECTS = tuple(held_out.OBJECTS)
HELD_OUT_STYLE_NAMES = tuple(HELD_OUT_STYLES)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a picture shows. `none` stands for what a subject has not (a house has no pose).

    `kind` and `style` may be held-out names. `seed` settles what no caption tells: sizes, places of trees, shades.
    """

    kind: str
    colour: str
    setting: str
    light: str
    style: str
    pose: str = "none"
    feature: str = "none"
    accessory: str = "none"
    accessory_colour: str = "none"
    seed: int = 0

    @property
    def creature(self) -> bool:
        return self.kind in KINDS or self.kind in held_out.CHARACTERS


def random_scene(rng: Generator, **fixed: str) -> Scene:
    """A scene of the base world, evenly spread; `fixed` attributes are kept as given."""

    def pick(name: str, options: tuple[str, ...], none: float = 0.0) -> str:
        if name in fixed:
            return fixed[name]
        return "none" if rng.random() < none else options[rng.integers(len(options))]

    kind = fixed.get("kind") or pick("kind", CREATURES if rng.random() < 0.7 else OBJECTS)
    setting = pick("setting", SETTINGS)
    accessory = accessory_colour = pose = feature = "none"
    colour = pick("colour", COLOURS)
    if kind in KINDS:
        # A dragon has horns and wings of its own: nobody could tell those from worn ones.
        pose, feature = pick("pose", POSES), pick("feature", FEATURES[1:3] if kind == "dragon" else FEATURES[1:], 0.5)
        accessory = pick("accessory", ACCESSORIES[1:], 0.45)
        if accessory in COLOURED_ACCESSORIES:
            others = tuple(c for c in COLOURS if c != colour)
            accessory_colour = pick("accessory_colour", others)
    elif kind in held_out.CHARACTERS:
        pose, colour = pick("pose", POSES), "none"
    elif kind in held_out.OBJECTS:
        colour = "none"
    light = "none" if setting in SHELTERED else pick("light", LIGHTS)
    return Scene(
        kind, colour, setting, light, pick("style", STYLE_NAMES), pose, feature, accessory, accessory_colour,
        int(rng.integers(2**31)),
    )  # fmt: skip


def _shade(name: str, rng: Generator) -> Colour:
    base = PALETTE[name]
    lift = float(rng.uniform(-9, 9))
    r, g, b = (min(255.0, max(0.0, c + lift + float(rng.uniform(-6, 6)))) for c in base)
    return r, g, b


def compose(scene: Scene) -> Sheet:
    """The scene as marks, no style yet."""
    rng = np.random.default_rng(scene.seed)
    sheet = draw_place(scene.setting, scene.light, rng)
    draw_weather(sheet, scene.light, rng, "back", 17)
    scale = float(rng.uniform(0.98, 1.2))
    x = float(rng.uniform(41, 59))
    y = GROUND + float(rng.uniform(-1.5, 4))
    flip = bool(rng.random() < 0.5)
    lift = 11.0 * scale if scene.pose == "jumping" else 0.0
    if scene.setting in ("space", "underwater") and scene.pose == "jumping":
        lift += 3
    if scene.kind == "balloon":
        lift += float(rng.uniform(4, 12))
    draw_shadow(sheet, x, y, (18 if scene.pose == "sleeping" else 14) * scale * (0.8 if lift else 1.0))
    lean = float(rng.uniform(-4, 4))
    brush = Brush(sheet, "subject", (x, y - lift), scale, flip, lean)
    if scene.kind in KINDS:
        extra = scene.accessory_colour if scene.accessory_colour != "none" else "yellow"
        draw_creature(
            brush,
            KINDS[scene.kind],
            _shade(scene.colour, rng),
            scene.pose,
            scene.feature,
            scene.accessory,
            _shade(extra, rng),
        )
    elif scene.kind in held_out.CHARACTERS:
        held_out.CHARACTERS[scene.kind](brush, scene.pose)
    elif scene.kind in held_out.OBJECTS:
        held_out.OBJECTS[scene.kind](brush)
    else:
        THINGS[scene.kind](brush, _shade(scene.colour, rng))
    draw_weather(sheet, scene.light, rng, "front", 5)
    return sheet


def render(scene: Scene, size: int = 128) -> Image.Image:
    """The scene as an RGB picture. The same scene and size give the same pixels everywhere."""
    return draw(compose(scene), (STYLES | HELD_OUT_STYLES)[scene.style], size)


def scene_at(seed: int, index: int, **fixed: str) -> Scene:
    """Scene number `index` of the endless row that `seed` names."""
    return random_scene(np.random.default_rng([seed, index]), **fixed)


def in_style(scene: Scene, style: str) -> Scene:
    """The same scene in another style."""
    return replace(scene, style=style)
