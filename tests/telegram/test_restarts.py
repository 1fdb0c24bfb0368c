"""A bot that ends at any moment loses no photo, question, card or result, and repeats none."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from lorabot.bot.telegram.pace import Limits
from lorabot.bot.telegram.places import HOME
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.house import WEB, claimed, finish, show
from tests.bot.pictures import photo
from tests.telegram.flow import asks, has_action, images_of, sends_photos
from tests.telegram.house import telegram_bot
from tests.telegram.server import Item, Person, TelegramServer
from tests.telegram.server.refusal import Refusal

MIB = 1024 * 1024


def cards(person: Person) -> list[str]:
    return [message.text for message in person.received() if "· Anime character" in message.text]


async def test_a_draft_outlives_the_bot(telegram: TelegramServer, queue: Queue, tmp_path: Path) -> None:
    anna = telegram.person()
    async with telegram_bot(telegram, queue, tmp_path):
        await sends_photos(anna, 5)
    anna.sends_photo(photo(5))  # while the bot is away
    async with telegram_bot(telegram, queue, tmp_path):
        await anna.sees("there are 6 now")
        await telegram.state.until(lambda: len(anna.received()) == 1)


async def test_photos_that_were_on_their_way_are_fetched_after_a_restart(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    anna = telegram.person()
    telegram.downloads_open.clear()
    async with telegram_bot(telegram, queue, tmp_path):
        anna.sends_album([photo(number) for number in range(3)])
        await anna.sees("looking")
        await telegram.state.until(lambda: len(telegram.calls("getFile")) == 3)
    telegram.downloads_open.set()
    async with telegram_bot(telegram, queue, tmp_path):
        await anna.sees("3 good pictures")
        assert len(anna.received()) == 1
        assert await images_of(queue, anna) == 3


async def test_a_page_that_can_be_reached_is_a_link(telegram: TelegramServer, queue: Queue, tmp_path: Path) -> None:
    web = WEB.model_copy(update={"public_url": "https://lora.example.org", "password": SecretStr("open")})
    async with telegram_bot(telegram, queue, tmp_path, web=web):
        anna = telegram.person()
        anna.sends(Item(b"x", "large.zip", "document", "application/zip", size=21 * MIB))
        page = await anna.sees("large.zip is larger than the 20 MB")
        (link,) = [entity for entity in page.entities if entity["type"] == "text_link"]
        assert link["url"].startswith("https://lora.example.org/send/")
        assert "is_disabled" in str(telegram.calls("sendMessage")[-1].params["link_preview_options"])


async def test_the_question_for_the_word_survives_a_restart(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    anna = telegram.person()
    async with telegram_bot(telegram, queue, tmp_path):
        await sends_photos(anna)
        anna.says("/train anime")
        await anna.sees("Which word shall call it up?")
    anna.says("zuri")
    async with telegram_bot(telegram, queue, tmp_path):
        await anna.sees(lambda message: has_action("agree:", message))


async def test_the_menus_are_not_sent_again_at_each_start(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    for _ in range(2):
        async with telegram_bot(telegram, queue, tmp_path):
            await telegram.state.until(lambda: len(telegram.state.commands) == 9)
            async with asyncio.timeout(20):
                while await queue.refs.get(HOME, "menus") is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    assert len(telegram.calls("setMyCommands")) == 9


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


@pytest.mark.parametrize("method", ["sendMessage", "sendDocument"])
async def test_a_restart_while_telegram_is_about_to_answer_repeats_nothing(
    telegram: TelegramServer, queue: Queue, tmp_path: Path, method: str
) -> None:
    """``sendMessage`` brings the card, ``sendDocument`` the LoRA."""
    anna = telegram.person()
    await asks(queue, anna)
    if method == "sendDocument":
        await finish(await claimed(queue), queue)
    telegram.answers_after_s = {method: 1.0}
    async with telegram_bot(telegram, queue, tmp_path):
        await telegram.state.until(lambda: bool(telegram.calls(method)))
    telegram.answers_after_s.clear()
    async with telegram_bot(telegram, queue, tmp_path):
        await asyncio.sleep(0.7)
    assert [len(telegram.calls(one)) for one in ("sendMessage", "sendDocument")] == [1, method == "sendDocument"]


async def test_an_answer_of_telegram_that_is_lost_repeats_that_message_and_no_other(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    anna = telegram.person()
    await asks(queue, anna)
    await finish(await claimed(queue), queue)
    telegram.loses_answers("sendDocument")
    async with telegram_bot(telegram, queue, tmp_path):
        await telegram.state.until(lambda: sum(has_action("again:", message) for message in anna.received()) == 2)
        await asyncio.sleep(0.5)
    files = [message.file.name for message in anna.received() if message.file and "Done" not in message.text]
    assert files == ["loss.png", "samples.png", "zuri.safetensors", "zuri.safetensors"]


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


async def test_a_lora_that_is_too_large_becomes_a_link(telegram: TelegramServer, queue: Queue, tmp_path: Path) -> None:
    anna = telegram.person()
    await asks(queue, anna)
    async with telegram_bot(telegram, queue, tmp_path, most_upload=5) as house:
        await finish(await claimed(queue), queue)
        result = await anna.sees(lambda message: has_action("again:", message))
        assert result.file is None
        assert "too large to be sent here" in result.text
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
