"""Files: a local folder, or an S3-compatible store, behind one small interface."""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from lorabot.queue.errors import BadUrl, BlobMissing, BlobsUnavailable

if TYPE_CHECKING:  # these are not there at run time
    from obstore import Attributes
    from obstore.store import ClientConfig, S3Config

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
# The folder's store writes to such a name beside the file, and renames it then.
_UNFINISHED = re.compile(r".+#\d+")
_CHUNK = 1 << 20
_S3_OPTIONS: dict[str, Literal["endpoint", "region", "virtual_hosted_style_request"]] = {
    "endpoint": "endpoint",
    "region": "region",
    "virtual_hosted_style": "virtual_hosted_style_request",
}


def check_key(key: str) -> str:
    """``key``, if it is plain segments between slashes; raises ``ValueError`` on what could leave the store."""
    if not _is_key(key):
        raise ValueError(f"not a key: {key[:100]!r}")
    return key


def _is_key(text: str) -> bool:
    return len(text) <= 500 and all(_SEGMENT.fullmatch(segment) for segment in text.split("/"))


class Blobs:
    """Files by key. Raises ``BlobMissing`` for a file that is not there, ``BlobsUnavailable`` when the store is not."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    async def put(
        self,
        key: str,
        data: bytes | Path | AsyncIterable[bytes],
        *,
        content_type: str | None = None,
        filename: str | None = None,
    ) -> None:
        """Store ``data`` under ``key``, at once or not at all. ``filename`` is what a presigned link saves it as."""
        with _failures(None):
            attributes: Attributes = {}
            if isinstance(self._store, S3Store):
                if content_type is not None:
                    attributes["Content-Type"] = content_type
                if filename is not None:
                    attributes["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
            await obstore.put_async(self._store, check_key(key), data, attributes=attributes or None)

    async def get(self, key: str) -> bytes:
        with _failures(key):
            result = await obstore.get_async(self._store, check_key(key))
            return bytes(await result.bytes_async())

    async def stream(self, key: str, chunk: int = _CHUNK) -> AsyncIterator[bytes]:
        """The file in pieces of about ``chunk`` bytes."""
        with _failures(key):
            result = await obstore.get_async(self._store, check_key(key))
            async for piece in result.stream(min_chunk_size=chunk):
                yield bytes(piece)

    async def download(self, key: str, path: Path) -> None:
        """Write the file to ``path``; it is there whole or not at all."""
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                async for piece in self.stream(key):
                    await asyncio.to_thread(file.write, piece)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    async def size(self, key: str) -> int:
        """In bytes."""
        with _failures(key):
            return (await obstore.head_async(self._store, check_key(key)))["size"]

    async def exists(self, key: str) -> bool:
        try:
            await self.size(key)
        except BlobMissing:
            return False
        return True

    async def older(self, prefix: str, than: datetime) -> list[str]:
        """The keys below ``prefix`` of files that were last written before ``than``.

        What others have put among them is none of ours, such as the ``.DS_Store`` of who looked at a folder on a Mac.
        """
        folder = check_key(prefix.rstrip("/"))
        found: list[str] = []
        with _failures(prefix):
            async for page in obstore.list(self._store, folder):
                found += [entry["path"] for entry in page if entry["last_modified"] < than]
        return [key for key in found if _is_key(key)]

    async def list(self, prefix: str) -> list[str]:
        """The keys below ``prefix``, which ends in a slash."""
        folder = check_key(prefix.rstrip("/"))
        found: list[str] = []
        with _failures(prefix):
            async for page in obstore.list(self._store, folder):
                found += [entry["path"] for entry in page]
        return sorted(found)

    async def delete(self, key: str) -> None:
        """Delete the file; one that is not there is fine."""
        await self._remove(check_key(key))

    async def delete_prefix(self, prefix: str) -> int:
        """Delete all files below ``prefix``, which ends in a slash, whoever put them there. Returns how many."""
        found = await self.list(prefix)
        for path in found:
            await self._remove(path)
        return len(found) + await self.delete_unfinished(prefix)

    async def delete_unfinished(self, prefix: str, than: datetime | None = None) -> int:
        """Delete what was being written below ``prefix`` when a process was killed, last before ``than`` if that is
        given. Returns how many files. A store shows them to nobody; S3 deletes its own by the bucket's rules.
        """
        folder = self._store.prefix if isinstance(self._store, LocalStore) else None
        if folder is None:
            return 0
        return await asyncio.to_thread(_delete_unfinished, Path(folder) / check_key(prefix.rstrip("/")), than)

    async def _remove(self, path: str) -> None:
        try:
            with _failures(path):
                await obstore.delete_async(self._store, path)
        except BlobMissing:
            return

    async def link(self, key: str, expires_s: float) -> str | None:
        """A presigned URL with which anyone can read the file for ``expires_s``; None where there is no such thing."""
        if not isinstance(self._store, S3Store):
            return None
        with _failures(key):
            return await obstore.sign_async(self._store, "GET", check_key(key), timedelta(seconds=expires_s))

    async def check(self) -> None:
        """Raise ``BlobsUnavailable`` unless a file can be written, read and deleted. For ``doctor``."""
        key = "checks/doctor"
        await self.put(key, b"ok")
        await self.get(key)
        await self.delete(key)


def _delete_unfinished(folder: Path, than: datetime | None) -> int:
    count = 0
    for path in folder.rglob("*#*"):
        with suppress(FileNotFoundError):  # done just now
            if _UNFINISHED.fullmatch(path.name) and (than is None or path.stat().st_mtime < than.timestamp()):
                path.unlink()
                count += 1
    return count


@contextmanager
def _failures(reading: str | None) -> Iterator[None]:
    """The store's errors as ours. ``reading`` is the key of a file that ought to be there; None when one is made."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        if reading is not None:
            raise BlobMissing(reading) from None
        if isinstance(error, NotFoundError):  # the bucket; the other is the file that was to be stored
            raise BlobsUnavailable from error
        raise
    except BaseError as error:
        raise BlobsUnavailable from error


def open_blobs(url: str) -> Blobs:
    """The store at ``url``: a folder, ``file:///folder``, or ``s3://bucket/prefix?endpoint=https://...&region=...``.

    S3 credentials come from the usual AWS_ environment variables. Raises ``BadUrl``.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        if parts.username or parts.password:
            raise BadUrl("the blob URL holds credentials; give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return Blobs(_s3(parts.netloc, unquote(parts.path).strip("/"), dict(parse_qsl(parts.query))))
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise BadUrl("the blob URL names a host; a folder is file:///folder, with three slashes")
        return _folder(Path(unquote(parts.path)))
    if "://" in url:
        raise BadUrl(f"the blob URL starts with {parts.scheme!r}; it must be a folder, file:// or s3://")
    return _folder(Path(url))


def _folder(path: Path) -> Blobs:
    try:
        return Blobs(LocalStore(path.absolute(), mkdir=True, automatic_cleanup=True))
    except (BaseError, OSError) as error:
        raise BadUrl(f"the blob folder can't be made: {path}") from error


def _s3(bucket: str, prefix: str, options: dict[str, str]) -> S3Store:
    if not bucket:
        raise BadUrl("the blob URL names no bucket: s3://bucket/prefix")
    if unknown := options.keys() - _S3_OPTIONS.keys():
        raise BadUrl(f"the blob URL has unknown options: {', '.join(sorted(unknown))}; known: {', '.join(_S3_OPTIONS)}")
    config: S3Config = {}
    for name, setting in _S3_OPTIONS.items():
        if name not in options:
            continue
        if setting == "virtual_hosted_style_request":
            config[setting] = options[name].lower() in ("1", "true", "yes")
        else:
            config[setting] = options[name]
    client: ClientConfig = {"allow_http": options.get("endpoint", "").startswith("http://")}
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options=client,
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
    )
