"""The rate limiter by a clock of our own: within the limits, and each chat for itself."""

import asyncio
from collections import defaultdict
from itertools import pairwise

import pytest
from telegram.error import RetryAfter

from lorabot.bot.telegram.pace import Limits, Pace, Urgency, seconds_of

GROUP, OTHER = -100, -200


class Clock:
    """Time that passes only where somebody waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sent: defaultdict[int, list[float]] = defaultdict(list)
        self.pace = Pace(Limits(), lambda: self.now, self.sleep)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds

    async def send(
        self, chat: int, urgency: Urgency = "answer", endpoint: str = "sendMessage", refusals: int = 0, media: int = 0
    ) -> None:
        left = [refusals]

        async def request() -> bool:
            if left[0]:
                left[0] -= 1
                raise RetryAfter(30)
            self.sent[chat].append(self.now)
            return True

        data: dict[str, object] = {"chat_id": chat}
        if media:
            data["media"] = [None] * media
        await self.pace.process_request(request, (), {}, endpoint, data, urgency)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_chat_gets_one_message_a_second(clock: Clock) -> None:
    for _ in range(5):
        await clock.send(1)
    times = clock.sent[1]
    assert all(after - before >= 1 for before, after in pairwise(times))


async def test_a_group_gets_twenty_messages_a_minute(clock: Clock) -> None:
    for _ in range(45):
        await clock.send(GROUP)
    times = clock.sent[GROUP]
    assert all(times[place + 20] - times[place] >= 60 for place in range(25))


async def test_an_album_counts_as_its_messages(clock: Clock) -> None:
    for _ in range(3):
        await clock.send(GROUP, endpoint="sendMediaGroup", media=10)
    assert clock.sent[GROUP][2] - clock.sent[GROUP][0] >= 60


async def test_all_chats_together_get_thirty_a_second(clock: Clock) -> None:
    for chat in range(1, 101):
        await clock.send(chat)
    times = sorted(time for sent in clock.sent.values() for time in sent)
    assert all(times[place + 30] - times[place] >= 1 for place in range(70))


async def test_progress_never_waits_and_leaves_room_for_answers(clock: Clock) -> None:
    shown = 0
    for _ in range(40):
        try:
            await clock.send(GROUP, "progress")
            shown += 1
        except RetryAfter:
            pass
        clock.now += 1.5
    assert shown <= 11
    before = clock.now
    await clock.send(GROUP, "delivery")
    assert clock.now - before <= 2


async def test_a_flooded_chat_waits_alone(clock: Clock) -> None:
    await clock.send(GROUP, refusals=1)
    assert clock.sent[GROUP] == [pytest.approx(1030.1)]
    clock.now = 1001.0
    await clock.send(OTHER)
    assert clock.now == 1001.0


async def test_a_delivery_is_told_to_come_back(clock: Clock) -> None:
    with pytest.raises(RetryAfter):
        await clock.send(GROUP, "delivery", refusals=1)
    with pytest.raises(RetryAfter) as told:
        await clock.send(GROUP, "delivery")
    assert 28 <= seconds_of(told.value) <= 31


async def test_what_is_no_message_is_never_held_up(clock: Clock) -> None:
    for _ in range(100):
        await clock.send(GROUP, endpoint="getChatMember")
    assert clock.now == 1000.0
