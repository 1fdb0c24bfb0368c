"""Answers interactions: acknowledged first, then carried out by the common commands, every error said to who asked."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import discord

from lorabot.bot.commands import Actor, parse_action
from lorabot.bot.commands.requests import Propose, Request, Start, Train
from lorabot.bot.config import DiscordConfig
from lorabot.bot.discord import limits
from lorabot.bot.discord.batches import batch_of
from lorabot.bot.discord.downloads import Downloads
from lorabot.bot.discord.form import Filled, Sent, form_of, is_form, opened_by, opening_action
from lorabot.bot.discord.message import RED, Link, Out, cut, layout_of
from lorabot.bot.discord.permissions import (
    actor_of,
    invitation,
    is_guest,
    language_of,
    missing_permissions,
    named,
)
from lorabot.bot.discord.place import Place, unbound
from lorabot.bot.discord.speaking import Interaction, acknowledged, answer
from lorabot.bot.discord.texts import reply_out
from lorabot.bot.intake.report import found_text
from lorabot.bot.intake.service import Intaken, unexpected
from lorabot.bot.intake.spool import Upload
from lorabot.bot.parts import Parts
from lorabot.bot.reply import Button
from lorabot.locale import Translator, UserError, translator
from lorabot.queue.model import Address

_PROGRESS_S = 5.0
_FINISH_S = 3.0
_MOST_FOUND = 3000  # leaves room for the address of the upload page
_MORE_PHOTOS = frozenset(("command-too-few", "command-too-few-for-any", "queue-no-draft"))
# Their answers take the place of the private message that they stand under.
_IN_PLACE = frozenset(("pick", "agree", "start", "drop", "forgetme", "clear", "queue"))
_NOTHING_YET = Train()
_log = logging.getLogger(__name__)


class NotAllowedHere(UserError):
    """The bot lacks permissions in the channel."""


@dataclass(slots=True)
class Gathering:
    """Files that came with one interaction, while they are looked through."""

    interaction: Interaction
    say: Translator
    intaken: dict[str, Intaken] = field(default_factory=dict)
    errors: list[UserError] = field(default_factory=list)
    told_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, where, and in which language."""

    actor: Actor
    address: Address
    say: Translator
    interaction: Interaction


Work = Callable[[Asked], Awaitable[Out]]


class Answering:
    """Turns interactions into requests, and replies into answers."""

    def __init__(self, parts: Parts, config: DiscordConfig, downloads: Downloads) -> None:
        self._parts = parts
        self._config = config
        self._downloads = downloads
        self._finishing = False
        self._gatherings: dict[str, Gathering] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self.waiting: dict[tuple[str, Address], Interaction] = {}
        """Those who were given an upload link, for as long as they can be answered privately."""

    async def finish(self) -> None:
        """Let those who are being answered have their answer; who would wait longer is told of the restart."""
        self._finishing = True
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=_FINISH_S)
        for _ in range(2):  # who is told of the restart gets a while for that, too
            for task in late:
                task.cancel()
            if late:
                _, late = await asyncio.wait(late, timeout=_FINISH_S)

    async def failed(self, interaction: Interaction, error: Exception) -> None:
        """Something that no command of ours foresaw, such as a command that Discord knows and we do not."""
        mark = secrets.token_hex(4)
        _log.error("interaction failed (%s)", mark, exc_info=error)
        if interaction.response.is_done() or not await acknowledged(interaction, False):
            return
        say = translator(self._language(interaction))
        await answer(
            interaction, Out(say.text(unexpected(mark)), accent=RED), self._parts.queue.blobs, say, beside=False
        )

    # Each of these is one thing people do

    async def request(
        self,
        interaction: Interaction,
        request: Request,
        train: Train = _NOTHING_YET,
        about: Address | None = None,
    ) -> None:
        """A command that is carried out as it stands; ``train`` is what a form for more photos should know.

        ``about``, here and below, is the conversation it is meant for, where that is another one.
        """

        async def work(asked: Asked) -> Out:
            reply = await self._parts.commands.handle(asked.actor, asked.address, request)
            return reply_out(reply, interaction.client.get_guild)

        await self._answer(interaction, work, train=train, about=about)

    async def train(self, interaction: Interaction, train: Train, files: Sequence[Sent]) -> None:
        """``/train``: with a file it is taken at once, without one a form asks for everything."""
        if files:
            await self.take(interaction, train, files)
            return
        try:  # nobody shall fill in a form and hear only then that it was in vain
            self._refuse_if_shut(interaction, translator(self._language(interaction)))
            self._parts.commands.check(train)
        except UserError as error:
            await self._answer(interaction, _refusing(error))
        else:
            await self.open_form(interaction, train)

    async def open_form(self, interaction: Interaction, train: Train, about: Address | None = None) -> None:
        say = translator(self._language(interaction))
        try:
            await interaction.response.send_modal(form_of(train, self._parts.commands.presets, say, about))
        except discord.HTTPException as error:
            _log.warning("form not opened: %s", error)

    async def fill_in(self, interaction: Interaction, form: Filled) -> None:
        """The form came back."""
        if form.files:
            await self.take(interaction, form.train, form.files, form.about)
        else:
            await self.request(interaction, Propose(form.train), form.train, form.about)

    async def take(
        self, interaction: Interaction, train: Train, files: Sequence[Sent], about: Address | None = None
    ) -> None:
        """Take files, and propose to train on them."""

        async def work(asked: Asked) -> Out:
            return await self._gather(asked, train, files)

        await self._answer(interaction, work, about=about)

    async def take_from(self, interaction: Interaction, files: Sequence[Sent]) -> None:
        """'Train a LoRA from this': the message's files come to the draft; then the preset is asked for."""

        async def work(asked: Asked) -> Out:
            if not files:
                raise UserError("discord-nothing-attached")
            return await self._gather(asked, Train(), files)

        await self._answer(interaction, work)

    async def upload_page(self, interaction: Interaction) -> None:
        """A link to the page that takes large files."""

        async def work(asked: Asked) -> Out:
            self._refuse_if_shut(interaction, asked.say)
            url = await self._upload_link(asked)
            return self._linking_to(url, Out(asked.say("discord-upload-page", url=url)), asked.say)

        await self._answer(interaction, work)

    async def press(self, interaction: Interaction, custom_id: str) -> None:
        """A button, of today or of last month."""
        action, about = unbound(custom_id)
        if is_form(action):
            await self.open_form(interaction, opened_by(action), about)
            return
        private = interaction.message is not None and interaction.message.flags.ephemeral
        in_place = private and action.partition(":")[0] in _IN_PLACE

        async def work(asked: Asked) -> Out:
            request = parse_action(action)
            if isinstance(request, Start):
                self._refuse_if_shut(interaction, asked.say)
            reply = await self._parts.commands.handle(asked.actor, asked.address, request)
            return reply_out(reply, interaction.client.get_guild)

        await self._answer(interaction, work, in_place=in_place, about=about)

    async def announce(self, upload: Upload, intaken: Intaken, final: bool) -> bool:
        """News of an upload that came with an interaction. Says whether it did."""
        gathering = self._gatherings.get(upload.batch)
        if gathering is None:
            return False
        gathering.intaken[upload.id] = intaken
        now = time.monotonic()
        if not final and now - gathering.told_at >= _PROGRESS_S:
            gathering.told_at = now
            seen = list(gathering.intaken.values())
            text = found_text(seen, 0, False, gathering.say)
            try:
                await gathering.interaction.edit_original_response(view=layout_of(Out(text)))
            except discord.HTTPException as error:
                _log.debug("progress of an upload not shown: %s", error)
        return True

    # How each of them is answered

    async def _answer(
        self,
        interaction: Interaction,
        work: Work,
        *,
        in_place: bool = False,
        train: Train = _NOTHING_YET,
        about: Address | None = None,
    ) -> None:
        """The one boundary for errors: what is expected is said, anything else gets a number that the log has."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not await acknowledged(interaction, in_place):
            return
        say = translator(self._language(interaction))
        place = Place.of(interaction)
        failed = True
        try:
            if place is None:
                raise UserError("discord-nowhere")
            about = about or place.address
            asked = Asked(actor_of(interaction, self._config, say.language), about, say, interaction)
            out = await self._worked(work, asked, train)
            failed = False
        except UserError as error:
            out = Out(say.text(error.message), accent=RED)
        except asyncio.CancelledError:
            if not self._finishing:
                raise
            out = Out(say("discord-restarting"))
        except Exception:
            mark = secrets.token_hex(4)
            _log.exception("interaction failed (%s)", mark)
            out = Out(say.text(unexpected(mark)), accent=RED)
        await answer(interaction, out, self._parts.queue.blobs, say, beside=failed and in_place, about=about)

    async def _worked(self, work: Work, asked: Asked, train: Train) -> Out:
        try:
            return await work(asked)
        except UserError as error:
            if error.message.code not in _MORE_PHOTOS:
                raise
            return await self._asking_for_more(Out(asked.say.text(error.message)), train, asked)

    async def _gather(self, asked: Asked, train: Train, files: Sequence[Sent]) -> Out:
        interaction = asked.interaction
        self._refuse_if_shut(interaction, asked.say)
        self._parts.commands.check(train)  # a wrong word is said before anything is downloaded
        batch = batch_of(interaction.id, train)
        received = False
        gathering = self._gatherings[batch] = Gathering(interaction, asked.say)
        try:
            uploads = await asyncio.gather(*(self._taken(sent, asked, batch, len(files), gathering) for sent in files))
            for upload in uploads:
                if upload is not None:
                    self._parts.intake.begin(upload)
            received = None not in uploads
            await self._parts.intake.settled(asked.actor.owner)
            return await self._proposed(asked, train, gathering)
        except asyncio.CancelledError:
            if not (self._finishing and received):
                raise
            return Out(asked.say("discord-restarting-kept"))
        finally:
            del self._gatherings[batch]

    async def _taken(self, sent: Sent, asked: Asked, batch: str, of: int, gathering: Gathering) -> Upload | None:
        try:
            return await self._downloads.take(
                sent,
                owner=asked.actor.owner,
                address=asked.address,
                language=asked.say.language,
                batch=batch,
                of=of,
            )
        except UserError as error:
            gathering.errors.append(error)
            return None

    async def _proposed(self, asked: Asked, train: Train, gathering: Gathering) -> Out:
        """The confirmation, below what was found in the files."""
        say = asked.say
        lines = [say.text(error.message) for error in gathering.errors]
        if gathering.intaken:
            seen = list(gathering.intaken.values())
            lines.append(found_text(seen, 0, True, say))
        found = "\n".join(lines)
        try:
            out = reply_out(await self._parts.commands.handle(asked.actor, asked.address, Propose(train)))
        except UserError as error:
            nothing = not any(intaken.images for intaken in gathering.intaken.values())
            if error.message.code == "queue-no-draft" and nothing:
                return await self._asking_for_more(Out(cut(found, _MOST_FOUND), accent=RED), train, asked)
            if error.message.code not in _MORE_PHOTOS:
                raise
            out = await self._asking_for_more(Out(say.text(error.message)), train, asked)
        return out.below(found) if found else out

    async def _asking_for_more(self, out: Out, train: Train, asked: Asked) -> Out:
        """With a button to send more photos, and the page for many."""
        button = Button(asked.say("discord-add-photos"), opening_action(train), "primary")
        out = replace(out, buttons=(*out.buttons, button))
        return self._linking_to(await self._upload_link(asked), out, asked.say)

    async def _upload_link(self, asked: Asked) -> str:
        """A page for this person; what comes by it is told to them privately, as long as that can be done."""
        now = discord.utils.utcnow()
        for key, interaction in list(self.waiting.items()):
            if (now - interaction.created_at).total_seconds() > limits.TOKEN_S:
                del self.waiting[key]
        self.waiting[asked.actor.owner, asked.address] = asked.interaction
        return await self._parts.links.upload_page(asked.actor.owner, asked.address, asked.say.language)

    def _linking_to(self, url: str, out: Out, say: Translator) -> Out:
        if not self._parts.links.public:
            out = replace(out, text=f"{out.text}\n-# {say('discord-link-local')}")
        link = Link(say("discord-open-upload-page"), url)
        if not link.fits:
            return replace(out, text=f"{out.text}\n<{url}>")
        return replace(out, links=(*out.links, link))

    def _refuse_if_shut(self, interaction: Interaction, say: Translator) -> None:
        if is_guest(interaction):
            url = invitation(interaction.application_id, interaction.guild_id)
            raise NotAllowedHere("discord-not-a-member", url=url)
        missing = missing_permissions(interaction)
        if missing:
            raise NotAllowedHere("discord-missing-permissions", permissions=named(missing, say))

    def _language(self, interaction: Interaction) -> str:
        return language_of(interaction, None, self._parts.language)


def _refusing(error: UserError) -> Work:
    async def work(_: Asked) -> Out:
        raise error

    return work
