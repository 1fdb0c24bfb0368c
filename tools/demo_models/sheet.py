"""What a scene consists of before a style draws it: layers of coloured marks."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tools.demo_models.shapes import Colour, Points

Layer = Literal["back", "shadow", "subject", "front"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One filled shape. Marks of one `group` share one outline: their inner borders are not drawn.

    `edge` says whether styles with outlines draw one; `lit` whether it shines by itself (a lamp, the sun);
    `pattern` marks the spots and stripes of a coat.
    """

    points: Points
    fill: Colour
    layer: Layer
    group: int
    edge: bool = True
    lit: bool = False
    pattern: bool = False


@dataclass(slots=True)
class Sheet:
    """A sky that fades from `top` to `bottom`, and marks in painting order."""

    top: Colour
    bottom: Colour
    dark: bool = False
    marks: list[Mark] = field(default_factory=list)
    groups: int = 0


@dataclass(slots=True)
class Brush:
    """Adds marks to one layer of a sheet, scaled, leaned and moved: (0, 0) lands on `at`."""

    sheet: Sheet
    layer: Layer
    at: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    flip: bool = False
    lean: float = 0.0

    def place(self, points: Points) -> Points:
        local = points * np.array([-self.scale if self.flip else self.scale, self.scale])
        if self.lean:
            a = np.radians(self.lean)
            local = local @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        placed: Points = local + np.array(self.at)
        return placed

    def add(self, *marks: tuple[Points, Colour], edge: bool = True, lit: bool = False) -> None:
        """Paint marks that share one outline."""
        self.sheet.groups += 1
        for points, fill in marks:
            self.sheet.marks.append(Mark(self.place(points), fill, self.layer, self.sheet.groups, edge, lit))

    def dab(self, *marks: tuple[Points, Colour], lit: bool = False) -> None:
        """Paint marks without an outline: eyes, cheeks, glints."""
        self.add(*marks, edge=False, lit=lit)

    def print(self, points: Points, fill: Colour) -> None:
        """Paint a spot or a stripe of a coat."""
        self.sheet.groups += 1
        group = self.sheet.groups
        self.sheet.marks.append(Mark(self.place(points), fill, self.layer, group, edge=False, pattern=True))
