"""Photos and files from Telegram to intake: fetched with patience, refused with a reason."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import aiohttp
from telegram import Message
from telegram.error import BadRequest, InvalidToken, TelegramError

from lorabot.bot.front_end import Unreachable
from lorabot.bot.intake.names import last_part
from lorabot.bot.intake.service import Intake
from lorabot.bot.intake.spool import UploadBroken
from lorabot.bot.reply import Reply
from lorabot.bot.telegram import failing
from lorabot.bot.telegram.counting import BATCH, Counting
from lorabot.bot.telegram.formatting import html_of
from lorabot.bot.telegram.linking import link_html
from lorabot.bot.telegram.places import Place, user_of
from lorabot.bot.telegram.timing import Timing
from lorabot.bot.telegram.voice import Voice
from lorabot.bot.web.links import Links
from lorabot.locale import Message as Said
from lorabot.locale import UserError, translator
from lorabot.queue import Queue

# Telegram's own limit. A Bot API server of one's own has none, and only asking for the file tells which one it is.
_MOST_DOWNLOAD_MB = 20
_AT_ONCE = 8
_AT_ONCE_A_PERSON = 3
_BLOCK = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=60)
_PAGE_AGAIN_S = 60.0
_NOT_VISIBLE = (
    "the Bot API server's file can't be had: if that runs with --local, its folder must be mounted here at the same "
    "path, or be served at LORABOT_TELEGRAM__FILE_URL"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message. ``refused`` is why it's of no use, as far as that shows before it is fetched."""

    id: str
    name: str
    size: int | None
    photo: bool = False
    refused: Said | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent it, where, and in which language they are answered."""

    owner: str
    place: Place
    language: str


def attachment_of(message: Message) -> Attachment | None:
    """The file that ``message`` carries; None where it carries none that could be meant as a picture."""
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return Attachment(largest.file_id, "", largest.file_size, photo=True)
    moving = message.animation or message.video or message.video_note
    if moving is not None:
        name = last_part(getattr(moving, "file_name", None) or "") or "video"
        return Attachment(moving.file_id, name, moving.file_size, refused=Said("intake-video"))
    if message.document is not None:
        document = message.document
        return Attachment(document.file_id, last_part(document.file_name or "") or "file", document.file_size)
    heard = message.audio or message.voice
    if heard is not None:
        return Attachment(heard.file_id, "audio", heard.file_size, refused=Said("intake-not-a-zip"))
    return None


class Arriving:
    """Brings attachments to intake."""

    def __init__(
        self,
        voice: Voice,
        counting: Counting,
        intake: Intake,
        queue: Queue,
        links: Links,
        http: aiohttp.ClientSession,
        own_server: bool,
        timing: Timing,
    ) -> None:
        self._voice = voice
        self._counting = counting
        self._intake = intake
        self._queue = queue
        self._links = links
        self._http = http
        self._own_server = own_server
        self._timing = timing
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._free_each: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._paged_at: dict[tuple[str, Place], float] = {}

    async def take(self, sender: Sender, message: Message, attachment: Attachment) -> None:
        """Fetch it and hand it on. Everything that can go wrong with it is said in the chat."""
        owner, place, language = sender.owner, sender.place, sender.language
        batch = f"{BATCH}{message.chat.id}-{message.message_id}"
        number = self._counting.expect(owner, place, language, batch, message.message_id, photo=attachment.photo)
        name = attachment.name or f"photo-{number}.jpg"
        try:
            if attachment.refused is not None:
                await self._lose(sender, batch, name, attachment.refused)
            else:
                await self._fetch(sender, attachment, name, batch)
        except UserError as error:
            await self._lose(sender, batch, name, error.message)
        except BadRequest as error:
            if not failing.too_large(error):
                raise
            await self._point_to_page(sender, message, name, batch)
        except BaseException:
            self._counting.passed(owner, place, batch)
            raise

    async def forget(self, owner: str) -> None:
        """All that ``owner`` sent is deleted, and what leads to it."""
        for key in [key for key in self._paged_at if key[0] == owner]:
            del self._paged_at[key]
        await self._counting.forget(owner)

    async def has(self, sender: Sender, message: Message) -> bool:
        """Is the file of ``message`` in the draft already?"""
        return await self._counting.has(sender.owner, sender.place, message.message_id)

    async def has_any(self, sender: Sender) -> bool:
        """Is anything in the draft, or on its way there?"""
        await self._counting.idle(sender.owner, sender.place)
        return await self._queue.drafts.get(sender.owner, sender.place.address) is not None

    async def _lose(self, sender: Sender, batch: str, name: str, why: Said) -> None:
        draft = await self._queue.drafts.get(sender.owner, sender.place.address)
        images = len(draft.images) if draft else 0
        self._counting.lost(sender.owner, sender.place, sender.language, batch, name, why, images)

    async def _fetch(self, sender: Sender, attachment: Attachment, name: str, batch: str) -> None:
        mine = self._free_each.setdefault(sender.owner, asyncio.Semaphore(_AT_ONCE_A_PERSON))
        async with mine, self._free:
            for wait in (*self._timing.fetch_again_s, None):
                try:
                    upload = await self._intake.receive(
                        self._bytes(attachment),
                        owner=sender.owner,
                        address=sender.place.address,
                        language=sender.language,
                        batch=batch,
                        name=name,
                        declared=attachment.size,
                    )
                except UploadBroken as error:
                    _log.warning("%s of %s was cut off on its way", name, sender.owner)
                    if wait is None:
                        raise UploadBroken(error.message.code, name=name) from None
                    await asyncio.sleep(wait)
                else:
                    self._intake.begin(upload)
                    return

    async def _bytes(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """The file's bytes. Raises ``ConnectionError`` without a word of the address: it holds the token."""
        try:
            file = await self._voice.client.get_file(attachment.id)
        except BadRequest:
            raise
        except TelegramError as error:
            raise ConnectionError(error.message) from None
        path = _served_at(file.file_path or "", self._voice.client.token)
        local = Path(path)
        if await asyncio.to_thread(local.is_file):  # a Bot API server of our own in its local mode
            async for block in _blocks(local):
                yield block
            return
        try:
            async with self._http.get(path, timeout=_TIMEOUT) as response:
                if response.status != 200:
                    if self._own_server:
                        _log.error(_NOT_VISIBLE)
                    raise ConnectionError(f"the file's address answers {response.status}")
                async for block in response.content.iter_chunked(_BLOCK):
                    yield block
        except (aiohttp.ClientError, TimeoutError, InvalidToken) as error:
            raise ConnectionError(type(error).__name__) from None

    async def _point_to_page(self, sender: Sender, message: Message, name: str, batch: str) -> None:
        """The way for what Telegram does not let us fetch."""
        self._counting.passed(sender.owner, sender.place, batch)
        key = (sender.owner, sender.place)
        now = time.monotonic()
        self._paged_at = {known: at for known, at in self._paged_at.items() if now - at < _PAGE_AGAIN_S}
        if key in self._paged_at:
            return  # one link is enough for an album of large files
        self._paged_at[key] = now
        text = translator(sender.language)
        url = await self._links.upload_page(sender.owner, sender.place.address, sender.language)
        lines = [html_of(text("telegram-too-large", name=name, limit=_MOST_DOWNLOAD_MB))]
        lines += link_html(self._links, url, text("telegram-upload-page"), text)
        if not sender.place.group:
            await self._voice.send_html(sender.place, "\n".join(lines))
            return
        # Who has the link can send photos in the person's name, so a group does not get to see it.
        private = Place(user_of(sender.owner))
        try:
            await self._voice.send_html(private, "\n".join(lines))
        except Unreachable:
            said = text("telegram-open-private", bot=self._voice.client.username)
        else:
            said = text("telegram-link-in-private", name=name)
        await self._voice.say(sender.place, Reply(said), reply_to=message.message_id)


def _served_at(address: str, token: str) -> str:
    """Where the file lies that the library names.

    A Bot API server in local mode tells a path on its machine, ``DIR/TOKEN/documents/file_1.zip``, and the library puts
    all of it behind the address. The web server for those files hands them out by what follows the bot's own folder.
    """
    served, _, path = address.partition(f"/bot{token}//")
    inside = path.partition(f"{token}/")[2]
    return f"{served}/bot{token}/{inside}" if inside else address


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
