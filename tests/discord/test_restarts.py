"""The bot is started again and again: buttons, forms, cards and results go on as if nothing had been."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lorabot.bot.discord.front_end import DiscordFrontEnd
from lorabot.bot.intake.service import Intake
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.client import ChatClient
from tests.bot.house import INTAKE, claimed, finish, running_bot, show
from tests.discord.conftest import a_bot, a_queue, config_of
from tests.discord.flow import START, a_job, confirmation, last, photos, started
from tests.discord.server import DiscordServer, Person


@pytest_asyncio.fixture(loop_scope="session")
async def own() -> AsyncIterator[DiscordServer]:
    """A Discord of its own for the test."""
    server = DiscordServer()
    async with server.running():
        yield server
    server.judge()


@pytest_asyncio.fixture(loop_scope="session")
async def own_queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with a_queue(tmp_path) as queue:
        yield queue


def member(server: DiscordServer) -> Person:
    return Person.at(server, server.channel(server.guild()))


async def test_a_job_goes_on_over_restarts_with_one_card_and_one_result(
    own: DiscordServer, own_queue: Queue, tmp_path: Path
) -> None:
    anna = member(own)
    async with a_bot(own, own_queue, tmp_path):
        opened = await anna.slash("train")
        await own.until(lambda: opened.modal)
    async with a_bot(own, own_queue, tmp_path):
        sent = await anna.submit(opened, photos(), preset="anime", trigger="zuri")
        ready = await confirmation(anna, sent)
    async with a_bot(own, own_queue, tmp_path):
        await anna.press(ready, START)
        await own.until(lambda: own.public(anna.channel))
        card = last(own, anna.channel)
        lease = await claimed(own_queue)
    await show(lease, own_queue, 40)
    async with a_bot(own, own_queue, tmp_path):
        await own.until(lambda: "Step 40" in card.text)
        details = await anna.answered(await anna.press(card, "Details"))
        assert lease.job.id in details.text
    await finish(lease, own_queue)
    for _ in range(2):
        async with a_bot(own, own_queue, tmp_path):
            await own.until(lambda: "Done" in card.text and len(own.public(anna.channel)) == 2)
            assert (await anna.answered(await anna.slash("jobs"))).text
    assert len(own.public(anna.channel)) == 2, "one card, one result"
    assert own.rest.syncs == 1, "the commands are made known once, not at every start"


async def test_a_message_whose_receipt_was_lost_is_there_once(
    own: DiscordServer, own_queue: Queue, tmp_path: Path
) -> None:
    anna = member(own)
    own.lose_answers("POST", rf"/channels/{anna.channel.id}/messages", times=2)
    async with a_bot(own, own_queue, tmp_path):
        await a_job(anna, own_queue)
        await finish(await claimed(own_queue), own_queue)
        await own.until(lambda: len(own.public(anna.channel)) >= 2 and "Done" in own.public(anna.channel)[0].text)
        assert (await anna.answered(await anna.slash("jobs"))).text
    posted = [request for request in own.rest.requests if request.method == "POST" and "channels" in request.path]
    assert len(posted) == 4, "two of them were not heard of, and tried again"
    assert len(own.public(anna.channel)) == 2


async def test_photos_received_before_a_crash_are_told_of_after_it(
    own: DiscordServer, own_queue: Queue, tmp_path: Path
) -> None:
    anna = member(own)
    place = f"discord:{anna.channel.guild.id if anna.channel.guild else 0}/{anna.channel.id}"
    await spool(own_queue, tmp_path, anna, place)
    async with a_bot(own, own_queue, tmp_path):
        await own.until(lambda: own.public(anna.channel))
        told = last(own, anna.channel)
        assert "12 photos" in told.text
        assert told.pinged == {anna.user.id}
        opened = await anna.press(told, "Go on")
        await own.until(lambda: opened.modal)
        card = await started(anna, await anna.submit(opened, preset="anime", trigger="zuri"))
        assert "`zuri`" in card.text


async def spool(queue: Queue, folder: Path, person: Person, place: str) -> None:
    """The bytes are on the disk and acknowledged, and the process ended before anything else happened."""

    async def chunks() -> AsyncIterator[bytes]:
        yield photos().data

    await Intake(queue, INTAKE, folder / "bot").receive(
        chunks(),
        owner=f"discord:{person.user.id}",
        address=Address.parse(place),
        language="en",
        batch="b",
        name="photos.zip",
        declared=None,
    )


async def test_a_wrong_token_is_one_clear_line_and_the_web_chat_lives_on(
    own: DiscordServer, own_queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own.expect(401)
    config = config_of(own, token="wrong.token.altogether")
    async with running_bot(own_queue, tmp_path, front_ends=[lambda parts: DiscordFrontEnd(parts, config)]) as house:
        await own.until(lambda: any(request.status == 401 for request in own.rest.requests))
        async with ChatClient.open(house.url) as chat:
            assert "/train" in (await chat.ask("/help")).text
    said = [record.getMessage() for record in caplog.records if "LORABOT_DISCORD__TOKEN" in record.getMessage()]
    assert len(said) == 1
    assert not [record for record in caplog.records if record.exc_info]
    assert "wrong.token" not in caplog.text
