"""Uploads on their way: streamed to disk under limits, and there after a restart until they are looked through."""

import asyncio
import json
import logging
import secrets
import shutil
import time
from collections.abc import AsyncIterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lorabot.bot.config import IntakeConfig
from lorabot.bot.intake.names import last_part
from lorabot.locale import UserError

_BUFFER_BYTES = 1024 * 1024
_SPARE_BYTES = 256 * 1024 * 1024
_log = logging.getLogger(__name__)


class FileTooLarge(UserError):
    """The file is larger than it may be. Raised before it is all read."""


class NoRoom(UserError):
    """The disk is too full for the file."""


class TooManyWaiting(UserError):
    """The owner has sent more files than can be waiting to be looked through."""


class UploadBroken(UserError):
    """The file ended before it was all there."""


class UploadUnwanted(UserError):
    """The owner had everything of theirs deleted while the file was on its way."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file somebody sent, on disk. ``batch`` is the front end's word for what belongs together: ``of`` files."""

    id: str
    owner: str
    address: str
    language: str
    batch: str
    name: str
    size: int
    sent_at: float
    of: int = 1


class Spool:
    """A folder of uploads; each has its bytes and a note of whose they are."""

    def __init__(self, folder: Path, config: IntakeConfig) -> None:
        self._folder = folder
        self._config = config
        self._waiting = {upload.id: upload for upload in _noted(folder)}
        self._arriving: dict[str, Upload] = {}
        self._unwanted: set[str] = set()

    async def receive(
        self,
        chunks: AsyncIterable[bytes],
        *,
        owner: str,
        address: str,
        language: str,
        batch: str,
        name: str,
        declared: int | None,
        of: int = 1,
    ) -> Upload:
        """Write ``chunks`` to disk. ``declared`` bytes are checked before any is read, and counted while reading.

        Raises ``FileTooLarge``, ``NoRoom``, ``TooManyWaiting``, ``UploadBroken``, ``UploadUnwanted``; nothing is kept
        then.
        """
        shown = last_part(name) or "upload"
        self._refuse_size(shown, declared or 0)
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < (declared or 0) + _SPARE_BYTES:
            raise NoRoom("intake-no-room", name=shown)
        known = (*self._arriving.values(), *self._waiting.values())
        if sum(upload.owner == owner for upload in known) >= self._config.max_files:
            raise TooManyWaiting("intake-too-many-waiting", name=shown)
        upload = Upload(secrets.token_hex(12), owner, address, language, batch, shown, 0, time.time(), of)
        self._arriving[upload.id] = upload
        part = self._folder / f"{upload.id}.part"
        try:
            size = await self._write(part, shown, chunks)
            if declared is not None and size != declared:
                raise UploadBroken("intake-upload-broken", name=shown)
            upload = replace(upload, size=size)
            await asyncio.to_thread(self._keep, part, upload)
            self._waiting[upload.id] = upload
            if upload.id in self._unwanted:
                self.discard(upload)
                raise UploadUnwanted("intake-upload-unwanted", name=shown)
        except ConnectionError as error:
            raise UploadBroken("intake-upload-broken", name=shown) from error
        except OSError as error:
            _log.error("upload %s could not be written: %s", upload.id, error)
            raise NoRoom("intake-no-room", name=shown) from error
        finally:
            del self._arriving[upload.id]
            self._unwanted.discard(upload.id)
            part.unlink(missing_ok=True)
        return upload

    def path(self, upload: Upload) -> Path:
        """Where the bytes of ``upload`` lie."""
        return self._folder / f"{upload.id}.bytes"

    def waiting(self) -> list[Upload]:
        """Uploads that were received and not yet discarded, in the order they came."""
        return sorted(self._waiting.values(), key=lambda upload: upload.sent_at)

    def holds(self, upload: Upload) -> bool:
        """Was ``upload`` received and not yet discarded?"""
        return upload.id in self._waiting

    def forget(self, owner: str) -> None:
        """Discard all of ``owner``, what is just arriving as soon as it is there."""
        self._unwanted |= {upload.id for upload in self._arriving.values() if upload.owner == owner}
        for upload in self.waiting():
            if upload.owner == owner:
                self.discard(upload)

    def discard(self, upload: Upload) -> None:
        """The upload was looked through: its bytes are not needed any more."""
        self._waiting.pop(upload.id, None)
        (self._folder / f"{upload.id}.json").unlink(missing_ok=True)
        self.path(upload).unlink(missing_ok=True)

    def sweep(self) -> None:
        """At the start: throw away what was cut off when the process last ended."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.stem not in self._waiting:
                path.unlink(missing_ok=True)

    def _refuse_size(self, name: str, size: int) -> None:
        if size > self._config.max_file_bytes:
            raise FileTooLarge("intake-file-too-large", name=name, limit=self._config.max_file_bytes // (1024 * 1024))

    async def _write(self, part: Path, name: str, chunks: AsyncIterable[bytes]) -> int:
        size = 0
        buffer = bytearray()
        with await asyncio.to_thread(part.open, "wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                self._refuse_size(name, size)
                buffer += chunk
                if len(buffer) >= _BUFFER_BYTES:
                    await asyncio.to_thread(file.write, bytes(buffer))
                    buffer.clear()
            await asyncio.to_thread(file.write, bytes(buffer))
        return size

    def _keep(self, part: Path, upload: Upload) -> None:
        """The note comes last and in one step: with it the upload counts as received."""
        part.rename(self.path(upload))
        note = self._folder / f"{upload.id}.note"
        note.write_text(json.dumps(asdict(upload)), encoding="utf-8")
        note.replace(self._folder / f"{upload.id}.json")


def _noted(folder: Path) -> list[Upload]:
    """The uploads whose notes lie in ``folder``, from before the process last ended."""
    found = []
    for note in folder.glob("*.json"):
        try:
            found.append(Upload(**json.loads(note.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            _log.error("the upload %s can't be read and is left out: %s", note.stem, error)
    return found
