"""Draws the places and the weather: everything about the subject."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from tools.demo_models.shapes import (
    CREAM,
    PALETTE,
    Colour,
    blob,
    box,
    ellipse,
    lighter,
    mix,
    polygon,
    ribbon,
    star,
)
from tools.demo_models.sheet import Brush, Layer, Sheet

GROUND = 86.0
"""Where feet stand."""

SKIES: dict[str, tuple[Colour, Colour]] = {
    "sunny": ((108, 190, 244), (216, 240, 250)),
    "sunset": ((122, 88, 176), (255, 180, 116)),
    "night": ((22, 26, 72), (74, 82, 150)),
    "rainy": ((116, 132, 156), (184, 196, 208)),
    "snowy": ((176, 200, 226), (236, 242, 248)),
}
_TONES: dict[str, tuple[Colour, float]] = {
    "sunny": ((255, 255, 255), 0.0),
    "sunset": ((255, 140, 96), 0.2),
    "night": ((26, 30, 88), 0.5),
    "rainy": ((112, 126, 150), 0.34),
    "snowy": ((232, 240, 250), 0.34),
}


class Place:
    """A backdrop being drawn: a brush for the whole picture, random numbers, and colours toned by the light."""

    def __init__(self, sheet: Sheet, light: str, rng: Generator) -> None:
        self.brush = Brush(sheet, "back")
        self.light, self.rng = light, rng

    def tone(self, colour: Colour) -> Colour:
        tint, share = _TONES.get(self.light, ((255, 255, 255), 0.0))
        return mix(colour, tint, share)

    def around(self, value: float, spread: float) -> float:
        return float(value + self.rng.uniform(-spread, spread))

    def hill(self, left: float, top: float, right: float, colour: Colour, wave: float = 0.0) -> None:
        """Ground from edge to edge: heights at the left, the middle and the right."""
        line = [
            (-6.0, left),
            (22.0, (left + top) / 2 - wave),
            (50.0, top),
            (78.0, (top + right) / 2 + wave),
            (106.0, right),
        ]
        curve = blob(*line, closed=False)
        self.brush.add((np.concatenate([curve, np.array([(106.0, 106.0), (-6.0, 106.0)])]), self.tone(colour)))

    def lights_in_the_sky(self) -> None:
        """Sun, moon and stars, or clouds, as the light has it."""
        x, y = self.around(24 if self.rng.random() < 0.5 else 76, 8), self.around(17, 4)
        match self.light:
            case "sunny":
                self.brush.dab((ellipse(x, y, 8.6), (255, 238, 160)), (ellipse(x, y, 6.4), (255, 216, 84)), lit=True)
                self.clouds((255, 255, 255), 2)
            case "sunset":
                self.brush.dab((ellipse(x, self.around(48, 4), 12), (255, 214, 130)), lit=True)
                self.clouds((255, 186, 166), 2)
            case "night":
                self.stars(9)
                self.brush.dab((ellipse(x, y, 7.4), (255, 246, 206)), lit=True)
                self.brush.dab(
                    (ellipse(x - 2, y - 1.4, 1.6), (236, 222, 176)), (ellipse(x + 2.6, y + 1.8, 1.1), (236, 222, 176))
                )
            case "rainy":
                self.clouds((96, 110, 134), 4)
            case "snowy":
                self.clouds((246, 249, 253), 3)

    def stars(self, count: int) -> None:
        for _ in range(count):
            x, y = self.rng.uniform(3, 97), self.rng.uniform(3, 52)
            self.brush.dab((star(x, y, self.rng.uniform(1.2, 2.4), 4, 0.45), (255, 250, 220)), lit=True)

    def clouds(self, colour: Colour, count: int) -> None:
        for i in range(count):
            x, y, s = self.around(14 + 74 * i / max(count - 1, 1), 8), self.around(14, 8), self.rng.uniform(0.7, 1.15)
            puffs = [
                (ellipse(x + dx * s, y + dy * s, r * s, r * 0.8 * s), colour)
                for dx, dy, r in ((-7, 1, 4.6), (0, -1.6, 6), (7, 0.8, 5))
            ]
            self.brush.add(*puffs, (box(x - 11 * s, y + 0.6 * s, x + 11.6 * s, y + 4.6 * s, 2 * s), colour), edge=True)

    def flowers(self, count: int, top: float = 76) -> None:
        for _ in range(count):
            x, y = self.rng.uniform(2, 98), self.rng.uniform(top, 98)
            colour = self.tone(
                ((255, 255, 255), (255, 214, 90), (255, 150, 180), (170, 140, 240))[self.rng.integers(4)]
            )
            r = 1.0 + (y - 70) * 0.035
            self.brush.dab(
                *((ellipse(x + dx * r, y + dy * r, r), colour) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)))
            )
            self.brush.dab((ellipse(x, y, r * 0.8), self.tone((250, 170, 60))))


def meadow(p: Place) -> None:
    p.hill(p.around(62, 4), p.around(56, 4), p.around(64, 4), (158, 208, 108))
    p.hill(70, p.around(66, 2), p.around(68, 4), (122, 188, 86))
    p.hill(p.around(78, 2), 76, p.around(78, 2), (96, 168, 72))
    p.flowers(8)


def forest(p: Place) -> None:
    p.hill(60, 58, 60, (66, 116, 84))
    for layer, (base, colour) in enumerate(((66, (58, 112, 86)), (74, (40, 92, 66)))):
        xs = [x for x in range(2 + 8 * layer, 100, 16) if layer == 0 or not 30 < x < 70]
        for x0 in xs:
            x, h = p.around(x0, 3), p.around(36 + 10 * layer, 6)
            p.brush.add((box(x - 1.7, base - 8, x + 1.7, base + 2), p.tone((104, 72, 52))))
            tiers = [
                (polygon((x - w, base - d), (x + w, base - d), (x, base - d - h * 0.46)), p.tone(colour))
                for w, d in ((9, 5), (7.4, 5 + h * 0.26), (5.6, 5 + h * 0.5))
            ]
            p.brush.add(*tiers)
    p.hill(76, 73, 76, (74, 128, 66))
    for _ in range(4):
        x, y = p.rng.uniform(3, 97), p.rng.uniform(80, 97)
        p.brush.dab(
            (box(x - 0.8, y - 2.6, x + 0.8, y, 0.5), p.tone(CREAM)),
            (ellipse(x, y - 2.8, 2.4, 1.6), p.tone((226, 84, 70))),
        )


def beach(p: Place) -> None:
    p.brush.add((box(-4, 56, 104, 78), p.tone((62, 168, 208))))
    for y in (60, 65, 70):
        x = p.around(50, 30)
        p.brush.dab(
            (ribbon((x - 12, y), (x - 4, y - 1), (x + 4, y), (x + 12, y - 1), width=1.1), p.tone((168, 222, 238)))
        )
    p.hill(76, 73, 77, (250, 240, 212))
    p.hill(78, 75.4, 79, (244, 216, 152))
    side = 1 if p.rng.random() < 0.5 else -1
    x = 50 + side * p.around(40, 3)
    p.brush.add((ribbon((x, 84), (x - side * 2, 60), (x - side * 7, 38), width=4.4, end=2.6), p.tone((158, 112, 70))))
    tip = (x - side * 7, 38)
    for dx, dy in ((-17, 4), (-12, -9), (2, -13), (13, -6), (15, 6)):
        leaf = blob(
            tip,
            (tip[0] + dx * 0.5, tip[1] + dy * 0.8 - 3),
            (tip[0] + dx, tip[1] + dy),
            (tip[0] + dx * 0.5, tip[1] + dy * 0.6 + 1.6),
        )
        p.brush.add((leaf, p.tone((66, 160, 84))))
    p.brush.dab((star(50 - side * p.around(34, 5), p.around(91, 3), 3.4), p.tone((250, 130, 100))))


def mountains(p: Place) -> None:
    x: float
    for x, h, w, colour in (
        (18, 44, 30, (134, 146, 184)),
        (82, 40, 32, (126, 138, 178)),
        (50, 54, 36, (106, 118, 164)),
    ):
        x, top = p.around(x, 6), 72 - p.around(h, 4)
        p.brush.add((polygon((x - w, 72), (x, top), (x + w, 72)), p.tone(colour)))
        k, cap = 0.34, (72 - top) * 0.34
        snow = polygon(
            (x - w * k, top + cap),
            (x, top),
            (x + w * k, top + cap),
            (x + w * k * 0.45, top + cap * 0.74),
            (x, top + cap * 1.12),
            (x - w * k * 0.45, top + cap * 0.74),
        )
        p.brush.dab((snow, p.tone((250, 252, 255))))
    p.hill(p.around(71, 2), 69, p.around(71, 2), (128, 160, 126))
    p.hill(78, 76, 78, (102, 138, 108))
    for _ in range(4):
        x, y, r = p.rng.uniform(4, 96), p.rng.uniform(82, 97), p.rng.uniform(1.6, 3)
        p.brush.dab((ellipse(x, y, r * 1.3, r * 0.8), p.tone((150, 152, 160))))


def desert(p: Place) -> None:
    p.hill(p.around(64, 3), p.around(60, 3), p.around(66, 3), (242, 190, 118), 3)
    p.hill(72, p.around(70, 2), 67, (234, 170, 96), -3)
    p.hill(80, 77, 78, (226, 152, 82))
    for side in (-1, 1):
        if side == 1 and p.rng.random() < 0.4:
            continue
        x, y, s = 50 + side * p.around(38, 4), p.around(75, 2), p.rng.uniform(0.9, 1.3)
        green = p.tone((74, 148, 96))
        arms = [
            (
                ribbon(
                    (x, y - 8 * s), (x + d * 6 * s, y - 9 * s), (x + d * 6.4 * s, y - (16 - 3 * d) * s), width=3.2 * s
                ),
                green,
            )
            for d in (-1, 1)
        ]
        p.brush.add((box(x - 2.5 * s, y - 25 * s, x + 2.5 * s, y, 2.4 * s), green), *arms)
        p.brush.dab((ellipse(x, y - 25.4 * s, 1.7 * s), p.tone((250, 120, 150))))


def city(p: Place) -> None:
    lamp = (255, 226, 130) if p.light in ("night", "sunset", "rainy") else (214, 236, 250)
    for layer in (0, 1):
        x = -4.0
        while x < 102:
            w, h = p.rng.uniform(10, 17), p.rng.uniform(24, 46) - 11 * layer
            base: Colour = (
                ((150, 164, 200), (172, 160, 200), (140, 178, 200))[p.rng.integers(3)]
                if layer == 0
                else ((214, 140, 120), (104, 128, 176), (226, 186, 132), (128, 150, 150))[p.rng.integers(4)]
            )
            p.brush.add((box(x, 72 - h, x + w, 76), p.tone(base)))
            if layer == 1:
                for wx in np.arange(x + 2.2, x + w - 3, 4.2):
                    for wy in np.arange(72 - h + 3, 68, 6):
                        p.brush.dab((box(wx, wy, wx + 2.2, wy + 3), lamp), lit=p.light == "night")
            x += w + (0 if layer == 0 else p.rng.uniform(0, 5))
    p.brush.add((box(-4, 74, 104, 80), p.tone((206, 204, 208))))
    p.brush.add((box(-4, 79, 104, 106), p.tone((112, 114, 128))))
    for x in range(-4, 100, 22):
        p.brush.dab((box(x + 2, 93.4, x + 13, 95.4), p.tone((244, 240, 226))))


def space(p: Place) -> None:
    cx: float
    p.stars(15)
    x, y = p.around(22 if p.rng.random() < 0.5 else 78, 6), p.around(20, 5)
    colour = ((240, 150, 110), (130, 190, 220), (200, 150, 230))[p.rng.integers(3)]
    p.brush.add((ellipse(x, y, 9), colour))
    p.brush.dab((ribbon((x - 7.6, y - 2), (x, y + 0.6), (x + 7.8, y - 1.6), width=2.4), lighter(colour, 0.4)))
    p.brush.dab((ribbon((x - 15, y + 4), (x, y + 3), (x + 15, y - 5), width=1.6), (255, 234, 190)))
    p.hill(78, 71, 78, (168, 166, 188))
    for cx, cy, r in ((14, 86, 6), (84, 90, 7), (70, 79, 3.6), (34, 95, 4.6)):
        cx = p.around(cx, 4)
        p.brush.dab(
            (ellipse(cx, cy, r, r * 0.45), (134, 132, 158)),
            (ellipse(cx + 0.5, cy + r * 0.1, r * 0.8, r * 0.3), (118, 116, 144)),
        )


def underwater(p: Place) -> None:
    x: float
    for x in (16, 44, 74):
        x = p.around(x, 6)
        p.brush.dab((polygon((x, -2), (x + 8, -2), (x - 6, 74), (x - 18, 74)), (84, 182, 212)))
    p.hill(76, 78, 75, (226, 206, 152))
    for x, colour in ((8, (50, 150, 104)), (16, (72, 172, 112)), (86, (50, 150, 104)), (94, (214, 92, 124))):
        x, h = p.around(x, 3), p.around(30, 8)
        path = [(x + 3.4 * np.sin(i * 1.6), 84 - h * i / 5) for i in range(6)]
        p.brush.add((ribbon(*path, width=4.2, end=1.4), colour))
    for _ in range(9):
        x, y, r = p.rng.uniform(4, 96), p.rng.uniform(6, 66), p.rng.uniform(0.9, 2.6)
        p.brush.dab((ellipse(x, y, r), (196, 236, 246)), (ellipse(x, y, r * 0.7), (110, 200, 226)))
    if p.rng.random() < 0.7:
        x, y = p.around(20 if p.rng.random() < 0.5 else 80, 6), p.around(26, 6)
        p.brush.add(
            (ellipse(x, y, 5, 3), (255, 168, 80)),
            (polygon((x + 4, y), (x + 8.4, y - 3), (x + 8.4, y + 3)), (255, 168, 80)),
        )
        p.brush.dab((ellipse(x - 2.6, y - 0.5, 0.8), (40, 40, 60)))


def room(p: Place) -> None:
    x: float
    wall = ((250, 222, 190), (206, 224, 214), (240, 206, 208))[p.rng.integers(3)]
    p.brush.add((box(-4, -4, 104, 74), wall), edge=False)
    for x in range(4, 104, 16):
        p.brush.dab((box(x, -4, x + 6, 74), mix(wall, (255, 255, 255), 0.25)))
    side = 1 if p.rng.random() < 0.5 else -1
    x = 50 + side * p.around(29, 3)
    p.brush.add((box(x - 13, 12, x + 13, 44, 1), (252, 250, 244)))
    p.brush.dab((box(x - 11, 14, x + 11, 42), (150, 210, 244)), (ellipse(x - 4, 30, 5, 2.4), (255, 255, 255)))
    p.brush.dab((box(x - 0.9, 14, x + 0.9, 42), (252, 250, 244)), (box(x - 11, 27, x + 11, 28.8), (252, 250, 244)))
    for d in (-1, 1):
        p.brush.add(
            (
                blob((x + d * 9, 10), (x + d * 17, 10), (x + d * 17, 47), (x + d * 13, 47), (x + d * 13, 26)),
                (232, 120, 110),
            )
        )
    px = 50 - side * p.around(33, 3)
    p.brush.add((box(px - 8, 18, px + 8, 36, 1), (170, 118, 78)))
    p.brush.dab(
        (box(px - 6, 20, px + 6, 34), (250, 240, 214)),
        (polygon((px - 5, 33), (px, 24), (px + 5, 33)), (110, 180, 120)),
        (ellipse(px + 3, 23.4, 1.6), (250, 180, 70)),
    )
    p.brush.add((box(-4, 72, 104, 106), (196, 142, 94)))
    for y in (79, 88, 97):
        p.brush.dab((box(-4, y, 104, y + 0.8), (172, 120, 78)))
    p.brush.add((ellipse(50, 88, 36, 8.4), (122, 156, 206)))
    p.brush.dab((ellipse(50, 88, 29, 6), (166, 194, 228)))


def candyland(p: Place) -> None:
    p.hill(p.around(60, 3), p.around(56, 3), p.around(62, 3), (255, 196, 214))
    p.hill(71, p.around(67, 2), 68, (190, 232, 214), 2)
    p.hill(79, 76, 78, (255, 222, 234))
    for side in (-1, 1):
        x, y, r = 50 + side * p.around(37, 4), p.around(42, 5), p.around(8.6, 1)
        p.brush.add((box(x - 1, y, x + 1, 80), p.tone(CREAM)))
        tint = ((244, 92, 120), (120, 140, 232), (250, 170, 70))[p.rng.integers(3)]
        p.brush.add((ellipse(x, y, r), p.tone(tint)))
        turns = np.radians(np.arange(0, 720, 40))
        path = [
            (x + q * np.cos(a), y + q * np.sin(a))
            for a, q in zip(turns, np.linspace(r * 0.8, 0.6, len(turns)), strict=True)
        ]
        p.brush.dab((ribbon(*path, width=1.7), p.tone((255, 250, 244))))
    names = ("red", "yellow", "green", "blue", "purple", "orange")
    for _ in range(7):
        x, y = p.rng.uniform(2, 98), p.rng.uniform(79, 98)
        colour = p.tone(lighter(PALETTE[names[p.rng.integers(6)]], 0.25))
        p.brush.dab((ellipse(x, y, 2, 1.4), colour), (ellipse(x - 0.5, y - 0.4, 0.6, 0.4), (255, 255, 255)))


PLACES: dict[str, Callable[[Place], None]] = {
    "meadow": meadow,
    "forest": forest,
    "beach": beach,
    "mountains": mountains,
    "desert": desert,
    "city": city,
    "space": space,
    "underwater": underwater,
    "room": room,
    "candyland": candyland,
}
SHELTERED = {
    "space": ((20, 16, 52), (70, 44, 110)),
    "underwater": ((40, 130, 190), (110, 200, 222)),
    "room": (CREAM, CREAM),
}
"""Places with no weather of their own, and their skies."""


def draw_place(place: str, light: str, rng: Generator) -> Sheet:
    """A new sheet with the sky and the place on it."""
    top, bottom = SHELTERED.get(place, SKIES.get(light, SKIES["sunny"]))
    if place == "candyland" and light == "sunny":
        top, bottom = (170, 214, 250), (255, 232, 240)
    sheet = Sheet(top, bottom, dark=light == "night" or place == "space")
    backdrop = Place(sheet, light, rng)
    if place not in SHELTERED:
        backdrop.lights_in_the_sky()
    PLACES[place](backdrop)
    return sheet


def draw_weather(sheet: Sheet, light: str, rng: Generator, layer: Layer, count: int) -> None:
    """Rain or snow: some of it behind the subject, a little before it."""
    brush = Brush(sheet, layer)
    if light == "rainy":
        for _ in range(count):
            x, y, n = rng.uniform(0, 104), rng.uniform(-2, 92), rng.uniform(6, 9)
            brush.dab(
                (polygon((x, y), (x + 1.4, y), (x - n * 0.28 + 1.4, y + n), (x - n * 0.28, y + n)), (206, 222, 242))
            )
    elif light == "snowy":
        for _ in range(count):
            brush.dab((ellipse(rng.uniform(0, 100), rng.uniform(0, 96), rng.uniform(1.1, 2.1)), (255, 255, 255)))


def draw_shadow(sheet: Sheet, x: float, y: float, width: float) -> None:
    """A soft patch on the ground under the subject."""
    Brush(sheet, "shadow").dab((ellipse(x, y, width, width * 0.2), (60, 50, 80)))
