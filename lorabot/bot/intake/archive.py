"""What an untrusted zip holds, without believing what it says about itself.

Runs in the decoder's process only. Nothing is unpacked by name, so a name can't lead anywhere.
"""

import codecs
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lorabot.bot.intake.names import readable
from lorabot.bot.intake.picture import Refused

_JUNK = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
_MOST_CAPTION_BYTES = 16 * 1024
_MOST_CAPTION_CHARS = 1000
_ENCRYPTED = 0x1
_UTF8 = 0x800
_GB2312 = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xf7][\xa1-\xfe])*\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the zip that may be a picture. ``index`` is its place in the zip's own list."""

    index: int
    name: str
    caption: str | None


@dataclass(frozen=True, slots=True)
class Contents:
    """``entries`` to look at, ``encrypted`` names that can't be, captions that are ``unread``, and how many files were
    passed over as no one's."""

    entries: tuple[Entry, ...]
    encrypted: tuple[str, ...]
    unread: tuple[str, ...]
    passed_over: int


class _Unreadable(Exception):
    """The caption is no text that we know, or is larger than one may be."""


def contents(path: Path, *, most_entries: int, most_bytes: int, most_ratio: float) -> Contents:
    """List the zip at ``path``; raises ``Refused`` where it is damaged, locked, or larger than it may be."""
    with _opened(path) as archive:
        files = [(index, info) for index, info in enumerate(archive.infolist()) if not info.is_dir()]
        if len(files) > most_entries:
            raise Refused("intake-zip-too-many", count=len(files), limit=most_entries)
        declared = sum(info.file_size for _, info in files)
        if declared > most_bytes:
            raise Refused("intake-zip-too-large", limit=most_bytes // (1024 * 1024))
        if declared > most_ratio * max(path.stat().st_size, 1024):
            raise Refused("intake-zip-bomb")
        named = [(index, info, _full_name(info)) for index, info in files]
        wanted = [(index, info, name) for index, info, name in named if not _is_junk(name)]
        texts = {_stem(name): (info, name) for _, info, name in wanted if _is_text(name)}
        images = [(index, info, name) for index, info, name in wanted if not _is_text(name)]
        encrypted = [readable(name) for _, info, name in images if info.flag_bits & _ENCRYPTED]
        if encrypted and len(encrypted) == len(images):
            raise Refused("intake-zip-locked")
        captions, unread = {}, []
        for stem in texts.keys() & {_stem(name) for _, _, name in images}:
            info, name = texts[stem]
            try:
                captions[stem] = _caption(archive, info)
            except _Unreadable:
                unread.append(readable(name))
        entries = tuple(
            Entry(index, readable(name), captions.get(_stem(name)))
            for index, info, name in images
            if not info.flag_bits & _ENCRYPTED
        )
        # What a system adds by itself (__MACOSX, .DS_Store) nobody has sent, and it is not spoken of.
        passed_over = len(wanted) - len(images) - len(captions) - len(unread)
        return Contents(entries, tuple(encrypted), tuple(sorted(unread)), passed_over)


def extract(path: Path, index: int, target: Path, most_bytes: int) -> None:
    """Unpack entry ``index`` to ``target``, at most ``most_bytes``. Raises ``Refused``."""
    with _opened(path) as archive:
        info = archive.infolist()[index]
        if info.file_size > most_bytes:
            raise Refused("intake-image-too-large", limit=most_bytes // (1024 * 1024))
        with target.open("wb") as out:
            for block in _blocks(archive, info, most_bytes):
                out.write(block)


def _full_name(info: zipfile.ZipInfo) -> str:
    """The entry's name as its packer meant it: with its folders, without tricks. Only ever compared and shown."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        name = _decode_legacy(name)
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
    if parts and re.fullmatch(r"[A-Za-z]:", parts[0]):
        del parts[0]
    return "/".join(parts)


def _decode_legacy(name: str) -> str:
    """Names without the UTF-8 flag come as code page 437: undo that, and try what packers really use."""
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return name
    try:
        return raw.decode("utf-8")  # macOS and many others forget the flag
    except UnicodeDecodeError:
        pass
    if _GB2312.match(raw):  # Windows in Chinese
        try:
            return raw.decode("gb18030")
        except UnicodeDecodeError:
            pass
    return name


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise Refused("intake-zip-damaged") from error


def _is_junk(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not parts or "__MACOSX" in parts or any(part.startswith(".") for part in parts) or parts[-1].lower() in _JUNK


def _is_text(name: str) -> bool:
    return name.lower().endswith(".txt")


def _stem(name: str) -> str:
    return name.rpartition(".")[0].lower() if "." in PurePosixPath(name).name else name.lower()


def _caption(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    """The words of ``NAME.txt`` beside an image; None where it holds none. Raises ``_Unreadable``."""
    if info.file_size > _MOST_CAPTION_BYTES or info.flag_bits & _ENCRYPTED:
        raise _Unreadable
    try:
        with archive.open(info) as source:
            raw = source.read(_MOST_CAPTION_BYTES)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise _Unreadable from error
    words = " ".join(_decoded(raw).split())
    return "".join(char for char in words if char.isprintable())[:_MOST_CAPTION_CHARS] or None


def _decoded(raw: bytes) -> str:
    """Raises ``_Unreadable``."""
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what Windows calls Unicode
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _Unreadable


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most_bytes: int) -> Iterator[bytes]:
    got = 0
    try:
        with archive.open(info) as source:
            while block := source.read(1024 * 1024):
                got += len(block)
                if got > most_bytes:
                    raise Refused("intake-image-too-large", limit=most_bytes // (1024 * 1024))
                yield block
    except NotImplementedError as error:
        raise Refused("intake-zip-method") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise Refused("intake-broken") from error
