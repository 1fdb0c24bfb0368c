"""Which font draws a text in a picture: matplotlib's own, or ours where that has not all signs."""

from pathlib import Path

from lorabot.locale.fonts import CHINESE


def face_of(text: str, *, bold: bool = False) -> Path:
    """The font file for ``text``. Ours has one weight."""
    from matplotlib.font_manager import FontProperties, findfont

    latin = Path(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))
    return latin if _has(latin, text) else CHINESE


def drawable(text: str, instead: str = "LoRA") -> str:
    """``text`` if one of the fonts has all its signs; otherwise ``instead``."""
    return text if _has(face_of(text), text) else instead


def _has(face: Path, text: str) -> bool:
    from matplotlib.font_manager import get_font

    font = get_font(face)
    return all(font.get_char_index(ord(sign)) for sign in text)
