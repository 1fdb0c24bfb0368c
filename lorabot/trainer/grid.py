"""Lays the sample pictures out: one row a prompt, one column a moment, with labels."""

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lorabot.locale import Translator
from lorabot.trainer.lettering import drawable, face_of

_GAP, _MARGIN, _HEAD, _SIDE = 12, 28, 56, 250
_CELL_LEAST, _CELL_MOST = 224, 512
_PAPER, _INK, _SOFT, _ACCENT = "#ffffff", "#2b2b33", "#70707c", "#1d8a5a"


def draw_grid(
    prompts: Sequence[str],
    columns: Mapping[str, Sequence[bytes]],
    path: Path,
    say: Translator,
    chosen: str | None = None,
) -> None:
    """Write the grid as a PNG: ``columns`` maps a heading to its PNG pictures, one a prompt.

    Small pictures are enlarged and large ones reduced, to cells between 224 and 512 pixels. The column ``chosen`` is
    set off.
    """
    pictures = {
        heading: [Image.open(BytesIO(file)).convert("RGB") for file in files] for heading, files in columns.items()
    }
    side = _cell(next(iter(pictures.values()))[0].width)
    width = 2 * _MARGIN + _SIDE + len(columns) * (side + _GAP) - _GAP
    height = 2 * _MARGIN + _HEAD + len(prompts) * (side + _GAP) - _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, (heading, files) in enumerate(pictures.items()):
        left = _MARGIN + _SIDE + column * (side + _GAP)
        colour = _ACCENT if heading == chosen else _INK
        draw.text(
            (left + side / 2, _MARGIN + _HEAD / 2 - 8), heading, colour, _font(heading, 23, bold=True), anchor="mm"
        )
        for row, picture in enumerate(files):
            top = _MARGIN + _HEAD + row * (side + _GAP)
            if heading == chosen:
                draw.rectangle((left - 4, top - 4, left + side + 3, top + side + 3), fill=_ACCENT)
            sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    for row, prompt in enumerate(prompts):
        top = _MARGIN + _HEAD + row * (side + _GAP)
        text = textwrap.fill(drawable(prompt, say("picture-prompt", number=row + 1)), 22, max_lines=7, placeholder=" …")
        draw.multiline_text((_MARGIN, top + side / 2), text, _SOFT, _font(text, 18), anchor="lm", spacing=7)
    sheet.save(path, format="PNG")  # `optimize` makes it 3 % smaller and takes six times as long


def _cell(width: int) -> int:
    """The side of a cell: a whole multiple of small pictures, so that they stay crisp."""
    if width < _CELL_LEAST:
        return width * -(-_CELL_LEAST // width)
    return min(width, _CELL_MOST)


def _font(text: str, size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(face_of(text.replace("\n", " "), bold=bold), size)
