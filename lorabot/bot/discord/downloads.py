"""Takes what people attach into intake, at once: Discord's links expire."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import aiohttp
import discord

from lorabot.bot.discord.form import Sent
from lorabot.bot.intake.names import last_part
from lorabot.bot.intake.service import Intake
from lorabot.bot.intake.spool import Upload
from lorabot.locale import UserError
from lorabot.queue.model import Address

_CHUNK = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)


class AttachmentGone(UserError):
    """Discord does not hand the file out any more: its link is over, or the message was deleted."""


class Downloads:
    """Downloads by one HTTP session."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def take(self, sent: Sent, *, owner: str, address: Address, language: str, batch: str, of: int = 1) -> Upload:
        """Bring one file to disk; ``Intake.begin`` looks through it. Raises ``UserError``; nothing is kept then."""
        return await self._intake.receive(
            self._chunks(sent),
            owner=owner,
            address=address,
            language=language,
            batch=batch,
            name=sent.name,
            declared=sent.size,
            of=of,
        )

    async def _chunks(self, sent: Sent) -> AsyncIterator[bytes]:
        try:
            async with self._http.get(sent.url) as response:
                if response.status in (403, 404, 410):
                    raise AttachmentGone("discord-attachment-gone", name=last_part(sent.name))
                if response.status != 200:
                    raise ConnectionError(f"the CDN answered {response.status}")
                async for chunk in response.content.iter_chunked(_CHUNK):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError("the download was cut off") from error


def sent_with(message: discord.Message) -> tuple[Sent, ...]:
    """The files of a message, and of one that it forwards."""
    attachments = [*message.attachments, *(one for part in message.message_snapshots for one in part.attachments)]
    return tuple(Sent(one.filename, one.url, one.size) for one in attachments)
