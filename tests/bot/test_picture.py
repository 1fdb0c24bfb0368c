"""The picture of a running job shows its loss, whatever the numbers are."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lorabot.bot.card import Card, Curve, card_of
from lorabot.bot.picture import loss_picture
from lorabot.locale import translator
from tests.bot.test_card import JOB

AMBER, GREEN = (255, 182, 72), (132, 211, 161)


def card(loss: Curve, validation: Curve = ()) -> Card:
    return replace(card_of(JOB, None, translator("en")), loss=loss, validation=validation, total_steps=100)


async def drawn(shown: Card) -> Image.Image:
    image = Image.open(io.BytesIO(await loss_picture(shown)))
    assert image.format == "PNG"
    return image.convert("RGB")


def pixels(image: Image.Image, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Where the plot has this colour; the legend is above it."""
    there = (np.asarray(image)[56:] == colour).all(axis=2)
    return [(int(x), int(y) + 56) for y, x in zip(*there.nonzero(), strict=True)]


async def test_a_falling_loss_is_drawn_from_the_top_left_down_to_where_it_is_now() -> None:
    image = await drawn(card(tuple((step, 0.3 - step * 0.004) for step in range(0, 51, 5)), ((0, 0.3), (50, 0.15))))
    curve = pixels(image, AMBER)
    left, right = min(curve), max(curve)
    assert left[1] < right[1]
    assert abs(right[0] - (84 + (960 - 84 - 28) / 2)) < 12  # step 50 of 100 is the middle
    assert pixels(image, GREEN)


@pytest.mark.parametrize(
    "loss", [(), ((0, 0.1),), ((0, 0.1), (10, 0.1)), ((0, 0.0), (1, 0.0)), ((0, 1e9), (500, 1e-9))]
)
async def test_few_or_odd_points_make_a_picture_too(loss: Curve) -> None:
    image = await drawn(card(loss))
    assert image.size == (960, 480)
    assert bool(pixels(image, AMBER)) == bool(loss)


async def test_a_chinese_card_names_its_curves_in_chinese() -> None:
    loss: Curve = ((0, 0.3), (50, 0.1))
    legends = []
    for language in ("en", "zh-CN"):
        shown = replace(card_of(JOB, None, translator(language)), loss=loss, validation=loss, total_steps=100)
        legends.append(np.asarray(await drawn(shown))[:56].astype(int))
    english, chinese = legends
    assert (np.abs(english - chinese).sum(axis=2) > 100).sum() > 100
