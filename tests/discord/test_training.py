"""From ``/train`` to a delivered LoRA, as members of a server see it."""

import re
from dataclasses import replace

import aiohttp

from lorabot.bot.commands.requests import Train
from lorabot.bot.discord.form import opened_by, opening_action
from lorabot.bot.discord.front_end import DiscordFrontEnd
from lorabot.bot.discord.place import bound, unbound
from lorabot.locale import translator
from lorabot.queue.model import Address, JobState
from tests.bot.house import House, claimed, finish, show
from tests.bot.pictures import photo
from tests.discord.conftest import Shared, config_of, parts_of
from tests.discord.flow import a_running_job, confirmation, jpegs, last, looked_through, photos, started
from tests.discord.server import Attachment, Channel, DiscordServer, Person

MIB = 1024 * 1024


async def test_a_zip_is_trained_on_and_the_lora_comes_to_the_channel(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=photos())
    consent = await looked_through(anna, asked)
    assert consent.seen_by is anna.user
    assert "12 good pictures" in consent.text
    assert "/privacy" in consent.text
    agreed = await anna.press(consent, "I agree")
    ready = await anna.reads(agreed, "Ready: `zuri`")
    assert ready is consent, "one private message leads through it all"
    await anna.press(ready, "Start")
    await discord.until(lambda: discord.public(channel))
    card = discord.public(channel)[0]
    assert card.labels == ["Cancel", "Details"]
    assert ready.labels == []

    lease = await claimed(bot.queue)
    await show(lease, bot.queue, 50)
    await discord.until(lambda: "Step 50 of 100" in card.text)
    assert "50 %" in card.text
    assert [file.filename for file in card.files] == ["loss.png", "sample-50.png"]
    await finish(lease, bot.queue)
    await discord.until(lambda: len(discord.public(channel)) == 2 and "Done" in card.text)
    result = last(discord, channel)
    assert result.pinged == {anna.user.id}
    assert not card.pinged
    assert result.file("zuri.safetensors").data == b"weights"
    assert [file.filename for file in result.files[:2]] == ["loss.png", "samples.png"]
    assert result.labels == ["Train again, stronger", "Train again, weaker"]
    assert card.labels == []


async def test_a_form_asks_for_everything_where_no_file_came_along(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    opened = await anna.slash("train")
    await discord.until(lambda: opened.modal)
    sent = await anna.submit(opened, *jpegs(10), preset="anime", trigger="zuri")
    card = await started(anna, sent)
    assert "`zuri`" in card.text
    job = (await bot.queue.jobs.of(f"discord:{anna.user.id}", 1))[0]
    assert len((await bot.queue.drafts.dataset(job.dataset_id)).images) == 10
    again = await anna.slash("train", preset="anime")
    await discord.until(lambda: again.modal)
    assert again.modal is not None
    chosen = [one["value"] for one in again.modal["components"][0]["component"]["options"] if one.get("default")]
    assert chosen == ["anime"], "what was typed is filled in"


async def test_pictures_of_several_messages_are_gathered_and_the_rest_is_asked_for(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    ben = Person.at(discord, channel, "ben")
    first = await ben.send("look", *jpegs(6))
    second = await ben.send("and these", *jpegs(6, 6))
    await looked_through(anna, await anna.use(first, "Train a LoRA from this"))
    presets = await looked_through(anna, await anna.use(second, "Train a LoRA from this"))
    assert presets.seen_by is anna.user
    await anna.press(presets, "Anime character")
    await discord.until(lambda: "Which word" in presets.text)
    word = presets.labels[0]
    await anna.press(presets, word)
    await discord.until(lambda: "I agree" in presets.labels)
    await anna.press(presets, "I agree")
    await discord.until(lambda: f"`{word}`" in presets.text)
    assert "12 photos" in presets.text


async def test_pictures_of_a_forwarded_message_are_taken(discord: DiscordServer, bot: House, anna: Person) -> None:
    elsewhere = anna.elsewhere(discord.channel(discord.guild("Elsewhere")))
    album = await elsewhere.send("", *jpegs(3))
    reply = await looked_through(anna, await anna.use(await anna.forward(album), "Train a LoRA from this"))
    assert "3 good pictures" in reply.text


async def test_a_thread_that_was_archived_meanwhile_is_opened_again_with_card_and_result(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(50083)
    assert channel.guild is not None
    thread = discord.channel(channel.guild, "long", parent=channel)
    _, lease = await a_running_job(anna.elsewhere(thread), bot.queue)
    thread.archived = True
    await finish(lease, bot.queue)
    await discord.until(lambda: [bool(one.files) for one in discord.public(thread)] == [False, True])
    card, result = discord.public(thread)
    await discord.until(lambda: "Done" in card.text)
    assert result.file(".safetensors").data == b"weights"


async def test_a_message_without_pictures_is_no_use(discord: DiscordServer, bot: House, anna: Person) -> None:
    message = await anna.send("hello")
    reply = await anna.answered(await anna.use(message, "Train a LoRA from this"))
    assert "no picture" in reply.text


async def test_too_few_photos_bring_a_button_for_more(discord: DiscordServer, bot: House, anna: Person) -> None:
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=photos(3))
    reply = await looked_through(anna, asked)
    assert "3 good pictures" in reply.text
    assert "needs at least" in reply.text
    assert reply.labels == ["Add photos", "Upload many photos"]
    opened = await anna.press(reply, "Add photos")
    await discord.until(lambda: opened.modal)
    sent = await anna.submit(opened, *jpegs(9, 20))
    assert "12 photos" in (await confirmation(anna, sent)).text, "preset and trigger are remembered"


async def test_a_thread_and_direct_messages_work_like_a_channel(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    thread = discord.channel(channel.guild, "my lora", parent=channel)
    for person in (anna.elsewhere(thread), anna.in_dms()):
        card = await started(person, await person.slash("train", preset="anime", trigger="zuri", images=photos()))
        assert card.channel is person.channel
        await finish(await claimed(bot.queue), bot.queue)
        await discord.until(lambda: last(discord, person.channel).files)  # noqa: B023
        assert last(discord, person.channel).file(".safetensors").data == b"weights"


async def test_a_finished_job_can_be_trained_again(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    _, lease = await a_running_job(anna, bot.queue)
    await finish(lease, bot.queue)
    await discord.until(lambda: len(discord.public(channel)) == 2)
    again = await anna.press(last(discord, channel), "Train again, stronger")
    card = await started(anna, again)
    assert "`zuri-2`" in card.text
    jobs = await bot.queue.jobs.of(f"discord:{anna.user.id}", 2)
    assert len({job.dataset_id for job in jobs}) == 1


async def test_a_chinese_client_is_answered_in_chinese(discord: DiscordServer, bot: House, channel: Channel) -> None:
    ling = Person.at(discord, channel, "ling", "zh-CN")
    say = translator("zh-CN")
    opened = await ling.slash("train")
    await discord.until(lambda: opened.modal)
    assert opened.modal is not None
    assert opened.modal["title"] == say("discord-form-title")
    message = await looked_through(ling, await ling.slash("train", preset="anime", trigger="zuri", images=photos()))
    await ling.press(message, say("command-agree"))
    await discord.until(lambda: say("command-start") in message.labels)
    await ling.press(message, say("command-start"))
    await discord.until(lambda: discord.public(channel))
    assert discord.public(channel)[0].labels == [say("card-cancel"), say("card-details")]


async def test_what_comes_by_the_upload_page_is_told_privately(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    asked = await anna.slash("upload")
    reply = await anna.answered(asked)
    link = next(button["url"] for button in reply.buttons if "url" in button)
    async with aiohttp.ClientSession() as http:
        async with http.get(link) as page:
            assert page.status == 200
        async with http.post(
            link.replace("/send/", "/api/send/"), params={"name": "photos.zip"}, data=photos().data
        ) as sent:
            assert sent.status == 200, await sent.text()
    told = await anna.reads(asked, "12 good pictures")
    assert told.seen_by is anna.user
    assert "Anime character" in told.labels
    assert discord.public(channel) == []


async def test_a_lora_over_the_servers_limit_comes_as_a_link(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    _, lease = await a_running_job(anna, bot.queue)
    lora = bytes(11 * MIB)
    await finish(lease, bot.queue, lora)
    await discord.until(lambda: len(discord.public(channel)) == 2)
    result = last(discord, channel)
    assert [file.filename for file in result.files] == ["loss.png", "samples.png", "report.md"]
    found = re.search(r"\]\((http\S+)\)", result.text)
    assert found is not None
    async with aiohttp.ClientSession() as http, http.get(found[1]) as response:
        assert await response.read() == lora


async def test_a_boosted_server_gets_the_file_itself(discord: DiscordServer, bot: House) -> None:
    guild = discord.guild("Boosted", tier=2)
    channel = discord.channel(guild)
    await discord.tell(guild)
    anna = Person.at(discord, channel)
    _, lease = await a_running_job(anna, bot.queue)
    await finish(lease, bot.queue, bytes(30 * MIB))
    await discord.until(lambda: any(message.files for message in discord.public(channel)[1:]))
    assert last(discord, channel).file(".safetensors").data == bytes(30 * MIB)


async def test_a_boosted_server_gets_the_file_itself_before_discord_has_described_the_server(
    shared: Shared, discord: DiscordServer, bot: House
) -> None:
    guild = discord.guild("Boosted", tier=2)
    channel = discord.channel(guild)
    await discord.tell(guild)
    _, lease = await a_running_job(Person.at(discord, channel), shared.queue)
    await shared.stop()
    await finish(lease, shared.queue, bytes(11 * MIB))
    discord.gateway.describes_guilds = False
    try:
        await shared.start()
        await discord.until(lambda: len(discord.public(channel)) == 2)
    finally:
        discord.gateway.describes_guilds = True
        for known in discord.guilds.values():
            await discord.tell(known)
    assert last(discord, channel).file(".safetensors").data == bytes(11 * MIB)


async def test_a_channel_that_takes_less_than_it_says_gets_a_link(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(40005)
    _, lease = await a_running_job(anna, bot.queue)
    discord.messages.upload_limit = 2 * MIB
    await finish(lease, bot.queue, bytes(5 * MIB))
    await discord.until(lambda: len(discord.public(channel)) == 2)
    result = last(discord, channel)
    assert result.files == []
    assert "zuri.safetensors" in result.text
    assert (await bot.queue.jobs.of(f"discord:{anna.user.id}", 1))[0].state is JobState.SUCCEEDED


async def test_one_picture_is_enough_of_an_attachment(discord: DiscordServer, bot: House, anna: Person) -> None:
    reply = await looked_through(anna, await anna.slash("train", images=Attachment("one.jpg", photo())))
    assert "One good picture" in reply.text
    assert reply.labels == ["Add photos", "Upload many photos"], "no preset learns from one picture"


async def test_cards_are_edited_at_least_five_seconds_apart_and_slower_with_age(shared: Shared) -> None:
    front_end = DiscordFrontEnd(parts_of(shared), config_of(shared.server))
    paces = [front_end.edit_interval(age) for age in (0, 200, 400, 4000, 100_000)]
    assert paces[0] == 5
    assert paces == sorted(paces)
    assert paces[-1] > 10


def test_a_button_that_opens_the_form_has_room_for_whole_words_only() -> None:
    here = Address("discord", "1234567890123456789/1234567890123456780")
    long = Train("ink-landscape", "z" * 24, "sd15", "n" * 40)
    for train, kept in ((replace(long, name="zuri-2"), replace(long, name="zuri-2")), (long, replace(long, name=None))):
        action, about = unbound(bound(opening_action(train), here))
        assert opened_by(action) == kept
        assert about == here
