"""Takes the page's uploads, and tells in the conversation what was found in them."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import ClientPayloadError, web

from lorabot.bot.commands import preset_buttons
from lorabot.bot.intake.report import found_text
from lorabot.bot.intake.service import Intake, Intaken
from lorabot.bot.intake.spool import FileTooLarge, NoRoom, TooManyWaiting, Upload, UploadBroken
from lorabot.bot.reply import Picture
from lorabot.bot.web.conversation import Conversations
from lorabot.bot.web.guard import HttpError
from lorabot.bot.web.language import wanted_language
from lorabot.bot.web.session import PLATFORM, Sessions
from lorabot.bot.web.wire import Content
from lorabot.bot.web.wire import Upload as ShownUpload
from lorabot.locale import translator
from lorabot.presets import DEFAULT_BASE, Catalogue
from lorabot.queue import Queue
from lorabot.queue.errors import StoreUnavailable
from lorabot.queue.model import Address

_BATCH = re.compile(r"[A-Za-z0-9-]{1,64}")
_MOST_PICTURES = 8
_UPDATE_S = 0.5
_BATCH_S = 600.0


@dataclass(slots=True)
class _Batch:
    """Files that came together: one line of the person's, one of ours."""

    mark: str
    uploads: dict[str, ShownUpload] = field(default_factory=dict)
    intaken: dict[str, Intaken] = field(default_factory=dict)
    thumbs: dict[str, Picture] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    shown_at: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


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
        self._intake.on(PLATFORM, self._announce)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.require(request)
        name = request.query.get("name", "")
        if not name:
            raise HttpError(400, "web-upload-unnamed")
        batch = request.query.get("batch", "")
        try:
            upload = await self._intake.receive(
                _chunks(request),
                owner=session.owner,
                address=session.address,
                language=wanted_language(request, self._language),
                batch=batch if _BATCH.fullmatch(batch) else secrets.token_hex(8),
                name=name,
                declared=request.content_length,
            )
        except (FileTooLarge, NoRoom, TooManyWaiting, UploadBroken) as error:
            status = {FileTooLarge: 413, NoRoom: 507, TooManyWaiting: 429}.get(type(error), 400)
            raise HttpError(status, error.message.code, **error.message.params) from error
        with suppress(StoreUnavailable):  # its line is shown later then
            await self._announce(upload, Intaken(), False)
        self._intake.begin(upload)
        return web.json_response({"upload": {"name": upload.name, "size": upload.size}})

    async def _announce(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        conversation = Address.parse(upload.address).channel
        key = (conversation, upload.batch)
        batch = self._batches.setdefault(key, _Batch(upload.id))
        self._forget_old()
        async with batch.turn:
            new = upload.id not in batch.uploads
            batch.uploads.setdefault(upload.id, ShownUpload(upload.name, upload.size))
            batch.intaken[upload.id] = intaken
            if final:
                batch.done.add(upload.id)
                await self._store_thumbs(conversation, batch, intaken)
            settled = batch.done.issuperset(batch.uploads)
            if not (new or settled) and time.monotonic() - batch.shown_at < _UPDATE_S:
                return
            if new:
                content = Content("upload", uploads=tuple(batch.uploads.values()))
                await self._conversations.put(conversation, "you", content, f"upload:{batch.mark}")
            found = self._found(upload.language, batch, settled)
            await self._conversations.put(conversation, "lorabot", found, f"found:{batch.mark}")
            batch.shown_at = time.monotonic()

    def _forget_old(self) -> None:
        """A batch may seem complete while its next file is still on the way, so it is kept for a while."""
        now = time.monotonic()
        for key, batch in list(self._batches.items()):
            if batch.shown_at and now - batch.shown_at > _BATCH_S and batch.done.issuperset(batch.uploads):
                del self._batches[key]

    def _found(self, language: str, batch: _Batch, settled: bool) -> Content:
        text = translator(language)
        draft = max((intaken.draft for intaken in batch.intaken.values()), default=0)
        return Content(
            "text",
            found_text(list(batch.intaken.values()), draft, settled, self._presets, text),
            buttons=preset_buttons(self._presets, draft, text, DEFAULT_BASE) if settled and draft else (),
            pictures=tuple(batch.thumbs.values())[:_MOST_PICTURES],
            busy=not settled,
        )

    async def _store_thumbs(self, conversation: str, batch: _Batch, intaken: Intaken) -> None:
        for image, small in intaken.thumbs[: _MOST_PICTURES - len(batch.thumbs)]:
            key = f"web/{conversation}/{image.sha256}.webp"
            await self._queue.blobs.put(key, small, content_type="image/webp")
            batch.thumbs[image.sha256] = Picture(key, f"{image.sha256[:12]}.webp", "image/webp", image.name)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except ClientPayloadError as error:
        raise ConnectionError("the upload was cut off") from error
