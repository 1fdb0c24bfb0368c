"""Wake-ups: who waits for changes hears of them at once, here and by Redis pub/sub, or not at all."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from arq.connections import ArqRedis

from lorabot.queue.redis import AWAY
from lorabot.queue.tasks import end
from lorabot.queue.tickets import Tickets

CHANNEL = "lorabot:changes"
TICKET = "ticket"
EVERYTHING = "*"
_log = logging.getLogger(__name__)
_BACKLOG = 1000
_FLUSH_S = 1.0
_RETRY_S = 1.0


class Changes:
    """What one listener has heard since it last asked."""

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes = prefixes
        self._topics: set[str] = set()
        self._heard = asyncio.Event()

    def add(self, topic: str) -> None:
        if self._prefixes and topic != EVERYTHING and not topic.startswith(self._prefixes):
            return
        self._topics.add(topic)
        self._heard.set()

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The topics that changed: at once if there are some, else the first ones to come; empty after ``timeout_s``.

        An empty answer does not mean that nothing changed. Look at the store each time.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), timeout_s)
        self._heard.clear()
        topics, self._topics = frozenset(self._topics), set()
        return topics


class Signals:
    """The ``Bell`` of a process: tells its own listeners, the other processes', and puts tickets for workers.

    Ringing only notes what to send; a task sends it. What can't be sent is dropped: the reconciler makes up for lost
    tickets, and listeners look by themselves now and then.
    """

    def __init__(self, redis: ArqRedis, tickets: Tickets) -> None:
        self._redis = redis
        self._tickets = tickets
        self._name = secrets.token_hex(4)
        self._listeners: set[Changes] = set()
        # None stands for a ticket.
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue(_BACKLOG)

    def changed(self, topic: str) -> None:
        self._spread(topic)
        self._put(topic)

    def runnable(self) -> None:
        self._put(None)

    @asynccontextmanager
    async def listen(self, *prefixes: str) -> AsyncIterator[Changes]:
        """Changes whose topic begins like one of ``prefixes``; all, when there are none."""
        changes = Changes(prefixes)
        self._listeners.add(changes)
        try:
            yield changes
        finally:
            self._listeners.discard(changes)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send and receive while the block runs; at its end wait a moment for what is still to be sent."""
        tasks = [asyncio.create_task(self._sender()), asyncio.create_task(self._receiver())]
        try:
            yield
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._outgoing.join(), _FLUSH_S)
            await end(*tasks)

    def _spread(self, topic: str) -> None:
        for listener in self._listeners:
            listener.add(topic)

    def _put(self, item: str | None) -> None:
        with suppress(asyncio.QueueFull):
            self._outgoing.put_nowait(item)

    async def _send(self, item: str | None) -> None:
        if item is None:
            await self._tickets.add()
            self._spread(TICKET)
        await self._redis.publish(CHANNEL, f"{self._name} {item or TICKET}")

    async def _sender(self) -> None:
        while True:
            item = await self._outgoing.get()
            try:
                await self._send(item)
            except AWAY as error:
                _log.debug("not sent, Redis is away: %s", type(error).__name__)
            finally:
                self._outgoing.task_done()

    async def _receiver(self) -> None:
        away = False
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    if away:
                        _log.info("Redis is back")
                    away = False
                    # What was said meanwhile is unknown: have everyone look.
                    self._spread(EVERYTHING)
                    while True:
                        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=30.0)
                        if message is not None:
                            sender, _, topic = message["data"].decode(errors="replace").partition(" ")
                            if sender != self._name:
                                self._spread(topic)
            except AWAY as error:
                if not away:
                    _log.warning("Redis is away (%s); working on without wake-ups", type(error).__name__)
                away = True
                await asyncio.sleep(_RETRY_S)
