"""Keeps to Telegram's flood limits, each chat for itself: one that has to wait holds up no other."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

Urgency = Literal["answer", "delivery", "progress"]
"""How long a request may wait for its turn: an answer until it comes, a delivery a moment (it is tried again later),
progress not at all."""

_WINDOW_S = 61.0  # a minute, and a second for what the network does to our sense of time
_DELIVERY_WAITS_S = 2.0
_ANSWER_WAITS_S = 180.0
_FORGET_S = 300.0
_READ_ONCE = ("sendDocument",)  # its file was read from the disk while it was sent, and stands at its end now
_MANY_CHATS = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this

    ``progress_per_minute`` is the part of a group's allowance that cards of running jobs may use up: answers and
    results find room beside it.
    """

    chat_s: float = 1.05
    group_per_minute: int = 20
    progress_per_minute: int = 10
    overall_per_s: int = 29


@dataclass(slots=True)
class _Chat:
    sent: deque[float] = field(default_factory=deque)
    last: float = float("-inf")
    not_before: float = float("-inf")
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pace(BaseRateLimiter[Urgency]):
    """The rate limiter of the bot. A ``RetryAfter`` of Telegram stops the chat it came from, and no other."""

    def __init__(
        self,
        limits: Limits | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits or Limits()
        self._now = now
        self._sleep = sleep
        self._chats: dict[int, _Chat] = {}
        self._all: deque[float] = deque()

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Any]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Urgency | None,
    ) -> Any:
        """Send the request when it is its turn. Raises ``RetryAfter`` where it may not wait that long."""
        chat_id = data.get("chat_id")
        if not isinstance(chat_id, int) or not endpoint.startswith(("send", "edit")) or endpoint == "sendChatAction":
            return await callback(*args, **kwargs)
        urgency = rate_limit_args or "answer"
        messages = len(data["media"]) if endpoint == "sendMediaGroup" else 1
        chat = self._chat(chat_id)
        patience = {"answer": _ANSWER_WAITS_S, "delivery": _DELIVERY_WAITS_S, "progress": 0.0}[urgency]
        until = self._now() + patience
        while True:
            await self._turn(chat, chat_id < 0, messages, urgency, until)
            try:
                return await callback(*args, **kwargs)
            except RetryAfter as error:
                wait = seconds_of(error) + 0.1
                chat.not_before = max(chat.not_before, self._now() + wait)
                if chat.not_before > until or endpoint in _READ_ONCE:
                    raise

    async def _turn(self, chat: _Chat, group: bool, messages: int, urgency: Urgency, until: float) -> None:
        """Wait until ``messages`` may be sent to the chat, and count them. First come, first served."""
        if urgency != "answer" and chat.turn.locked():
            raise RetryAfter(timedelta(seconds=self._limits.chat_s))  # somebody waits for an answer: that comes first
        async with chat.turn:
            while (wait := self._wait(chat, group, messages, urgency)) > 0:
                if self._now() + wait > until:
                    raise RetryAfter(timedelta(seconds=wait))
                await self._sleep(wait)
            self._count(chat, messages)

    def _wait(self, chat: _Chat, group: bool, messages: int, urgency: Urgency) -> float:
        """Seconds until ``messages`` may be sent to the chat."""
        now, limits = self._now(), self._limits
        waits = [chat.not_before - now, chat.last + limits.chat_s - now]
        if group:
            _forget(chat.sent, now - _WINDOW_S)
            most = limits.progress_per_minute if urgency == "progress" else limits.group_per_minute
            surplus = len(chat.sent) + messages - most
            if surplus > 0:
                waits.append(chat.sent[min(surplus, len(chat.sent)) - 1] + _WINDOW_S - now if chat.sent else 0.0)
        _forget(self._all, now - 1.0)
        surplus = len(self._all) + messages - limits.overall_per_s
        if surplus > 0 and self._all:
            waits.append(self._all[min(surplus, len(self._all)) - 1] + 1.0 - now)
        return max(0.0, *waits)

    def _count(self, chat: _Chat, messages: int) -> None:
        now = self._now()
        chat.last = now
        chat.sent.extend([now] * messages)
        self._all.extend([now] * messages)

    def _chat(self, chat_id: int) -> _Chat:
        if len(self._chats) > _MANY_CHATS:
            oldest = self._now() - _FORGET_S
            for known, chat in list(self._chats.items()):
                if chat.last < oldest and chat.not_before < oldest and not chat.turn.locked():
                    del self._chats[known]
        return self._chats.setdefault(chat_id, _Chat())


def seconds_of(error: RetryAfter) -> float:
    """The wait that Telegram asks for, in seconds."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
