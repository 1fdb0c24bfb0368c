"""Tells people what came of files that no open interaction waits for: from the upload page, or of before a restart."""

import asyncio
import logging

import discord

from lorabot.bot.commands.requests import Train
from lorabot.bot.discord import limits
from lorabot.bot.discord.answering import Answering, Interaction
from lorabot.bot.discord.form import opening_action
from lorabot.bot.discord.message import Out, layout_of
from lorabot.bot.discord.place import Place, user_of
from lorabot.bot.discord.sending import ChannelShut, FilesRefused, Sender
from lorabot.bot.discord.texts import reply_out
from lorabot.bot.front_end import Unreachable
from lorabot.bot.intake.service import Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.bot.intake.tally import Tally
from lorabot.bot.parts import Parts
from lorabot.bot.reply import Button
from lorabot.locale import translator
from lorabot.queue.model import Address

_log = logging.getLogger(__name__)
_Key = tuple[str, Address]


class Announcing:
    """The voice of intake on Discord."""

    def __init__(self, parts: Parts, sender: Sender, answering: Answering) -> None:
        self._parts = parts
        self._sender = sender
        self._answering = answering
        self._tallies: dict[_Key, Tally] = {}
        self._waits: dict[_Key, asyncio.Task[None]] = {}

    async def announce(self, upload: Upload, intaken: Intaken, final: bool) -> None:
        """As ``Announce``: one message when all that came together is looked through."""
        if await self._answering.announce(upload, intaken, final):
            return
        key = (upload.owner, Address.parse(upload.address))
        tally = self._tallies.setdefault(key, Tally(self._parts.commands.presets, upload.language))
        tally.take(upload, intaken, final)
        if not final:
            return
        if tally.settled:
            await self._tell(key, tally)
        elif key not in self._waits:
            self._waits[key] = asyncio.create_task(self._wait(key, tally), name="uploads on their way")

    async def close(self) -> None:
        """Stop waiting for files that were announced."""
        for task in self._waits.values():
            task.cancel()
        await asyncio.gather(*self._waits.values(), return_exceptions=True)

    async def _wait(self, key: _Key, tally: Tally) -> None:
        while not tally.settled:  # noqa: ASYNC110 - the end of its patience gives no sign
            await asyncio.sleep(tally.patience_s + 0.1)
        if self._tallies.get(key) is tally:
            await self._tell(key, tally)

    async def _tell(self, key: _Key, tally: Tally) -> None:
        """What it raises makes intake announce the end once more, so the tally is kept until it is told."""
        owner, address = key
        interaction = self._answering.waiting.get(key)
        if interaction is None or not await _follow_up(interaction, reply_out(tally.reply())):
            await self._tell_in_channel(owner, address, tally)
        if self._tallies.get(key) is tally:
            del self._tallies[key]

    async def _tell_in_channel(self, owner: str, address: Address, tally: Tally) -> None:
        say = translator(tally.language)
        user = user_of(owner)
        if user is None:
            return
        button = Button(say("discord-go-on"), opening_action(Train()), "primary")
        # Names of files are the person's own affair; a channel hears only how many there are.
        out = Out(say("discord-photos-here", count=tally.draft), buttons=(button,)).notifying(user)
        mark = "-".join(sorted(tally.uploads))
        try:
            await self._sender.post(Place.parse(address), out, mark)
        except (ChannelShut, FilesRefused) as error:
            _log.info("photos in a channel that is shut: %s", error)
            try:
                await self._sender.post(await self._sender.direct(user), out, mark)
            except (ChannelShut, Unreachable) as refused:
                _log.info("photos of a person who can't be reached: %s", refused)
        except Unreachable as error:
            _log.info("photos of a person who can't be reached: %s", error)


async def _follow_up(interaction: Interaction, out: Out) -> bool:
    """Privately, as long as the interaction lives."""
    age = discord.utils.utcnow() - interaction.created_at
    if age.total_seconds() > limits.TOKEN_S:
        return False
    try:
        await interaction.followup.send(view=layout_of(out), ephemeral=True)
    except discord.HTTPException as error:
        _log.info("an upload is announced in its channel: %s", error)
        return False
    return True
