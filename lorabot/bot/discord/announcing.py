"""Tells people what came of files that no open interaction waits for: from the upload page, or of before a restart."""

import asyncio
import logging
from dataclasses import dataclass, field

import discord

from lorabot.bot.commands.buttons import Buttons
from lorabot.bot.commands.requests import Train
from lorabot.bot.discord import limits
from lorabot.bot.discord.answering import Answering
from lorabot.bot.discord.batches import train_of
from lorabot.bot.discord.form import opening_action
from lorabot.bot.discord.message import Out, layout_of
from lorabot.bot.discord.place import Place, user_of
from lorabot.bot.discord.sending import ChannelShut, FilesRefused, Sender
from lorabot.bot.discord.speaking import Interaction
from lorabot.bot.discord.texts import reply_out
from lorabot.bot.front_end import TryLater, Unreachable, surprising
from lorabot.bot.intake.service import Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.bot.intake.tally import Tally
from lorabot.bot.parts import Parts
from lorabot.bot.reply import Button
from lorabot.locale import translator
from lorabot.queue.model import Address

_RETRY_S = 2.0
_MOST_RETRY_S = 60.0
_log = logging.getLogger(__name__)
_Key = tuple[str, Address]


@dataclass(slots=True)
class _News:
    """What came of files that belong together, until it is told. ``waiting`` is for those that are still to come."""

    tally: Tally
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: asyncio.Task[None] | None = None


class Announcing:
    """The voice of intake on Discord."""

    def __init__(self, parts: Parts, sender: Sender, answering: Answering) -> None:
        self._parts = parts
        self._sender = sender
        self._answering = answering
        self._untold: dict[_Key, _News] = {}

    async def announce(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        """As ``Announce``: one message when all that came together is looked through."""
        if await self._answering.announce(upload, intaken, final):
            return
        key = (upload.owner, Address.parse(upload.address))
        news = self._untold.get(key)
        if news is None:
            news = self._untold[key] = _News(Tally(self._parts.commands.presets, upload.language))
        news.tally.take(upload, intaken, final)
        if not final:
            return
        if news.tally.settled:
            await self._tell(key, news)
        elif news.waiting is None:
            news.waiting = asyncio.create_task(self._wait(key, news), name="uploads on their way")

    def forget(self, owner: str) -> None:
        """Tell nothing of what ``owner`` had deleted, neither alone nor together with what they send next."""
        for key in [key for key in self._untold if key[0] == owner]:
            waiting = self._untold.pop(key).waiting
            if waiting is not None:
                waiting.cancel()

    async def close(self) -> None:
        """Stop waiting for files that were announced."""
        waits = [news.waiting for news in self._untold.values() if news.waiting is not None]
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _wait(self, key: _Key, news: _News) -> None:
        """Tell it when nothing more comes. Intake has had its say by then, so a failure is tried again here."""
        retry_s = _RETRY_S
        while self._untold.get(key) is news:
            if not news.tally.settled:
                await asyncio.sleep(news.tally.patience_s + 0.1)
                continue
            try:
                await self._tell(key, news)
            except Exception as error:
                wait = max(retry_s, error.seconds) if isinstance(error, TryLater) else retry_s
                _log.warning("photos not told of, again in %.0f s: %s", wait, error, exc_info=surprising(error))
                await asyncio.sleep(wait)
                retry_s = min(_MOST_RETRY_S, 2 * retry_s)

    async def _tell(self, key: _Key, news: _News) -> None:
        """What it raises makes intake announce the end once more, so the news are kept until they are told."""
        owner, address = key
        async with news.turn:
            if self._untold.get(key) is not news:  # told while this one waited
                return
            told = set(news.tally.uploads)
            interaction = self._answering.waiting.get(key)
            if interaction is None or not await _follow_up(interaction, reply_out(news.tally.reply()), address):
                await self._tell_in_channel(owner, address, news.tally)
            if told == set(news.tally.uploads):  # else more has come meanwhile, and its own end is told
                del self._untold[key]

    async def _tell_in_channel(self, owner: str, address: Address, tally: Tally) -> None:
        user = user_of(owner)
        if user is None:
            return
        out = (await _photos_here(tally, self._parts.commands.buttons, owner, address)).notifying(user)
        mark = "-".join(sorted(tally.uploads))
        try:
            await self._sender.post(Place.parse(address), out, mark)
        except (ChannelShut, FilesRefused) as error:
            _log.info("photos in a channel that is shut: %s", error)
            try:
                alone = await self._sender.direct(user)
                await self._sender.post(alone, out.about(address, alone.address), mark)
            except (ChannelShut, Unreachable) as refused:
                _log.info("photos of a person who can't be reached: %s", refused)
        except Unreachable as error:
            _log.info("photos of a person who can't be reached: %s", error)


async def _photos_here(tally: Tally, buttons: Buttons, owner: str, address: Address) -> Out:
    """How many photos there are, and a way on: to what they were sent for where that is known, else to the form.

    Names of files are the person's own affair; a channel hears only how many there are.
    """
    say = translator(tally.language)
    wishes = [train_of(upload.batch) for upload in tally.uploads.values()]
    train = next((wish for wish in reversed(wishes) if wish != Train()), Train())
    if train.preset is None or not tally.draft:
        button = Button(say("discord-go-on"), opening_action(train), "primary")
        return Out(say("discord-photos-here", count=tally.draft), buttons=(button,))
    button = Button(say("discord-go-on"), await buttons.action(owner, address, "pick", train), "primary")
    return Out(say("discord-photos-go-on", count=tally.draft), buttons=(button,))


async def _follow_up(interaction: Interaction, out: Out, address: Address) -> bool:
    """Privately, as long as the interaction lives."""
    age = discord.utils.utcnow() - interaction.created_at
    place = Place.of(interaction)
    if age.total_seconds() > limits.TOKEN_S or place is None:
        return False
    try:
        await interaction.followup.send(view=layout_of(out.about(address, place.address)), ephemeral=True)
    except discord.HTTPException as error:
        _log.info("an upload is announced in its channel: %s", error)
        return False
    return True
