"""Reads the header of a safetensors file: names and shapes of its tensors, without a byte of the weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from lorabot.trainer.errors import BadBase

_LONGEST = 100_000_000
"""Bytes; what the safetensors library takes at most. A longer header is none."""
_PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file holds. ``shapes``: by tensor name; ``metadata``: what its maker wrote; ``size``: the file's bytes."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    size: int

    def count(self, prefix: str = "") -> int:
        """How many numbers the tensors hold whose names start with ``prefix``."""
        return sum(prod(shape) for name, shape in self.shapes.items() if name.startswith(prefix))


def read_header(path: Path) -> Header:
    """The header of the file at ``path``. Raises ``BadBase`` with what the file is instead, or what it lacks."""
    name = path.name
    if path.suffix.lower() in _PICKLES:
        raise BadBase("base-pickle", file=name)
    if path.suffix.lower() == ".gguf":
        raise BadBase("base-gguf", file=name)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if start.startswith(_PICKLE_STARTS):
                raise BadBase("base-pickle", file=name)
            length = int.from_bytes(start, "little")
            text = file.read(length) if len(start) == 8 and 2 <= length <= _LONGEST else b""
            _refuse_what_a_download_left(name, start + text[:200] if text else start + file.read(200))
    except FileNotFoundError:
        raise BadBase("base-no-file", file=name) from None
    except OSError as error:
        raise BadBase("base-unreadable", file=name, reason=error.strerror or type(error).__name__) from None
    if not text:
        raise BadBase("base-not-safetensors", file=name)
    if len(text) < length:
        raise BadBase("base-cut-short", file=name, has=f"{size:,}", needs=f"{8 + length:,}")
    shapes, metadata, end = _parsed(name, text)
    if size < 8 + length + end:
        raise BadBase("base-cut-short", file=name, has=f"{size:,}", needs=f"{8 + length + end:,}")
    return Header(path, shapes, metadata, size)


def _refuse_what_a_download_left(name: str, start: bytes) -> None:
    text = start.lstrip()[:60].lower()
    if text.startswith(b"version https://git-lfs"):
        raise BadBase("base-lfs-pointer", file=name)
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise BadBase("base-web-page", file=name)


def _parsed(name: str, text: bytes) -> tuple[dict[str, tuple[int, ...]], dict[str, str], int]:
    """Shapes, metadata, and where the last tensor's bytes end."""
    try:
        tree: dict[str, Any] = json.loads(text)
        metadata = {str(key): str(value) for key, value in tree.pop("__metadata__", {}).items()}
        shapes = {key: tuple(int(side) for side in value["shape"]) for key, value in tree.items()}
        end = max((int(value["data_offsets"][1]) for value in tree.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise BadBase("base-not-safetensors", file=name) from None
    return shapes, metadata, end
