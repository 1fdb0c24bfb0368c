"""Opens the dataset's images, upright and in RGB."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from PIL import ExifTags, Image, ImageOps

from lorabot.trainer.errors import BrokenImage
from lorabot.trainer.wire import TrainingImage

T = TypeVar("T")
R = TypeVar("R")
_THREADS = 8
"""More would only hold more opened pictures in memory."""
_LYING = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def read_picture(image: TrainingImage) -> Image.Image:
    """The image upright, in RGB, transparency laid on white. Raises ``BrokenImage``."""
    try:
        with Image.open(image.path) as opened:
            # Pillow itself only warns up to twice as many; its warnings can't be made errors for one thread alone.
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise BrokenImage(image.name)
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


def side_by_side(make: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """``make`` of each item, in their order, by several threads that are a few items ahead.

    What it raises comes when it is that item's turn. Most of what opens and scales pictures needs no Python.
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="picture")
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
