"""The server's state, and what is told to the bot of it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.telegram.server.flood import Flood, Rates
from tests.telegram.server.world import (
    Call,
    Chat,
    Clock,
    FileKind,
    Limits,
    Member,
    Message,
    Press,
    StoredFile,
    as_photo,
)

BOT_ID = 7000000001
TOKEN = f"{BOT_ID}:AAtest-token_of-the-loopback-server00"


class State:
    """Everything behind the Bot API. ``violations`` is what Telegram would have refused for the bot's own fault."""

    def __init__(self, limits: Limits, rates: Rates) -> None:
        self.limits = limits
        self.clock = Clock()
        self.flood = Flood(rates)
        self.bot = Member(BOT_ID, "lorabot", is_bot=True, username="test_lorabot")
        self.token = self.first_token = TOKEN
        self.chats: dict[int, Chat] = {}
        self.people: dict[int, Member] = {}
        self.files: dict[str, StoredFile] = {}
        self.paths: dict[str, tuple[str, float]] = {}
        self.gone: set[int | str] = set()
        """Chats and files of earlier tests: the bot may still be busy with them, which is nothing to the next test."""
        self.presses: dict[str, Press] = {}
        self.updates: deque[dict[str, Any]] = deque()
        self.commands: dict[tuple[str, str], list[dict[str, str]]] = {}
        self.webhook: dict[str, str] | None = None
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.polls = 0
        self.patience_s = 20.0
        self.changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 100
        self._update_id = 50_000

    def bot_was_killed(self) -> None:
        """It may not know any more that it has answered a press, and answers once more."""
        for press in self.presses.values():
            press.answered_by_the_dead = press.answered_at is not None

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def tell(self) -> None:
        """Something has changed: wake who waits for it."""
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, holds: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait until ``holds``; raises ``TimeoutError`` with what is in the chats."""
        try:
            async with asyncio.timeout(timeout_s or self.patience_s), self.changed:
                await self.changed.wait_for(holds)
        except TimeoutError:
            raise TimeoutError("never so. " + self.story()) from None

    def story(self) -> str:
        """All chats as text, for a test that fails."""
        lines = [f"violations: {self.violations}"]
        for chat in self.chats.values():
            lines.append(f"-- {chat.title} ({chat.id})")
            for message in chat.messages.values():
                gone = " (deleted)" if message.deleted else ""
                media = f" [{message.file.kind} {message.file.name}]" if message.file else ""
                lines.append(f"{message.id} {message.sender.first_name}:{media}{gone} {message.text} {message.labels}")
        lines += [f"refused: {call.method} {call.refused}" for call in self.calls if call.refused]
        return "\n".join(lines)

    def add_update(self, kind: str, content: dict[str, Any]) -> None:
        """Queue an update for the bot."""
        self._update_id += 1
        self.updates.append({"update_id": self._update_id, kind: content})
        self.tell()

    def add_message(self, chat: Chat, sender: Member, **shown: Any) -> Message:
        """A new message in ``chat``."""
        message = Message(self.next_number(), chat, sender, self.clock.now(), **shown)
        chat.messages[message.id] = message
        self.tell()
        return message

    def store(self, kind: FileKind, name: str, mime: str, data: bytes, size: int | None = None) -> StoredFile:
        """Keep a file; photos are re-encoded as Telegram does it."""
        width = height = 64
        if kind == "photo":
            data, width, height = as_photo(data)
        number = self.next_number()
        told = len(data) if size is None else size
        file = StoredFile(f"AgACAgF{number}", f"AQAD{number}", kind, name, mime, data, told, width, height)
        self.files[file.id] = file
        self.tell()
        return file

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()
