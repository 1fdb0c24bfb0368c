"""Cards and results: kept current, sent once, through floods, deletions, restarts and refusals."""

import asyncio

import pytest

from tests.bot.house import claimed, finish, given_up, settled, show, store_away
from tests.telegram.flow import asks, has_action
from tests.telegram.house import House
from tests.telegram.server import Person
from tests.telegram.server.refusal import Refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


@pytest.mark.parametrize("words", ["/start", "/jobs"])
async def test_a_person_who_blocked_the_bot_gets_the_result_when_they_are_back(
    house: House, anna: Person, words: str
) -> None:
    await asks(house.queue, anna)
    await anna.sees("Next in line")
    anna.blocks_bot()
    await finish(await claimed(house.queue), house.queue)
    await given_up(house.queue, f"telegram:{anna.member.id}")
    anna.unblocks_bot()
    anna.says(words)
    await anna.sees(lambda message: has_action("again:", message))


async def test_a_chat_that_is_gone_is_given_up(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    await anna.sees("Next in line")
    anna.chat.closed = "Bad Request: chat not found"
    await finish(await claimed(house.queue), house.queue)
    await given_up(house.queue, f"telegram:{anna.member.id}")


async def test_a_flooded_chat_holds_up_no_other(house: House, anna: Person) -> None:
    boris = house.telegram.person("Boris")
    for person in (anna, boris):
        await asks(house.queue, person)
        await person.sees("in line")
    house.telegram.floods_next("sendMediaGroup", 3600)
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


async def test_a_lora_that_the_server_finds_too_large_becomes_a_link(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    house.telegram.fails_next("sendDocument", Refusal(413, "Request Entity Too Large", fault=False))
    await finish(await claimed(house.queue), house.queue)
    result = await anna.sees(lambda message: has_action("again:", message))
    assert f"{house.url}/files/" in result.text


async def test_a_result_that_comes_while_the_database_goes_away_comes_once(house: House, anna: Person) -> None:
    await asks(house.queue, anna)
    await anna.sees("Next in line")
    house.telegram.answers_after_s |= {"sendDocument": 0.5, "sendMediaGroup": 0.5}
    await finish(await claimed(house.queue), house.queue)
    for method in ("sendMediaGroup", "sendDocument"):
        await house.telegram.state.until(lambda method=method: bool(house.telegram.calls(method)))  # type: ignore[misc]
        async with store_away(house.queue, house.folder):
            await asyncio.sleep(0.8)
    await settled(house.queue)
    await asyncio.sleep(0.5)
    assert len(house.telegram.calls("sendMediaGroup")) == len(house.telegram.calls("sendDocument")) == 1
