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


def icc_profile(gamma: float) -> bytes:
    """An RGB profile with sRGB's primaries and another tone curve (ICC.1:2010)."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.4361, 0.2225, 0.0139),
        b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    at = 128 + 4 + 12 * len(tags)
    table = struct.pack(">I", len(tags))
    body = b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(24) + xyz(0.9642, 1.0, 0.8249)[8:]
    return head.ljust(128, b"\0") + table + body
