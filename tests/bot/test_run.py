"""The bot as a process: what it imports, what it leaves to its decoder, and what it finds again after a crash."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.bot.config import WebConfig
from lorabot.bot.front_end import CannotStart
from lorabot.bot.intake.child import Decoder
from lorabot.bot.intake.service import Intake
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.client import ChatClient
from tests.bot.house import INTAKE, claimed, finish, running_bot
from tests.bot.pictures import zip_of_photos
from tests.bot.platform import Platform, asked


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_the_bot_imports_no_torch() -> None:
    found = imported_by("lorabot.bot.run")
    assert "aiohttp" in found
    assert not found & {"torch", "diffusers", "peft", "transformers", "open_clip", "accelerate"}


def test_the_decoder_imports_nothing_it_has_no_use_for() -> None:
    assert not imported_by("lorabot.bot.intake.decoder") & {"torch", "aiohttp", "sqlalchemy", "redis", "pydantic"}


def test_pictures_are_not_decoded_in_the_bots_own_process() -> None:
    assert "PIL" not in imported_by("lorabot.bot.run")


async def test_the_decoder_gets_none_of_the_bots_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABOT_DISCORD__TOKEN", "secret")
    async with Decoder(1024**3, 1024**2) as decoder:
        process = await decoder._start()
        environment = await asyncio.to_thread(Path(f"/proc/{process.pid}/environ").read_bytes)
    assert b"secret" not in environment


async def test_where_there_is_only_the_page_the_port_of_another_program_is_told_in_one_sentence(
    queue: Queue, tmp_path: Path
) -> None:
    async with running_bot(queue, tmp_path / "one") as house:
        port = int(house.url.rpartition(":")[2])
        with pytest.raises(CannotStart, match="web-port-taken"):
            async with running_bot(queue, tmp_path / "two", web=WebConfig(port=port)):
                pass


async def test_a_platform_that_cant_be_reached_is_told_in_one_line(
    queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Platform()
    platform.breaks_down = ConnectionError("Cannot connect to host chat.example:443.")
    async with running_bot(queue, tmp_path, front_ends=[lambda _: platform]):
        await platform.until(lambda: platform.runs > 1)
    (told,) = [record for record in caplog.records if "chat.example" in record.getMessage()][:1]
    assert told.getMessage() == (
        "front end fake failed: Cannot connect to host chat.example:443. Can this machine reach it?"
    )
    assert not told.exc_info


async def test_chats_go_on_beside_a_page_whose_port_is_taken_and_it_opens_when_the_port_is_free(
    queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Platform()
    squatter = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = squatter.sockets[0].getsockname()[1]

    async def leave() -> None:
        await platform.until(lambda: len(platform.posts) == 1)
        squatter.close()

    await asked(queue)
    await finish(await claimed(queue), queue)
    leaving = asyncio.create_task(leave())
    # The block begins once the page is open.
    web = WebConfig(port=port, update_interval_s=0)
    async with running_bot(queue, tmp_path, web=web, front_ends=[lambda _: platform]) as house:
        await leaving
        async with ChatClient.open(house.url) as chat:
            assert "/train" in (await chat.ask("/help")).text
    lines = [record for record in caplog.records if f"listens on 127.0.0.1:{port} already" in record.getMessage()]
    assert lines
    assert {(line.levelname, line.exc_info) for line in lines} == {("ERROR", None)}
    assert platform.runs == 1


async def test_what_was_received_before_a_crash_is_looked_through_after_it(queue: Queue, tmp_path: Path) -> None:
    async with running_bot(queue, tmp_path) as house, ChatClient.open(house.url) as chat:
        await chat.ask("/help")
        cookies = {cookie.key: cookie.value for cookie in chat.http.cookie_jar}
        conversation = chat.conversation

    async def chunks() -> AsyncIterator[bytes]:
        yield zip_of_photos(4)

    # The bytes are on the disk and acknowledged, and the process ends before anything else happens.
    intake = Intake(queue, INTAKE, tmp_path / "bot")
    address = Address("web", conversation)
    await intake.receive(
        chunks(), owner=str(address), address=address, language="en", batch="b", name="p.zip", declared=None
    )
    async with running_bot(queue, tmp_path) as house, ChatClient.open(house.url) as chat:
        await chat.disconnect()
        chat.http.cookie_jar.clear()
        chat.http.cookie_jar.update_cookies(cookies)
        await chat.connect()
        found = await chat.until(lambda line: "4 good pictures" in line.text)
        assert not found.busy
        assert not list((tmp_path / "bot" / "uploads").iterdir())
        draft = await queue.drafts.get(str(address), address)
        assert draft is not None
        assert len(draft.images) == 4
