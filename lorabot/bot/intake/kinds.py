"""What a file is, told by its first bytes: names and declared types are not trusted."""

from typing import Literal

ImageKind = Literal["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"]
"""Picture formats, by Pillow's names; HEIF needs a decoder that not every installation has."""

OtherKind = Literal["zip", "archive", "video", "document", "text", "empty", "unknown"]
Kind = ImageKind | OtherKind

HEAD_BYTES = 64

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"Rar!\x1a\x07", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"FLV\x01", "video"),
    (b"%PDF-", "document"),
    (b"8BPS", "document"),
    (b"<svg", "document"),
)
# ISO base media files (ISO/IEC 14496-12): the brand after `ftyp` says what they hold.
_BRANDS: dict[bytes, Kind] = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIF"),
}
# Others, such as `mif1`, say no more than that it holds pictures: the brands that it is compatible with follow them.
_OF_ONE_KIND = (b"avis", b"heic", b"heix", b"hevc", b"hevx")
IMAGE_KINDS: frozenset[Kind] = frozenset(("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"))


def kind_of(head: bytes) -> Kind:
    """The kind of a file that starts with ``head`` (``HEAD_BYTES`` are enough)."""
    if not head:
        return "empty"
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else "video" if head[8:12] == b"AVI " else "unknown"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if b"avif" in head[16:HEAD_BYTES] and brand not in _OF_ONE_KIND:
            return "AVIF"
        return _BRANDS.get(brand, "video")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "text" if _is_text(head) else "unknown"


def _is_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in (9, 10, 13) for byte in head)
