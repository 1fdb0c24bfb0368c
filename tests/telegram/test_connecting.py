"""How the bot gets its updates: polling, webhook, a Bot API server of one's own; and the token, which nobody reads."""

import asyncio
import logging
import zipfile
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from lorabot.bot.config import DiscordConfig, TelegramConfig
from lorabot.queue import Queue
from tests.bot.client import ChatClient
from tests.bot.house import claimed, finish
from tests.bot.pictures import photo, zip_of_photos, zipped
from tests.house import free_port
from tests.telegram.flow import asks, has_action
from tests.telegram.house import config_for, telegram_bot
from tests.telegram.server import Item, Limits, TelegramServer
from tests.telegram.server.flood import NO_RATES
from tests.telegram.server.refusal import Refusal


async def test_a_wrong_token_is_one_clear_line_and_the_web_chat_goes_on(
    telegram: TelegramServer, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = config_for(telegram, token=SecretStr("123456:wrong-token-of-this-test"))
    async with telegram_bot(telegram, queue, tmp_path, config=wrong, connects=False) as house:
        async with ChatClient.open(house.url) as chat:
            await chat.ask("/help")
        async with asyncio.timeout(20):
            while not any("BotFather" in record.getMessage() for record in caplog.records):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    told = [record for record in caplog.records if "BotFather" in record.getMessage()]
    assert len(told) == 1
    assert told[0].exc_info is None
    assert "wrong-token-of-this-test" not in caplog.text


async def test_no_log_line_ever_shows_the_token(
    telegram: TelegramServer, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the most talkative level, with everything that can go wrong: the token is part of every address."""
    caplog.set_level(logging.DEBUG)
    anna = telegram.person()
    secret = telegram.token.partition(":")[2]
    async with telegram_bot(telegram, queue, tmp_path):
        telegram.fails_next("sendMessage", "drop", Refusal(502, "Bad Gateway", fault=False))
        telegram.fails_next("getFile", "drop")
        telegram.fails_next("getUpdates", "drop", Refusal(500, "Internal Server Error", fault=False))
        telegram.cut_off, telegram.expired = 1, 1
        anna.sends_file("photos.zip", zip_of_photos(2))
        anna.says("/help")
        await anna.sees("2 good pictures")
        await asks(queue, anna)
        telegram.fails_next("sendDocument", "drop")
        await finish(await claimed(queue), queue)
        await anna.sees(lambda message: has_action("again:", message))
        telegram.state.token = "1:revoked"
        anna.says("/help")
        await asyncio.sleep(0.5)
        telegram.state.token = telegram.state.first_token
    assert caplog.records
    assert secret not in caplog.text
    assert secret not in "".join(str(record.args) for record in caplog.records)


async def test_a_second_program_with_the_same_token_is_named(
    telegram: TelegramServer, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with telegram_bot(telegram, queue, tmp_path), aiohttp.ClientSession() as http:
        url = f"{telegram.url}/bot{telegram.token}/getUpdates"
        async with http.post(url, json={"timeout": 0}):
            pass
        async with asyncio.timeout(20):
            while "only one may" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        anna = telegram.person()
        anna.says("/help")
        await anna.sees("/train")


async def test_a_telegram_that_does_not_answer_is_asked_again(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    telegram.fails_next("getMe", "drop", "drop")
    anna = telegram.person()
    anna.says("/help")
    async with telegram_bot(telegram, queue, tmp_path):
        await anna.sees("/train")


async def test_updates_come_to_a_webhook_with_its_secret(
    telegram: TelegramServer, queue: Queue, tmp_path: Path
) -> None:
    port = free_port()
    outside = "https://bot.example.org"
    telegram.behind[outside] = f"http://127.0.0.1:{port}"
    hook = config_for(
        telegram, webhook_url=f"{outside}/telegram", webhook_port=port, webhook_secret=SecretStr("s3cret")
    )
    async with telegram_bot(telegram, queue, tmp_path, config=hook):
        anna = telegram.person()
        anna.sends_file("photos.zip", zip_of_photos(3))
        await anna.sees("3 good pictures")
        assert not telegram.calls("getUpdates")
        forged = {"update_id": 1, "message": {"text": "/help"}}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"http://127.0.0.1:{port}/telegram", json=forged) as answer,
        ):
            assert answer.status == 403


async def test_a_taken_webhook_port_is_one_line(
    telegram: TelegramServer, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hook = config_for(telegram, webhook_url="https://bot.example.org/", webhook_port=port)
    async with server, telegram_bot(telegram, queue, tmp_path, config=hook, connects=False):
        async with asyncio.timeout(20):
            while f"The webhook can't listen on 127.0.0.1:{port}." not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert "Traceback" not in caplog.text


async def test_a_bot_api_server_of_ones_own_hands_out_paths_and_knows_no_limits(queue: Queue, tmp_path: Path) -> None:
    folder = tmp_path / "their-files"
    folder.mkdir()
    async with (
        TelegramServer(rates=NO_RATES, folder=folder).serving() as telegram,
        telegram_bot(telegram, queue, tmp_path, most_upload=None),
    ):
        anna = telegram.person()
        photos = {f"{number}.jpg": photo(number) for number in range(3)}
        large = zipped({**photos, "__MACOSX/much": bytes(21_000_000)}, zipfile.ZIP_STORED)
        anna.sends(Item(large, "large.zip", "document", "application/zip"))
        await anna.sees("3 good pictures")
        await asks(queue, anna)
        await finish(await claimed(queue), queue, lora=bytes(51_000_000))
        result = await anna.sees(lambda message: has_action("again:", message))
        assert result.file is not None
        assert result.file.size == 51_000_000


async def test_files_of_a_bot_api_server_elsewhere_come_by_the_web_server_that_hands_them_out(
    queue: Queue, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "not-mounted" / "telegram-bot-api"
    async with (
        TelegramServer(rates=NO_RATES, folder=elsewhere).serving() as telegram,
        telegram_bot(telegram, queue, tmp_path),
    ):
        anna = telegram.person()
        anna.sends_file("photos.zip", zip_of_photos(3))
        await anna.sees("3 good pictures")


def test_a_token_may_be_pasted_with_what_stands_around_it() -> None:
    for config in (TelegramConfig, DiscordConfig):
        token = config.model_validate({"token": " 123:abc\n"}).token
        assert token is not None
        assert token.get_secret_value() == "123:abc"


async def test_limits_of_the_loopback_are_telegrams_own() -> None:
    assert Limits().download == 20 * 1024 * 1024
    assert Limits().upload == 50 * 1024 * 1024
