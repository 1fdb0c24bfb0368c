"""Answers what people type and press: the one place where errors of commands become sentences on Telegram."""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from telegram import CallbackQuery, Message, User
from telegram.error import BadRequest

from lorabot.bot.commands import parse, parse_action
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import (
    Agree,
    Cancel,
    Clear,
    Drop,
    ForgetMe,
    Help,
    Pick,
    Presets,
    Privacy,
    Propose,
    QueueCommand,
    Request,
    Start,
    Train,
)
from lorabot.bot.front_end import TryLater, Unreachable
from lorabot.bot.intake.service import unexpected
from lorabot.bot.parts import Parts
from lorabot.bot.reply import Button, Reply
from lorabot.bot.telegram import failing
from lorabot.bot.telegram.arriving import Arriving
from lorabot.bot.telegram.counting import Counting, asked
from lorabot.bot.telegram.expecting import Expecting, asks_for_trigger
from lorabot.bot.telegram.failing import understood
from lorabot.bot.telegram.formatting import MOST_ALERT, length, plain
from lorabot.bot.telegram.people import People, Speaker, speaker_of
from lorabot.bot.telegram.places import Place, owner_of
from lorabot.bot.telegram.timing import Timing
from lorabot.bot.telegram.voice import Shown, Voice
from lorabot.locale import UserError, translator
from lorabot.queue.errors import StoreUnavailable

_RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_SAY_AGAIN_S = (1.0, 3.0, 10.0, 30.0)
_COMMAND = re.compile(r"[/／]([^\s@/]+)(?:@(\w+))?")
# Their answer takes the place of the question they stand under.
_IN_PLACE = (Pick, Agree, Start, Drop, ForgetMe, QueueCommand, Clear)
# They act on what the presser has; in a group only the one they were shown to may press them.
_OWN = ("pick", "train", "clear", "forgetme")
_ABOUT_PHOTOS = (Propose, Pick, Agree, Start, Clear)
# What needs no owner, by who speaks: the admins of a group may moderate it without a name.
_FOR_ANYBODY = (Help, Presets, Privacy)
_NAMELESS = {"group": (QueueCommand, *_FOR_ANYBODY), "channel": _FOR_ANYBODY}
_OWNER = re.compile(r"telegram:(-?\d+)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Somebody said or pressed something. ``message`` is what they wrote, or what they pressed a button of."""

    user: User
    place: Place
    language: str
    message: int
    speaker: Speaker = "person"

    @property
    def owner(self) -> str:
        return owner_of(self.user.id)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a request; ``request`` is None where it could not be understood or done."""

    reply: Reply
    request: Request | None


Read = Callable[[], Awaitable[Request | None]]


class Talking:
    """Commands, typed words and buttons."""

    def __init__(
        self, voice: Voice, parts: Parts, people: People, counting: Counting, arriving: Arriving, timing: Timing
    ) -> None:
        self._voice = voice
        self._commands = parts.commands
        self._queue = parts.queue
        self._people = people
        self._counting = counting
        self._arriving = arriving
        self._timing = timing
        self._expecting = Expecting(parts.queue.refs)

    async def said(self, message: Message, user: User, text: str) -> None:
        """Answer the words of ``message``, if they are meant for us."""
        place = Place.of(message)
        spoken = Spoken(user, place, self._people.language(user), message.message_id, speaker_of(message))
        command = _COMMAND.match(text)
        if command is not None and command[1] == "start" and self._mine(command[2]):
            await self._tell(spoken, self.welcome(spoken.language, place))
            if not place.group:  # who had blocked us comes back with it
                with suppress(StoreUnavailable):
                    await self._commands.note_language(spoken.owner, spoken.language)
            return
        replied = message.reply_to_message
        meant = replied is not None and replied.from_user is not None and replied.from_user.id == self._voice.client.id

        async def read() -> Request | None:
            return await self._read(spoken, text, command, meant or not place.group)

        for wait in (*_RETRY_S, None):
            try:
                answer = await self._answer(spoken, read)
            except StoreUnavailable as error:
                if wait is None:
                    answer = Answer(Reply(translator(spoken.language).text(error.message)), None)
                else:
                    await asyncio.sleep(wait)
                    continue
            if answer is not None:
                await self._tell(spoken, answer.reply)
            return

    async def refuse(self, message: Message, user: User, error: UserError) -> None:
        """Say why it can't be done."""
        language = self._people.language(user)
        spoken = Spoken(user, Place.of(message), language, message.message_id)
        await self._tell(spoken, Reply(translator(language).text(error.message)))

    async def pressed(self, query: CallbackQuery) -> None:
        """Answer a button: at once, and then what it asks for."""
        message = query.message
        if message is None or query.data is None:
            await self._acknowledge(query)
            return
        stands = Place.of(message) if isinstance(message, Message) else Place(message.chat.id)
        place = await self._here(stands)
        spoken = Spoken(query.from_user, place, self._people.language(query.from_user), message.message_id)
        action = query.data

        async def read() -> Request:
            await self._refuse_others(spoken, action)
            return _proposed(parse_action(action))

        working = asyncio.create_task(self._press(spoken, read))
        try:
            done, _ = await asyncio.wait({working}, timeout=self._timing.press_s)
            if not done:
                await self._acknowledge(query)
            answer = await working
        finally:
            working.cancel()
        quiet = _quiet(answer)
        if done and quiet:
            await self._acknowledge(query, quiet, alert=answer is not None and answer.request is None)
            return
        if done:
            await self._acknowledge(query)
        if answer is not None:
            await self._show(spoken, message if place == stands else None, answer)

    def welcome(self, language: str, place: Place, reads_all: bool = False) -> Reply:
        """What a person or a group reads first."""
        text = translator(language)
        if not place.group:
            code = "telegram-welcome"
        else:
            code = "telegram-welcome-open-group" if reads_all else "telegram-welcome-group"
        return Reply(text(code, bot=self._voice.client.username), (Button(text("telegram-what-can-you"), "presets"),))

    async def _here(self, place: Place) -> Place:
        """Where ``place`` is today, as far as that can be looked up now."""
        try:
            return await self._voice.now(place)
        except StoreUnavailable:
            return place

    async def _press(self, spoken: Spoken, read: Read) -> Answer | None:
        try:
            return await self._answer(spoken, read, pressed=True)
        except StoreUnavailable as error:
            return Answer(Reply(translator(spoken.language).text(error.message)), None)

    async def _read(self, spoken: Spoken, text: str, command: re.Match[str] | None, to_me: bool) -> Request | None:
        """The request that is typed; None where it's none of our business."""
        if command is not None:
            if not self._mine(command[2]):
                return None
            try:
                return _proposed(parse(text, self._commands.presets))
            except CommandError as error:
                foreign = error.message.code.startswith("command-unknown")
                if foreign and spoken.place.group and command[2] is None:
                    return None  # another bot's, as likely as not
                raise
        if not to_me:
            return None
        pick = await self._expecting.answered(spoken.owner, spoken.place, text)
        if pick is None and not spoken.place.group:
            return _proposed(parse(text, self._commands.presets))
        return pick

    def _mine(self, bot: str | None) -> bool:
        return bot is None or bot.casefold() == self._voice.client.username.casefold()

    async def _answer(self, spoken: Spoken, read: Read, pressed: bool = False) -> Answer | None:
        text = translator(spoken.language)
        try:
            request = await read()
            if request is None:
                return None
            if spoken.speaker != "person" and not isinstance(request, _NAMELESS[spoken.speaker]):
                raise CommandError("telegram-anonymous")
            actor = await self._people.actor(spoken.user, spoken.place, request, spoken.speaker)
            if isinstance(request, _ABOUT_PHOTOS):
                await self._counting.idle(spoken.owner, spoken.place)
            doomed = await self._doomed(spoken.owner, request)
            reply = await self._commands.handle(actor, spoken.place.address, request)
            reply = await self._in_our_words(spoken, request, reply)
            await self._follow(spoken, request, reply, pressed)
            for place, message in doomed:
                await self._voice.strip(place, message)
        except StoreUnavailable:
            raise
        except UserError as error:
            return Answer(Reply(text.text(error.message)), None)
        except Exception:
            mark = secrets.token_hex(4)
            _log.exception("a command failed (%s)", mark)
            return Answer(Reply(text.text(unexpected(mark))), None)
        return Answer(reply, request)

    async def _follow(self, spoken: Spoken, request: Request, reply: Reply, pressed: bool) -> None:
        """What a request changes of what we keep ourselves."""
        owner, place = spoken.owner, spoken.place
        if isinstance(request, (Propose, Pick, Drop, Clear, Start)):
            question = await self._expecting.drop(owner, place)
            if question is not None and not (pressed and question == spoken.message):
                await self._voice.strip(place, question)
        if isinstance(request, Clear):
            await self._counting.close(owner, place, keep=spoken.message if pressed else None)
        elif isinstance(request, Start) and not reply.private:
            await self._counting.close(owner, place)
        elif isinstance(request, ForgetMe) and request.sure is not None:
            await self._arriving.forget(owner)

    async def _doomed(self, owner: str, request: Request) -> list[tuple[Place, int]]:
        """Our messages whose buttons ``request`` leaves without any use, wherever they stand.

        To be asked before: deletion leaves no note of them.
        """
        if not isinstance(request, ForgetMe) or request.sure is None:
            return []
        return [*await self._counting.messages(owner), *await self._expecting.questions(owner)]

    async def _in_our_words(self, spoken: Spoken, request: Request, reply: Reply) -> Reply:
        """What reads differently here: a word can simply be typed, and people have names."""
        if asks_for_trigger(reply.buttons):
            code = "telegram-which-trigger-group" if spoken.place.group else "telegram-which-trigger"
            return replace(reply, text=translator(spoken.language)(code))
        if isinstance(request, QueueCommand):
            names = {user: await self._voice.name_of(spoken.place, int(user)) for user in _OWNER.findall(reply.text)}
            return replace(reply, text=_OWNER.sub(lambda found: names[found[1]], reply.text))
        return reply

    async def _refuse_others(self, spoken: Spoken, action: str) -> None:
        if spoken.place.group and action.partition(":")[0] in _OWN:
            owner = await self._queue.refs.get(spoken.place.address, asked(spoken.message))
            if owner not in (None, spoken.owner):
                raise CommandError("telegram-not-your-button")

    async def _show(self, spoken: Spoken, message: object, answer: Answer) -> None:
        """The answer to a button: in place of its question, or below."""
        in_place = isinstance(answer.request, _IN_PLACE) and isinstance(message, Message) and message.text is not None
        if in_place and length(answer.reply.text) <= 4000:
            try:
                shown = await self._voice.change(spoken.place, Shown(spoken.message, ""), answer.reply)
            except Unreachable:
                return
            if shown is not None:
                await self._remember(spoken, shown.message, answer.reply)
                return
        await self._tell(spoken, answer.reply)

    async def _tell(self, spoken: Spoken, reply: Reply) -> None:
        """Say it where it was asked; in private where we may not write there."""
        place = spoken.place
        try:
            shown = await self._say(place, reply, spoken.message if place.group else None)
        except Unreachable as error:
            _log.info("no answer to %s in %d: %s", spoken.owner, place.chat, error)
            if place.group:
                said = translator(spoken.language)("telegram-cannot-write")
                with suppress(TryLater, ConnectionError):
                    await self._voice.tell_alone(spoken.user.id, Reply(said))
            return
        await self._remember(spoken, shown.message, reply)

    async def _say(self, place: Place, reply: Reply, reply_to: int | None) -> Shown:
        """Say it, with patience where Telegram can't be reached."""
        for wait in _SAY_AGAIN_S:
            try:
                return await self._voice.say(place, reply, reply_to=reply_to)
            except ConnectionError as error:
                _log.warning("an answer is sent again in %.0f s: %s", wait, error)
                await asyncio.sleep(wait)
        return await self._voice.say(place, reply, reply_to=reply_to)

    async def _remember(self, spoken: Spoken, message: int, reply: Reply) -> None:
        """What our message asks, and whom."""
        if asks_for_trigger(reply.buttons):
            await self._expecting.note(spoken.owner, spoken.place, reply.buttons, message)
        if spoken.place.group and spoken.speaker == "person" and reply.buttons:
            await self._queue.refs.put(spoken.place.address, asked(message), spoken.owner, spoken.owner)

    async def _acknowledge(self, query: CallbackQuery, text: str = "", *, alert: bool = False) -> None:
        try:
            with understood():
                await self._voice.client.answer_callback_query(query.id, text or None, show_alert=alert)
        except BadRequest as error:
            if not failing.too_old(error):
                raise


def _quiet(answer: Answer | None) -> str:
    """What only the presser needs to read, if there is room for it above the chat."""
    if answer is None or not (answer.request is None or isinstance(answer.request, Cancel)):
        return ""
    words = plain(answer.reply.text)
    return words if length(words) <= MOST_ALERT else ""


def _proposed(request: Request) -> Request:
    """In this chat a training is confirmed before it is queued."""
    return Propose(request) if isinstance(request, Train) else request
