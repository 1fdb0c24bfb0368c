"""A chat platform that keeps what it is sent and can be made to refuse, and jobs asked for on it."""

import asyncio
from collections.abc import Callable

from lorabot.bot.card import Card
from lorabot.bot.reply import Reply
from lorabot.queue import Queue
from lorabot.queue.model import Address, Image, Job, NewJob
from tests.bot.house import PRESETS


class Platform:
    """Speaks the front end's protocol. ``trouble`` is asked before everything and may raise.

    Channels that are ``stuck`` take their time, until the event. ``marks_changes``: a reference is another one after
    each change, as those of real platforms are.
    """

    def __init__(self, platform: str = "fake", interval_s: float = 0) -> None:
        self.platform = platform
        self.interval_s = interval_s
        self.cards: list[tuple[str, Card, str | None]] = []
        self.posts: list[tuple[str, str, Reply]] = []
        self.tries = 0
        self.runs = 0
        self.trouble: Callable[[str], Exception | None] = lambda channel: None
        self.breaks_down: Exception | None = None
        self.stuck: dict[str, asyncio.Event] = {}
        self.marks_changes = False
        self._news = asyncio.Condition()

    async def run(self, stop: asyncio.Event) -> None:
        self.runs += 1
        await self._tell()
        if self.breaks_down is not None and self.runs < 3:
            raise self.breaks_down
        await stop.wait()

    def edit_interval(self, age_s: float) -> float:
        return self.interval_s

    async def show_card(self, address: Address, card: Card, ref: str | None) -> str:
        await self._enter(address)
        self.cards.append((address.channel, card, ref))
        await self._tell()
        if self.marks_changes and ref is not None:
            return f"{ref.partition('/')[0]}/{len(self.cards)}"
        return ref or f"message {len(self.cards)}"

    async def post(self, address: Address, reply: Reply, key: str) -> None:
        await self._enter(address)
        self.posts.append((address.channel, key, reply))
        await self._tell()

    async def until(self, holds: Callable[[], bool], timeout_s: float = 20) -> None:
        """Wait until what was sent makes ``holds`` true."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(holds)

    async def _enter(self, address: Address) -> None:
        self.tries += 1
        error = self.trouble(address.channel)
        await self._tell()
        if address.channel in self.stuck:
            await self.stuck[address.channel].wait()
        if error is not None:
            raise error

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


async def asked(
    queue: Queue, channel: str = "c1", platform: str = "fake", language: str = "en", owner: str | None = None
) -> Job:
    """A job that a person of ``channel`` has asked for."""
    owner, address = owner or f"{platform}:{channel}", Address(platform, channel)
    image = Image("a.png", "images/a/a.webp", "a" * 64, 100, 100, 10)
    await queue.drafts.add(owner, address, [image])
    dataset = await queue.drafts.seal(owner, address)
    preset = PRESETS.get("anime").model_dump(mode="json")
    return await queue.jobs.submit(
        NewJob(
            name="zuri",
            owner=owner,
            address=address,
            language=language,
            preset=preset,
            vocabulary=None,
            trigger="zuri",
            base="demo",
            dataset_id=dataset.id,
            seed=1,
        )
    )
