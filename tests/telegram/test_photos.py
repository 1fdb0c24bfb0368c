"""What people send: photos, albums, files and zips; whole, broken, too large, and in the middle of something else."""

import asyncio

import aiohttp
import pytest

from tests.bot.pictures import broken, locked_zip, photo, zip_of_photos, zipped
from tests.telegram.flow import comes_to_confirm, has_action, images_of, sends_photos
from tests.telegram.house import QUICK, House
from tests.telegram.server import Item, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
OF_NO_USE = (
    ("photos.zip", broken(zip_of_photos(3)), "The zip is damaged"),
    ("photos.zip", locked_zip({"a.jpg": photo(1)}), "The zip has a password"),
    ("photos.zip", zipped({}), "The zip is empty"),
    ("photos.zip", zipped({"__MACOSX/._a.jpg": b"x", "notes.txt": b"x"}), "It holds no pictures"),
    ("notes.txt", b"just some words", "neither a zip nor a picture"),
    ("photos.rar", b"Rar!\x1a\x07" + bytes(100), "another kind of archive"),
    ("photo.jpg", broken(photo(1, (900, 700))), "can't be read"),
)


async def test_one_message_keeps_count_and_stays_the_last(house: House, anna: Person) -> None:
    anna.sends_album([photo(1), photo(2)])
    first = await anna.sees("2 good pictures")
    anna.sends_photo(photo(3))
    second = await anna.sees("there are 3 now")
    await house.telegram.state.until(lambda: first.deleted)
    assert anna.received() == [second]  # and it stands below all photos
    assert anna.received()[-1].id > max(message.id for message in anna.chat.messages.values() if message.file)


async def test_an_album_is_looked_at_while_it_comes(house: House, anna: Person) -> None:
    house.telegram.downloads_open.clear()
    anna.sends_album([photo(number) for number in range(4)])
    looking = await anna.sees("looking")
    assert looking.labels == []
    house.telegram.downloads_open.set()
    await anna.sees("4 good pictures")
    assert anna.received() == [looking], "it is the same message"


async def test_the_advice_to_send_files_is_given_once(house: House, anna: Person) -> None:
    advice = "Sent as files they keep every detail"
    anna.sends_photo(photo(1))
    assert advice in (await anna.sees("One good picture")).text
    anna.sends_photo(photo(2))
    assert advice not in (await anna.sees("there are 2 now")).text
    boris = house.telegram.person("Boris")
    boris.sends_file("photos.zip", zip_of_photos(3))
    assert advice not in (await boris.sees("3 good pictures")).text


async def test_a_video_in_an_album_is_left_out_and_named(house: House, anna: Person) -> None:
    video = Item(b"not looked at", "film.mp4", "video", "video/mp4")
    anna.sends_album([photo(1), video, photo(2)])
    count = await anna.sees("2 good pictures")
    assert "film" in count.text or "video" in count.text
    assert "Please send single pictures" in count.text
    assert not house.telegram.state.paths or len(house.telegram.calls("getFile")) == 2, "the video is not fetched"


@pytest.mark.parametrize(("name", "data", "sentence"), OF_NO_USE)
async def test_a_file_of_no_use_is_named_with_the_reason(
    house: House, anna: Person, name: str, data: bytes, sentence: str
) -> None:
    anna.sends_file(name, data)
    count = await anna.sees(sentence)
    assert name in count.text
    assert count.labels == []


async def test_a_file_that_is_cut_off_is_fetched_again(house: House, anna: Person) -> None:
    house.telegram.cut_off = 1
    house.telegram.expired = 1
    anna.sends_album([photo(1), photo(2)])
    await anna.sees("2 good pictures")
    assert len(house.telegram.calls("getFile")) == 4


async def test_a_file_that_never_comes_whole_is_told_and_costs_no_other(house: House, anna: Person) -> None:
    await sends_photos(anna, 3)
    house.telegram.cut_off = 100
    anna.sends_file("photos.zip", zip_of_photos(3, first=10))
    count = await anna.sees("photos.zip was cut off on its way")
    assert count.labels == ["Train", "Clear"]
    assert await images_of(house.queue, anna) == 3


async def test_what_telegram_does_not_hand_out_goes_by_a_page(house: House, anna: Person) -> None:
    anna.sends(Item(b"x", "large.zip", "document", "application/zip", size=21 * MIB))
    page = await anna.sees("large.zip is larger than the 20 MB")
    assert f"{house.url}/send/" in page.text
    assert "opens only on the machine that lorabot runs on" in page.text


async def test_what_comes_by_the_page_is_counted_in_the_chat(house: House, anna: Person) -> None:
    anna.sends(Item(b"x", "large.zip", "document", "application/zip", size=21 * MIB))
    page = await anna.sees("large.zip is larger than the 20 MB")
    link = next(word for word in page.text.split() if "/send/" in word)
    async with (
        aiohttp.ClientSession() as http,
        http.post(link.replace("/send/", "/api/send/"), params={"name": "large.zip"}, data=zip_of_photos(4)) as answer,
    ):
        assert answer.status == 200, await answer.text()
    count = await anna.sees("4 good pictures")
    assert count.labels == ["Train", "Clear"]


async def test_train_right_behind_an_album_waits_for_all_of_it(house: House, anna: Person) -> None:
    await sends_photos(anna, 9)
    anna.sends_album([photo(number) for number in range(20, 23)])
    question = await comes_to_confirm(anna)
    assert "12 photos" in question.text


async def test_train_as_the_caption_of_an_album_waits_for_its_end(house: House, anna: Person) -> None:
    await sends_photos(anna, 9)
    anna.sends_album([photo(number) for number in range(20, 23)], "/train anime zuri")
    question = await anna.sees(lambda message: has_action("agree:", message))
    anna.presses(question, question.labels[0])
    await house.telegram.state.until(lambda: has_action("start:", question))
    assert "12 photos" in question.text


async def test_train_as_a_reply_to_a_zip_is_one_step(house: House, anna: Person) -> None:
    sent = anna.sends_file("zuri.zip", zip_of_photos(12))
    await anna.sees("12 good pictures")
    anna.says("/train anime zuri", reply_to=sent)
    await anna.sees(lambda message: has_action("agree:", message))
    assert await images_of(house.queue, anna) == 12
    assert len(house.telegram.calls("getFile")) == 1, "it is there already"


async def test_a_photo_that_comes_while_the_job_is_confirmed_is_asked_about(house: House, anna: Person) -> None:
    await sends_photos(anna, 12)
    confirm = await comes_to_confirm(anna)
    assert "12" in confirm.text
    await sends_photos(anna, 1, first=12)
    await anna.answered(anna.presses(confirm, "Start"))
    await house.telegram.state.until(lambda: "13" in confirm.text and has_action("start:", confirm))
    assert await house.queue.jobs.of(f"telegram:{anna.member.id}", 1) == []
    anna.presses(confirm, "Start")
    await anna.sees(lambda message: has_action("cancel:", message))


async def test_clear_throws_the_photos_away(house: House, anna: Person) -> None:
    count = await sends_photos(anna, 4)
    anna.presses(count, "Clear")
    await house.telegram.state.until(lambda: "All 4 photos are thrown away" in count.text)
    assert count.labels == []
    again = await sends_photos(anna, 2)
    assert again.text.startswith("2 good pictures")
    anna.says("/clear")
    await anna.sees("All 2 photos")
    await house.telegram.state.until(lambda: again.labels == [])


@pytest.mark.parametrize("way", ["typed", "pressed"])
async def test_what_is_sent_right_behind_a_clear_stays(house: House, anna: Person, way: str) -> None:
    count = await sends_photos(anna, 4)
    anna.sends_file("old.zip", zip_of_photos(8, first=4))
    if way == "typed":
        anna.says("/clear")
    else:
        anna.presses(count, "Clear")
    anna.sends_file("new.zip", zip_of_photos(5, first=20))
    anna.says("/train anime zuri")
    await anna.sees(lambda message: has_action("agree:", message))
    assert await images_of(house.queue, anna) == 5
    assert any("All 12 photos are thrown away" in message.text for message in anna.received())


async def test_edited_messages_and_odd_contents_do_no_harm(house: House, anna: Person) -> None:
    said = anna.says("hello")
    await anna.sees("I'm only good at commands")
    anna.edits(said, "/train anime zuri")
    anna.sends(Item(photo(1), "s.webp", "sticker", "image/webp"))
    await house.telegram.state.until(lambda: len(anna.received()) == 2)
    await asyncio.sleep(0.3)
    assert len(anna.received()) == 2


async def test_nothing_in_a_files_name_is_markup(house: House, anna: Person) -> None:
    anna.sends_file("<b>`/clear` \u202e\n x.txt", b"no picture")
    answer = await anna.sees("neither a zip nor a picture")
    assert "clear'  x.txt." in answer.text
    assert [entity["type"] for entity in answer.entities] == ["code"]


async def test_an_album_that_comes_bit_by_bit_is_waited_for(house: House, anna: Person) -> None:
    anna.sends_album([photo(number) for number in range(8)], "/train anime zuri")
    state = house.telegram.state
    late = [state.updates.pop() for _ in range(7)]
    while late:
        await asyncio.sleep(QUICK.album_s / 5)
        state.updates.append(late.pop())
        state.tell()
    question = await anna.sees(lambda message: has_action("agree:", message))
    anna.presses(question, question.labels[0])
    await state.until(lambda: has_action("start:", question))
    assert "8 photos" in question.text
