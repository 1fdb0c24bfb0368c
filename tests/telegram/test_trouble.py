"""What people get wrong on Telegram, and a database that is away: one clear answer each, and nothing is lost."""

import asyncio
from functools import partial

import pytest

from tests.bot.house import store_away
from tests.bot.pictures import broken, photo, zip_of_photos, zipped
from tests.telegram.flow import a_job, comes_to_confirm, has_action, images_of, sends_photos
from tests.telegram.house import House
from tests.telegram.server import Message, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_wrong_word_is_answered_with_what_to_do_instead(house: House, anna: Person) -> None:
    await sends_photos(anna)
    for words, answer in (
        ("/train animee zuri", "animee"),
        ("/train anime zuri colour:red", "colour"),
        ("/train anime dog", "already means something"),
        ("/train anime zuri base:sdxxl", "You can choose from demo"),
        ("/trian anime zuri", "/train"),
        ("/cancel nonsense", "no job called nonsense"),
    ):
        said = anna.says(words)
        await anna.sees(partial(_answers, said, answer))
    assert await images_of(house.queue, anna) == 12


def _answers(said: Message, words: str, message: Message) -> bool:
    return message.id > said.id and words in message.text


async def test_one_broken_picture_among_good_ones_is_named_and_the_rest_goes_on(house: House, anna: Person) -> None:
    files = {f"{number}.jpg": photo(number) for number in range(3)}
    anna.sends_file("mine.zip", zipped({**files, "bad.jpg": broken(photo(9, (900, 700))), "__MACOSX/._0.jpg": b"junk"}))
    count = await anna.sees("3 good pictures")
    assert "bad.jpg" in count.text
    assert "MACOSX" not in count.text


async def test_a_second_job_is_refused_while_the_first_waits_and_its_photos_stay(house: House, anna: Person) -> None:
    await a_job(anna, house.queue)
    await sends_photos(anna, 12, first=20)
    confirm = await comes_to_confirm(anna, "/train anime kavo")
    press = await anna.answered(anna.presses(confirm, "Start"))
    assert press.alert
    assert "zuri" in press.text
    assert has_action("start:", confirm), "it can be pressed again when the first is over"
    assert await images_of(house.queue, anna) == 12


async def test_nobody_cancels_the_job_of_somebody_else(house: House, anna: Person) -> None:
    job = await a_job(anna, house.queue)
    ben = house.telegram.person("Ben")
    ben.says(f"/cancel {job.id}")
    await ben.sees("belongs to somebody else")
    assert not (await house.queue.jobs.get(job.id)).state.final


async def test_what_is_asked_while_the_database_is_away_is_done_when_it_is_back(house: House, anna: Person) -> None:
    anna.says("/help")
    await anna.sees("/train preset:anime")
    async with store_away(house.queue, house.folder):
        anna.sends_file("photos.zip", zip_of_photos(3))
        said = anna.says("/jobs")
    await anna.sees(lambda message: message.id > said.id and "no jobs yet" in message.text)
    await anna.sees("3 good pictures")


async def test_the_count_keeps_its_buttons_though_the_database_goes_away_when_it_appears(
    house: House, anna: Person
) -> None:
    house.telegram.answers_after_s["sendMessage"] = 0.5
    anna.sends_file("photos.zip", zip_of_photos(12))
    await house.telegram.state.until(lambda: bool(house.telegram.calls("sendMessage")))
    async with store_away(house.queue, house.folder):
        await asyncio.sleep(0.8)
    count = await anna.sees(lambda message: message.labels == ["Train", "Clear"])
    assert "12 good pictures" in count.text
    assert len(anna.received()) == 1
