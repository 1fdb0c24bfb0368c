"""Takes the page's uploads, and tells in the conversation what was found in them."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import ClientPayloadError, web

from lorabot.bot.intake.service import Intake, Intaken
from lorabot.bot.intake.spool import FileTooLarge, NoRoom, TooManyWaiting, Upload, UploadBroken, UploadUnwanted
from lorabot.bot.intake.tally import Tally
from lorabot.bot.reply import Picture
from lorabot.bot.web.conversation import Conversations
from lorabot.bot.web.guard import HttpError
from lorabot.bot.web.language import wanted_language
from lorabot.bot.web.session import PLATFORM, Sessions
from lorabot.bot.web.wire import Content
from lorabot.bot.web.wire import Upload as ShownUpload
from lorabot.presets import Catalogue
from lorabot.queue import Queue
from lorabot.queue.errors import StoreUnavailable
from lorabot.queue.keys import conversation_prefix
from lorabot.queue.model import Address

_BATCH = re.compile(r"[A-Za-z0-9-]{1,64}")
_COUNT = re.compile(r"[0-9]{1,4}")
_MOST_PICTURES = 8
_UPDATE_S = 0.5
_BATCH_S = 600.0


@dataclass(slots=True)
class _Batch:
    """Files that came together: one line of the person's, one of ours."""

    tally: Tally
    mark: str = ""
    thumbs: dict[str, Picture] = field(default_factory=dict)
    shown_at: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: asyncio.Task[None] | None = None


class Uploads:
    """Handler of ``POST /api/uploads``, and the voice of intake in the web chat."""

    def __init__(
        self,
        queue: Queue,
        intake: Intake,
        sessions: Sessions,
        conversations: Conversations,
        presets: Catalogue,
        language: str,
    ) -> None:
        self._queue = queue
        self._intake = intake
        self._sessions = sessions
        self._conversations = conversations
        self._presets = presets
        self._language = language
        self._batches: dict[tuple[str, str], _Batch] = {}

    def resume(self) -> None:
        """Go on with what was on the disk when the bot last ended."""
        self._intake.on(PLATFORM, self._announce, self._forget)

    async def close(self) -> None:
        """Wait for no more files."""
        waiting = [batch.waiting for batch in self._batches.values() if batch.waiting is not None]
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.require(request)
        language = wanted_language(request, self._language)
        batch = batch_of(request) or secrets.token_hex(8)
        try:
            upload = await receive(
                self._intake, request, owner=session.owner, address=session.address, language=language, batch=batch
            )
        except HttpError:
            known = self._batches.get((session.conversation, batch))
            if known is not None:
                known.tally.lose()
                self._look_again(session.conversation, known)
            raise
        with suppress(StoreUnavailable):  # its line is shown later then
            await self._announce(upload, Intaken(), False)
        self._intake.begin(upload)
        return web.json_response({"upload": {"name": upload.name, "size": upload.size}})

    async def _announce(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        conversation = Address.parse(upload.address).channel
        key = (conversation, upload.batch)
        batch = self._batches.setdefault(key, _Batch(Tally(self._presets, upload.language, "train")))
        batch.mark = batch.mark or upload.id
        self._forget_old()
        async with batch.turn:
            new = batch.tally.take(upload, intaken, final)
            if final:
                await self._store_thumbs(conversation, batch, intaken)
            if new:
                uploads = tuple(ShownUpload(each.name, each.size) for each in batch.tally.uploads.values())
                content = Content("upload", uploads=uploads)
                await self._conversations.put(conversation, "you", content, f"upload:{batch.mark}")
            if new or final or time.monotonic() - batch.shown_at >= _UPDATE_S:
                await self._show(conversation, batch)
        self._look_again(conversation, batch)

    async def _show(self, conversation: str, batch: _Batch) -> None:
        reply = batch.tally.reply()
        pictures = tuple(batch.thumbs.values())[:_MOST_PICTURES]
        busy = not batch.tally.settled
        found = Content("text", reply.text, buttons=reply.buttons, pictures=pictures, busy=busy)
        await self._conversations.put(conversation, "lorabot", found, f"found:{batch.mark}")
        batch.shown_at = time.monotonic()

    def _look_again(self, conversation: str, batch: _Batch) -> None:
        """Where a file that was announced does not come, say after a while what there is."""
        if batch.waiting is not None:
            batch.waiting.cancel()
        batch.waiting = None
        if batch.mark and not batch.tally.complete:
            batch.waiting = asyncio.create_task(self._settle(conversation, batch))

    async def _settle(self, conversation: str, batch: _Batch) -> None:
        await asyncio.sleep(batch.tally.patience_s)
        async with batch.turn:
            with suppress(StoreUnavailable):
                await self._show(conversation, batch)

    def _forget(self, owner: str) -> None:
        """Say nothing more of what ``owner`` had deleted, neither alone nor together with what they send next."""
        for key, batch in list(self._batches.items()):
            if any(upload.owner == owner for upload in batch.tally.uploads.values()):
                del self._batches[key]
                if batch.waiting is not None:
                    batch.waiting.cancel()

    def _forget_old(self) -> None:
        """A batch may seem complete while its next file is still on the way, so it is kept for a while."""
        now = time.monotonic()
        for key, batch in list(self._batches.items()):
            if batch.shown_at and now - batch.shown_at > _BATCH_S and batch.tally.settled:
                del self._batches[key]

    async def _store_thumbs(self, conversation: str, batch: _Batch, intaken: Intaken) -> None:
        for image, small in intaken.thumbs[: _MOST_PICTURES - len(batch.thumbs)]:
            key = f"{conversation_prefix(conversation)}{image.sha256}.webp"
            await self._queue.blobs.put(key, small, content_type="image/webp")
            batch.thumbs[image.sha256] = Picture(key, f"{image.sha256[:12]}.webp", "image/webp", image.name)


def batch_of(request: web.Request) -> str | None:
    """The page's own word for files that come together; None where it has none."""
    batch = request.query.get("batch", "")
    return batch if _BATCH.fullmatch(batch) else None


async def receive(
    intake: Intake, request: web.Request, *, owner: str, address: Address, language: str, batch: str
) -> Upload:
    """Take the body of ``request`` as a file: ``?name=``, and ``of=`` how many come together. Raises ``HttpError``."""
    name = request.query.get("name", "")
    if not name:
        raise HttpError(400, "web-upload-unnamed")
    together = request.query.get("of", "")
    try:
        return await intake.receive(
            _chunks(request),
            owner=owner,
            address=address,
            language=language,
            batch=batch,
            name=name,
            declared=request.content_length,
            of=int(together) if _COUNT.fullmatch(together) else 1,
        )
    except (FileTooLarge, NoRoom, TooManyWaiting, UploadBroken, UploadUnwanted) as error:
        status = {FileTooLarge: 413, NoRoom: 507, TooManyWaiting: 429, UploadUnwanted: 410}.get(type(error), 400)
        raise HttpError(status, error.message.code, **error.message.params) from error


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except ClientPayloadError as error:
        raise ConnectionError("the upload was cut off") from error
