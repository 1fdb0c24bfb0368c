"""What a job made, brought to its chat: pictures as an album, then the LoRA as a file with how to use it.

A result is several messages. Each is noted as soon as it is there, so that one that was cut off goes on where it was.
Where Telegram's answer to one is lost on its way, that one comes twice: the Bot API has no mark to tell a repetition
by, and no way to ask what is in a chat, and a LoRA that comes twice is better than one that never does.
"""

import io
import logging
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import IO

from telegram import InputFile, InputMediaPhoto
from telegram.constants import ChatAction, ParseMode
from telegram.error import BadRequest, TelegramError

from lorabot.bot.reply import Button, File, Picture, Reply
from lorabot.bot.telegram import failing
from lorabot.bot.telegram.formatting import MOST_CAPTION, html_of, length
from lorabot.bot.telegram.keyboard import keyboard_of
from lorabot.bot.telegram.linking import link_html
from lorabot.bot.telegram.places import Place
from lorabot.bot.telegram.voice import Voice
from lorabot.bot.web.links import Links
from lorabot.locale import Translator
from lorabot.queue import Queue
from lorabot.queue.errors import BlobMissing

_MIB = 1024 * 1024
MOST_UPLOAD = 50 * _MIB
MOST_UPLOAD_OWN_SERVER = 2000 * _MIB
_MOST_PHOTO = 10 * _MIB
_MOST_IN_ALBUM = 10
_UPLOAD_S = 600.0
_LORA = ".safetensors"
_LOG = (".log", ".txt")
_log = logging.getLogger(__name__)


class Results:
    """Posts replies of several parts, each part once."""

    def __init__(self, voice: Voice, queue: Queue, links: Links, most_upload: int) -> None:
        self._voice = voice
        self._queue = queue
        self._links = links
        self._most_upload = most_upload
        self._sent: dict[tuple[Place, str], str] = {}
        """Parts that are there and not noted: the store was away just then."""

    async def post(self, place: Place, reply: Reply, key: str, text: Translator, head: str = "") -> None:
        """Post what of ``reply`` is not there yet. ``head`` is HTML before its text. Raises as ``FrontEnd.post``."""
        pictures = await self._noted(place, f"{key}#pictures")
        if reply.pictures and pictures is None:
            pictures = "sent" if await self._send_pictures(place, reply.pictures) else "refused"
            await self._note(place, f"{key}#pictures", pictures)
        if await self._noted(place, f"{key}#text") is None:
            if pictures == "refused":
                reply = replace(reply, text=f"{reply.text}\n{text('telegram-pictures-refused')}")
            await self._send_text(place, reply, text, head)
            await self._note(place, f"{key}#text", "sent")
        for part in ("pictures", "text"):
            self._sent.pop((place, f"{key}#{part}"), None)

    async def _noted(self, place: Place, key: str) -> str | None:
        """Where the group is today: it may move between two parts, and all its notes with it."""
        if (place, key) in self._sent:
            return self._sent[place, key]
        return await self._queue.refs.get((await self._voice.now(place)).address, key)

    async def _note(self, place: Place, key: str, what: str) -> None:
        self._sent[place, key] = what
        await self._queue.refs.put((await self._voice.now(place)).address, key, what)

    async def _send_text(self, place: Place, reply: Reply, text: Translator, head: str) -> None:
        """The words, on the file they are about where it can be sent; with links to what can't."""
        file = next((file for file in reply.files if file.filename.endswith((_LORA, *_LOG))), None)
        if file is not None and file.size <= self._most_upload:
            fits = length(reply.text) <= MOST_CAPTION - 100
            if not fits:
                await self._voice.say(place, Reply(reply.text), urgency="delivery", silent=True, head=head)
            caption = head + html_of(reply.text) if fits else head
            if await self._send_file(place, file, caption, reply.buttons):
                return
        if file is not None:
            words = text("telegram-link-file", name=file.filename)
            links = link_html(self._links, self._links.url(file), words, text)
            said = text("telegram-file-refused" if file.size <= self._most_upload else "telegram-file-too-large")
            html = "\n".join([head + html_of(reply.text), html_of(said), *links])
            await self._voice.send_html(place, html, keyboard_of(reply.buttons), urgency="delivery")
            return
        await self._voice.say(place, reply, urgency="delivery", head=head)

    async def _send_file(self, place: Place, file: File, caption: str, buttons: Sequence[Button]) -> bool:
        """False where this chat takes no such file."""
        with suppress(TelegramError):
            there = await self._voice.now(place)
            await self._voice.client.send_chat_action(
                there.chat, ChatAction.UPLOAD_DOCUMENT, message_thread_id=there.thread
            )
        try:
            async with self._on_disk(file) as opened:

                async def send(there: Place) -> object:
                    opened.seek(0)
                    return await self._voice.client.send_document(
                        there.chat,
                        InputFile(opened, file.filename, read_file_handle=False),
                        caption=caption,
                        parse_mode=ParseMode.HTML,
                        disable_content_type_detection=True,
                        message_thread_id=there.thread,
                        reply_markup=keyboard_of(buttons),
                        write_timeout=_UPLOAD_S,
                        read_timeout=_UPLOAD_S,
                        rate_limit_args="delivery",
                    )

                await self._voice.at(place, send)
        except BlobMissing:
            _log.warning("a file of a result is gone: %s", file.key)
            return False
        except failing.Unavailable as error:
            if isinstance(error.__cause__, TelegramError) and failing.too_large(error.__cause__):
                return False
            raise
        except BadRequest as error:
            if failing.no_rights(error) or failing.too_large(error):
                return False
            raise
        return True

    async def _send_pictures(self, place: Place, pictures: Sequence[Picture]) -> bool:
        """An album, or one photo. False where the chat takes none: the LoRA matters more."""
        found = []
        for picture in pictures[:_MOST_IN_ALBUM]:
            with suppress(BlobMissing):
                data = await self._queue.blobs.get(picture.key)
                if len(data) <= _MOST_PHOTO:
                    found.append((picture, data))
        if not found:
            return True
        try:
            await self._voice.at(place, lambda there: self._send_album(there, found))
        except BadRequest as error:
            if not failing.no_rights(error) and not failing.unfit_picture(error):
                raise
            _log.warning("the pictures of a result can't be shown in %d: %s", place.chat, error)
            return not failing.no_rights(error)
        return True

    async def _send_album(self, there: Place, found: Sequence[tuple[Picture, bytes]]) -> None:
        client = self._voice.client
        if len(found) == 1:
            picture, data = found[0]
            await client.send_photo(
                there.chat,
                io.BytesIO(data),
                message_thread_id=there.thread,
                filename=picture.filename,
                disable_notification=True,
                write_timeout=_UPLOAD_S,
                rate_limit_args="delivery",
            )
            return
        await client.send_media_group(
            there.chat,
            [InputMediaPhoto(data, filename=picture.filename) for picture, data in found],
            message_thread_id=there.thread,
            disable_notification=True,
            write_timeout=_UPLOAD_S,
            rate_limit_args="delivery",
        )

    @asynccontextmanager
    async def _on_disk(self, file: File) -> AsyncIterator[IO[bytes]]:
        """The file as one that is read while it is sent, so that it never lies in memory as a whole."""
        with tempfile.TemporaryFile() as opened:
            async for part in self._queue.blobs.stream(file.key):
                opened.write(part)
            yield opened
