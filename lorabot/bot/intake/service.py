"""Intake in one piece: files come in, clean images stand in their owner's draft, and every problem has a name."""

import asyncio
import logging
import secrets
import shutil
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from lorabot.bot.config import IntakeConfig
from lorabot.bot.front_end import TryLater, Unreachable, surprising
from lorabot.bot.intake.looking import CleanImage, LeftOut, Looker, Overview
from lorabot.bot.intake.spool import Spool, Upload
from lorabot.locale import Message, UserError
from lorabot.queue import Queue
from lorabot.queue.keys import image_key
from lorabot.queue.model import Address, Image

_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_THUMBS = 8
_log = logging.getLogger(__name__)


def unexpected(mark: str) -> Message:
    """What a person reads of an error that nobody foresaw; ``mark`` finds it in the log."""
    return Message("bot-unexpected", {"id": mark})


@dataclass(slots=True)
class Intaken:
    """What came of an upload: grows while it is looked through. ``draft`` is the size of the whole draft."""

    candidates: int = 0
    passed_over: int = 0
    images: list[Image] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    thumbs: list[tuple[Image, bytes]] = field(default_factory=list)
    draft: int = 0

    @property
    def looked_at(self) -> int:
        return len(self.images) + len(self.left_out)


Announce = Callable[[Upload, Intaken, bool], Awaitable[None]]
"""Told of an upload while it is looked through, and, with True, at the end.

It may raise ``UserError``: then all is done again."""


class Intake:
    """Takes files of all front ends."""

    def __init__(self, queue: Queue, config: IntakeConfig, folder: Path) -> None:
        folder = folder.absolute()  # the decoder works elsewhere
        self._queue = queue
        self._config = config
        self._spool = Spool(folder / "uploads", config)
        self._scratch = folder / "scratch"
        self._looker = Looker(config, self._scratch)
        self._tasks: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._begun: set[str] = set()
        self._doors: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._announce: dict[str, Announce] = {}
        self._forget: dict[str, Callable[[str], None]] = {}
        self._spool.sweep()
        shutil.rmtree(self._scratch, ignore_errors=True)

    async def receive(
        self,
        chunks: AsyncIterable[bytes],
        *,
        owner: str,
        address: Address,
        language: str,
        batch: str,
        name: str,
        declared: int | None,
        of: int = 1,
    ) -> Upload:
        """Take a file to disk; see ``Spool.receive`` for what is raised. ``begin`` looks through it."""
        return await self._spool.receive(
            chunks,
            owner=owner,
            address=str(address),
            language=language,
            batch=batch,
            name=name,
            declared=declared,
            of=of,
        )

    def on(self, platform: str, announce: Announce, forget: Callable[[str], None] | None = None) -> None:
        """Have ``announce`` told of all uploads to addresses of ``platform``: to be called when it can speak there.

        ``forget`` is told of an owner who had all deleted: of uploads in between no end will be announced.
        Goes on with what had been received when the process last ended, or came while nobody could tell of it.
        """
        self._announce[platform] = announce
        if forget is not None:
            self._forget[platform] = forget
        for upload in self._spool.waiting():
            if Address.parse(upload.address).platform == platform:
                self.begin(upload)

    def begin(self, upload: Upload) -> None:
        """Look through ``upload`` in the background; its clean images go to the owner's draft.

        Where nobody can tell of it yet it waits on the disk. Nothing happens where its owner had it deleted meanwhile.
        """
        announce = self._announce.get(Address.parse(upload.address).platform)
        if announce is None or upload.id in self._begun or not self._spool.holds(upload):
            return
        self._begun.add(upload.id)
        task = asyncio.create_task(self._look(upload), name=f"intake of {upload.id}")
        self._tasks[upload.owner].add(task)
        task.add_done_callback(lambda done: self._done(upload, done))

    async def settled(self, owner: str) -> None:
        """Wait until all that ``owner`` has sent so far is looked through."""
        tasks = self._tasks.get(owner)
        if tasks:
            await asyncio.wait(set(tasks))

    @asynccontextmanager
    async def until_now(self, owner: str) -> AsyncIterator[None]:
        """For the block: all that ``owner`` has sent so far is looked through, and what comes later waits outside."""
        door = self._doors.setdefault(owner, asyncio.Lock())
        tasks = set(self._tasks.get(owner, ()))
        async with door:
            if tasks:
                await asyncio.wait(tasks)
            yield

    @asynccontextmanager
    async def forgetting(self, owner: str) -> AsyncIterator[None]:
        """Throw away what ``owner`` has sent and what is not looked through yet, or still on its way.

        What they send during the block was not meant: it waits outside, so that nothing of it is deleted by halves.
        """
        async with self._doors.setdefault(owner, asyncio.Lock()):
            tasks = set(self._tasks.get(owner, ()))
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            self._spool.forget(owner)
            for forget in self._forget.values():
                forget(owner)
            yield

    async def close(self) -> None:
        """Stop looking; what is not done goes on after the next start."""
        tasks = [task for owned in self._tasks.values() for task in owned]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _done(self, upload: Upload, task: asyncio.Task[None]) -> None:
        self._begun.discard(upload.id)
        owned = self._tasks[upload.owner]
        owned.discard(task)
        if not owned:
            del self._tasks[upload.owner]
        if not task.cancelled() and task.exception() is not None:
            _log.error("intake of %s failed", upload.id, exc_info=task.exception())

    async def _tell(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        """Announce it. What a platform refuses is no reason to lose the photos: only an end is told again."""
        announce = self._announce[Address.parse(upload.address).platform]
        for wait in (*_RETRY_S, None) if final else (None,):
            try:
                await announce(upload, intaken, final)
            except UserError:
                raise
            except Unreachable as error:
                _log.info("news of upload %s can't be told any more: %s", upload.id, error)
                return
            except Exception as error:
                _log.warning("news of upload %s not told: %s", upload.id, error, exc_info=surprising(error))
                if wait is not None:
                    await asyncio.sleep(max(wait, error.seconds) if isinstance(error, TryLater) else wait)
            else:
                return

    async def _look(self, upload: Upload) -> None:
        door = self._doors.get(upload.owner)
        if door is not None:
            async with door:  # let it close behind who went in first
                pass
        tries = 0
        while True:
            try:
                await self._look_once(upload)
            except UserError as error:  # the store is away: the upload waits on the disk
                wait = _RETRY_S[min(tries, len(_RETRY_S) - 1)]
                tries += 1
                _log.warning("intake of %s waits %.0f s: %s", upload.id, wait, error)
                await asyncio.sleep(wait)
            except Exception:
                mark = secrets.token_hex(4)
                _log.exception("intake of %s failed (%s)", upload.id, mark)
                self._spool.discard(upload)
                await self._tell(upload, Intaken(left_out=[LeftOut(upload.name, unexpected(mark))]), True)
                return
            else:
                self._spool.discard(upload)
                return

    async def _look_once(self, upload: Upload) -> None:
        owner, address = upload.owner, Address.parse(upload.address)
        intaken = Intaken()
        draft = await self._queue.drafts.get(owner, address)
        before = {image.sha256: image.caption for image in draft.images} if draft else {}
        known = set(before)
        intaken.draft = len(known)
        await self._tell(upload, intaken, False)
        async with aclosing(self._looker.look(self._spool.path(upload), upload.name)) as outcomes:
            async for outcome in outcomes:
                match outcome:
                    case Overview():
                        intaken.candidates, intaken.passed_over = outcome.candidates, outcome.passed_over
                    case LeftOut():
                        intaken.left_out.append(outcome)
                    case CleanImage():
                        await self._keep(owner, outcome, known, before, intaken)
                await self._tell(upload, intaken, False)
        intaken.images.sort(key=lambda image: image.name)
        if intaken.images:
            draft = await self._queue.drafts.add(owner, address, intaken.images)
            intaken.draft = len(draft.images)
        await self._tell(upload, intaken, True)

    async def _keep(
        self, owner: str, clean: CleanImage, known: set[str], before: dict[str, str | None], intaken: Intaken
    ) -> None:
        """``before``: captions of the photos that were in the draft already. One that is sent later takes its place."""
        captioned = clean.caption is not None and before.pop(clean.sha256, clean.caption) != clean.caption
        if clean.sha256 in known and not captioned:
            intaken.left_out.append(LeftOut(clean.name, Message("intake-duplicate")))
            return
        if len(known) >= self._config.max_files and not captioned:
            intaken.left_out.append(
                LeftOut(clean.name, Message("intake-draft-full", {"limit": self._config.max_files}))
            )
            return
        known.add(clean.sha256)
        key = image_key(owner, clean.sha256)
        await self._queue.blobs.put(key, clean.path)
        image = Image(clean.name, key, clean.sha256, clean.width, clean.height, clean.size, clean.caption)
        intaken.images.append(image)
        if len(intaken.thumbs) < _THUMBS:
            intaken.thumbs.append((image, clean.thumb))
