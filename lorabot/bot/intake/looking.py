"""Looks through one upload: every picture in it, each by a decoder that may die of it."""

import asyncio
import hashlib
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from lorabot.bot.config import IntakeConfig
from lorabot.bot.intake.answers import Decoded, Found, Looked, Refusal
from lorabot.bot.intake.child import Decoder, DecoderDied, DecoderSlow
from lorabot.bot.intake.kinds import HEAD_BYTES, IMAGE_KINDS, Kind, kind_of
from lorabot.bot.intake.questions import Decode, Look
from lorabot.locale import Message

_LOOK_SECONDS = 60
_USELESS: dict[Kind, str] = {
    "archive": "intake-other-archive",
    "video": "intake-video",
    "empty": "intake-empty-file",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not used, and why."""

    name: str
    reason: Message


@dataclass(frozen=True, slots=True)
class CleanImage:
    """A clean picture on disk, only until the next one is asked for. ``thumb`` holds a small WebP."""

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    size: int
    caption: str | None
    thumb: bytes


@dataclass(frozen=True, slots=True)
class Overview:
    """What an upload holds before its pictures are looked at."""

    candidates: int
    passed_over: int


class Looker:
    """Looks through uploads; at most ``decoders`` processes at a time work for all of them."""

    def __init__(self, config: IntakeConfig, scratch: Path) -> None:
        self._config = config
        self._scratch = scratch
        self._free = asyncio.Semaphore(config.decoders)

    async def look(self, path: Path, name: str) -> AsyncGenerator[Overview | CleanImage | LeftOut, None]:
        """First the overview (where the file is of use at all), then what became of each picture, in no order."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
            opened = await self._open(path)
            if isinstance(opened, Message):
                yield LeftOut(name, opened)
                return
            if not opened.found and not opened.locked:
                empty = opened.passed_over == 0
                yield LeftOut(name, Message("intake-zip-empty" if empty else "intake-zip-no-images"))
                return
            yield Overview(len(opened.found), opened.passed_over)
            for locked in opened.locked:
                yield LeftOut(locked, Message("intake-locked"))
            for unread in opened.unread:
                yield LeftOut(unread, Message("intake-caption-unread"))
            async with aclosing(self._decode_all(path, name, opened.found, Path(folder))) as outcomes:
                async for outcome in outcomes:
                    yield outcome

    async def _open(self, path: Path) -> Looked | Message:
        kind = await asyncio.to_thread(_kind, path)
        if kind in IMAGE_KINDS:
            return Looked(found=(Found(index=None, name=""),))
        if kind != "zip":
            return Message(_USELESS.get(kind, "intake-not-a-zip"))
        config = self._config
        asked = Look(
            path=str(path),
            most_entries=config.max_zip_entries,
            most_bytes=config.max_unpacked_bytes,
            most_ratio=config.max_zip_ratio,
            seconds=_LOOK_SECONDS,
        )
        async with self._free, self._decoder() as decoder:
            try:
                answer = await decoder.ask(asked, _LOOK_SECONDS)
            except (DecoderDied, DecoderSlow):
                return Message("intake-zip-damaged")
        if isinstance(answer, Looked):
            return answer
        return _message(answer) if isinstance(answer, Refusal) else Message("intake-zip-damaged")

    async def _decode_all(
        self, path: Path, name: str, found: tuple[Found, ...], folder: Path
    ) -> AsyncGenerator[CleanImage | LeftOut, None]:
        waiting = deque(enumerate(found))
        done: asyncio.Queue[CleanImage | LeftOut | None] = asyncio.Queue()
        # Clean pictures must not pile up on the disk faster than they are stored.
        room = asyncio.Semaphore(2 * self._config.decoders)

        async def work() -> None:
            async with self._free, self._decoder() as decoder:
                while waiting:
                    await room.acquire()
                    if waiting:
                        number, item = waiting.popleft()
                        done.put_nowait(await self._decode(decoder, path, name, item, folder / str(number)))

        async def work_all() -> None:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(min(self._config.decoders, len(found))):
                        tasks.create_task(work())
            finally:
                done.put_nowait(None)

        working = asyncio.create_task(work_all())
        try:
            while (outcome := await done.get()) is not None:
                yield outcome
                if isinstance(outcome, CleanImage):
                    outcome.path.unlink(missing_ok=True)
                room.release()
            await working
        finally:
            working.cancel()
            await asyncio.wait([working])

    async def _decode(self, decoder: Decoder, path: Path, name: str, item: Found, stem: Path) -> CleanImage | LeftOut:
        config = self._config
        shown = item.name or name
        target, thumb = stem.with_suffix(".webp"), stem.with_suffix(".thumb")
        asked = Decode(
            path=str(path),
            index=item.index,
            scratch=str(stem.with_suffix(".raw")),
            target=str(target),
            thumb=str(thumb),
            most_bytes=config.max_image_bytes,
            most_pixels=config.max_pixels,
            least_side=config.min_side,
            most_side=config.max_side,
            seconds=int(config.decode_seconds) + 1,
        )
        try:
            answer = await decoder.ask(asked, config.decode_seconds)
            if isinstance(answer, Decoded):
                return await asyncio.to_thread(_measure, shown, item.caption, answer, target, thumb)
            return LeftOut(shown, _message(answer) if isinstance(answer, Refusal) else Message("intake-broken"))
        except DecoderDied:
            return LeftOut(shown, Message("intake-crashed"))
        except DecoderSlow:
            return LeftOut(shown, Message("intake-too-slow"))
        finally:
            for leftover in _leftovers(stem):
                leftover.unlink(missing_ok=True)

    def _decoder(self) -> Decoder:
        return Decoder(self._config.decode_bytes, max(self._config.max_image_bytes, 256 * 1024 * 1024))


def _kind(path: Path) -> Kind:
    with path.open("rb") as file:
        return kind_of(file.read(HEAD_BYTES))


def _leftovers(stem: Path) -> Iterator[Path]:
    yield stem.with_suffix(".raw")
    yield stem.with_suffix(".thumb")


def _measure(name: str, caption: str | None, decoded: Decoded, target: Path, thumb: Path) -> CleanImage:
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = target.stat().st_size
    return CleanImage(name, target, digest, decoded.width, decoded.height, size, caption, thumb.read_bytes())


def _message(refusal: Refusal) -> Message:
    return Message(refusal.code, dict(refusal.params))
