"""Opens the dataset's images, upright and in RGB, and fits them to the training resolution."""

import warnings

from PIL import Image, ImageOps

from lorabot.trainer.errors import BrokenImage
from lorabot.trainer.wire import TrainingImage


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


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """``picture`` scaled to cover ``width`` x ``height`` pixels and cropped around its centre; nothing is stretched."""
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
