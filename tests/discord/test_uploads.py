"""Files that no open interaction waits for: by the upload page, or told of later in private."""

import aiohttp
import pytest
from pydantic import SecretStr

from lorabot.bot.intake import tally
from tests.bot.house import WEB, House, finish
from tests.bot.pictures import photo
from tests.discord.conftest import Shared
from tests.discord.flow import AGREE, START, a_running_job, last, photos
from tests.discord.server import Channel, DiscordServer, Permission, Person, Refused

MIB = 1024 * 1024
TOO_LATE = Refused(401, 50027, "Invalid Webhook Token")


async def upload_link(person: Person) -> str:
    reply = await person.answered(await person.slash("upload"))
    return str(next(button["url"] for button in reply.buttons if "url" in button))


async def send(link: str, name: str, data: bytes, of: int = 1) -> None:
    """As the page does; ``of`` files were dropped on it together."""
    about = {"name": name, "of": str(of), "batch": f"dropped-{name.partition('.')[0]}"}
    address = link.replace("/send/", "/api/send/")
    async with aiohttp.ClientSession() as http, http.post(address, params=about, data=data) as sent:
        assert sent.status == 200, await sent.text()


async def test_what_came_of_a_drop_is_told_each_time_though_a_file_of_it_never_comes(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    discord.expect(50027)
    monkeypatch.setattr(tally, "_PATIENCE_S", 0.3)
    link = await upload_link(anna)
    asked = next(reversed(discord.interactions.all.values()))
    await send(link, "a.zip", photos().data, of=2)
    await anna.reads(asked, "12 good pictures")
    discord.refuse("POST", r"/webhooks/.*", TOO_LATE, times=9)
    discord.refuse("POST", rf"/channels/{channel.id}/messages", Refused(400, 0, "in a mood"))
    await send(link, "b.jpg", photo(77), of=2)
    await discord.until(lambda: discord.public(channel))
    assert "13 photos" in last(discord, channel).text, "tried again until it was told"


async def test_what_was_deleted_is_not_told_of_with_what_comes_afterwards(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    await send(await upload_link(anna), "a.zip", photos().data, of=2)
    sure = await anna.answered(await anna.slash("forgetme"))
    await anna.press(sure, sure.labels[0])
    await discord.until(lambda: "deleted everything" in sure.text)
    link = await upload_link(anna)
    asked = next(reversed(discord.interactions.all.values()))
    await send(link, "b.jpg", photo(77))
    await anna.reads(asked, "One good picture")


async def test_an_address_that_discord_makes_no_link_of_is_written_out(
    shared: Shared, discord: DiscordServer, anna: Person, channel: Channel
) -> None:
    shared.web = WEB.model_copy(update={"public_url": "http://gpu-box:8080", "password": SecretStr("open")})
    try:
        bot = await shared.again()
        reply = await anna.answered(await anna.slash("upload"))
        assert "<http://gpu-box:8080/send/" in reply.text
        _, lease = await a_running_job(anna, bot.queue)
        await finish(lease, bot.queue, bytes(11 * MIB))
        await discord.until(lambda: len(discord.public(channel)) == 2)
        assert "(http://gpu-box:8080/files/" in last(discord, channel).text
    finally:
        shared.web = WEB
        await shared.stop()


async def test_buttons_in_private_go_on_with_the_photos_of_the_channel_they_are_about(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(50013, 50027)
    link = await upload_link(anna)
    discord.refuse("POST", r"/webhooks/.*", TOO_LATE)
    channel.forbid(discord.me, Permission.SEND_MESSAGES)
    await send(link, "photos.zip", photos().data)
    alone = anna.in_dms()
    await discord.until(lambda: discord.public(alone.channel))
    opened = await alone.press(last(discord, alone.channel), "Go on")
    await discord.until(lambda: opened.modal)
    asked = await alone.answered(await alone.submit(opened, preset="anime"))
    assert "Which word" in asked.text
    await alone.press(asked, asked.labels[0])
    await discord.until(lambda: AGREE in asked.labels)
    await alone.press(asked, AGREE)
    await discord.until(lambda: START in asked.labels)
    assert "12 photos" in asked.text
    assert asked.channel is alone.channel


async def test_an_answer_that_came_too_late_goes_on_in_private_with_the_photos_of_the_channel(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(50027)
    discord.refuse("PATCH", r"/webhooks/.*", TOO_LATE)
    await anna.slash("train", images=photos())
    alone = anna.in_dms()
    await discord.until(lambda: discord.public(alone.channel))
    asked = await alone.answered(await alone.press(last(discord, alone.channel), "Anime character"))
    assert "Which word" in asked.text
    await alone.press(asked, asked.labels[0])
    await discord.until(lambda: AGREE in asked.labels)
    await alone.press(asked, AGREE)
    await discord.until(lambda: START in asked.labels)
    await alone.press(asked, START)
    await discord.until(lambda: discord.public(channel))
    assert len(await bot.queue.jobs.of(f"discord:{anna.user.id}", 1)) == 1, "its card stands where the photos were sent"
