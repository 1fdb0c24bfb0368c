"""The picture of a running job: its loss so far, drawn with Pillow. For chats that show no curves of their own."""

import asyncio
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorabot.bot.card import Card, Curve
from lorabot.locale.fonts import CHINESE

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Drawn twice as large and halved: Pillow's lines have hard edges.
_HALVED = 2
_WIDTH, _HEIGHT = 1920, 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 168, 56, 112, 96
# The page's colours (web/static/base.css, dark), which read well on light and dark chats.
_PAPER, _INK, _MUTED, _LINE = "#1e1914", "#f1e9db", "#b1a692", "#3a3128"
_TRAINING, _VALIDATION = "#ffb648", "#84d3a1"


async def loss_picture(card: Card) -> bytes:
    """The loss curves of ``card`` as a PNG, drawn in a thread."""
    return await asyncio.to_thread(_draw, card)


def _draw(card: Card) -> bytes:
    # Pillow loads slowly, and a bot that speaks on the web alone never needs it.
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(44)
    curves = [(curve, colour) for curve, colour in ((card.loss, _TRAINING), (card.validation, _VALIDATION)) if curve]
    low, high = _range([value for curve, _ in curves for _, value in curve])
    last = max([card.total_steps, *(step for curve, _ in curves for step, _ in curve), 1])
    for place in range(5):
        value = low + (high - low) * place / 4
        y = _y(value, low, high)
        draw.line((_LEFT, y, _WIDTH - _RIGHT, y), fill=_LINE, width=2)
        draw.text((_LEFT - 20, y), f"{value:.3f}", fill=_MUTED, font=font, anchor="rm")
    for step in (0, last // 2, last):
        anchor = "la" if step == 0 else "ra" if step == last else "ma"
        draw.text((_x(step, last), _HEIGHT - _BOTTOM + 24), str(step), fill=_MUTED, font=font, anchor=anchor)
    for curve, colour in curves:
        _draw_curve(draw, curve, colour, last, low, high)
    names = list(zip(card.curve_names, (_TRAINING, _VALIDATION), strict=True))[: max(1, len(curves))]
    # Pillow's own letters are Latin.
    latin = all(name.isascii() for name in card.curve_names)
    _draw_legend(draw, names, font if latin else ImageFont.truetype(CHINESE, 44))
    out = io.BytesIO()
    image.reduce(_HALVED).save(out, "PNG")
    return out.getvalue()


def _draw_curve(draw: "ImageDraw", curve: Curve, colour: str, last: int, low: float, high: float) -> None:
    points = [(_x(step, last), _y(value, low, high)) for step, value in curve]
    if len(points) > 1:
        draw.line(points, fill=colour, width=8, joint="curve")
    x, y = points[-1]
    draw.ellipse((x - 12, y - 12, x + 12, y + 12), fill=colour)


def _draw_legend(draw: "ImageDraw", names: Sequence[tuple[str, str]], font: object) -> None:
    x = _LEFT
    for name, colour in names:
        draw.rounded_rectangle((x, 44, x + 52, 60), radius=8, fill=colour)
        draw.text((x + 72, 52), name, fill=_INK, font=font, anchor="lm")  # type: ignore[arg-type]
        x += 72 + round(draw.textlength(name, font=font)) + 72  # type: ignore[arg-type]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The values' range with some room, and never empty."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 0.1
    return low - room, high + room


def _x(step: int, last: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / last


def _y(value: float, low: float, high: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)
