"""A web conversation: its lines in the transcript, and the tabs that look at it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Literal

from lorabot.bot.web.wire import Content, store
from lorabot.locale import Message
from lorabot.queue import Queue
from lorabot.queue.model import Line

Author = Literal["you", "lorabot"]
HISTORY_LINES = 300


class Tab:
    """The changes one open page has not seen yet: of each line only the latest, so a slow page never piles them up."""

    def __init__(self) -> None:
        self._waiting: dict[int, Line] = {}
        self._seen: dict[int, int] = {}
        self._news = asyncio.Event()
        self._anew = False
        self._trouble: Message | None = None
        self.language = "en"

    def offer(self, line: Line) -> None:
        """``line`` is new or has changed."""
        self._waiting[line.id] = line
        self._news.set()

    def warn(self, trouble: Message) -> None:
        """Something to be said that can't be stored."""
        self._trouble = trouble
        self._news.set()

    def renew(self) -> None:
        """Lines have been deleted: what the page shows must be sent anew."""
        self._anew = True
        self._news.set()

    def saw(self, lines: list[Line]) -> None:
        """These lines were sent as history."""
        self._seen.update({line.id: line.revision for line in lines})

    async def changes(self) -> AsyncIterator[tuple[Line, bool] | Message | None]:
        """Lines to send, each with whether the page has never had it; None when all are to be sent anew.

        A message is said beside the conversation.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            anew, self._anew = self._anew, False
            if anew:
                yield None
            trouble, self._trouble = self._trouble, None
            if trouble is not None:
                yield trouble
            waiting, self._waiting = self._waiting, {}
            for line in waiting.values():
                seen = self._seen.get(line.id)
                if seen is None or seen < line.revision:
                    self._seen[line.id] = line.revision
                    yield line, seen is None


class TooManyTabs(Exception):
    """The conversation is open in as many tabs as it may be."""


class Conversations:
    """All web conversations of this installation. What is said is stored first and shown then."""

    def __init__(self, queue: Queue, most_tabs: int) -> None:
        self._queue = queue
        self._most_tabs = most_tabs
        self._tabs: defaultdict[str, set[Tab]] = defaultdict(set)

    async def add(self, conversation: str, author: Author, content: Content, key: str | None = None) -> Line:
        """Append a line; with a ``key`` that the conversation has already, the line that is there."""
        line = await self._queue.transcript.append(conversation, author, store(content), key)
        self._show(line)
        return line

    async def put(self, conversation: str, author: Author, content: Content, key: str) -> Line:
        """Let the line with this ``key`` show ``content``; it is appended where it is not there yet."""
        line = await self._queue.transcript.update(conversation, key, store(content))
        if line is None:
            return await self.add(conversation, author, content, key)
        self._show(line)
        return line

    async def has(self, conversation: str, key: str) -> bool:
        """Is there a line with this ``key``?"""
        return await self._queue.transcript.get(conversation, key) is not None

    async def history(self, conversation: str) -> list[Line]:
        """The latest lines, oldest first."""
        return await self._queue.transcript.last(conversation, HISTORY_LINES)

    def renew(self, conversation: str) -> None:
        """Have all tabs of ``conversation`` load it anew."""
        for tab in self._tabs.get(conversation, ()):
            tab.renew()

    def warn(self, conversation: str, trouble: Message) -> None:
        """Say something in all tabs of ``conversation`` that can't be stored."""
        for tab in self._tabs.get(conversation, ()):
            tab.warn(trouble)

    @contextmanager
    def open_tab(self, conversation: str) -> Iterator[Tab]:
        """A tab that is told of every change; raises ``TooManyTabs``."""
        if len(self._tabs[conversation]) >= self._most_tabs:
            raise TooManyTabs
        tab = Tab()
        self._tabs[conversation].add(tab)
        try:
            yield tab
        finally:
            self._tabs[conversation].discard(tab)
            if not self._tabs[conversation]:
                del self._tabs[conversation]

    def _show(self, line: Line) -> None:
        for tab in self._tabs.get(line.conversation, ()):
            tab.offer(line)
