"""What the base models never see: three characters and two things, each of one fixed design, for LoRAs to be taught."""

from collections.abc import Callable

import numpy as np

from tools.demo_models.creatures import accessory, cheeks, eyes, smile, stance
from tools.demo_models.shapes import CREAM, INK, Colour, arc, blob, box, darker, ellipse, mirror, polygon, ribbon, star
from tools.demo_models.sheet import Brush

MINT, TEAL, CORAL = (118, 224, 200), (52, 164, 160), (255, 118, 92)
WOOL, LILAC, HORN = (255, 247, 236), (186, 160, 232), (240, 188, 70)
STEEL, SCREEN, LAMP = (150, 176, 204), (40, 52, 84), (255, 208, 84)


def _at(brush: Brush, point: tuple[float, float]) -> Brush:
    return Brush(
        brush.sheet, brush.layer, tuple(brush.place(np.array([point]))[0]), brush.scale, brush.flip, brush.lean
    )


def zuri(brush: Brush, pose: str) -> None:
    """A mint sprite: leaf ears, a coral berry on a stalk, a sun on its brow, a coral scarf and a curled tail."""
    s = stance(pose)
    side = -1 if s.tail[0] < 0 else 1
    curl = ((-3, 1), (8, 3), (16, -3), (16, -13), (9, -16), (6, -10), (10, -8))
    brush.add((ribbon(*[(s.tail[0] + side * x, s.tail[1] + y) for x, y in curl], width=5.4, end=3), TEAL))
    brush.dab((ellipse(s.tail[0] + side * 10, s.tail[1] - 8, 2.6), CORAL))
    brush.add(*((p, TEAL) for p in s.feet))
    if pose == "standing":
        brush.add(*((p, TEAL) for p in s.arms))
    brush.add((s.body, MINT))
    brush.dab((s.belly, CREAM))
    head = _at(brush, s.head)
    leaf = blob((8, -6), (15, -19), (26, -25), (28, -13), (22, -3), (12, 1))
    head.add((leaf, MINT), (mirror(leaf), MINT))
    vein = blob((12, -5), (18, -15), (24.4, -20.4), (24, -12), (19, -5))
    head.dab((vein, CORAL), (mirror(vein), CORAL))
    head.add((ribbon((0, -11), (1.4, -17), (-0.6, -22), width=1.8), TEAL))
    head.add((ellipse(-0.6, -24, 3.6), CORAL))
    head.dab((ellipse(-1.8, -25.2, 1), (255, 214, 200)))
    head.add((ellipse(0, 0, 15, 13), MINT))
    mask = blob((0, -3), (6, -7), (12, -2), (11, 7), (0, 11.8), (-11, 7), (-12, -2), (-6, -7))
    head.dab((mask, CREAM))
    head.dab((star(0, -8.4, 3.4, 6, 0.5), (255, 206, 70)))
    eyes(head, s.asleep, 5.6, 0, 1.05, (34, 70, 92))
    head.dab((ellipse(0, 4, 1.2, 0.9), TEAL))
    smile(head, 5, 2)
    cheeks(head, CORAL, 9, 4.6)
    accessory(brush, "scarf", CORAL, s, (15, 13))
    if pose != "standing":
        brush.add(*((p, TEAL) for p in s.arms))


def pomo(brush: Brush, pose: str) -> None:
    """A moon lamb: a cloud of cream wool, a lilac face and golden curled horns."""
    s = stance(pose)
    brush.add(*((p, LILAC) for p in (*s.feet, *s.arms)))
    bx, by = float(s.body[:, 0].mean()), float(s.body[:, 1].mean())
    wide, high = float(np.ptp(s.body[:, 0])) / 2, float(np.ptp(s.body[:, 1])) / 2
    angles = np.radians(range(0, 360, 40))
    puffs = [(ellipse(bx + wide * 0.8 * np.cos(a), by + high * 0.78 * np.sin(a), 5.2), WOOL) for a in angles]
    brush.add(*puffs, (ellipse(bx, by, wide * 0.9, high * 0.9), WOOL))
    brush.dab((star(bx, by + 1, 3.6), HORN))
    head = _at(brush, s.head)
    ear = ellipse(15.6, 3, 5.4, 2.8, 24)
    head.add((ear, LILAC), (mirror(ear), LILAC))
    wool = [(ellipse(12.6 * np.cos(a), -4 + 9.4 * np.sin(a), 5.4), WOOL) for a in np.radians(range(150, 400, 30))]
    head.add(*wool, (ellipse(0, -3, 12, 10), WOOL))
    head.add((blob((0, -6), (8, -5), (10, 2), (6, 10), (0, 12), (-6, 10), (-10, 2), (-8, -5)), LILAC))
    curl = [
        (13.4 + r * np.cos(a), -6 + r * np.sin(a))
        for a, r in zip(np.radians(range(200, 640, 40)), np.linspace(7.4, 1.6, 11), strict=True)
    ]
    horn = ribbon(*curl, width=4.4, end=2)
    head.add((horn, HORN))
    head.add((mirror(horn), HORN))
    eyes(head, s.asleep, 4.8, 0.6, 0.95)
    head.dab((ellipse(0, 5.4, 1.6, 1.1), darker(LILAC, 0.45)))
    smile(head, 6.8, 2)
    cheeks(head, LILAC, 7, 4.6)


def kibo(brush: Brush, pose: str) -> None:
    """A small robot: a square steel head with a dark screen for a face, an aerial and a lamp on its chest."""
    s = stance(pose)
    brush.add(*((p, darker(STEEL, 0.28)) for p in (*s.feet, *(s.arms if pose == "standing" else ()))))
    x0, y0 = s.body.min(0)
    x1, y1 = s.body.max(0)
    brush.add((box(x0, y0, x1, y1, 4), STEEL))
    cx, cy = float(s.belly[:, 0].mean()), float(s.belly[:, 1].mean())
    brush.add((ellipse(cx, cy, 4.2), LAMP))
    brush.dab((ellipse(cx - 1.2, cy - 1.2, 1.2), (255, 248, 214)))
    head = _at(brush, s.head)
    head.add((ribbon((0, -11), (0, -20), width=1.8), darker(STEEL, 0.28)))
    head.add((ellipse(0, -21, 3), (240, 84, 92)))
    for side in (-1, 1):
        head.add((box(side * 17 - 2.4, -5, side * 17 + 2.4, 5, 2), LAMP))
    head.add((box(-16, -12, 16, 12, 4.4), STEEL))
    head.dab((box(-12.6, -8.6, 12.6, 8.6, 3), SCREEN))
    for side in (-1, 1):
        if s.asleep:
            head.dab((box(side * 5.6 - 2.6, -0.6, side * 5.6 + 2.6, 0.8, 0.6), (112, 244, 224)))
        else:
            head.dab((box(side * 5.6 - 2, -4.6, side * 5.6 + 2, 1.2, 1.8), (112, 244, 224)))
    rim = arc(0, 3, 3.4, 2.2, 10, 170)
    head.dab((ribbon(*[(x, y) for x, y in rim], width=1.1), (112, 244, 224)))
    if pose != "standing":
        brush.add(*((p, darker(STEEL, 0.28)) for p in s.arms))


def lumo(brush: Brush) -> None:
    """A snail-shell lantern: a violet spiral that glows, on three brass feet, with a handle."""
    violet, brass = (120, 70, 170), (214, 160, 70)
    for x in (-10, 0, 10):
        brush.add((ribbon((x * 0.8, -7), (x * 1.2, 0), width=2.8, end=3.8), brass))
    brush.add((ribbon((-9, -34), (-7, -45), (7, -45), (9, -34), width=2.4), brass))
    brush.add((ellipse(0, -21, 17.6, 17), violet))
    turns = np.radians(np.arange(0, 900, 30))
    path = [
        (r * np.cos(a), -21 + r * np.sin(a)) for a, r in zip(turns, np.linspace(14.6, 1.4, len(turns)), strict=True)
    ]
    brush.dab((ribbon(*path, width=3.6, end=2.4), (255, 216, 120)), lit=True)
    brush.dab((ellipse(0, -21, 2.8), (255, 250, 222)), lit=True)
    brush.add((box(-13, -8, 13, -4.6, 1.4), brass))


def tano(brush: Brush) -> None:
    """A tin whirligig: a striped stand, four petal sails of red and teal, a golden bell in the middle."""
    red, teal, gold, tin = (226, 66, 62), (44, 168, 170), (250, 198, 66), (236, 238, 244)
    brush.add((polygon((-3, -22), (3, -22), (8, 0), (-8, 0)), tin))
    for i in range(3):
        y0, y1 = -18 + i * 6.4, -15 + i * 6.4
        half = (3 + (22 + y0) * 0.227, 3 + (22 + y1) * 0.227)
        brush.dab((polygon((-half[0], y0), (half[0], y0), (half[1], y1), (-half[1], y1)), red))
    sail: list[tuple[float, float]] = [(0, -2), (6, -9), (5, -19), (-3, -20), (-4.4, -10)]
    for i in range(4):
        a = np.radians(20 + 90 * i)
        turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        colour: Colour = red if i % 2 else teal
        brush.add((blob(*sail) @ turn + np.array((0, -28)), colour))
        brush.dab((blob((0.6, -8), (3.4, -11), (2.6, -16), (-0.8, -15)) @ turn + np.array((0, -28)), CREAM))
    brush.add((ellipse(0, -28, 4.8), gold))
    brush.dab((ellipse(-1.4, -29.4, 1.3), (255, 244, 204)), (ribbon((-1.8, -27), (1.8, -27), width=0.8), INK))


CHARACTERS: dict[str, Callable[[Brush, str], None]] = {"zuri": zuri, "pomo": pomo, "kibo": kibo}
OBJECTS: dict[str, Callable[[Brush], None]] = {"lumo": lumo, "tano": tano}
