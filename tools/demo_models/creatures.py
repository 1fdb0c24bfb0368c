"""Draws creatures: one friendly body, and the ears, faces and tails that make it a cat or a dragon.

Local units: (0, 0) is between the feet, y goes down, a standing creature is about 50 high.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.demo_models.shapes import (
    BLUSH,
    CREAM,
    INK,
    PALETTE,
    Colour,
    Points,
    arc,
    blob,
    box,
    darker,
    ellipse,
    heart,
    lighter,
    luminance,
    mirror,
    mix,
    polygon,
    ribbon,
    star,
)
from tools.demo_models.sheet import Brush

GOLD: Colour = (250, 200, 70)


@dataclass(frozen=True, slots=True)
class Coat:
    """A creature's colours: body, belly and muzzle, ear insides, limbs (a shade apart from the body)."""

    main: Colour
    pale: Colour
    inner: Colour
    limb: Colour
    deep: Colour


def coat(colour: Colour) -> Coat:
    bright = luminance(colour) > 225
    return Coat(
        main=colour,
        pale=mix(colour, CREAM, 0.72) if not bright else (255, 238, 222),
        inner=mix(colour, (255, 170, 170), 0.6),
        limb=darker(colour, 0.1),
        deep=darker(colour, 0.32),
    )


@dataclass(frozen=True, slots=True)
class Stance:
    """Where a pose puts the body's parts."""

    head: tuple[float, float]
    body: Points
    belly: Points
    arms: tuple[Points, ...]
    feet: tuple[Points, ...]
    tail: tuple[float, float]
    asleep: bool = False
    lift: float = 0.0


def stance(pose: str) -> Stance:
    arm, feet = ellipse(9.6, -16, 3.3, 7, -28), (ellipse(-5.2, -2.4, 5, 3.2), ellipse(5.2, -2.4, 5, 3.2))
    standing = Stance(
        head=(0, -34),
        body=blob((0, -26), (8, -22), (10.5, -11), (8, -2), (0, -1), (-8, -2), (-10.5, -11), (-8, -22)),
        belly=ellipse(0, -10.5, 6.6, 8),
        arms=(mirror(arm), arm),
        feet=feet,
        tail=(9, -6),
    )
    match pose:
        case "sitting":
            soles = (ellipse(-9, -4, 4.4, 5, -18), ellipse(9, -4, 4.4, 5, 18))
            body = blob((0, -21), (8, -18), (11.5, -9), (10, -1), (0, 0), (-10, -1), (-11.5, -9), (-8, -18))
            arms = (ellipse(-6.5, -10, 3.1, 6.4, -22), ellipse(6.5, -10, 3.1, 6.4, 22))
            return Stance((0, -29), body, ellipse(0, -8, 6.6, 6.6), arms, soles, (10, -4))
        case "jumping":
            arms = (ellipse(-13, -25, 3.3, 7, -52), ellipse(13, -25, 3.3, 7, 52))
            legs = (ellipse(-8, -1.5, 3.6, 5.4, 34), ellipse(8, -1.5, 3.6, 5.4, -34))
            return Stance((0, -34), standing.body, standing.belly, arms, legs, (9, -7), lift=12)
        case "waving":
            arms = (mirror(arm), ellipse(14.5, -24, 3.3, 7.4, 42))
            return Stance((0, -34), standing.body, standing.belly, arms, feet, (-9, -6))
        case "sleeping":
            body = blob((-6, -16), (6, -18), (17, -12), (19, -4), (12, 0), (-6, 0), (-14, -4))
            paws = (ellipse(-15, -2.2, 5, 2.8), ellipse(14, -2, 5.6, 3))
            return Stance((-8, -14), body, ellipse(6, -5, 8, 4), (), paws, (18, -6), asleep=True)
        case _:
            return standing


# --- what makes a kind ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind differs: drawn behind the body, on the head before and after the skull, and as a face."""

    behind: Callable[[Brush, Coat, Stance], None]
    ears: Callable[[Brush, Coat], None]
    face: Callable[[Brush, Coat, bool], None]
    skull: tuple[float, float] = (15, 13)
    wings_for_arms: bool = False
    ears_in_front: bool = False
    paint_body: Callable[[Brush, Coat, Stance], None] | None = None
    colours: Callable[[Colour], Coat] = coat


def _both(points: Points) -> tuple[Points, Points]:
    return points, mirror(points)


def eyes(brush: Brush, asleep: bool, x: float = 5.6, y: float = -0.5, size: float = 1.0, iris: Colour = INK) -> None:
    for side in (-1, 1):
        if asleep:
            brush.dab((_lid(side * x, y + 0.5, 2.3 * size), INK))
            continue
        brush.dab((ellipse(side * x, y, 2.35 * size, 3.1 * size), iris))
        brush.dab((ellipse(side * x - 0.75 * size, y - 1.2 * size, 0.95 * size, 1.1 * size), (255, 255, 255)))
        brush.dab((ellipse(side * x + 0.8 * size, y + 1.4 * size, 0.5 * size), (235, 235, 255)))


def _lid(x: float, y: float, r: float) -> Points:
    rim = arc(x, y, r, r * 0.75, 0, 180)
    return np.concatenate([rim, arc(x, y - 0.9, r, r * 0.75, 0, 180)[::-1]])


def cheeks(brush: Brush, main: Colour, x: float = 10, y: float = 4) -> None:
    tint = mix(main, BLUSH, 0.55)
    brush.dab(*((ellipse(side * x, y, 2.5, 1.6), tint) for side in (-1, 1)))


def smile(brush: Brush, y: float, width: float = 2.2, colour: Colour = INK) -> None:
    """A small double curve, as cats have."""
    for side in (-1, 1):
        path = arc(side * width / 2, y, width / 2, 1.2, 0, 180)
        brush.dab((ribbon(*[(px, py) for px, py in path], width=0.7), colour))


def _snout(brush: Brush, c: Coat, asleep: bool, rx: float, ry: float, nose: float = 1.6) -> None:
    brush.dab((ellipse(0, 4.6, rx, ry), c.pale))
    brush.dab((ellipse(0, 2.9, nose, nose * 0.72), INK))
    smile(brush, 4.3)
    eyes(brush, asleep)
    cheeks(brush, c.main)


def _cat_face(brush: Brush, c: Coat, asleep: bool) -> None:
    eyes(brush, asleep)
    brush.dab((polygon((-1.3, 2.6), (1.3, 2.6), (0, 4)), (225, 110, 120)))
    smile(brush, 4.1)
    cheeks(brush, c.main)
    for side in (-1, 1):
        for dy in (-0.6, 1.2):
            brush.dab((ribbon((side * 11, 4 + dy * 0.6), (side * 18.5, 3.4 + dy * 1.6), width=0.55), c.deep))


def _fox_face(brush: Brush, c: Coat, asleep: bool) -> None:
    ruff = blob((1, 1.5), (7, 3.2), (15.6, 4.4), (10, 11), (3, 12), (0, 9))
    brush.dab(*((p, CREAM if luminance(c.main) < 225 else (255, 232, 214)) for p in _both(ruff)))
    eyes(brush, asleep)
    brush.dab((ellipse(0, 4.6, 1.8, 1.3), INK))
    smile(brush, 6.1, 2)
    cheeks(brush, c.main, 11, 5.4)


def _mouse_face(brush: Brush, c: Coat, asleep: bool) -> None:
    eyes(brush, asleep, 5, 0.2, 0.9)
    brush.dab((ellipse(0, 5, 4.4, 3.6), c.pale))
    brush.dab((ellipse(0, 3.2, 1.9, 1.5), (236, 112, 130)))
    brush.dab((box(-1, 6.2, 1, 8.6, 0.3), (255, 255, 255)))
    cheeks(brush, c.main)


def _owl_face(brush: Brush, c: Coat, asleep: bool) -> None:
    brush.add(*((ellipse(side * 6, -0.4, 6.6, 6.8), c.pale) for side in (-1, 1)))
    eyes(brush, asleep, 5.6, -0.4, 1.3)
    brush.dab((polygon((-2, 2.8), (2, 2.8), (0, 6.6)), (245, 165, 50)))
    cheeks(brush, c.main, 10.4, 6.4)


def _penguin_face(brush: Brush, c: Coat, asleep: bool) -> None:
    mask = blob((0, -5), (6, -8.6), (11, -3), (10, 6), (0, 10.6), (-10, 6), (-11, -3), (-6, -8.6))
    brush.dab((mask, (255, 250, 240) if luminance(c.main) < 225 else (226, 228, 240)))
    eyes(brush, asleep, 5.2, -0.4, 0.95)
    brush.dab((blob((-3, 3), (0, 2), (3, 3), (0, 6)), (247, 160, 40)))
    cheeks(brush, (255, 240, 235), 8, 4)


def _frog_face(brush: Brush, c: Coat, asleep: bool) -> None:
    for side in (-1, 1):
        brush.dab((ellipse(side * 8, -11, 3.9, 4), (255, 255, 250) if not asleep else c.limb))
    eyes(brush, asleep, 8, -11, 0.95)
    rim = arc(0, 1.5, 8.5, 4.4, 12, 168)
    brush.dab((ribbon(*[(px, py) for px, py in rim], width=0.95), c.deep))
    brush.dab(*((ellipse(side * 1.4, -1.6, 0.5), c.deep) for side in (-1, 1)))
    cheeks(brush, c.main, 11, 2.6)


def _dragon_face(brush: Brush, c: Coat, asleep: bool) -> None:
    brush.dab((ellipse(0, 5, 7.4, 4.8), c.pale))
    brush.dab(*((ellipse(side * 2.6, 3.4, 0.8, 1), c.deep) for side in (-1, 1)))
    brush.dab((ribbon((-3.2, 6.2), (0, 7.3), (3.2, 6.2), width=0.8), INK))
    eyes(brush, asleep, 6, -1.4)
    cheeks(brush, c.main, 11, 3.6)


def _pig_face(brush: Brush, c: Coat, asleep: bool) -> None:
    brush.add((ellipse(0, 4, 5.4, 4), mix(c.main, (255, 190, 195), 0.55)))
    brush.dab(*((ellipse(side * 1.9, 4, 0.95, 1.4), c.deep) for side in (-1, 1)))
    eyes(brush, asleep, 6.4, -1.2, 0.9)
    cheeks(brush, c.main, 10.6, 4.4)


def _elephant_face(brush: Brush, c: Coat, asleep: bool) -> None:
    trunk = ribbon((0, 1), (0.6, 7), (0, 12), (4.2, 14), width=6.6, end=4)
    brush.add((trunk, mix(c.main, c.pale, 0.25)))
    for y in (6, 8.6, 11):
        brush.dab((ribbon((-1.8, y), (2.4, y), width=0.55), c.deep))
    eyes(brush, asleep, 6.4, -1)
    cheeks(brush, c.main, 10.4, 4)


def _pointed(brush: Brush, c: Coat, tall: float, tip: Colour | None = None) -> None:
    outer = blob((3.6, -9), (8, -10 - tall), (10.6, -12.4 - tall), (13, -9 - tall * 0.6), (14, -3))
    inside = blob((7, -9), (9.8, -9 - tall * 0.8), (11.6, -6))
    brush.add(*((p, c.main) for p in _both(outer)))
    if tip:
        cap = blob((7.6, -9.4 - tall), (10.6, -12.6 - tall), (12.6, -9 - tall), (10, -7.6 - tall))
        brush.dab(*((p, tip) for p in _both(cap)))
    else:
        brush.dab(*((p, c.inner) for p in _both(inside)))


def _round_ears(brush: Brush, c: Coat, x: float, y: float, r: float) -> None:
    brush.add(*((ellipse(side * x, y, r), c.main) for side in (-1, 1)))
    brush.dab(*((ellipse(side * x, y + r * 0.08, r * 0.62), c.inner) for side in (-1, 1)))


def _long_ears(brush: Brush, c: Coat) -> None:
    brush.add(*((p, c.main) for p in _both(ellipse(6.2, -19, 3.8, 11, 10))))
    brush.dab(*((p, c.inner) for p in _both(ellipse(6.3, -18.6, 2, 8.4, 10))))


def _floppy_ears(brush: Brush, c: Coat) -> None:
    flap = blob((9, -11), (14, -11), (19, -3), (19.6, 6), (15.6, 8), (12.4, 1))
    brush.add(*((p, c.deep) for p in _both(flap)))


def _fan_ears(brush: Brush, c: Coat) -> None:
    fan = blob((9, -9), (16, -13), (24, -8), (24.5, 2), (18, 8), (11, 5))
    brush.add(*((p, c.limb) for p in _both(fan)))
    brush.dab(*((p, c.inner) for p in _both(blob((12, -6), (17, -9.4), (21.6, -6), (21.6, 1), (17, 5), (12.6, 3)))))


def _tufts(brush: Brush, c: Coat) -> None:
    brush.add(*((p, c.limb) for p in _both(blob((4, -10.6), (12.6, -18), (14, -4)))))


def _pig_ears(brush: Brush, c: Coat) -> None:
    brush.add(*((p, c.limb) for p in _both(blob((5, -11), (13.6, -16.6), (14.6, -4), (10, -7)))))


def _frog_ears(brush: Brush, c: Coat) -> None:
    brush.add(*((ellipse(side * 8, -10.6, 5.6, 5.6), c.main) for side in (-1, 1)))


def _horns(brush: Brush, colour: Colour = (250, 232, 190)) -> None:
    brush.add(*((p, colour) for p in _both(blob((3.6, -10), (6.2, -18.4), (11.6, -22.6), (11.4, -15), (10.4, -7.6)))))


def _dragon_ears(brush: Brush, c: Coat) -> None:
    _horns(brush)
    fin = blob((12, -4), (19.6, -9), (18.2, -2), (20.4, 2), (13, 4))
    brush.add(*((p, c.limb) for p in _both(fin)))


def _no_ears(_brush: Brush, _c: Coat) -> None:
    return


def _tail(*path: tuple[float, float], width: float, end: float) -> Callable[[Brush, Coat, Stance], None]:
    def draw(brush: Brush, c: Coat, s: Stance) -> None:
        side = -1 if s.tail[0] < 0 else 1
        points = ribbon(*[(s.tail[0] + side * x, s.tail[1] + y) for x, y in path], width=width, end=end)
        tip = s.tail[0] + side * path[-1][0], s.tail[1] + path[-1][1]
        brush.add((points, c.limb), (ellipse(*tip, end / 2), c.limb))

    return draw


def _fox_tail(brush: Brush, c: Coat, s: Stance) -> None:
    side = -1 if s.tail[0] < 0 else 1
    x, y = s.tail
    spots = ((0, 1), (8, 2), (14, -5), (14.6, -14), (10.6, -20), (5.6, -13), (5, -5))
    brush.add((blob(*[(x + side * a, y + b) for a, b in spots]), c.limb))
    tip = ((14.8, -11.6), (14.4, -15), (10.6, -20.2), (6.6, -14.4), (9.4, -14.6), (11.6, -11.4))
    brush.dab((blob(*[(x + side * a, y + b) for a, b in tip]), CREAM))


def _puff(brush: Brush, c: Coat, s: Stance) -> None:
    side = -1 if s.tail[0] < 0 else 1
    brush.add((ellipse(s.tail[0] + side * 1.5, s.tail[1] + 1, 4), c.pale))


def _bird_tail(_brush: Brush, _c: Coat, _s: Stance) -> None:
    return


def bat_wings(brush: Brush, colour: Colour, s: Stance) -> None:
    x, y = s.head[0], s.head[1] + (14 if not s.asleep else 2)
    reach = blob((3, 2), (10, -8), (24, -14), (22, -6), (25, -1), (18, -1), (18, 6), (12, 3), (5, 7))
    brush.add(*((p + np.array((x, y)), colour) for p in _both(reach)))
    rib = ribbon((5, 2), (13, -6), (22, -12), width=0.8)
    brush.dab(*((p + np.array((x, y)), darker(colour, 0.25)) for p in _both(rib)))


def _dragon_behind(brush: Brush, c: Coat, s: Stance) -> None:
    bat_wings(brush, mix(c.main, (255, 190, 90), 0.45), s)
    _tail((-2, 2), (8, 3), (15, -1), (19, -7), width=6, end=2)(brush, c, s)
    side = -1 if s.tail[0] < 0 else 1
    spade = polygon((15.4, -6), (20, -14), (23, -5.6), (19, -7.4))
    brush.add((spade * np.array((side, 1)) + np.array(s.tail), (250, 190, 90)))


def _penguin_coat(colour: Colour) -> Coat:
    plain = coat(colour)
    return Coat(
        colour, (255, 250, 240) if luminance(colour) < 225 else (226, 228, 240), plain.inner, plain.limb, plain.deep
    )


def _bird_feet(brush: Brush, _c: Coat, s: Stance) -> None:
    if not s.asleep:
        brush.add(*((ellipse(side * 4.6, -1.2 if not s.lift else -0.4, 4.2, 2), (247, 160, 40)) for side in (-1, 1)))


def _owl_body(brush: Brush, c: Coat, s: Stance) -> None:
    _bird_feet(brush, c, s)
    bx, by = float(s.belly[:, 0].mean()), float(s.belly[:, 1].mean())
    for row, count in ((-3, 3), (0.4, 4), (3.8, 3)):
        for i in range(count):
            at = bx + (i - (count - 1) / 2) * 3.4
            brush.dab((_lid(at, by + row, 1.3), mix(c.main, c.deep, 0.3)))


KINDS: dict[str, Look] = {
    "cat": Look(
        _tail((-1, 0), (7, 0), (11, -6), (9, -14), (13, -18), width=4, end=3.2),
        lambda b, c: _pointed(b, c, 6),
        _cat_face,
    ),
    "dog": Look(
        _tail((-1, 0), (6, -3), (10, -9), width=4.6, end=3),
        _floppy_ears,
        lambda b, c, a: _snout(b, c, a, 6.4, 5, 2.2),
        skull=(14, 13),
        ears_in_front=True,
    ),
    "fox": Look(_fox_tail, lambda b, c: _pointed(b, c, 9, c.deep), _fox_face, skull=(15.5, 12)),
    "bear": Look(_puff, lambda b, c: _round_ears(b, c, 10.4, -10, 4.8), lambda b, c, a: _snout(b, c, a, 5.4, 4.4, 2)),
    "rabbit": Look(_puff, _long_ears, lambda b, c, a: _snout(b, c, a, 3.6, 3, 1.2), skull=(13.6, 12.4)),
    "mouse": Look(
        _tail((-1, 1), (8, 3), (14, -2), (12, -9), (17, -13), width=2, end=1.2),
        lambda b, c: _round_ears(b, c, 13.4, -9.6, 8.2),
        _mouse_face,
        skull=(13, 12),
    ),
    "owl": Look(_bird_tail, _tufts, _owl_face, wings_for_arms=True, paint_body=_owl_body),
    "penguin": Look(
        _bird_tail,
        _no_ears,
        _penguin_face,
        skull=(14, 13),
        wings_for_arms=True,
        paint_body=_bird_feet,
        colours=_penguin_coat,
    ),
    "frog": Look(_bird_tail, _frog_ears, _frog_face, skull=(15.5, 10.6)),
    "dragon": Look(_dragon_behind, _dragon_ears, _dragon_face),
    "pig": Look(
        _tail((-1, 0), (4, -4), (7, 0), (4, 2), (8, -6), width=1.8, end=1.4), _pig_ears, _pig_face, skull=(15, 12.6)
    ),
    "elephant": Look(_tail((-1, 0), (5, 1), (9, 5), width=2, end=1.6), _fan_ears, _elephant_face, skull=(13.6, 12.6)),
}


# --- what any creature may have ---------------------------------------------------------------------------------------


def pattern(brush: Brush, feature: str, c: Coat, s: Stance, skull: tuple[float, float]) -> None:
    """Spots or stripes on the head and the body."""
    tint = darker(c.main, 0.5) if luminance(c.main) > 90 else mix(c.main, (255, 255, 255), 0.6)
    hx, hy = s.head
    bx, by = float(s.body[:, 0].mean()), float(s.body[:, 1].mean())
    wide = float(np.ptp(s.body[:, 0])) / 2
    x: float
    y: float
    if feature == "spots":
        for x, y, r in ((-8.6, -6.6, 3.7), (0.6, -9.4, 3), (9.6, -5.4, 3.5), (12.4, 3.6, 2.2), (-12.6, 2.4, 2.4)):
            brush.print(ellipse(hx + x * skull[0] / 15, hy + y * skull[1] / 13, r), tint)
        for x, y, r in ((-0.74, -4, 2.9), (0.74, -0.6, 3.1), (-0.72, 5, 2.8), (0.66, 7, 2.2)):
            brush.print(ellipse(bx + x * wide, by + y, r), tint)
    elif feature == "stripes":
        for x in (-7.4, 0, 7.4):
            top = hy - skull[1] + 0.6 + abs(x) * 0.2
            brush.print(ribbon((hx + x, top), (hx + x * 0.8, hy - 3.6), width=3.6, end=1.8), tint)
        for side in (-1, 1):
            for y in (1.6, 7):
                outer = hx + side * (skull[0] - 0.8 - y * 0.16)
                brush.print(ribbon((outer, hy + y), (outer - side * 4, hy + y - 0.2), width=2.6, end=1.2), tint)
            for y in (-6, 0, 6):
                outer = bx + side * (wide - 0.9)
                brush.print(ribbon((outer, by + y), (outer - side * 6.2, by + y + 0.8), width=3.4, end=1.6), tint)


def feather_wings(brush: Brush, s: Stance) -> None:
    x, y = s.head[0], s.head[1] + (14 if not s.asleep else 2)
    wing = blob((4, 3), (9, -8), (20, -15), (28, -13), (27, -5.6), (24, 0.6), (18, 5.4), (10, 8))
    brush.add(*((p + np.array((x, y)), (255, 252, 248)) for p in _both(wing)))
    for a, b in (((12, 0), (22, -6)), ((10, 3.4), (19, 0.4))):
        line = ribbon(a, b, width=0.7)
        brush.dab(*((p + np.array((x, y)), (200, 205, 225)) for p in _both(line)))


def accessory(brush: Brush, name: str, colour: Colour, s: Stance, skull: tuple[float, float]) -> None:
    """A hat, crown, bow, scarf, glasses or flower, drawn over the head. `brush` is the creature's own."""
    (hx, hy), (rx, ry) = s.head, skull
    top = hy - ry
    match name:
        case "hat":
            cone = blob(
                (hx - 9, top + 2.8),
                (hx - 4, top - 7),
                (hx + 1, top - 17),
                (hx + 4.8, top - 7),
                (hx + 9, top + 2.8),
            )
            brush.add((cone, colour))
            brush.dab((ribbon((hx - 6.4, top - 3), (hx + 6.4, top - 3), width=2.6), lighter(colour, 0.6)))
            brush.add(
                (ellipse(hx, top + 2.6, 11, 2.8), darker(colour, 0.14)), (ellipse(hx + 0.8, top - 16.4, 3), CREAM)
            )
        case "crown":
            band = polygon(
                (hx - 8.4, top + 3.4), (hx - 10.4, top - 8), (hx - 4.6, top - 1.8), (hx, top - 10.4),
                (hx + 4.6, top - 1.8), (hx + 10.4, top - 8), (hx + 8.4, top + 3.4),
            )  # fmt: skip
            brush.add((band, GOLD))
            brush.dab((ellipse(hx, top + 0.2, 1.5), (226, 60, 80)))
            brush.dab(*((ellipse(hx + side * 4.4, top + 0.8, 1.1), (70, 140, 230)) for side in (-1, 1)))
        case "bow":
            x, y = hx, top + 0.6
            loop = blob((0, 0), (4.4, -5.6), (11, -6.6), (11.6, 5.4), (4.4, 4.6))
            brush.add(*((p + np.array((x, y)), colour) for p in _both(loop)))
            brush.add((ellipse(x, y, 2.8), darker(colour, 0.2)))
        case "scarf":
            y = hy + ry - (1.6 if not s.asleep else 3)
            brush.add((ribbon((hx - 10.4, y - 1.6), (hx, y + 1.8), (hx + 10.4, y - 1.6), width=6), colour))
            brush.add((ribbon((hx + 4.8, y + 1), (hx + 7, y + 7), (hx + 6, y + 13), width=5.2), darker(colour, 0.12)))
            brush.dab((ribbon((hx + 3.8, y + 10), (hx + 8.6, y + 10.2), width=1.6), lighter(colour, 0.6)))
        case "glasses":
            for side in (-1, 1):
                ring = np.concatenate(
                    [arc(hx + side * 6.4, hy - 0.5, 6.1, 6.1, 0, 360), arc(hx + side * 6.4, hy - 0.5, 4.2, 4.2, 360, 0)]
                )
                brush.dab((ring, colour))
            brush.dab((ribbon((hx - 1.6, hy - 1), (hx + 1.6, hy - 1), width=1.9), colour))
            for side in (-1, 1):
                brush.dab((ribbon((hx + side * 12, hy - 1.2), (hx + side * (rx - 0.4), hy - 2), width=1.7), colour))
        case "flower":
            x, y = hx - rx * 0.62, top + 3.2
            petals = [
                (ellipse(x + 4.4 * np.cos(a), y + 4.4 * np.sin(a), 3.4), colour) for a in np.radians(range(18, 378, 72))
            ]
            brush.add(*petals)
            brush.dab((ellipse(x, y, 2.8), GOLD if colour != PALETTE["yellow"] else (240, 140, 60)))


def draw_creature(
    brush: Brush, look: Look, colour: Colour, pose: str, feature: str, extra: str, extra_colour: Colour
) -> None:
    """A whole creature: tail and wings, body, head, face, then what it wears."""
    c, s = look.colours(colour), stance(pose)
    if feature == "wings":
        feather_wings(brush, s)
    look.behind(brush, c, s)
    brush.add(*((p, c.limb) for p in s.feet))
    if s.arms and not look.wings_for_arms and pose == "standing":
        brush.add(*((p, c.limb) for p in s.arms))
    brush.add((s.body, c.main))
    brush.dab((s.belly, c.pale))
    if look.paint_body:
        look.paint_body(brush, c, s)
    head = Brush(
        brush.sheet, brush.layer, tuple(brush.place(np.array([s.head]))[0]), brush.scale, brush.flip, brush.lean
    )
    if not look.ears_in_front:
        look.ears(head, c)
    head.add((ellipse(0, 0, *look.skull), c.main))
    if feature in ("spots", "stripes"):
        pattern(brush, feature, c, s, look.skull)
    if look.ears_in_front:
        look.ears(head, c)
    if feature == "horns":
        _horns(head, (255, 224, 130))
    look.face(head, c, s.asleep)
    if look.wings_for_arms or pose != "standing":
        brush.add(*((p, c.limb) for p in s.arms))
    if extra != "none":
        accessory(brush, extra, extra_colour, s, look.skull)
    if s.asleep:
        for x, y, size in ((9, -27, 3), (14, -33, 4.2)):
            brush.dab((_letter_z(x, y, size), (250, 250, 255)))


def _letter_z(x: float, y: float, size: float) -> Points:
    corners = ((0, 0), (1, 0), (1, 0.28), (0.45, 0.75), (1, 0.75), (1, 1), (0, 1), (0, 0.72), (0.55, 0.25), (0, 0.25))
    points: Points = np.array(corners) * size + np.array((x, y))
    return points


__all__ = ["KINDS", "Coat", "Look", "Stance", "coat", "draw_creature", "eyes", "heart", "stance", "star"]
