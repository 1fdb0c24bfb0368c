"""Sends and edits the bot's own messages, and says in one language what Discord's refusals mean."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import discord

from lorabot.bot.discord import limits
from lorabot.bot.discord.files import opened
from lorabot.bot.discord.message import Out, layout_of, mentions_of
from lorabot.bot.discord.place import Place, Ref
from lorabot.bot.front_end import TryLater, Unreachable
from lorabot.queue.blobs import Blobs

_BUSY_S = 5.0
_REMEMBERED = 500
_CLOSED = frozenset((limits.CLOSED_DM, limits.NO_MUTUAL_GUILD))
_SHUT = frozenset(
    (
        limits.UNKNOWN_CHANNEL,
        limits.UNKNOWN_GUILD,
        limits.MISSING_ACCESS,
        limits.ARCHIVED_THREAD,
        limits.LOCKED_THREAD,
        limits.BLOCKED_BY_RULES,
    )
)
_log = logging.getLogger(__name__)


class ChannelShut(Exception):
    """The bot can't write there (any more): deleted, hidden from it, or not allowed."""


class FilesRefused(Exception):
    """The message might go through without its files."""


class FilesTooLarge(FilesRefused):
    """The channel takes less than it said."""


class MessageGone(Exception):
    """The message was deleted, or is too old to be edited."""


class Sender:
    """Messages by Discord's REST API alone: no cache is needed, so they work right after a start."""

    def __init__(self, client: discord.Client, blobs: Blobs) -> None:
        self._client = client
        self._blobs = blobs
        # What the messages show now, so that an edit need not send the same picture again.
        self._shown: OrderedDict[Ref, dict[str, tuple[str, discord.Attachment]]] = OrderedDict()

    async def post(self, place: Place, out: Out, key: str) -> Ref:
        """A new message; the same ``key`` within a few minutes is the same message.

        Raises ``ChannelShut``, ``FilesRefused``, ``Unreachable`` (a closed DM), ``TryLater``.
        """
        channel = self._client.get_partial_messageable(place.channel, guild_id=place.guild)
        async with opened(out.attached, self._blobs) as files:
            with _explained(bool(files)):
                message = await channel.send(
                    view=layout_of(out), files=files, nonce=_nonce(key), allowed_mentions=mentions_of(out)
                )
        ref = Ref(place.channel, message.id)
        self._remember(ref, out, message)
        return ref

    async def edit(self, ref: Ref, out: Out) -> None:
        """Put ``out`` in place of what the message shows. Raises as ``post``, and ``MessageGone``."""
        channel = self._client.get_partial_messageable(ref.channel)
        known = self._shown.get(ref, {})
        kept = [known[one.name] for one in out.attached if known.get(one.name, ("",))[0] == one.mark]
        names = {attachment.filename for _, attachment in kept}
        fresh = [one for one in out.attached if one.name not in names]
        async with opened(fresh, self._blobs) as files:
            with _explained(bool(files)):
                message = await channel.get_partial_message(ref.message).edit(
                    view=layout_of(out),
                    attachments=[*(attachment for _, attachment in kept), *files],
                    allowed_mentions=mentions_of(out),
                )
        self._remember(ref, out, message)

    async def delete(self, ref: Ref) -> None:
        """Take a message of ours away, where that can be done."""
        self._shown.pop(ref, None)
        try:
            await self._client.get_partial_messageable(ref.channel).get_partial_message(ref.message).delete()
        except discord.HTTPException as error:
            _log.debug("message %s not deleted: %s", ref, error)

    async def direct(self, user: int) -> Place:
        """The direct messages with a person. Raises as ``post``."""
        with _explained(False):
            channel = await (await self._client.fetch_user(user)).create_dm()
        return Place(None, channel.id)

    async def upload_limit(self, place: Place) -> int:
        """Bytes that one file may have there. Raises ``TryLater`` while Discord does not say."""
        if place.guild is None:
            return limits.UPLOAD_BYTES
        guild = self._client.get_guild(place.guild)
        if guild is None or guild.unavailable:  # right after a start Discord has not described it yet
            try:
                with _explained(False):
                    guild = await self._client.fetch_guild(place.guild, with_counts=False)
            except ChannelShut:
                return limits.UPLOAD_BYTES
        return guild.filesize_limit

    def _remember(self, ref: Ref, out: Out, message: discord.Message) -> None:
        there = {attachment.filename: attachment for attachment in message.attachments}
        self._shown[ref] = {one.name: (one.mark, there[one.name]) for one in out.attached if one.name in there}
        self._shown.move_to_end(ref)
        while len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)


@contextmanager
def _explained(with_files: bool) -> Iterator[None]:
    """Discord's refusals as what they mean to us."""
    try:
        yield
    except discord.RateLimited as error:
        raise TryLater(error.retry_after) from error
    except discord.HTTPException as error:
        code = error.code
        if code in _CLOSED:
            raise Unreachable(f"the person takes no messages ({code})") from error
        if code in (limits.UNKNOWN_MESSAGE, limits.OLD_MESSAGE):
            raise MessageGone(str(error)) from error
        if code == limits.TOO_LARGE or error.status == 413:
            raise FilesTooLarge(str(error)) from error
        if code == limits.MISSING_PERMISSIONS:
            raise (FilesRefused if with_files else ChannelShut)(str(error)) from error
        if code in _SHUT:
            raise ChannelShut(str(error)) from error
        if error.status == 429 or error.status >= 500:
            raise TryLater(_BUSY_S) from error
        raise
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ConnectionError(f"Discord can't be reached: {error}") from error


def _nonce(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[: limits.NONCE]
