"""The loopback server refuses what Telegram refuses: otherwise it could not vouch for the bot."""

import asyncio
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    MessageEntity,
)
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from tests.bot.pictures import photo
from tests.telegram.server import Item, Person, TelegramServer
from tests.telegram.server.flood import NO_RATES


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(rates=NO_RATES).serving(judged=False) as running:
        yield running


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with Bot(server.token, base_url=f"{server.url}/bot", base_file_url=f"{server.file_url}/bot") as client:
        yield client


@pytest.fixture
def person(server: TelegramServer) -> Person:
    return server.person()


async def refused(server: TelegramServer, call: object, why: str) -> None:
    before, why = len(server.state.violations), f"(?i){why}"
    with pytest.raises(BadRequest, match=why):
        await call  # type: ignore[misc]
    assert len(server.state.violations) == before + 1
    with pytest.raises(AssertionError, match=why):
        server.judge()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a" * 4097, "too long"),
        ("a < b", "parse entities"),
        ("<b>open", "find end tag"),
        ("<b><i>crossed</b></i>", "unexpected end tag"),
        ("<table>", "Unsupported start tag"),
        ("&nbsp;", "unknown entity"),
    ],
)
async def test_texts_that_telegram_refuses(
    server: TelegramServer, bot: Bot, person: Person, text: str, why: str
) -> None:
    await refused(server, bot.send_message(person.chat.id, text, parse_mode="HTML"), why)


async def test_html_becomes_entities(bot: Bot, person: Person) -> None:
    sent = await bot.send_message(person.chat.id, "🎨 <b>a &lt; b</b> <code>x</code>", parse_mode="HTML")
    assert sent.text == "🎨 a < b x"
    assert sent.parse_entities() == {
        MessageEntity("bold", 3, 5): "a < b",
        MessageEntity("code", 9, 1): "x",
    }


async def test_buttons_carry_at_most_64_bytes(server: TelegramServer, bot: Bot, person: Person) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="训" * 22)]])
    await refused(server, bot.send_message(person.chat.id, "x", reply_markup=keyboard), "button_data_invalid")


async def test_a_link_button_leads_to_a_real_address(server: TelegramServer, bot: Bot, person: Person) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("x", url="http://localhost:8080/")]])
    await refused(server, bot.send_message(person.chat.id, "x", reply_markup=keyboard), "Wrong HTTP URL")


async def test_an_edit_that_changes_nothing_is_refused(server: TelegramServer, bot: Bot, person: Person) -> None:
    sent = await bot.send_message(person.chat.id, "same")
    await refused(server, bot.edit_message_text("same", person.chat.id, sent.message_id), "not modified")


async def test_albums_hold_two_to_ten_of_one_kind(server: TelegramServer, bot: Bot, person: Person) -> None:
    # The client library counts them itself, so one that is too small is sent past it.
    small = {"chat_id": person.chat.id, "media": [{"type": "photo", "media": "attach://a"}]}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.url}/bot{server.token}/sendMediaGroup", json=small) as answer,
    ):
        assert "2-10" in (await answer.json())["description"]
    server.state.violations.clear()
    mixed: list[InputMediaPhoto | InputMediaDocument] = [InputMediaPhoto(photo(1)), InputMediaDocument(b"text")]
    await refused(server, bot.send_media_group(person.chat.id, mixed), "can't mix")


async def test_pictures_must_be_pictures(server: TelegramServer, bot: Bot, person: Person) -> None:
    await refused(server, bot.send_photo(person.chat.id, io.BytesIO(b"no picture")), "image_process_failed")


async def test_a_text_can_become_a_picture_by_an_edit(bot: Bot, person: Person) -> None:
    sent = await bot.send_message(person.chat.id, "soon")
    await bot.edit_message_media(InputMediaPhoto(photo(1), caption="now"), person.chat.id, sent.message_id)
    (message,) = person.received()
    assert message.text == "now"
    assert message.file is not None
    assert message.history == ["soon"]


async def test_a_press_is_answered_once_and_in_time(server: TelegramServer, bot: Bot, person: Person) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Go", callback_data="go")]])
    await bot.send_message(person.chat.id, "x", reply_markup=keyboard)
    press = person.presses(person.received()[0], "Go")
    with pytest.raises(AssertionError, match="never answered"):
        server.judge()
    await bot.answer_callback_query(press.id, "a" * 200)
    await refused(server, bot.answer_callback_query(press.id), "answered already")
    late = person.presses(person.received()[0], "Go")
    server.advance(60)
    await refused(server, bot.answer_callback_query(late.id), "too old")


async def test_files_have_a_limit_and_their_links_expire(server: TelegramServer, bot: Bot, person: Person) -> None:
    large = person.sends(Item(b"x", "a.zip", "document", size=20 * 1024 * 1024 + 1))
    assert large.file is not None
    with pytest.raises(BadRequest, match="too big"):
        await bot.get_file(large.file.id)
    small = person.sends_file("a.zip", b"some bytes")
    assert small.file is not None
    file = await bot.get_file(small.file.id)
    assert bytes(await file.download_as_bytearray()) == b"some bytes"
    server.advance(2 * 3600)
    with pytest.raises(InvalidToken):  # what the client library makes of a 404
        await file.download_as_bytearray()


async def test_too_many_messages_are_flood(person: Person) -> None:
    async with TelegramServer().serving(judged=False) as server:
        anna, group = server.person(), server.group()
        server.state.clock.stop()
        async with Bot(server.token, base_url=f"{server.url}/bot") as bot:
            await bot.send_message(anna.chat.id, "one")
            await bot.send_message(anna.chat.id, "two")
            with pytest.raises(RetryAfter):
                await bot.send_message(anna.chat.id, "three")
            for number in range(20):
                server.advance(2)
                await bot.send_message(group.chat.id, str(number))
            server.advance(2)
            with pytest.raises(RetryAfter):
                await bot.send_message(group.chat.id, "one too many")


async def test_who_is_gone_is_forbidden_and_who_never_was_is_not_found(
    server: TelegramServer, bot: Bot, person: Person
) -> None:
    person.blocks_bot()
    with pytest.raises(Forbidden, match="blocked"):
        await bot.send_message(person.chat.id, "x")
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(12345, "x")
    server.judge()


async def test_a_wrong_token_is_unauthorized(server: TelegramServer) -> None:
    with pytest.raises(InvalidToken):
        async with Bot("123:wrong", base_url=f"{server.url}/bot"):
            pass


async def test_one_program_at_a_time_polls(server: TelegramServer, bot: Bot, person: Person) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await server.state.until(lambda: server.state.polls == 1)
    async with Bot(server.token, base_url=f"{server.url}/bot") as other:
        second = asyncio.create_task(other.get_updates(timeout=20))
        with pytest.raises(Conflict):
            await first
        person.says("/help")
        updates = await second
    assert updates[0].message is not None
    assert updates[0].message.text == "/help"
    assert await bot.get_updates(offset=updates[-1].update_id + 1) == ()


async def test_an_unknown_method_is_not_found(server: TelegramServer, bot: Bot) -> None:
    with pytest.raises(Exception, match="not found"):
        await bot.do_api_request("sendCoffee", {})


async def test_in_a_group_with_privacy_only_what_is_meant_for_the_bot_comes(
    server: TelegramServer, bot: Bot, person: Person
) -> None:
    group = server.group(person)
    person.says("hello everybody", group=group)
    person.sends_photo(photo(1), group=group)
    person.says("@test_lorabot, hello", group=group)
    person.sends_photo(photo(1), "for @test_lorabot", group=group)
    person.says("/help", group=group)
    person.says("/help@another_bot", group=group)
    person.says("/jobs@Test_Lorabot", group=group)
    sent = await bot.send_message(group.chat.id, "send photos")
    person.sends_photo(photo(2), group=group, reply_to=group.chat.messages[sent.message_id])
    heard = await bot.get_updates()
    assert [update.effective_message.text for update in heard if update.effective_message] == [
        "/help",
        "/jobs@Test_Lorabot",
        None,
    ]


async def test_a_download_can_be_cut_off(server: TelegramServer, bot: Bot, person: Person) -> None:
    sent = person.sends_file("a.zip", bytes(300_000))
    assert sent.file is not None
    file = await bot.get_file(sent.file.id)
    server.cut_off = 1
    with pytest.raises(NetworkError):
        await file.download_as_bytearray()
    assert len(await file.download_as_bytearray()) == 300_000
