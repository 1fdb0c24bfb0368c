"""Cards and results: kept current, sent once, through floods, deletions, restarts and refusals."""

import asyncio
from pathlib import Path

from lorabot.bot.telegram.pace import Limits
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.house import claimed, finish, show
from tests.bot.platform import asked
from tests.telegram.flow import has_action
from tests.telegram.house import House, telegram_bot
from tests.telegram.server import Person, TelegramServer
from tests.telegram.server.refusal import Refusal


async def asks(queue: Queue, person: Person) -> None:
    """A job of the person, without the way there."""
    await asked(queue, str(person.chat.id), "telegram")


def cards(person: Person) -> list[str]:
    return [message.text for message in person.received() if "Anime character" in message.text and not message.album]


async def test_one_message_shows_the_job_with_a_bar_and_the_loss(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    card = await anna.sees("Next in line")
    assert card.silent
    lease = await claimed(house.queue)
    await show(lease, house.queue, 50)
    await anna.sees("50 / 100 · 4.0 steps/s")
    assert "▰▰▰▰▰▰▱▱▱▱▱▱ 50 %" in card.text
    assert card.file is not None
    assert card.labels == ["Cancel", "Details"]
    first = card.file.data
    await show(lease, house.queue, 60)
    await anna.sees("60 / 100")
    assert card.file.data == first, "the words move on more often than the picture"
    await finish(lease, house.queue)
    await house.telegram.state.until(lambda: "Done" in card.text)
    assert card.file.data != first, "the last state has the last curve"
    assert card.labels == []


async def test_a_result_is_an_album_and_the_file_with_how_to_use_it(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees(lambda message: has_action("again:", message))
    album = [message for message in anna.received() if message.album]
    assert [message.file.name for message in album if message.file] == ["loss.png", "samples.png"]
    assert all(message.silent for message in album)
    assert not result.silent
    assert result.file is not None
    assert result.file.name == "zuri.safetensors"
    assert "write zuri in your prompt" in result.text


async def test_a_restart_between_the_parts_of_a_result_repeats_none(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    anna = telegram.person()
    await asks(queue, anna)
    await finish(await claimed(queue), queue)
    telegram.fails_next("sendDocument", *[Refusal(502, "Bad Gateway", fault=False)] * 50)
    async with telegram_bot(telegram, queue, tmp_path):
        await telegram.state.until(lambda: bool(telegram.calls("sendDocument")))
    telegram.heals("sendDocument")
    async with telegram_bot(telegram, queue, tmp_path):
        await anna.sees(lambda message: has_action("again:", message))
        await asyncio.sleep(0.5)
    files = [message.file.name for message in anna.received() if message.file and "Done" not in message.text]
    assert files == ["loss.png", "samples.png", "zuri.safetensors"]


async def test_a_connection_that_drops_costs_nothing(house: House, anna: Person) -> None:
    for method in ("sendMessage", "sendMediaGroup", "sendDocument"):
        house.telegram.fails_next(method, "drop")
    await asks(house.queue, anna)
    await finish(await claimed(house.queue), house.queue)
    await anna.sees(lambda message: has_action("again:", message))


async def test_a_card_that_somebody_deleted_comes_again(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    card = await anna.sees("Next in line")
    anna.deletes(card)
    lease = await claimed(house.queue)
    await show(lease, house.queue, 50)
    again = await anna.sees("50 / 100")
    assert again.id != card.id
    await show(lease, house.queue, 60)
    await house.telegram.state.until(lambda: "60 / 100" in again.text)


async def test_a_card_is_found_again_after_a_restart(telegram: TelegramServer, queue: Queue, tmp_path: Path) -> None:
    anna = telegram.person()
    await asks(queue, anna)
    async with telegram_bot(telegram, queue, tmp_path):
        card = await anna.sees("Next in line")
        lease = await claimed(queue)
        await show(lease, queue, 50)
        await anna.sees("50 / 100")
    await show(lease, queue, 50)  # nothing that could be seen
    async with telegram_bot(telegram, queue, tmp_path):
        await show(lease, queue, 60)
        await telegram.state.until(lambda: "60 / 100" in card.text)
        await finish(lease, queue)
        await telegram.state.until(lambda: "Done" in card.text)
    assert len(cards(anna)) == 1


async def test_a_person_who_blocked_the_bot_is_given_up(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    await anna.sees("Next in line")
    anna.blocks_bot()
    await finish(await claimed(house.queue), house.queue)
    async with asyncio.timeout(20):
        while await house.queue.outbox.pending():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await house.queue.people.get(f"telegram:{anna.member.id}")).unreachable_at is not None
    anna.unblocks_bot()
    anna.says("/jobs")
    await anna.sees("zuri")


async def test_a_chat_that_is_gone_is_given_up(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    await anna.sees("Next in line")
    anna.chat.closed = "Bad Request: chat not found"
    await finish(await claimed(house.queue), house.queue)
    async with asyncio.timeout(20):
        while await house.queue.outbox.pending():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_flooded_chat_holds_up_no_other(house: House, anna: Person) -> None:
    boris = house.telegram.person("Boris")
    for person in (anna, boris):
        await asks(house.queue, person)
        await person.sees("in line")
    for method in ("sendMediaGroup", "editMessageText"):
        house.telegram.floods_next(method, 3600)
    anna.says("/help")  # an answer beside what waits
    for _ in range(2):
        await finish(await claimed(house.queue), house.queue)
    await house.telegram.state.until(
        lambda: any(has_action("again:", message) for person in (anna, boris) for message in person.received())
    )


async def test_a_short_flood_delays_the_end_and_loses_nothing(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    card = await anna.sees("Next in line")
    house.telegram.floods_next("editMessageText", 1)
    house.telegram.floods_next("sendMediaGroup", 1)
    house.telegram.floods_next("sendDocument", 1)
    await finish(await claimed(house.queue), house.queue)
    await anna.sees(lambda message: has_action("again:", message))
    await house.telegram.state.until(lambda: "Done" in card.text)
    assert sum(message.file is not None and message.file.name == "zuri.safetensors" for message in anna.received()) == 1


async def test_a_lora_that_is_too_large_becomes_a_link(telegram: TelegramServer, queue: Queue, tmp_path: Path) -> None:
    anna = telegram.person()
    await asks(queue, anna)
    async with telegram_bot(telegram, queue, tmp_path, most_upload=5) as house:
        await finish(await claimed(queue), queue)
        result = await anna.sees(lambda message: has_action("again:", message))
        assert result.file is None
        assert "too large to be sent here" in result.text
        assert f"{house.url}/files/" in result.text


async def test_a_lora_that_the_server_finds_too_large_becomes_a_link(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    house.telegram.fails_next("sendDocument", Refusal(413, "Request Entity Too Large", fault=False))
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees(lambda message: has_action("again:", message))
    assert f"{house.url}/files/" in result.text


async def test_at_telegrams_own_pace_everything_comes(queue: Queue, tmp_path: Path) -> None:
    """With the true limits on both sides: nothing is refused, and the result is there."""
    async with (
        TelegramServer().serving() as telegram,
        telegram_bot(telegram, queue, tmp_path, limits=Limits()),
    ):
        anna = telegram.person()
        await asks(queue, anna)
        await anna.sees("Next in line")
        lease = await claimed(queue)
        for step in range(10, 60, 10):
            await show(lease, queue, step)
            await asyncio.sleep(0.2)
        await finish(lease, queue)
        await anna.sees(lambda message: has_action("again:", message))
        await telegram.state.until(lambda: any("Done" in message.text for message in anna.received()))
    assert await queue.refs.get(Address("telegram", str(anna.chat.id)), "nothing") is None
