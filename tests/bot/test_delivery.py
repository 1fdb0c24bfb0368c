"""News of jobs reach their conversation: progress throttled, ends for certain, nothing twice, whatever fails."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from lorabot.bot.card import Card
from lorabot.bot.commands import Commands
from lorabot.bot.delivery import Delivery
from lorabot.bot.front_end import TokenRefused, TryLater, Unreachable
from lorabot.bot.intake.service import Intake
from lorabot.bot.reply import Reply
from lorabot.locale import Message
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.client import ChatClient
from tests.bot.house import (
    DELIVERY,
    INTAKE,
    PRESETS,
    claimed,
    eventually,
    finish,
    given_up,
    running_bot,
    settled,
    show,
    store_away,
)
from tests.bot.pictures import zip_of_photos
from tests.bot.platform import Platform, asked


@asynccontextmanager
async def delivering(queue: Queue, platform: Platform) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(Delivery(queue, platform, DELIVERY).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def test_one_card_follows_the_job_and_the_result_comes_once(queue: Queue) -> None:
    platform = Platform()
    job = await asked(queue)
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.cards) == 1)
        lease = await claimed(queue)
        await show(lease, queue, 10)
        await platform.until(lambda: platform.cards[-1][1].step == 10)
        await finish(lease, queue)
        await platform.until(lambda: len(platform.posts) == 1 and platform.cards[-1][1].final)
    refs = [ref for _, _, ref in platform.cards]
    assert refs == [None] + ["message 1"] * (len(refs) - 1)
    channel, _, reply = platform.posts[0]
    assert channel == job.address.channel
    assert [file.filename for file in reply.files] == ["zuri.safetensors", "report.md"]
    async with delivering(queue, platform):
        await asyncio.sleep(3 * DELIVERY.poll_s)
    assert len(platform.posts) == 1


class Unlucky(Platform):
    """As soon as the first card is there, and the first message, the database in ``folder`` goes away for a while."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        super().__init__()
        self._queue = queue
        self._folder = folder
        self._leaving: asyncio.Task[None] | None = None

    async def show_card(self, address: Address, card: Card, ref: str | None) -> str:
        shown = await super().show_card(address, card, ref)
        if len(self.cards) == 1:
            await self._leave()
        return shown

    async def post(self, address: Address, reply: Reply, key: str) -> None:
        await super().post(address, reply, key)
        if len(self.posts) == 1:
            await self._leave()

    async def back(self) -> None:
        assert self._leaving is not None
        await self._leaving

    async def _leave(self) -> None:
        gone = asyncio.Event()
        self._leaving = asyncio.create_task(self._stay_away(gone))
        await gone.wait()

    async def _stay_away(self, gone: asyncio.Event) -> None:
        async with store_away(self._queue, self._folder):
            gone.set()
            await asyncio.sleep(0.3)


async def test_what_is_there_when_the_database_goes_away_is_not_sent_again(queue: Queue, tmp_path: Path) -> None:
    platform = Unlucky(queue, tmp_path)
    await asked(queue)
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.cards) == 1)
        await platform.back()
        await finish(await claimed(queue), queue)
        await platform.until(lambda: len(platform.posts) == 1)
        await platform.back()
        await settled(queue)
    assert len(platform.posts) == 1
    assert [ref for _, _, ref in platform.cards].count(None) == 1


async def test_progress_is_throttled_and_the_last_state_always_shown(queue: Queue) -> None:
    platform = Platform(interval_s=3600)
    await asked(queue)
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.cards) == 1)
        lease = await claimed(queue)
        for step in range(5):
            await show(lease, queue, step)
        await finish(lease, queue)
        await platform.until(lambda: platform.cards[-1][1].final)
    assert [card.state for _, card, _ in platform.cards] == ["queued", "succeeded"]


async def test_a_card_that_would_look_the_same_is_not_sent(queue: Queue) -> None:
    platform = Platform()
    await asked(queue)
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.cards) == 1)
        lease = await claimed(queue)
        await show(lease, queue, 10)
        await platform.until(lambda: platform.cards[-1][1].step == 10)
        await show(lease, queue, 10)
        await finish(lease, queue)
        await platform.until(lambda: platform.cards[-1][1].final)
    shown = [card for _, card, _ in platform.cards]
    assert all(before != after for before, after in pairwise(shown))


async def test_a_result_that_the_platform_refuses_is_tried_again_until_it_is_there(queue: Queue) -> None:
    platform = Platform()
    await asked(queue)
    lease = await claimed(queue)
    await finish(lease, queue)
    platform.trouble = lambda channel: ConnectionError("no") if platform.tries <= 5 else None
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.posts) == 1 and len(platform.cards) == 1)
        await asyncio.sleep(3 * DELIVERY.poll_s)
    assert len(platform.posts) == 1


async def test_one_conversation_in_trouble_holds_up_no_other(queue: Queue) -> None:
    platform = Platform()
    platform.trouble = lambda channel: RuntimeError("broken") if channel == "bad" else None
    for channel in ("bad", "good"):
        await asked(queue, channel)
        await finish(await claimed(queue), queue)
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.posts) == 1)
    assert [channel for channel, _, _ in platform.posts] == ["good"]
    assert [entry.address.channel for entry in await queue.outbox.pending()] in ([], ["bad"])


async def test_a_conversation_that_takes_its_time_holds_up_no_other(queue: Queue) -> None:
    platform = Platform()
    platform.stuck["slow"] = asyncio.Event()
    for channel in ("slow", "quick"):
        await asked(queue, channel)
        await finish(await claimed(queue), queue)
    async with delivering(queue, platform):
        await platform.until(lambda: [channel for channel, _, _ in platform.posts] == ["quick"])
        platform.stuck.pop("slow").set()
        await platform.until(lambda: len(platform.posts) == 2)
    assert len({key for _, key, _ in platform.posts}) == 2, "each once"


async def test_a_result_does_not_wait_for_the_places_in_line_of_its_conversation(queue: Queue) -> None:
    platform = Platform(interval_s=0.5)
    platform.marks_changes = True
    await asked(queue)
    waiting = {(await asked(queue, owner=f"fake:{number}")).id for number in range(4)}
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.cards) == 5)
        await asyncio.sleep(0.5)  # each of them might be changed now
        slow = platform.stuck["c1"] = asyncio.Event()
        tries = platform.tries
        lease = await claimed(queue)
        await platform.until(lambda: platform.tries > tries)  # a card is being changed
        await finish(lease, queue)
        del platform.stuck["c1"]
        begun = time.monotonic()
        slow.set()
        await platform.until(lambda: len(platform.posts) == 1)
        before = len(platform.cards)
        await platform.until(lambda: len(places_of(waiting, platform)) == 4)
        took = time.monotonic() - begun
    assert before <= 5 + 2, "the one that was under way, and the end of the job"
    assert took >= 2 * 0.5, "the others one after the other"
    assert places_of(waiting, platform) == [1, 2, 3, 4], "those who are served next read it first"


def places_of(jobs: set[str], platform: Platform) -> list[int | None]:
    """What the cards of ``jobs`` came to say of their place in line, in the order it was said."""
    return [card.position for _, card, ref in platform.cards if card.job in jobs and ref is not None]


async def test_a_platform_that_asks_to_wait_is_left_alone_that_long(queue: Queue) -> None:
    platform = Platform()
    await asked(queue)
    await finish(await claimed(queue), queue)
    platform.trouble = lambda channel: TryLater(3600)
    async with delivering(queue, platform):
        await platform.until(lambda: platform.tries == 2)  # the card and the result
        await asyncio.sleep(5 * DELIVERY.poll_s)
    assert platform.tries == 2


async def test_a_conversation_that_is_gone_is_given_up(queue: Queue) -> None:
    platform = Platform()
    await asked(queue)
    await finish(await claimed(queue), queue)
    platform.trouble = lambda channel: Unreachable("the person blocked us")
    async with delivering(queue, platform):
        await platform.until(lambda: platform.tries == 2)
        await settled(queue)
        await asyncio.sleep(3 * DELIVERY.poll_s)
    assert platform.tries == 2


async def test_a_person_who_blocked_us_is_left_alone_until_they_speak_again_and_gets_the_result_then(
    queue: Queue, tmp_path: Path
) -> None:
    platform = Platform()
    job = await asked(queue)
    platform.trouble = lambda channel: Unreachable("the person blocked us")
    async with delivering(queue, platform):
        await platform.until(lambda: platform.tries == 1)
        lease = await claimed(queue)
        for step in range(5):
            await show(lease, queue, step)
        await finish(lease, queue)
        await platform.until(lambda: platform.tries == 2)  # the result, once
        await given_up(queue, job.owner)
        await asyncio.sleep(3 * DELIVERY.poll_s)
        assert platform.tries == 2
        platform.trouble = lambda channel: None
        await Commands(queue, PRESETS, Intake(queue, INTAKE, tmp_path)).note_language(job.owner, "en")
        await platform.until(lambda: len(platform.posts) == 1)
    assert (await queue.people.get(job.owner)).unreachable_at is None


async def test_a_notice_of_the_trainer_is_told_in_the_language_of_the_job(queue: Queue) -> None:
    platform = Platform()
    await asked(queue, language="zh-CN")
    lease = await claimed(queue)
    await lease.notice(Message("queue-no-draft"))
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.posts) == 1)
    assert platform.posts[0][2].text.startswith("`zuri`：")


async def test_why_a_job_failed_is_told(queue: Queue) -> None:
    platform = Platform()
    await asked(queue)
    lease = await claimed(queue)
    await lease.fail(Message("queue-no-draft"))
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.posts) == 1 and len(platform.cards) == 1)
    assert "`zuri` failed. There are no photos to train on yet." in platform.posts[0][2].text
    assert platform.cards[0][1].note.startswith("There are no photos")


async def test_a_failing_front_end_is_started_again_and_stops_no_other(queue: Queue, tmp_path: Path) -> None:
    platform = Platform()
    platform.breaks_down = RuntimeError("the platform threw us out")
    platform.trouble = lambda channel: RuntimeError("broken")
    await asked(queue)
    async with (
        running_bot(queue, tmp_path, front_ends=[lambda _: platform]) as house,
        ChatClient.open(house.url) as chat,
    ):
        await finish(await claimed(queue), queue)
        await chat.upload(zip_of_photos(12), "photos.zip")
        await chat.ask("/train anime zuri")
        await finish(await claimed(queue), queue)
        await chat.until(lambda line: line.kind == "result")
        platform.trouble = lambda channel: None
        await platform.until(lambda: len(platform.posts) == 1)
        await eventually(lambda: platform.runs >= 2)


async def test_a_wrong_token_is_one_clear_line_and_stops_nobody_else(
    queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused(Platform):
        async def run(self, stop: asyncio.Event) -> None:
            self.runs += 1
            raise TokenRefused("web-link-unknown")

    platform = Refused()
    async with running_bot(queue, tmp_path, front_ends=[lambda _: platform]) as house:
        async with ChatClient.open(house.url) as chat:
            assert "/train" in (await chat.ask("/help")).text
        await asyncio.sleep(1.5)  # others are started again within a second
    assert platform.runs == 1
    lines = [record for record in caplog.records if "not one of mine" in record.getMessage()]
    assert [(line.levelname, line.exc_info) for line in lines] == [("ERROR", None)]


async def test_a_place_in_line_moves_on_after_a_restart_too(queue: Queue) -> None:
    platform = Platform()
    first, _ = await asked(queue, "first"), await asked(queue, "second")
    async with delivering(queue, platform):
        await platform.until(lambda: len(platform.cards) == 2)
    before = len(platform.cards)
    await queue.jobs.cancel(first.id, first.owner)
    async with delivering(queue, platform):
        await platform.until(lambda: any(card.position == 1 for _, card, _ in platform.cards[before:]))
    assert platform.cards[-1][2] is not None
