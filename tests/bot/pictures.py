"""Pictures and zips that people send, good ones and bad ones, made on the spot."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Mapping

from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (160, 128), mode: str = "RGB") -> Image.Image:
    """A colourful picture, another one for each ``seed``."""
    noise = random.Random(seed).randbytes(8 * 8 * 3)
    small = Image.frombytes("RGB", (8, 8), noise)
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(seed: int = 0, size: tuple[int, int] = (160, 128)) -> bytes:
    """A JPEG."""
    return encoded(picture(seed, size), "JPEG", quality=90)


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def zip_of_photos(count: int, first: int = 0) -> bytes:
    return zipped({f"photo-{number:02}.jpg": photo(first + number) for number in range(count)})


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that decodes to ``width`` x ``height`` pixels of one colour (8 bit grey)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def locked_zip(files: Mapping[str, bytes]) -> bytes:
    """A zip whose entries are marked as encrypted."""
    data = bytearray(zipped(files, zipfile.ZIP_STORED))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


def broken(data: bytes) -> bytes:
    """The first half of a file."""
    return data[: len(data) // 2]
