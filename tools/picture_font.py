"""``python -m tools.picture_font NotoSansCJK-Regular.ttc``: cut the font for words in pictures out of the whole one.

To be run again when a Chinese word of pictures.ftl or the title of a preset gets a sign that the font lacks; a test
names it.
"""

import sys
from pathlib import Path
from string import printable

from fontTools import subset
from fontTools.ttLib import TTCollection

from lorabot.locale import translator
from lorabot.locale.fonts import CHINESE
from lorabot.presets import load_presets

_FAMILY = "Noto Sans CJK SC"
_NAMES = [0, 1, 2, 3, 4, 5, 6, 13, 14]
"""Copyright, names, version and licence, as the licence asks."""
# For vertical lines and for combining signs, neither of which we draw.
_UNUSED = ["vhea", "vmtx", "VORG", "BASE", "GSUB", "GPOS"]


def signs() -> set[str]:
    """What our Chinese pictures need, and the Latin letters that stand between."""
    words = "".join(translator("zh-CN").templates("picture-").values())
    titles = "".join(preset.title.zh for preset in load_presets(None).presets.values())
    return {sign for sign in printable + "…" + words + titles if sign.isprintable()}


def cut(whole: Path) -> None:
    fonts = TTCollection(whole).fonts
    font = next(font for font in fonts if font["name"].getDebugName(1) == _FAMILY)
    options = subset.Options(layout_features=[], hinting=False, name_IDs=_NAMES, name_languages=[0x409])
    options.drop_tables += _UNUSED
    options.desubroutinize = True
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(signs()))
    subsetter.subset(font)
    font.save(CHINESE)


if __name__ == "__main__":
    cut(Path(sys.argv[1]))
