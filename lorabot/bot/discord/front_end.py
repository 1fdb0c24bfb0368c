"""Discord as a front end: runs the client, and shows delivery's cards and results in their channels."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import discord

from lorabot.bot.card import Card
from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord import limits
from lorabot.bot.discord.announcing import Announcing
from lorabot.bot.discord.answering import Answering
from lorabot.bot.discord.client import Client, point_to
from lorabot.bot.discord.downloads import Downloads
from lorabot.bot.discord.message import Out
from lorabot.bot.discord.place import PLATFORM, Place, Ref, user_of
from lorabot.bot.discord.sending import ChannelShut, FilesRefused, MessageGone, Sender
from lorabot.bot.discord.texts import card_out, file_links, reply_out, result_outs, unattached
from lorabot.bot.front_end import TokenRefused, TryLater, Unreachable
from lorabot.bot.parts import Parts
from lorabot.bot.picture import loss_picture
from lorabot.bot.reply import Reply
from lorabot.locale import Translator, translator
from lorabot.queue.model import Address

_SOON_S = 1.0
_READY_S = 3.0
_LEAST_EDIT_S = 5.0
# A card of a long job changes slowly, and a server that runs many jobs shares its rate limits among them.
_PACES = ((300.0, _LEAST_EDIT_S), (1800.0, 10.0), (float("inf"), 20.0))
_log = logging.getLogger(__name__)
_Sent = TypeVar("_Sent")


class DiscordFrontEnd:
    """One bot account. Needs ``config.token``."""

    platform = PLATFORM

    def __init__(self, parts: Parts, config: DiscordConfig) -> None:
        assert config.token is not None
        self._parts = parts
        self._config = config
        self._token = config.token
        self._sender: Sender | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set. Raises ``TokenRefused``, and what ends a connection for good."""
        point_to(self._config)
        async with Downloads(self._parts.intake) as downloads:
            answering = Answering(self._parts, self._config, downloads)
            client = Client(self._parts, self._config, answering)
            try:
                await self._serve(client, answering, stop)
            except (discord.LoginFailure, discord.ConnectionClosed) as error:
                if isinstance(error, discord.ConnectionClosed) and error.code != limits.CLOSE_TOKEN:
                    raise
                raise TokenRefused("discord-token-refused") from error
            finally:
                self._sender = None
                await answering.finish()
                await client.close()

    async def _serve(self, client: Client, answering: Answering, stop: asyncio.Event) -> None:
        await client.login(self._token.get_secret_value())
        self._sender = sender = Sender(client, self._parts.queue.blobs)
        announcing = Announcing(self._parts, sender, answering)
        self._parts.intake.on(PLATFORM, announcing.announce, announcing.forget)
        connecting = asyncio.create_task(client.connect())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
        finally:
            if client.ws is not None and not client.is_ready():
                # discord.py finishes its start in a task of its own, which a closed client would make fail.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(client.wait_until_ready(), _READY_S)
            for task in (connecting, stopping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, discord.DiscordException, OSError):
                    await task
            await announcing.close()

    def edit_interval(self, age_s: float) -> float:
        """Five seconds at first, slower with age."""
        return next(pace for until, pace in _PACES if age_s < until)

    async def show_card(self, address: Address, card: Card, ref: str | None) -> str:
        """The job's card, in its channel; where that is shut, in the asker's direct messages."""
        sender = self._ready()
        job = await self._parts.queue.jobs.get(card.job)
        say = translator(job.language)
        user = user_of(job.owner)
        old = Ref.parse(ref) if ref is not None else None
        curve = (card.loss, card.validation, card.total_steps) if card.loss and card.state != "succeeded" else None
        digest = _digest(card_out(card, None, user, say), curve)
        if old is not None and old.digest == digest:
            return str(old)
        loss = await loss_picture(card) if curve is not None else None
        out = card_out(card, loss, user, say)
        if old is not None and not (_is_old(old) and not card.final):
            try:
                await _with_or_without(lambda one: sender.edit(old, one), out, say)
            except (MessageGone, ChannelShut) as error:
                _log.info("card of %s is shown anew: %s", card.job, error)
            else:
                return str(replace(old, digest=digest))

        async def send(place: Place, one: Out) -> Ref:
            return await sender.post(place, one, f"card:{card.job}:{ref}")

        fresh = await self._somewhere(sender, address, user, out, say, send)
        if old is not None:
            await sender.delete(old)
        return str(replace(fresh, digest=digest))

    async def post(self, address: Address, reply: Reply, key: str) -> None:
        """A message of its own that notifies the asker; each part of it once."""
        sender = self._ready()
        person = await self._parts.queue.people.get(reply.owner) if reply.owner else None
        say = translator((person.language if person else None) or self._parts.language)
        user = user_of(reply.owner) if reply.owner else None
        most = await sender.upload_limit(Place.parse(address))
        links = file_links(reply, self._parts.links)
        local = not self._parts.links.public
        outs = result_outs(reply, most, links, local, say) if reply.result else [reply_out(reply)]
        for number, out in enumerate(outs):
            mark = key if number == 0 else f"{key}#{number}"
            if await self._parts.queue.refs.get(address, mark) is not None:
                continue
            if number == 0 and user is not None:
                out = out.notifying(user)

            async def send(place: Place, one: Out, mark: str = mark) -> Ref:
                return await sender.post(place, one, mark)

            def smaller(one: Out) -> Out:
                return unattached(one, links, local, say)

            ref = await self._somewhere(sender, address, user, out, say, send, smaller)
            await self._parts.queue.refs.put(address, mark, str(ref), owner=reply.owner)

    async def _somewhere(
        self,
        sender: Sender,
        address: Address,
        user: int | None,
        out: Out,
        say: Translator,
        send: Callable[[Place, Out], Awaitable[Ref]],
        smaller: Callable[[Out], Out] | None = None,
    ) -> Ref:
        """In the channel; else, with a word on why, in the person's direct messages. Raises ``Unreachable``."""
        place = Place.parse(address)
        try:
            return await _with_or_without(lambda one: send(place, one), out, say, smaller)
        except ChannelShut as error:
            if user is None or place.guild is None:
                raise Unreachable(str(error)) from error
            _log.info("channel %s is shut, so its asker is written to: %s", address.channel, error)
        moved = out.said_first(say("discord-channel-shut", channel=f"<#{place.channel}>"))
        try:
            alone = await sender.direct(user)
            return await _with_or_without(lambda one: send(alone, one), moved, say, smaller)
        except ChannelShut as error:
            raise Unreachable(str(error)) from error

    def _ready(self) -> Sender:
        if self._sender is None:
            raise TryLater(_SOON_S)
        return self._sender


async def _with_or_without(
    send: Callable[[Out], Awaitable[_Sent]], out: Out, say: Translator, smaller: Callable[[Out], Out] | None = None
) -> _Sent:
    """Send ``out``; where its files are refused, without them."""
    try:
        return await send(out)
    except FilesRefused as error:
        _log.info("files refused: %s", error)
        plain = smaller(out) if smaller else out.without_files(say("discord-no-pictures"))
        try:
            return await send(plain)
        except FilesRefused as again:
            raise ChannelShut(str(again)) from again


def _digest(*shown: object) -> str:
    """The same for a card that would look the same."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def _is_old(ref: Ref) -> bool:
    age = discord.utils.utcnow() - discord.utils.snowflake_time(ref.message)
    return age.total_seconds() > limits.EDITABLE_S
