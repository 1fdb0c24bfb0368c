"""Answers what is said in the web chat: each line once, one after the other in a conversation."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from weakref import WeakValueDictionary

from lorabot.bot.commands import Actor, Commands, complete, parse, parse_action
from lorabot.bot.commands.moderation import NotAModerator
from lorabot.bot.commands.requests import ForgetMe, Request
from lorabot.bot.intake.service import unexpected
from lorabot.bot.reply import Reply
from lorabot.bot.web.conversation import Conversations
from lorabot.bot.web.session import Session
from lorabot.bot.web.wire import Content, content_of, restore
from lorabot.locale import UserError, translator
from lorabot.queue.errors import StoreUnavailable
from lorabot.queue.model import Job, Line

_RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_MOST_UNANSWERED = 50
_NAMING_JOBS = ("/cancel", "/status", "/queue", "/取消", "/状态", "/队列")
_FRESH = timedelta(minutes=10)
_log = logging.getLogger(__name__)


class TooFast(UserError):
    """More is said than can be answered."""


class Chat:
    """The conversation's other side."""

    def __init__(self, conversations: Conversations, commands: Commands, operators: bool) -> None:
        """``operators``: whether who speaks here may run the queue."""
        self._operators = operators
        self._conversations = conversations
        self._commands = commands
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def say(self, session: Session, text: str, key: str, language: str) -> None:
        """Note the line and answer it in the background. The same ``key`` again changes nothing.

        Raises ``TooFast`` where the conversation has too much unanswered already.
        """
        self._refuse_flood(session)
        await self._conversations.add(session.conversation, "you", Content("text", text), key)
        self._begin(session, key, language, partial(parse, text, self._commands.presets))

    def press(self, session: Session, action: str, key: str | None, language: str) -> None:
        """Answer a pressed button in the background. Raises as ``say``."""
        self._refuse_flood(session)
        self._begin(session, key, language, partial(parse_action, action))

    async def complete(self, session: Session, text: str, language: str) -> list[dict[str, str]]:
        """What may follow ``text``."""
        actor = self._actor(session, language)
        jobs: Sequence[Job] = ()
        if text.startswith(_NAMING_JOBS):
            jobs = await self._commands.jobs_to_move(actor, session.address)
        found = complete(text, self._commands.presets, jobs, translator(language), actor.operator)
        return [{"insert": item.insert, "label": item.label, "hint": item.hint} for item in found]

    def go_on(self, session: Session, lines: Sequence[Line], language: str) -> None:
        """Answer what was said just before the bot ended and has no answer yet."""
        keys = {line.key for line in lines}
        for line in lines:
            unanswered = line.author == "you" and line.key is not None and _answer_key(line.key) not in keys
            if unanswered and line.at > datetime.now(UTC) - _FRESH:
                content = restore(line.payload)
                if content.kind == "text" and line.key is not None:
                    self._begin(session, line.key, language, partial(parse, content.text, self._commands.presets))

    async def close(self) -> None:
        """Stop answering."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _actor(self, session: Session, language: str) -> Actor:
        return Actor(session.owner, language, operator=self._operators)

    def _begin(self, session: Session, key: str | None, language: str, read: Callable[[], Request]) -> None:
        task = asyncio.create_task(self._answer(session, key, language, read))
        self._tasks[task] = session.conversation
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def _refuse_flood(self, session: Session) -> None:
        if sum(conversation == session.conversation for conversation in self._tasks.values()) >= _MOST_UNANSWERED:
            raise TooFast("web-too-fast")

    async def _answer(self, session: Session, key: str | None, language: str, read: Callable[[], Request]) -> None:
        turn = self._turns.setdefault(session.conversation, asyncio.Lock())
        async with turn:
            for wait in (*_RETRY_S, None):
                try:
                    await self._answer_once(session, key, language, read)
                except StoreUnavailable as error:
                    self._conversations.warn(session.conversation, error.message)
                    if wait is None:
                        _log.error("an answer could not be stored: %s", error)
                        return
                    await asyncio.sleep(wait)
                else:
                    return

    async def _answer_once(self, session: Session, key: str | None, language: str, read: Callable[[], Request]) -> None:
        answer_key = None if key is None else _answer_key(key)
        if answer_key is not None and await self._conversations.has(session.conversation, answer_key):
            return
        reply = await self._reply(session, language, read)
        await self._conversations.add(session.conversation, "lorabot", content_of(reply), answer_key)

    async def _reply(self, session: Session, language: str, read: Callable[[], Request]) -> Reply:
        """The one place where errors of commands become sentences."""
        text = translator(language)
        try:
            request = read()
            reply = await self._commands.handle(self._actor(session, language), session.address, request)
            if isinstance(request, ForgetMe) and request.sure:
                self._conversations.renew(session.conversation)
            return reply
        except StoreUnavailable:
            raise
        except NotAModerator:  # there is nobody to ask here, so it says how one becomes one
            return Reply(text("command-not-a-moderator-web"))
        except UserError as error:
            return Reply(text.text(error.message))
        except Exception:
            mark = secrets.token_hex(4)
            _log.exception("a command failed (%s)", mark)
            return Reply(text.text(unexpected(mark)))


def _answer_key(key: str) -> str:
    return f"re:{key}"
