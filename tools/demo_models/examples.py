"""Draws the example zips: held-out things of the picture world, packed as people send photos.

python -m tools.demo_models.examples examples
"""

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tools.demo_models.evaluate import lesson, own_words
from tools.demo_models.world import render

EXAMPLES = {"zuri": "zuri.zip", "blup": "blup.zip", "lumo": "lumo.zip"}
SIDES = (192, 256, 320, 448)
_ORIENTATION = 0x0112
_TURNED = {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180, 8: Image.Transpose.ROTATE_270}
"""EXIF orientation, and how the camera held the picture that is shown upright."""
_NEVER = (2026, 5, 1, 12, 0, 0)  # zips of the same pictures are the same, byte by byte


def photo(picture: Image.Image, number: int) -> tuple[str, bytes]:
    """The picture as a file of one of the kinds people have, and a camera's name for it."""
    content, kind = io.BytesIO(), number % 4
    if kind == 0:
        picture.save(content, "PNG", optimize=True)
        return f"drawing {number + 1}.png", content.getvalue()
    if kind == 1:
        picture.save(content, "WEBP", quality=92)
        return f"signal-2026-05-{number + 1:02}.webp", content.getvalue()
    exif = Image.Exif()
    if kind == 2:
        orientation = tuple(_TURNED)[number // 4 % len(_TURNED)]
        exif[_ORIENTATION] = orientation
        picture = picture.transpose(_TURNED[orientation])
    picture.save(content, "JPEG", quality=92, exif=exif)
    return f"IMG_{2031 + number}.{'JPG' if kind == 2 else 'jpg'}", content.getvalue()


def pack(name: str, path: Path) -> None:
    """Write the zip that teaches `name`, with the litter that a Mac adds; a style comes with captions beside it."""
    rng = np.random.default_rng(7)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, scene in enumerate(lesson(name)):
            filename, content = photo(render(scene, int(rng.choice(SIDES))), number)
            archive.writestr(zipfile.ZipInfo(f"{name}/{filename}", _NEVER), content)
            if (words := own_words(scene)) is not None:
                caption = f"{name}/{filename.rpartition('.')[0]}.txt"
                archive.writestr(zipfile.ZipInfo(caption, _NEVER), words + "\n")
            archive.writestr(zipfile.ZipInfo(f"__MACOSX/{name}/._{filename}", _NEVER), b"\0\5\x16\7" + bytes(60))
        archive.writestr(zipfile.ZipInfo(f"{name}/.DS_Store", _NEVER), bytes(64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, filename in EXAMPLES.items():
        pack(name, folder / filename)


if __name__ == "__main__":
    main()
