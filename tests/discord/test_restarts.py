"""The bot is started again and again: buttons, forms, cards and results go on as if nothing had been."""

from collections.abc import AsyncIterator

import pytest

from lorabot.bot.discord.front_end import DiscordFrontEnd
from lorabot.bot.intake.service import Intake
from lorabot.queue.model import Address
from tests.bot.client import ChatClient
from tests.bot.house import INTAKE, House, claimed, eventually, finish, running_bot, show, store_away
from tests.discord.conftest import Shared, config_of
from tests.discord.flow import START, a_job, confirmation, last, photos, started
from tests.discord.server import Channel, DiscordServer, Person


async def test_a_job_goes_on_over_restarts_with_one_card_and_one_result(
    shared: Shared, discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    syncs = discord.rest.syncs
    opened = await anna.slash("train")
    await discord.until(lambda: opened.modal)
    await shared.again()
    ready = await confirmation(anna, await anna.submit(opened, photos(), preset="anime", trigger="zuri"))
    await shared.again()
    await anna.press(ready, START)
    await discord.until(lambda: discord.public(channel))
    card = last(discord, channel)
    lease = await claimed(shared.queue)
    await shared.stop()
    await show(lease, shared.queue, 40)
    await shared.start()
    await discord.until(lambda: "Step 40" in card.text)
    details = await anna.answered(await anna.press(card, "Details"))
    assert lease.job.id in details.text
    await shared.stop()
    await finish(lease, shared.queue)
    for _ in range(2):
        await shared.again()
        await discord.until(lambda: "Done" in card.text and len(discord.public(channel)) == 2)
        assert (await anna.answered(await anna.slash("jobs"))).text
    assert len(discord.public(channel)) == 2, "one card, one result"
    assert discord.rest.syncs == syncs, "the commands are made known once, not at every start"


async def test_cards_that_show_what_they_should_are_left_alone_by_a_restart(
    shared: Shared, discord: DiscordServer, bot: House, channel: Channel
) -> None:
    people = [Person.at(discord, channel, f"p{number}") for number in range(3)]
    cards = [await a_job(person, shared.queue, person.user.name) for person in people]
    lease = await claimed(shared.queue)
    await show(lease, shared.queue, 40)
    places = {"Next in line", "Number 2 in line", "Step 40"}
    await discord.until(lambda: all(any(place in card.text for card in cards) for place in places), 30)
    await shared.stop()
    discord.messages.edits.clear()
    await shared.start()
    await a_job(Person.at(discord, channel, "late"), shared.queue, "late")
    await show(lease, shared.queue, 60)
    await discord.until(lambda: any("Step 60" in card.text for card in cards))
    assert len(discord.messages.edits) == 1, "what had changed, and nothing else"


async def test_a_message_whose_receipt_was_lost_is_there_once(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.lose_answers("POST", rf"/channels/{channel.id}/messages", times=2)
    await a_job(anna, bot.queue)
    posted = f"/channels/{channel.id}/messages"
    await discord.until(lambda: [request.path for request in discord.rest.requests].count(posted) == 3)
    await finish(await claimed(bot.queue), bot.queue)
    await discord.until(lambda: len(discord.public(channel)) >= 2 and "Done" in discord.public(channel)[0].text)
    assert (await anna.answered(await anna.slash("jobs"))).text
    assert len(discord.public(channel)) == 2


async def test_photos_received_before_a_crash_are_told_of_after_it(
    shared: Shared, discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    await shared.stop()
    await spool(shared, anna, Address("discord", f"{channel.guild.id}/{channel.id}"))
    await shared.start()
    await discord.until(lambda: discord.public(channel))
    told = last(discord, channel)
    assert "12 photos" in told.text
    assert told.pinged == {anna.user.id}
    opened = await anna.press(told, "Go on")
    await discord.until(lambda: opened.modal)
    card = await started(anna, await anna.submit(opened, preset="anime", trigger="zuri"))
    assert "`zuri`" in card.text


async def test_who_waits_for_photos_to_be_looked_through_is_told_of_a_restart_and_need_not_repeat_anything(
    shared: Shared, discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    async with store_away(shared.queue, shared.folder):  # so they can't be looked through yet
        asked = await anna.slash("train", preset="anime", trigger="zuri", images=photos())
        await eventually(lambda: any((shared.folder / "bot" / "uploads").glob("*.json")))
        await shared.stop()
        told = await anna.reads(asked, "I'm being restarted")
        assert "have reached me" in told.text
    await shared.start()
    await discord.until(lambda: discord.public(channel))
    here = last(discord, channel)
    assert "12 photos" in here.text
    assert here.pinged == {anna.user.id}
    ready = await confirmation(anna, await anna.press(here, "Go on"))
    assert "Ready: `zuri`" in ready.text, "preset and trigger are remembered"


async def spool(shared: Shared, person: Person, address: Address) -> None:
    """The bytes are on the disk and acknowledged, and the process ended before anything else happened."""

    async def chunks() -> AsyncIterator[bytes]:
        yield photos().data

    await Intake(shared.queue, INTAKE, shared.folder / "bot").receive(
        chunks(),
        owner=f"discord:{person.user.id}",
        address=address,
        language="en",
        batch="b",
        name="photos.zip",
        declared=None,
    )


async def test_a_wrong_token_is_one_clear_line_and_the_web_chat_lives_on(
    shared: Shared, discord: DiscordServer, caplog: pytest.LogCaptureFixture
) -> None:
    discord.expect(401)
    await shared.stop()
    config = config_of(discord, token="wrong.token.altogether")
    front_ends = [lambda parts: DiscordFrontEnd(parts, config)]
    async with running_bot(shared.queue, shared.folder, front_ends=front_ends) as house:
        await discord.until(lambda: any(request.status == 401 for request in discord.rest.requests))
        async with ChatClient.open(house.url) as chat:
            assert "/train" in (await chat.ask("/help")).text
    said = [record.getMessage() for record in caplog.records if "LORABOT_DISCORD__TOKEN" in record.getMessage()]
    assert len(said) == 1
    assert not [record for record in caplog.records if record.exc_info]
    assert "wrong.token" not in caplog.text
