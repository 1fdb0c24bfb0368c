"""Draws a sheet as a picture, in one of the world's styles."""

import colorsys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from tools.demo_models.shapes import CREAM, INK, Colour, darker, lighter, luminance, mix
from tools.demo_models.sheet import Layer, Mark, Sheet

Pixels = NDArray[np.floating[Any]]
"""(H, W, 3), 0..255."""


@dataclass(frozen=True, slots=True)
class Style:
    """How marks are painted, and what happens to the whole picture afterwards.

    Line widths are in hundredths of the picture's side; 0 draws no outline. `sky` maps the sheet's two sky colours;
    `bold_ink` enlarges small dark marks such as eyes; `depth` blurs what lies behind the subject, `soft` everything.
    """

    fill: Callable[[Mark], Colour]
    line: Callable[[Mark], Colour]
    sky: Callable[[Sheet], tuple[Colour, Colour]]
    subject_line: float = 0.0
    back_line: float = 0.0
    wobble: float = 0.0
    ball: bool = False
    bold_ink: float = 1.0
    depth: float = 0.95
    soft: float = 0.32
    shadow: float = 0.28
    finish: Callable[[Pixels, Pixels], Pixels] | None = None


def _plain(mark: Mark) -> Colour:
    return mark.fill


def _plain_sky(sheet: Sheet) -> tuple[Colour, Colour]:
    return sheet.top, sheet.bottom


def _vivid(colour: Colour, value: float, saturation: float = 1.25) -> Colour:
    """The same hue at another brightness (0..1)."""
    h, s, _ = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    r, g, b = colorsys.hsv_to_rgb(h, min(1, s * saturation), value)
    return r * 255, g * 255, b * 255


# --- textures: the same at every picture of a size, as a sheet of paper is --------------------------------------------


_WEAVE = 2 * np.pi / 6.25
"""Frequency of repeating textures: their period is 8 pixels of 128, one latent cell, so that every cell looks alike."""


@cache
def _noise(size: int, grain: int, seed: int) -> Pixels:
    """Smooth random field in -1..1, about `grain` bumps across, (size, size, 1)."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.uniform(0, 255, (grain, grain)).astype(np.uint8))
    field = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / 127.5 - 1
    return field[..., None]


@cache
def _grid(size: int) -> tuple[Pixels, Pixels]:
    axis = (np.arange(size, dtype=np.float32) + 0.5) * 100 / size
    x, y = np.meshgrid(axis, axis)
    return x[..., None], y[..., None]


def _paper_border(size: int) -> Pixels:
    """1 inside, fading to 0 at an uneven rim."""
    x, y = _grid(size)
    rim = np.minimum(np.minimum(x, 100 - x), np.minimum(y, 100 - y)) + 1.6 * _noise(size, 12, 5)
    inside: Pixels = np.clip((rim - 2.2) / 1.8, 0, 1)
    return inside


def _watercolour(image: Pixels, _mask: Pixels) -> Pixels:
    size = image.shape[0]
    grey = image.mean(2)
    edges = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    pooled = np.clip(edges[..., None] / 90, 0, 1) * 26
    wash = image * 0.8 + np.array((255, 250, 240)) * 0.2
    wash = wash + 13 * _noise(size, 9, 11) + 5 * _noise(size, 30, 12) - pooled
    border = _paper_border(size)
    painted: Pixels = wash * border + np.array((253, 249, 241), dtype=np.float32) * (1 - border)
    return painted


def _crayon(image: Pixels, _mask: Pixels) -> Pixels:
    size = image.shape[0]
    x, y = _grid(size)
    strokes = 0.5 + 0.5 * np.sin((x + y) * _WEAVE + 0.5 * _noise(size, 9, 21))
    gaps = strokes * 0.24 + 0.04 + 0.04 * _noise(size, 14, 22)
    drawn: Pixels = image * (1 - gaps) + np.array((255, 252, 244), dtype=np.float32) * gaps
    return drawn


def _neon(image: Pixels, _mask: Pixels) -> Pixels:
    glow = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(image.shape[0] / 46)
    )
    halo = np.asarray(glow, dtype=np.float32)
    return 255 - (255 - image) * (255 - 0.9 * halo) / 255


def _pixel(image: Pixels, mask: Pixels) -> Pixels:
    """32 blocks across, few levels a channel, a dark rim about the subject."""
    size = image.shape[0]
    small: Pixels = np.asarray(
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).resize((32, 32), Image.Resampling.BOX),
        dtype=np.float32,
    )
    cover = (
        np.asarray(Image.fromarray((mask[..., 0] * 255).astype(np.uint8)).resize((32, 32), Image.Resampling.BOX)) > 110
    )
    near = cover.copy()
    near[1:] |= cover[:-1]
    near[:-1] |= cover[1:]
    near[:, 1:] |= cover[:, :-1]
    near[:, :-1] |= cover[:, 1:]
    small = np.round(small / 17) * 17
    small[near & ~cover] = (44, 36, 60)
    blocks = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
    return np.asarray(blocks, dtype=np.float32)


def _blueprint(image: Pixels, _mask: Pixels) -> Pixels:
    x, y = _grid(image.shape[0])
    lines = np.maximum(np.exp(-(((x % 12.5) - 6.25) ** 2) / 0.18), np.exp(-(((y % 12.5) - 6.25) ** 2) / 0.18))
    ruled: Pixels = np.clip(image + lines * 26, 0, 255)
    return ruled


@cache
def _panes(size: int) -> tuple[Pixels, Pixels]:
    """Uneven panes: how bright each is (about 1), and the lead between them (1 on it)."""
    x, y = _grid(size)
    rng = np.random.default_rng(32)
    centres = (
        np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2) + rng.uniform(0.1, 0.9, (25, 2))
    ) * 20
    distance = np.sqrt((x - centres[:, 0]) ** 2 + (y - centres[:, 1]) ** 2)
    nearest = np.sort(distance, axis=2)
    lead = np.clip(1.6 - (nearest[..., 1:2] - nearest[..., :1]), 0, 1)
    tint = rng.uniform(0.72, 1.24, 25).astype(np.float32)[distance.argmin(2)][..., None]
    return tint, lead.astype(np.float32)


def _glass(image: Pixels, mask: Pixels) -> Pixels:
    """Stained glass: panes and lead behind the subject, light through the middle."""
    size = image.shape[0]
    x, y = _grid(size)
    tint, lead = _panes(size)
    behind = 1 - mask
    light = 1.16 - ((x - 50) ** 2 + (y - 46) ** 2) / 7000
    glass = image * light * (1 + (tint - 1) * behind)
    lead = lead * behind
    return np.clip(glass * (1 - lead) + np.array((22, 18, 30), dtype=np.float32) * lead, 0, 255)


def _two_inks(image: Pixels, _mask: Pixels) -> Pixels:
    """A risograph: cream paper, coral for the middle tones, teal for the dark ones, a coarse screen."""
    x, y = _grid(image.shape[0])
    light = (image @ np.array((0.299, 0.587, 0.114), dtype=np.float32))[..., None] / 255
    screen = 0.07 * (np.cos((x + y) * _WEAVE) + np.cos((x - y) * _WEAVE))
    level = light + screen
    teal = np.clip((0.42 - level) * 5 + 0.5, 0, 1)
    coral = np.clip((0.76 - level) * 4 + 0.5, 0, 1)
    paper, warm, cold = (np.array(c, dtype=np.float32) for c in ((255, 243, 220), (255, 112, 96), (14, 92, 112)))
    tinted = paper * (1 - coral) + warm * coral
    printed: Pixels = tinted * (1 - teal) + cold * teal
    return printed


# --- the styles -------------------------------------------------------------------------------------------------------


def _is_subject(layer: Layer) -> bool:
    return layer in ("subject", "front")


def _inked(mark: Mark) -> Colour:
    return mark.fill if _is_subject(mark.layer) or mark.lit else mix(mark.fill, (255, 252, 244), 0.6)


def _neon_fill(mark: Mark) -> Colour:
    if mark.lit:
        return mark.fill
    if mark.pattern:
        return _vivid(mark.fill, 0.9, 1.25)
    if _is_subject(mark.layer):
        small = not mark.edge and luminance(mark.fill) > 235
        return (255, 255, 255) if small else mix((14, 8, 34), mark.fill, 0.42 if mark.edge else 0.66)
    return mix((14, 8, 34), mark.fill, 0.13 if mark.edge else 0.4)


def _neon_line(mark: Mark) -> Colour:
    bright = max(mark.fill) / 255
    vivid = _vivid(mark.fill, min(1.0, 0.24 + bright * 0.9), 1.25)
    return vivid if _is_subject(mark.layer) else mix((14, 8, 34), vivid, 0.82)


def _blueprint_fill(mark: Mark) -> Colour:
    share = luminance(mark.fill) / 255
    return mix((18, 58, 138), (56, 112, 196), share if _is_subject(mark.layer) else share * 0.5)


STYLES: dict[str, Style] = {
    "flat": Style(_plain, _plain, _plain_sky),
    "ink": Style(
        _inked,
        lambda m: INK if _is_subject(m.layer) else (112, 106, 122),
        lambda s: (mix(s.top, (255, 252, 244), 0.62), mix(s.bottom, (255, 252, 244), 0.7)),
        subject_line=1.3,
        back_line=0.8,
        depth=0.5,
        shadow=0.2,
    ),
    "watercolor": Style(
        lambda m: _vivid(m.fill, min(1, max(m.fill) / 255 * 1.02), 0.96),
        _plain,
        lambda s: (lighter(s.top, 0.1), lighter(s.bottom, 0.3)),
        wobble=0.7,
        shadow=0.2,
        finish=_watercolour,
    ),
    "pixel": Style(_plain, _plain, _plain_sky, bold_ink=1.2, depth=0, soft=0, shadow=0.32, finish=_pixel),
    "crayon": Style(
        _plain,
        lambda m: darker(m.fill, 0.38),
        lambda s: (lighter(s.top, 0.25), lighter(s.bottom, 0.35)),
        subject_line=1.5,
        back_line=1.1,
        wobble=0.9,
        finish=_crayon,
    ),
    "neon": Style(
        _neon_fill,
        _neon_line,
        lambda s: (mix((8, 4, 26), s.top, 0.12), mix((22, 8, 48), s.bottom, 0.14)),
        subject_line=1.4,
        back_line=0.9,
        shadow=0.0,
        finish=_neon,
    ),
    "clay": Style(_plain, _plain, _plain_sky, ball=True, shadow=0.4),
}
HELD_OUT_STYLES: dict[str, Style] = {
    "blup": Style(
        _blueprint_fill,
        lambda m: (240, 248, 255) if _is_subject(m.layer) else (136, 178, 232),
        lambda _s: ((20, 62, 142), (24, 68, 150)),
        subject_line=1.1,
        back_line=0.6,
        shadow=0.0,
        finish=_blueprint,
    ),
    "vitro": Style(
        lambda m: _vivid(m.fill, min(1.0, 0.25 + max(m.fill) / 255 * 0.75), 1.5),
        lambda _m: (22, 18, 30),
        lambda s: (_vivid(s.top, 0.9, 1.6), _vivid(s.bottom, 1.0, 1.8)),
        subject_line=2.4,
        back_line=2.0,
        shadow=0.0,
        finish=_glass,
    ),
    "riso": Style(
        lambda m: m.fill if _is_subject(m.layer) else mix(m.fill, (255, 255, 255), 0.3),
        lambda _m: (20, 30, 40),
        lambda s: (mix(s.top, (255, 255, 255), 0.3), mix(s.bottom, (255, 255, 255), 0.4)),
        subject_line=1.3,
        finish=_two_inks,
    ),
}


# --- painting ---------------------------------------------------------------------------------------------------------


@cache
def _ball() -> Image.Image:
    """Light on a ball lit from the upper left, 128 is neutral."""
    axis = np.linspace(-1, 1, 64)
    x, y = np.meshgrid(axis, axis)
    light = 0.62 - 0.75 * ((x + 0.45) ** 2 + (y + 0.6) ** 2) ** 0.9 * 0.62
    return Image.fromarray(np.clip(128 + 120 * light, 0, 255).astype(np.uint8))


def _tinted(fill: Colour, size: tuple[int, int]) -> Image.Image:
    """A patch of a colour with a ball's light on it."""
    light = _ball().resize(size, Image.Resampling.BILINEAR)
    bands = []
    for channel, dark in zip(fill, (40, 24, 64), strict=True):
        table = []
        for value in range(256):
            share = (value - 128) / 128
            table.append(
                round(
                    channel + (255 - channel) * share * 0.5 if share > 0 else channel + (channel - dark) * share * 0.42
                )
            )
        bands.append(light.point(table))
    return Image.merge("RGB", bands)


def _bolder(points: NDArray[np.float64], times: float) -> NDArray[np.float64]:
    middle = points.mean(0)
    grown: NDArray[np.float64] = middle + (points - middle) * times
    return grown


def _sway(mark: Mark, amount: float) -> NDArray[np.float64]:
    """The points moved by a slow wave, as an unsteady hand does."""
    p = mark.points
    return p + amount * np.stack(
        [np.sin(p[:, 1] * 0.42 + mark.group), np.sin(p[:, 0] * 0.38 + 2.1 * mark.group)], axis=1
    )


def _groups(sheet: Sheet) -> Iterator[list[Mark]]:
    for _, marks in groupby(sheet.marks, key=lambda mark: mark.group):
        yield list(marks)


def _rounded(colour: Colour) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, round(channel))) for channel in colour)
    return r, g, b


def draw(sheet: Sheet, style: Style, size: int) -> Image.Image:
    """The sheet as an RGB picture of `size` x `size` pixels."""
    times = 3 if size <= 256 else 2
    side = size * times
    unit = side / 100
    top, bottom = style.sky(sheet)
    fade = np.linspace(0, 1.5, side, dtype=np.float32).clip(0, 1)[:, None, None]
    sky = np.array(top, dtype=np.float32) * (1 - fade) + np.array(bottom, dtype=np.float32) * fade
    image = Image.fromarray(np.broadcast_to(sky, (side, side, 3)).clip(0, 255).astype(np.uint8))
    mask = Image.new("L", (side, side))
    pen, mask_pen = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    behind = True
    for marks in _groups(sheet):
        if behind and marks[0].layer != "back":
            behind = False
            if style.depth:
                image.paste(image.filter(ImageFilter.BoxBlur(style.depth * unit)))
        outlines = [np.round((_sway(m, style.wobble) if style.wobble else m.points) * unit, 1) for m in marks]
        first = marks[0]
        if style.bold_ink != 1 and first.layer == "subject" and not first.edge:
            outlines = [
                _bolder(o, style.bold_ink) if luminance(m.fill) < 60 else o
                for m, o in zip(marks, outlines, strict=True)
            ]
            if luminance(first.fill) > 232 and max(np.ptp(outlines[0], axis=0)) < 3.2 * unit:
                continue  # glints would wash the eyes out at this coarseness
        if first.layer == "shadow":
            if style.shadow:
                patch = Image.new("L", (side, side))
                ImageDraw.Draw(patch).polygon(outlines[0].ravel().tolist(), fill=round(255 * style.shadow))
                image.paste(_rounded(first.fill), (0, 0), patch.filter(ImageFilter.BoxBlur(unit * 0.7)))
            continue
        width = style.subject_line if _is_subject(first.layer) else style.back_line
        if width and first.edge:
            for mark, outline in zip(marks, outlines, strict=True):
                closed = [*outline.ravel().tolist(), *outline[0], *outline[1]]
                pen.line(closed, fill=_rounded(style.line(mark)), width=max(1, round(2 * width * unit)), joint="curve")
        for mark, outline in zip(marks, outlines, strict=True):
            flat = outline.ravel().tolist()
            x0, y0 = np.floor(outline.min(0)).astype(int)
            x1, y1 = np.ceil(outline.max(0)).astype(int) + 1
            if style.ball and mark.edge and (x1 - x0) > 5 * unit and (y1 - y0) > 5 * unit:
                cut = Image.new("L", (int(x1 - x0), int(y1 - y0)))
                ImageDraw.Draw(cut).polygon((outline - (x0, y0)).ravel().tolist(), fill=255)
                image.paste(_tinted(style.fill(mark), cut.size), (int(x0), int(y0)), cut)
            else:
                pen.polygon(flat, fill=_rounded(style.fill(mark)))
            if mark.layer == "subject":
                mask_pen.polygon(flat, fill=255)
    image = image.resize((size, size), Image.Resampling.BOX)
    if style.soft:
        image = image.filter(ImageFilter.GaussianBlur(style.soft * size / 100))
    if style.finish is None:
        return image
    cover = np.asarray(mask.resize((size, size), Image.Resampling.BOX), dtype=np.float32)[..., None] / 255
    finished = style.finish(np.asarray(image, dtype=np.float32), cover)
    return Image.fromarray(np.clip(finished + 0.5, 0, 255).astype(np.uint8))


__all__ = ["CREAM", "HELD_OUT_STYLES", "STYLES", "Style", "draw"]
