"""Whatever people send and type wrongly: through the web chat, as they would."""

import asyncio
import zipfile
from random import Random

import aiohttp
import pytest
from yarl import URL

from lorabot.bot.web.wire import ShownLine
from tests.bot.client import ChatClient, ChatError
from tests.bot.house import House, claimed
from tests.bot.pictures import (
    broken,
    encoded,
    locked_zip,
    photo,
    picture,
    png_bomb,
    zip_of_photos,
    zipped,
)


def is_report(line: ShownLine) -> bool:
    """The line that says what was found in files."""
    return line.key is not None and line.key.startswith("found:") and not line.busy


async def report_on(chat: ChatClient, data: bytes, name: str) -> str:
    """Send a file and read what was found in it."""
    seen = {line.id for line in chat.lines.values()}
    await chat.upload(data, name)
    return (await chat.until(lambda line: is_report(line) and line.id not in seen)).text


async def test_a_file_that_only_calls_itself_a_zip_is_named_and_explained(chat: ChatClient) -> None:
    report = await report_on(chat, b"\x00\x01\x02 this is no zip", "photos.zip")
    assert "`photos.zip`" in report
    assert "neither a zip nor a picture" in report


async def test_an_empty_zip_is_said_to_be_empty(chat: ChatClient) -> None:
    assert "The zip is empty" in await report_on(chat, zipped({}), "nothing.zip")


async def test_a_zip_of_junk_and_text_holds_no_pictures(chat: ChatClient) -> None:
    junk = {"__MACOSX/._a.jpg": b"\x00\x05", "a/.DS_Store": b"x", "Thumbs.db": b"x", "notes.txt": b"hello"}
    report = await report_on(chat, zipped(junk), "junk.zip")
    assert "It holds no pictures" in report
    assert "DS_Store" not in report


async def test_a_damaged_zip_is_said_to_be_damaged(chat: ChatClient) -> None:
    assert "damaged" in await report_on(chat, broken(zip_of_photos(3)), "half.zip")


async def test_a_zip_with_a_password_is_sent_back(chat: ChatClient) -> None:
    assert "has a password" in await report_on(chat, locked_zip({"a.jpg": photo(1)}), "secret.zip")


async def test_another_kind_of_archive_is_named_as_such(chat: ChatClient) -> None:
    assert "another kind of archive" in await report_on(chat, b"Rar!\x1a\x07\x01\x00rest", "photos.rar")


async def test_one_broken_image_is_named_and_the_rest_go_on(chat: ChatClient) -> None:
    files = {f"good-{number}.jpg": photo(number) for number in range(3)} | {"bad.jpg": broken(photo(9, (400, 400)))}
    report = await report_on(chat, zipped(files), "photos.zip")
    assert "3 good pictures" in report
    assert "Left out: `bad.jpg`" in report


async def test_a_zip_within_a_zip_is_left_out_by_name(chat: ChatClient) -> None:
    report = await report_on(chat, zipped({"a.jpg": photo(1), "inner.zip": zip_of_photos(2)}), "outer.zip")
    assert "One good picture" in report
    assert "`inner.zip`. It's an archive inside the zip" in report


async def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused_unread(chat: ChatClient) -> None:
    bomb = zipped({"a.bmp": b"BM" + bytes(7_000_000)})
    assert len(bomb) < 20_000
    assert "far more than its own size, as pictures never do" in await report_on(chat, bomb, "bomb.zip")


async def test_a_zip_that_unpacks_to_more_than_allowed_is_refused_with_the_limit(chat: ChatClient) -> None:
    large = zipped({f"{number}.bmp": b"BM" + Random(number).randbytes(50_000) + bytes(4_000_000) for number in "ab"})
    assert "unpack to more than I can take (7 MB at most)" in await report_on(chat, large, "large.zip")


async def test_a_zip_of_more_files_than_allowed_is_refused_with_both_numbers(chat: ChatClient) -> None:
    report = await report_on(chat, zipped({f"{number}.jpg": b"x" for number in range(61)}), "many.zip")
    assert "61 files; 60 is the most" in report


async def test_a_zip_that_lies_about_a_size_leaves_only_that_file_out(chat: ChatClient) -> None:
    honest = zipped({"good.jpg": photo(1), "liar.bmp": b"BM" + bytes(1000)}, zipfile.ZIP_STORED)
    lying = honest.replace((1002).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    report = await report_on(chat, lying, "lies.zip")
    assert "One good picture" in report
    assert "`liar.bmp`" in report


async def test_a_picture_of_too_many_pixels_is_refused_by_name(chat: ChatClient) -> None:
    bomb = png_bomb(10_000, 10_000)
    assert len(bomb) < 120_000
    report = await report_on(chat, bomb, "huge.png")
    assert "`huge.png`. It has more than 4 million pixels" in report


async def test_small_blank_narrow_and_doubled_pictures_are_each_named_with_the_reason(chat: ChatClient) -> None:
    files = {
        "tiny.png": encoded(picture(1, (40, 300))),
        "blank.png": encoded(picture(1).point(lambda _: 200)),
        "narrow.png": encoded(picture(2, (6000, 70))),
        "one.png": encoded(picture(3)),
        "same.png": encoded(picture(3), compress_level=1),
    }
    report = await report_on(chat, zipped(files), "odd.zip")
    assert "One good picture" in report
    assert "`tiny.png`. It's 40 × 300 pixels; each side needs at least 64." in report
    assert "`blank.png`. It's blank." in report
    assert "`narrow.png`. It's 6,000 × 70 pixels" in report
    assert "It's the same as another one." in report


async def test_a_video_is_told_from_a_picture(chat: ChatClient) -> None:
    report = await report_on(chat, b"\0\0\0\x20ftypisom" + bytes(64), "holiday.jpg")
    assert "It's a video" in report


async def test_names_that_climb_out_of_the_zip_are_harmless(chat: ChatClient, house: House) -> None:
    names = ("../../climb.jpg", "/etc/absolute.jpg", "C:\\windows\\drive.jpg", "a\u202egpj.exe.jpg")
    files = {name: photo(number) for number, name in enumerate(names)}
    report = await report_on(chat, zipped(files), "../../../evil.zip")
    assert "4 good pictures" in report
    assert not list(house.folder.parent.rglob("climb.jpg"))
    assert not list(house.folder.rglob("*.jpg"))


async def test_an_upload_over_the_limit_is_refused_before_it_is_read(chat: ChatClient, house: House) -> None:
    """The server answers to the headers alone: not a byte of the body is ever sent."""
    url = URL(house.url)
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in chat.http.cookie_jar)
    request = (
        f"POST /api/uploads?name=big.zip HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nCookie: {cookies}\r\n"
        "Content-Length: 4000000001\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request.encode())
    await writer.drain()
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    body = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    writer.close()
    assert b" 413 " in head.splitlines()[0]
    assert b"big.zip is too large" in body


async def test_an_upload_that_hides_its_size_is_cut_off_at_the_limit(chat: ChatClient, house: House) -> None:
    sent = 0

    async def endless() -> object:
        nonlocal sent
        while sent < 50_000_000:
            sent += 100_000
            yield bytes(100_000)

    try:
        async with chat.http.post(house.url + "/api/uploads?name=big.zip", data=endless()) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the server hung up while we were still sending
    assert sent < 50_000_000
    assert not list((house.folder / "bot" / "uploads").iterdir())


async def test_too_few_images_says_how_many_more(chat: ChatClient) -> None:
    await chat.upload(zip_of_photos(3), "photos.zip")
    answer = await chat.ask("/train preset:anime trigger:zuri")
    assert "There are 3 photos so far, and `anime` needs at least" in answer.text
    assert "more." in answer.text


async def test_photos_that_no_preset_takes_are_answered_with_how_many_more_to_send(chat: ChatClient) -> None:
    report = await report_on(chat, zip_of_photos(3), "photos.zip")
    assert "I need at least 5 to learn from. Please add 2 more." in report
    assert "Pick a preset" not in report
    assert "Please add 2 more." in (await chat.ask("/train")).text


async def test_no_images_at_all_asks_for_some(chat: ChatClient) -> None:
    assert "no photos to train on yet" in (await chat.ask("/train anime zuri")).text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/train preset:animee trigger:zuri", "anime"),
        ("/train presett:anime", "Did you mean `preset:`?"),
        ("/train anime zuri colour:red", "`colour`"),
        ("/train anime cat", "already means something"),
        ("/train anime zü-ri!", "How about `zuri`?"),
        ('/train anime "my zuri"', "more than one word"),
        ("/train anime zuri base:demmo", "Did you mean demo?"),
        ("/train anime zuri base:sdxl", "There is no base model `sdxl`. You can choose from demo."),
        ("/trian anime", "Did you mean `/train`?"),
        ("hello there", "only good at commands"),
        ("/cancel", "nothing to cancel"),
        ("/cancel nosuchjob", "no job called nosuchjob"),
        ("/jobs now", "stands alone"),
    ],
)
async def test_what_is_typed_wrongly_is_answered_with_what_to_do(chat: ChatClient, typed: str, said: str) -> None:
    assert said in (await chat.ask(typed)).text


async def test_a_refused_command_costs_no_photo(chat: ChatClient) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train preset:animee trigger:zuri")
    await chat.ask("/train anime cat")
    assert "on 12 photos" in (await chat.ask("/train anime zuri")).text


async def test_a_second_train_while_one_is_queued_is_refused_and_keeps_the_new_photos(
    chat: ChatClient, house: House
) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    await chat.upload(zip_of_photos(12, first=50), "more.zip")
    assert "already have a job under way: zuri" in (await chat.ask("/train anime kavo")).text
    await chat.ask("/cancel zuri")
    assert "on 12 photos" in (await chat.ask("/train anime kavo")).text


async def test_nobody_cancels_or_sees_the_job_of_someone_else(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(12), "photos.zip")
    await chat.ask("/train anime zuri")
    lease = await claimed(house.queue)
    async with ChatClient.open(house.url) as stranger:
        assert "belongs to somebody else" in (await stranger.ask(f"/cancel {lease.job.id}")).text
        assert "belongs to somebody else" in (await stranger.ask(f"/status {lease.job.id}")).text
        pressed = await stranger.answer(await stranger.press(f"cancel:{lease.job.id}"))
        assert "belongs to somebody else" in pressed.text
        assert "no job called zuri" in (await stranger.ask("/cancel zuri")).text
    assert not (await house.queue.jobs.get(lease.job.id)).cancel_requested


async def test_an_upload_without_a_name_is_refused(chat: ChatClient, house: House) -> None:
    async with chat.http.post(house.url + "/api/uploads", data=b"x") as response:
        assert response.status == 400


async def test_an_upload_that_counts_madly_is_taken_as_one_file(chat: ChatClient, house: House) -> None:
    parameters = {"name": "a.jpg", "of": "9" * 5000}
    async with chat.http.post(house.url + "/api/uploads", params=parameters, data=photo(1)) as response:
        assert response.status == 200


async def test_a_refused_upload_says_why_to_who_sent_it(chat: ChatClient) -> None:
    with pytest.raises(ChatError, match="too large"):
        await chat.upload(bytes(4_000_001), "big.png")
