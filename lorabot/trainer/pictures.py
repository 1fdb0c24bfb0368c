"""Opens the dataset's images, upright and in RGB."""

import warnings

from PIL import ExifTags, Image, ImageOps

from lorabot.trainer.errors import BrokenImage
from lorabot.trainer.wire import TrainingImage

_LYING = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def read_picture(image: TrainingImage) -> Image.Image:
    """The image upright, in RGB, transparency laid on white. Raises ``BrokenImage``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(image.path) as opened:
                picture: Image.Image = ImageOps.exif_transpose(opened) or opened
                if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                    layer = picture.convert("RGBA")
                    picture = Image.new("RGBA", layer.size, "white")
                    picture.alpha_composite(layer)
                return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BrokenImage(image.name) from error


def picture_size(image: TrainingImage) -> tuple[int, int]:
    """Width and height of the image when upright, from its header alone. Raises ``BrokenImage``."""
    try:
        with Image.open(image.path) as opened:
            turned = opened.getexif().get(ExifTags.Base.Orientation, 1) in _LYING
            width, height = opened.size
            return (height, width) if turned else (width, height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenImage(image.name) from error
