"""The database goes away under an open page: the person hears so, and nothing of theirs is lost."""

from tests.bot.client import ChatClient
from tests.bot.house import House, store_away
from tests.bot.pictures import photo


async def test_a_person_who_asks_meanwhile_hears_so_and_is_answered_later(chat: ChatClient, house: House) -> None:
    await chat.ask("/help")
    async with store_away(house.queue, house.folder):
        key = await chat.press("jobs")
        await chat.heard("can't reach my database")
    assert "no jobs yet" in (await chat.answer(key)).text


async def test_a_line_that_could_not_be_stored_is_refused_with_a_sentence_and_can_be_sent_again(
    chat: ChatClient, house: House
) -> None:
    await chat.ask("/help")
    async with store_away(house.queue, house.folder):
        key = await chat.say("/jobs")
        await chat.heard("can't reach my database")
    await chat.disconnect()
    await chat.connect()  # as the page does
    assert "no jobs yet" in (await chat.answer(await chat.say("/jobs", key))).text
    assert [line.text for line in chat.lines.values() if line.author == "you"].count("/jobs") == 1


async def test_photos_sent_meanwhile_are_looked_through_when_it_is_back(chat: ChatClient, house: House) -> None:
    await chat.ask("/help")
    async with store_away(house.queue, house.folder):
        await chat.upload(photo(1), "a.jpg")
    await chat.until(lambda line: "One good picture" in line.text)
