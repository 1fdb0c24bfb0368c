"""Says things on Telegram: messages and changes to them, and nothing twice."""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeVar

from telegram import InlineKeyboardMarkup, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, TelegramError
from telegram.ext import ExtBot

from lorabot.bot.front_end import TryLater, Unreachable
from lorabot.bot.reply import Reply
from lorabot.bot.telegram import failing
from lorabot.bot.telegram.failing import understood
from lorabot.bot.telegram.formatting import html_of, pieces
from lorabot.bot.telegram.keyboard import keyboard_of
from lorabot.bot.telegram.pace import Urgency
from lorabot.bot.telegram.places import HOME, Place
from lorabot.queue import Queue

ASKED, COUNT, EXPECTS = "asked:", "count:", "expects:"
"""How the keys of notes begin that name messages of ours. A group that moves leaves its messages behind."""
_log = logging.getLogger(__name__)
Client = ExtBot[Urgency]
Sent = TypeVar("Sent")


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of ours and what it shows: a digest of its words and buttons, and one of its picture if it has one."""

    message: int
    digest: str
    picture: str = ""

    def __str__(self) -> str:
        return f"{self.message}:{self.digest}:{self.picture}"

    @classmethod
    def parse(cls, ref: str | None) -> Self | None:
        """What ``str`` wrote; None for None."""
        if ref is None:
            return None
        message, digest, picture = ref.split(":")
        return cls(int(message), digest, picture)


def digest_of(*content: object) -> str:
    """A short mark of what a message shows."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


class Voice:
    """Sends to places and edits there. Raises ``TryLater``, ``Unreachable``, ``Unavailable``."""

    def __init__(self, client: Client, queue: Queue) -> None:
        self.client = client
        self.followers: list[Callable[[int, int], None]] = []
        """Told of every group that has another id now: the old one and the new one."""
        self._queue = queue

    async def say(
        self,
        place: Place,
        reply: Reply,
        *,
        reply_to: int | None = None,
        urgency: Urgency = "answer",
        silent: bool = False,
        head: str = "",
    ) -> Shown:
        """A new message, or several of a long text; the last one has the buttons. ``head`` is HTML before it."""
        keyboard = keyboard_of(reply.buttons)
        texts = list(pieces(reply.text)) or [""]
        shown = None
        for number, text in enumerate(texts):
            html = head + html_of(text) if number == 0 else html_of(text)
            markup = keyboard if number == len(texts) - 1 else None
            message = await self.send_html(
                place, html, markup, reply_to=reply_to if number == 0 else None, urgency=urgency, silent=silent
            )
            shown = Shown(message.message_id, digest_of(html, markup))
        assert shown is not None
        return shown

    async def send_html(
        self,
        place: Place,
        html: str,
        markup: InlineKeyboardMarkup | None = None,
        *,
        reply_to: int | None = None,
        urgency: Urgency = "answer",
        silent: bool = False,
    ) -> Message:
        """One message of ready HTML."""

        async def send(there: Place) -> Message:
            return await self.client.send_message(
                there.chat,
                html,
                parse_mode=ParseMode.HTML,
                message_thread_id=there.thread,
                reply_markup=markup,
                reply_parameters=replying(reply_to),
                disable_notification=silent,
                rate_limit_args=urgency,
            )

        return await self.at(place, send)

    async def at(self, place: Place, send: Callable[[Place], Awaitable[Sent]]) -> Sent:
        """``send`` to where ``place`` is today. Raises as all of this class; a ``BadRequest`` comes through."""
        with understood():
            there = await self.now(place)
            try:
                return await send(there)
            except ChatMigrated as error:
                return await send(await self.moved(place, error.new_chat_id))
            except BadRequest as error:
                if not failing.topic_gone(error):
                    raise
                return await send(Place(there.chat))  # the group is still there, and its people want their LoRA

    async def change(
        self, place: Place, shown: Shown, reply: Reply, *, urgency: Urgency = "answer", head: str = ""
    ) -> Shown | None:
        """Let a text message of ours show ``reply``. None where it can't be changed any more."""
        return await self.change_html(
            place, shown, head + html_of(reply.text), keyboard_of(reply.buttons), urgency=urgency
        )

    async def change_html(
        self,
        place: Place,
        shown: Shown,
        html: str,
        markup: InlineKeyboardMarkup | None,
        *,
        urgency: Urgency = "answer",
    ) -> Shown | None:
        """As ``change``, of ready HTML. What is shown already is not sent."""
        digest = digest_of(html, markup)
        if shown.digest == digest:
            return shown
        with understood():
            there = await self.now(place)
            try:
                await self.client.edit_message_text(
                    html,
                    there.chat,
                    shown.message,
                    parse_mode=ParseMode.HTML,
                    reply_markup=markup,
                    rate_limit_args=urgency,
                )
            except ChatMigrated as error:
                await self.moved(place, error.new_chat_id)
                return None
            except BadRequest as error:
                if failing.message_gone(error):
                    return None
                if not failing.unchanged(error):
                    raise
        return Shown(shown.message, digest)

    async def strip(self, place: Place, message: int) -> None:
        """Take the buttons off a message of ours; where that can't be, they tell by themselves that they are old."""
        with suppress(BadRequest, TryLater, Unreachable, ConnectionError), understood():
            there = await self.now(place)
            await self.client.edit_message_reply_markup(there.chat, message, reply_markup=None)

    async def remove(self, place: Place, message: int) -> None:
        """Delete a message of ours; one that can't be deleted stays."""
        with suppress(BadRequest, TryLater, Unreachable, ConnectionError), understood():
            await self.client.delete_message((await self.now(place)).chat, message)

    async def now(self, place: Place) -> Place:
        """Where ``place`` is today: a group that became a supergroup has another id."""
        if not place.group:
            return place
        moved = await self._queue.refs.get(HOME, f"moved:{place.chat}")
        return place if moved is None else Place(int(moved), place.thread)

    async def moved(self, place: Place, chat: int) -> Place:
        """The group has another id now, and all that is kept of it moves along. Twice is fine."""
        _log.info("group %d is %d now", place.chat, chat)
        await self._queue.refs.put(HOME, f"moved:{place.chat}", str(chat))
        old, new = Place(place.chat).address.scope, Place(chat).address.scope
        await self._queue.move(old, new, left_behind=(ASKED, COUNT, EXPECTS))
        for follow in self.followers:
            follow(place.chat, chat)
        return Place(chat, place.thread)

    async def name_of(self, place: Place, user: int) -> str:
        """What a person is called, or the group of that id, as far as Telegram tells us."""
        try:
            if user < 0:
                return (await self.client.get_chat((await self.now(Place(user))).chat)).title or str(user)
            if place.group:
                return (await self.client.get_chat_member((await self.now(place)).chat, user)).user.first_name
            return (await self.client.get_chat(user)).first_name or str(user)
        except TelegramError:
            return str(user)

    async def tell_alone(self, user: int, reply: Reply) -> bool:
        """Say it to a person in private. False where they never opened a chat with us."""
        try:
            await self.say(Place(user), reply)
        except Unreachable:
            return False
        return True


def replying(message: int | None) -> ReplyParameters | None:
    """Send as a reply to ``message``, or without it where that is gone."""
    return None if message is None else ReplyParameters(message, allow_sending_without_reply=True)
