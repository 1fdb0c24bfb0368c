"""Draws things with small friendly faces. Local units: (0, 0) is where the thing stands, y goes down, about 45 high."""

from collections.abc import Callable

import numpy as np

from tools.demo_models.creatures import cheeks, eyes
from tools.demo_models.shapes import (
    CREAM,
    INK,
    Colour,
    blob,
    box,
    darker,
    ellipse,
    lighter,
    luminance,
    mirror,
    mix,
    ribbon,
)
from tools.demo_models.sheet import Brush

GLASS: Colour = (190, 228, 246)


def _face(brush: Brush, x: float, y: float, colour: Colour, size: float = 1.0, gap: float = 5.0) -> None:
    at = Brush(
        brush.sheet, brush.layer, tuple(brush.place(np.array([[x, y]]))[0]), brush.scale * size, brush.flip, brush.lean
    )
    dark = luminance(colour) < 90
    eyes(at, asleep=False, x=gap, y=0, size=0.9)
    if dark:
        at.dab(*((ellipse(side * gap - 0.6, -1, 1), (255, 255, 255)) for side in (-1, 1)))
    at.dab((ribbon((-1.8, 2.4), (0, 3.6), (1.8, 2.4), width=0.9), CREAM if dark else INK))
    cheeks(at, colour, gap + 3.6, 2.6)


def house(brush: Brush, c: Colour) -> None:
    brush.add((box(9, -40, 14, -27), darker(c, 0.4)))
    brush.add((box(-17, -24, 17, 0, 1), lighter(c, 0.45)))
    brush.add((blob((-22, -22), (-11, -33), (0, -43), (11, -33), (22, -22), (0, -23.4)), c))
    brush.add((box(-4, -11.6, 4, 0, 3.6), darker(c, 0.3)))
    brush.dab((ellipse(2.4, -5.4, 0.8), (250, 210, 90)))
    for side in (-1, 1):
        brush.add((box(side * 11 - 3.4, -12, side * 11 + 3.4, -5, 1), (255, 236, 160)))
    _face(brush, 0, -17.4, lighter(c, 0.45), 0.72, 5)


def car(brush: Brush, c: Colour) -> None:
    brush.add((blob((-14, -15), (-10, -27), (0, -29), (10, -27), (15, -15)), darker(c, 0.08)))
    for side in (-1, 1):
        brush.dab((blob((side * 1.4, -16), (side * 1.4, -25.6), (side * 8, -24.4), (side * 11.4, -16)), GLASS))
    brush.add((blob((-25, -6), (-23, -15), (-10, -17.4), (10, -17.4), (23, -14), (25.6, -6), (20, -3), (-20, -3)), c))
    brush.dab((box(-24.6, -6.6, 25, -4.6, 1), darker(c, 0.25)))
    brush.dab((ellipse(23, -11, 2, 2.4), (255, 240, 170)))
    for x in (-14, 14):
        brush.add((ellipse(x, -4.4, 6), (66, 60, 76)))
        brush.dab((ellipse(x, -4.4, 2.8), (225, 225, 232)))
    _face(brush, 0, -11.6, c, 0.85, 5)


def teapot(brush: Brush, c: Colour) -> None:
    brush.add((ribbon((13, -24), (24, -24), (24, -10), (13, -7), width=3.4), darker(c, 0.16)))
    brush.add((blob((-13, -9), (-20, -16), (-26.6, -27), (-21.4, -27), (-16, -20), (-12, -20)), darker(c, 0.1)))
    brush.add((box(-9, -3.4, 9, 0, 1.4), darker(c, 0.3)))
    brush.add((blob((0, -31), (12, -27.4), (17.4, -16), (12, -4), (0, -2), (-12, -4), (-17.4, -16), (-12, -27.4)), c))
    brush.add((blob((-10, -28), (0, -35), (10, -28), (0, -26.4)), lighter(c, 0.3)))
    brush.add((ellipse(0, -35.6, 2.8), (250, 205, 80)))
    brush.dab(*((ellipse(x, -7.4, 1.6), lighter(c, 0.6)) for x in (-9, -3, 3, 9)))
    for x, y in ((-26, -33), (-23, -40)):
        brush.dab((ellipse(x, y, 2.2, 3), (255, 255, 255)))
    _face(brush, 0, -16.6, c)


def mushroom(brush: Brush, c: Colour) -> None:
    brush.add((blob((-7, -22), (7, -22), (9, -8), (10.6, -1.4), (0, 0), (-10.6, -1.4), (-9, -8)), (255, 240, 214)))
    brush.add((blob((-24, -19), (-19, -33), (0, -42), (19, -33), (24, -19), (12, -16), (0, -15), (-12, -16)), c))
    tint = (255, 252, 240) if luminance(c) < 225 else (240, 200, 190)
    for x, y, r in ((-13, -27, 3.6), (0, -34, 4.4), (13, -26, 3.4), (1, -22.6, 2.6), (-20, -21, 1.8), (20, -20.4, 1.6)):
        brush.dab((ellipse(x, y, r, r * 0.86), tint))
    _face(brush, 0, -9.4, (255, 240, 214), 0.9, 4.2)


def rocket(brush: Brush, c: Colour) -> None:
    brush.dab(
        (blob((-5, -8), (0, 4), (5, -8)), (255, 150, 50)),
        (blob((-2.6, -8), (0, 0), (2.6, -8)), (255, 226, 110)),
        lit=True,
    )
    fin = blob((8, -20), (17, -10), (16, -3), (7, -8))
    brush.add((fin, darker(c, 0.25)), (mirror(fin), darker(c, 0.25)))
    brush.add((blob((0, -50), (9, -36), (11, -22), (8, -8), (-8, -8), (-11, -22), (-9, -36)), c))
    brush.dab(
        (
            blob((-7.4, -38.4), (0, -50), (7.4, -38.4), (0, -36.6)),
            lighter(c, 0.6) if luminance(c) < 225 else (235, 110, 100),
        )
    )
    brush.add((ellipse(0, -31, 5.4), CREAM))
    brush.dab((ellipse(0, -31, 3.9), GLASS))
    brush.dab((ribbon((-2, -32.4), (0.4, -33.6), width=0.9), (255, 255, 255)))
    brush.dab((box(-8.8, -11.6, 8.8, -9.4, 0.6), darker(c, 0.3)))
    _face(brush, 0, -19.4, c, 0.85, 4.6)


def balloon(brush: Brush, c: Colour) -> None:
    for x in (-5, 5):
        brush.dab((ribbon((x * 1.5, -20), (x, -9), width=0.8), (120, 92, 70)))
    brush.add(
        (blob((0, -54), (14, -50), (19, -38), (14, -27), (6, -20), (-6, -20), (-14, -27), (-19, -38), (-14, -50)), c)
    )
    band = lighter(c, 0.5) if luminance(c) < 225 else mix(c, (240, 140, 130), 0.5)
    brush.dab(
        (blob((0, -53.6), (5, -50), (6.6, -38), (3.6, -20.4), (-3.6, -20.4), (-6.6, -38), (-5, -50)), band),
        *(
            (blob((side * 11.4, -51), (side * 16, -46), (side * 18.6, -38), (side * 13, -27), (side * 13.6, -38)), band)
            for side in (-1, 1)
        ),
    )
    brush.add((box(-6.4, -10, 6.4, -1, 1.8), (196, 140, 82)))
    brush.dab((box(-6.4, -7, 6.4, -5.6), (160, 106, 60)))
    _face(brush, 0, -37, band, 0.9, 4.4)


THINGS: dict[str, Callable[[Brush, Colour], None]] = {
    "house": house,
    "car": car,
    "teapot": teapot,
    "mushroom": mushroom,
    "rocket": rocket,
    "balloon": balloon,
}
