"""Outlines of simple shapes as point lists, and colours to fill them with. The picture is 100 x 100, y goes down."""

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Colour = tuple[float, float, float]
"""Red, green, blue, each 0..255."""

PALETTE: dict[str, Colour] = {
    "red": (222, 56, 52),
    "orange": (245, 142, 40),
    "yellow": (250, 212, 66),
    "green": (84, 176, 82),
    "blue": (62, 122, 222),
    "purple": (138, 86, 200),
    "pink": (248, 152, 190),
    "brown": (140, 92, 58),
    "white": (247, 244, 240),
    "black": (56, 54, 66),
}
INK: Colour = (46, 40, 58)
CREAM: Colour = (255, 246, 228)
BLUSH: Colour = (250, 130, 130)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` (0..1) of `b` in it."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def lighter(colour: Colour, share: float = 0.35) -> Colour:
    return mix(colour, (255, 252, 246), share)


def darker(colour: Colour, share: float = 0.2) -> Colour:
    return mix(colour, (38, 26, 60), share)


def luminance(colour: Colour) -> float:
    """Perceived brightness, 0..255 (Rec. 601 weights)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def ellipse(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Points:
    """An ellipse about (x, y), turned clockwise by `turn` degrees."""
    n = 40 if rx > 4 else 22
    t = np.linspace(0, 2 * math.pi, n, endpoint=False)
    return rotate(np.stack([x + rx * np.cos(t), y + (ry or rx) * np.sin(t)], axis=1), turn, (x, y))


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Part of an ellipse's rim, angles in degrees clockwise from the right."""
    t = np.radians(np.linspace(start, end, 16))
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def polygon(*corners: tuple[float, float]) -> Points:
    return np.array(corners, dtype=np.float64)


def blob(*corners: tuple[float, float], closed: bool = True) -> Points:
    """A smooth curve through the corners (Catmull-Rom)."""
    p = np.array(corners, dtype=np.float64)
    if closed:
        before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    else:
        padded = np.concatenate([p[:1], p, p[-1:], p[-1:]])
        before, after, beyond = padded[: len(p)], padded[2 : len(p) + 2], padded[3 : len(p) + 3]
    t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None, :] for q in (before, p, after, beyond))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    points: Points = curve.reshape(-1, 2)
    return points if closed else np.concatenate([points[:-8], p[-1:]])


def ribbon(*path: tuple[float, float], width: float, end: float | None = None) -> Points:
    """A band along a smooth path, `width` wide at its start and `end` wide at its end."""
    line = blob(*path, closed=False)
    ahead = np.gradient(line, axis=0)
    length = np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-6)
    side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) / length[:, None]
    half = np.linspace(width, width if end is None else end, len(line))[:, None] / 2
    return np.concatenate([line + side * half, (line - side * half)[::-1]])


def star(x: float, y: float, r: float, tips: int = 5, inner: float = 0.45, turn: float = 0.0) -> Points:
    t = np.radians(turn - 90) + np.arange(2 * tips) * math.pi / tips
    radius = np.where(np.arange(2 * tips) % 2 == 0, r, r * inner)
    return np.stack([x + radius * np.cos(t), y + radius * np.sin(t)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, corner: float = 0.0) -> Points:
    """A rectangle, its corners rounded by `corner`."""
    if corner <= 0:
        return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    c = min(corner, (x1 - x0) / 2, (y1 - y0) / 2)
    middles = ((x1 - c, y0 + c, -90), (x1 - c, y1 - c, 0), (x0 + c, y1 - c, 90), (x0 + c, y0 + c, 180))
    return np.concatenate([arc(x, y, c, c, a, a + 90) for x, y, a in middles])


def heart(x: float, y: float, r: float) -> Points:
    t = np.linspace(0, 2 * math.pi, 30, endpoint=False)
    px = 16 * np.sin(t) ** 3
    py = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x + px * r / 16, y + py * r / 16], axis=1)


def rotate(points: Points, degrees: float, about: tuple[float, float]) -> Points:
    if not degrees:
        return points
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    turned: Points = (points - about) @ turn + about
    return turned


def mirror(points: Points, x: float = 0.0) -> Points:
    """The same shape on the other side of a vertical line."""
    return np.stack([2 * x - points[:, 0], points[:, 1]], axis=1)
