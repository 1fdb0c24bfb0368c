"""Buttons as Telegram shows them: short ones side by side, long ones below each other."""

from collections.abc import Iterator, Sequence

from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import KeyboardButtonStyle

from lorabot.bot.reply import Button, ButtonStyle

_MOST_IN_A_ROW = 3
# What a narrow phone shows without cutting, by eye.
_ROW_WIDTH = 34
_STYLES: dict[ButtonStyle, str | None] = {
    "primary": KeyboardButtonStyle.PRIMARY,
    "danger": KeyboardButtonStyle.DANGER,
    "plain": None,
}


def keyboard_of(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """The inline keyboard, or None where there are no buttons."""
    if not buttons:
        return None
    return InlineKeyboardMarkup([[_button(button) for button in row] for row in _rows(buttons)])


def _button(button: Button) -> InlineKeyboardButton:
    style = _STYLES[button.style]
    return InlineKeyboardButton(button.label, callback_data=button.action, style=style)


def _rows(buttons: Sequence[Button]) -> Iterator[list[Button]]:
    row: list[Button] = []
    for button in buttons:
        widths = [_width(one.label) for one in (*row, button)]
        # All of a row are as wide as its widest.
        if row and (len(widths) > _MOST_IN_A_ROW or max(widths) * len(widths) > _ROW_WIDTH):
            yield row
            row = []
        row.append(button)
    if row:
        yield row


def _width(label: str) -> int:
    """A Chinese sign is as wide as two letters; each button has its margin."""
    return 2 + sum(2 if ord(sign) > 0x2E80 else 1 for sign in label)
