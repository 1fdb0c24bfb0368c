"""The web chat as a front end: delivery's cards and messages become lines of the conversation."""

import asyncio
from collections.abc import Awaitable, Callable

from lorabot.bot.card import Card
from lorabot.bot.reply import Reply
from lorabot.bot.web.conversation import Conversations
from lorabot.bot.web.session import PLATFORM
from lorabot.bot.web.wire import Content, content_of
from lorabot.queue.model import Address


class WebFrontEnd:
    """Shows jobs in the web chat."""

    platform = PLATFORM

    def __init__(
        self,
        conversations: Conversations,
        update_interval_s: float,
        serve: Callable[[asyncio.Event], Awaitable[None]],
    ) -> None:
        self._conversations = conversations
        self._update_interval_s = update_interval_s
        self._serve = serve

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the page until ``stop`` is set."""
        await self._serve(stop)

    def edit_interval(self, age_s: float) -> float:
        """The page costs nothing but the network: the same pace at any age."""
        return self._update_interval_s

    async def show_card(self, address: Address, card: Card, ref: str | None) -> str:
        """The job's line, made where it is not there yet."""
        key = f"card:{card.job}"
        await self._conversations.put(address.channel, "lorabot", Content("card", card=card), key)
        return key

    async def post(self, address: Address, reply: Reply, key: str) -> None:
        """A line of its own."""
        await self._conversations.add(address.channel, "lorabot", content_of(reply), key)
