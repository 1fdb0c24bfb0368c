"""What goes wrong on Discord, and what people read of it."""

import pytest

from lorabot.locale import Message
from lorabot.queue.model import JobState
from tests.bot.house import House, finish, given_up, show, store_away
from tests.bot.pictures import broken, photo, zip_of_photos, zipped
from tests.discord.flow import AGREE, START, a_job, a_running_job, confirmation, jpegs, last, looked_through, photos
from tests.discord.server import Attachment, Channel, DiscordServer, Permission, Person, Refused

GOOD = zip_of_photos(12)


@pytest.mark.parametrize(
    ("attachment", "words"),
    [
        (Attachment("late.zip", GOOD, stale=True), "doesn't hand out `late.zip`"),
        (Attachment("cut.zip", GOOD, cut_at=len(GOOD) // 2), "cut.zip was cut off"),
        (Attachment("broken.zip", GOOD[: len(GOOD) // 2]), "The zip is damaged"),
        (Attachment("notes.txt", b"hello there"), "neither a zip nor a picture"),
        (Attachment("film.mp4", b"\0\0\0\x18ftypisom" + bytes(60)), "It's a video"),
        (Attachment("empty.zip", zipped({})), "The zip is empty"),
        (Attachment("junk.zip", zipped({"__MACOSX/._a.jpg": b"x", "a.txt": b"x"})), "It holds no pictures"),
        (Attachment("huge.zip", bytes(5_000_000)), "huge.zip is too large"),
    ],
    ids=lambda value: value.filename if isinstance(value, Attachment) else "",
)
async def test_a_bad_file_is_named_and_the_way_on_is_shown(
    discord: DiscordServer, bot: House, anna: Person, attachment: Attachment, words: str
) -> None:
    reply = await looked_through(anna, await anna.slash("train", preset="anime", trigger="zuri", images=attachment))
    assert words in reply.text
    assert reply.seen_by is anna.user
    assert reply.labels == ["Add photos", "Upload many photos"]


async def test_the_good_ones_among_bad_files_are_kept(discord: DiscordServer, bot: House, anna: Person) -> None:
    opened = await anna.slash("train")
    await discord.until(lambda: opened.modal)
    film = Attachment("film.mp4", b"\0\0\0\x18ftypisom" + bytes(60))
    files = [photos(12), Attachment("gone.jpg", photo(90), stale=True), Attachment("x.txt", b"no picture"), film]
    reply = await confirmation(anna, await anna.submit(opened, *files, preset="anime", trigger="zuri"))
    assert "12 photos" in reply.text


async def test_one_broken_picture_among_good_ones_is_named_and_the_rest_go_on(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    files = zipped({f"good{number}.jpg": photo(number) for number in range(12)} | {"torn.jpg": broken(photo(50))})
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=Attachment("x.zip", files))
    reply = await looked_through(anna, asked)
    assert "12 good pictures" in reply.text
    assert "torn.jpg" in reply.text
    assert "can't be read" in reply.text


async def test_long_names_of_bad_files_leave_the_question_whole(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    film, pdf, rar = b"\0\0\0\x18ftypisom" + bytes(60), b"%PDF-1.4 " + bytes(60), b"Rar!\x1a\x07" + bytes(60)
    kinds = (b"", film, pdf, rar, broken(photo(50)), photo(51, (20, 20)), photo(0))
    bad = {f"{'照片' * 59}{number:02}.jpg": kinds[number % len(kinds)] for number in range(5 * len(kinds))}
    files = zipped({f"good{number}.jpg": photo(number) for number in range(12)} | bad)
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=Attachment("x.zip", files))
    reply = await looked_through(anna, asked)
    assert "12 good pictures" in reply.text
    assert reply.text.endswith("`/forgetme` deletes everything at once.")
    assert len(reply.text) <= 4000
    assert AGREE in reply.labels


async def test_pictures_beside_a_video_are_taken_and_the_video_is_named(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    film = Attachment("film.mp4", b"\0\0\0\x18ftypisom" + bytes(60))
    album = await anna.send("my holiday", *jpegs(2), film)
    reply = await looked_through(anna, await anna.use(album, "Train a LoRA from this"))
    assert "2 good pictures" in reply.text
    assert "film.mp4" in reply.text
    assert "It's a video" in reply.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "animee", "trigger": "zuri"}, "anime"),
        ({"preset": "anime", "trigger": "two words"}, "more than one word"),
        ({"preset": "anime", "trigger": "dog"}, "already means something"),
        ({"preset": "anime", "trigger": "zuri", "name": "../etc"}, "can't be a file's name"),
        ({"preset": "anime", "trigger": "zuri", "base": "demmo"}, "Did you mean demo?"),
    ],
    ids=["preset", "trigger", "common", "name", "base"],
)
async def test_a_wrong_word_is_said_before_anything_is_downloaded(
    discord: DiscordServer, bot: House, anna: Person, options: dict[str, str], words: str
) -> None:
    reply = await anna.answered(await anna.slash("train", images=Attachment("late.zip", b"", stale=True), **options))
    assert words in reply.text
    assert "late.zip" not in reply.text


async def test_the_button_of_another_persons_proposal_is_theirs(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=photos())
    ready = await confirmation(anna, asked)
    ben = Person.at(discord, channel, "ben")
    refused = await ben.reads(await ben.press_id(ready, ready.button(START)["custom_id"]), "somebody else")
    assert refused.seen_by is ben.user
    assert await bot.queue.jobs.of(f"discord:{anna.user.id}", 1) == []


async def test_start_pressed_twice_makes_one_job(discord: DiscordServer, bot: House, anna: Person) -> None:
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=photos())
    ready = await confirmation(anna, asked)
    start = ready.button(START)["custom_id"]
    for press in [await anna.press_id(ready, start), await anna.press_id(ready, start)]:
        await anna.answered(press)
    await discord.until(lambda: discord.public(anna.channel))
    assert len(await bot.queue.jobs.of(f"discord:{anna.user.id}", 9)) == 1


async def test_a_second_job_is_refused_while_the_first_waits(discord: DiscordServer, bot: House, anna: Person) -> None:
    await a_job(anna, bot.queue)
    ready = await confirmation(anna, await anna.slash("train", preset="anime", trigger="kavo", images=photos()))
    await anna.reads(await anna.press(ready, START), "job under way: zuri")
    assert START in ready.labels, "it can be pressed again when the first is over"
    assert len(await bot.queue.jobs.of(f"discord:{anna.user.id}", 9)) == 1


async def test_nobody_cancels_the_job_of_somebody_else(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    await a_job(anna, bot.queue)
    job = (await bot.queue.jobs.of(f"discord:{anna.user.id}", 1))[0]
    ben = Person.at(discord, channel, "ben")
    refused = await ben.answered(await ben.slash("cancel", job=job.id))
    assert "belongs to somebody else" in refused.text
    assert not (await bot.queue.jobs.get(job.id)).state.final


async def test_a_database_that_is_away_is_said_and_costs_nothing(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    await anna.answered(await anna.slash("jobs"))
    async with store_away(bot.queue, bot.folder):
        told = await anna.answered(await anna.slash("jobs"))
        assert "can't reach my database" in told.text
        sent = await anna.slash("train", preset="anime", trigger="zuri", images=photos())
        await discord.until(lambda: sent.answer is not None)
    assert "12 photos" in (await confirmation(anna, sent)).text


async def test_photos_that_come_while_a_job_is_set_up_are_asked_about(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=photos())
    ready = await confirmation(anna, asked)
    more = await anna.send("one more", *jpegs(1, 70))
    await looked_through(anna, await anna.use(more, "Train a LoRA from this"))
    await anna.press(ready, START)
    await discord.until(lambda: "13 photos" in ready.text and START in ready.labels)
    assert await bot.queue.jobs.of(f"discord:{anna.user.id}", 1) == []


async def test_a_channel_where_the_bot_may_not_write_is_named_before_anything_starts(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    channel.forbid(discord.me, Permission.SEND_MESSAGES | Permission.ATTACH_FILES)
    reply = await anna.answered(await anna.slash("train", preset="anime", trigger="zuri", images=photos()))
    assert "**Send Messages**, **Attach Files**" in reply.text
    assert reply.seen_by is anna.user


async def test_a_server_that_has_only_the_commands_is_told_to_invite_the_bot(
    discord: DiscordServer, bot: House
) -> None:
    guild = discord.strange_guild()
    ben = Person.at(discord, discord.channel(guild), "ben")
    for asked in (await ben.slash("train"), await ben.slash("train", preset="anime", images=photos())):
        reply = await ben.answered(asked)
        assert "I'm no member of it" in reply.text
        assert f"guild_id={guild.id}" in reply.text
        assert "scope=bot+applications.commands" in reply.text
        assert asked.modal is None
    assert "Anime character" in (await ben.answered(await ben.slash("presets"))).text, "what needs no card works"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "my:lora"}, "How about `my-lora`?"),
        ({"base": "demo:2"}, "demo"),
        ({"trigger": "an endless word that no form has room for"}, "more than one word"),
        ({"preset": "animee"}, "anime"),
    ],
    ids=["name", "base", "trigger", "preset"],
)
async def test_a_wrong_word_is_said_before_the_form_is_filled_in(
    discord: DiscordServer, bot: House, anna: Person, options: dict[str, str], words: str
) -> None:
    asked = await anna.slash("train", **options)
    assert words in (await anna.answered(asked)).text
    assert asked.modal is None


async def test_a_channel_that_is_shut_meanwhile_sends_its_news_to_the_asker(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(50013, 50001)
    _, lease = await a_running_job(anna, bot.queue)
    channel.forbid(discord.me, Permission.SEND_MESSAGES)
    await finish(lease, bot.queue)
    alone = anna.in_dms()
    await discord.until(lambda: any(message.files for message in discord.public(alone.channel)))
    result = last(discord, alone.channel)
    assert f"I can't write in <#{channel.id}> any more" in result.text
    assert result.file(".safetensors").data == b"weights"


async def test_a_channel_without_files_still_gets_words_and_links(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(50013)
    channel.forbid(discord.me, Permission.ATTACH_FILES)
    card, lease = await a_running_job(anna, bot.queue)
    await finish(lease, bot.queue)
    await discord.until(lambda: len(discord.public(channel)) == 2)
    assert not card.files
    result = last(discord, channel)
    assert "[download it here](" in result.text
    assert not result.files


async def test_a_deleted_channel_sends_its_news_to_the_asker(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(10003)
    _, lease = await a_running_job(anna, bot.queue)
    await discord.delete_channel(channel)
    await finish(lease, bot.queue)
    alone = anna.in_dms()
    await discord.until(lambda: any(message.files for message in discord.public(alone.channel)))


async def test_where_nobody_can_be_reached_it_is_given_up_and_noted(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(10003, 50007)
    _, lease = await a_running_job(anna, bot.queue)
    await discord.delete_channel(channel)
    anna.user.takes_dms = False
    await finish(lease, bot.queue)
    await discord.until(lambda: sum(request.code == 50007 for request in discord.rest.requests) >= 2)
    await given_up(bot.queue, f"discord:{anna.user.id}")


async def test_direct_messages_that_were_closed_are_given_up(discord: DiscordServer, bot: House, anna: Person) -> None:
    discord.expect(50007)
    alone = anna.in_dms()
    _, lease = await a_running_job(alone, bot.queue)
    anna.user.takes_dms = False
    await finish(lease, bot.queue)
    await given_up(bot.queue, f"discord:{anna.user.id}")


async def test_a_card_that_somebody_deleted_is_shown_anew(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    discord.expect(10008)
    card, lease = await a_running_job(anna, bot.queue)
    discord.messages.delete(card)
    await lease.fail(Message("queue-no-draft"))
    await discord.until(lambda: len(discord.public(channel)) == 2)
    assert any("Failed" in message.text for message in discord.public(channel))


async def test_a_card_of_over_an_hour_is_shown_anew_instead_of_edited(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    card, lease = await a_running_job(anna, bot.queue)
    card.id -= 2 * 3600 * 1000 << 22
    await bot.queue.cards.save(lease.job.id, f"{channel.id}/{card.id}", lease.job.version)
    await show(lease, bot.queue, 30)
    await discord.until(lambda: card not in discord.public(channel) and len(discord.public(channel)) == 1)
    assert "Step 30" in last(discord, channel).text


async def test_a_busy_discord_is_given_the_time_it_asks_for(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    _, lease = await a_running_job(anna, bot.queue)
    busy = Refused(429, 0, "You are being rate limited.", retry_after=0.3)
    discord.refuse("POST", rf"/channels/{channel.id}/messages", busy, times=2)
    discord.refuse("PATCH", rf"/channels/{channel.id}/messages/\d+", Refused(503, 0, "upstream"), times=1)
    await finish(lease, bot.queue)
    await discord.until(lambda: len(discord.public(channel)) == 2)


async def test_a_channel_that_has_to_wait_holds_up_no_other(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    other = discord.channel(channel.guild, "other")
    await discord.tell(channel.guild)
    leases = [(await a_running_job(one, bot.queue))[1] for one in (anna, Person.at(discord, other, "ben"))]
    busy = Refused(429, 0, "You are being rate limited.", retry_after=8)
    discord.refuse("POST", rf"/channels/{channel.id}/messages", busy)
    await finish(leases[0], bot.queue)
    await discord.until(lambda: any(request.status == 429 for request in discord.rest.requests))
    await finish(leases[1], bot.queue)
    await discord.until(lambda: len(discord.public(other)) == 2)
    assert len(discord.public(channel)) == 1, "it still waits"


async def test_a_press_on_a_job_that_is_gone_is_answered(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    card = await a_job(anna, bot.queue)
    for custom_id in (
        "cancel:nosuchjob1",
        "start:nosuchone1",
        "details:nosuchjob1",
        "again:nosuchjob1:stronger",
        "zap",
    ):
        reply = await anna.answered(await anna.press_id(card, custom_id))
        assert reply.text
        assert reply.seen_by is anna.user
        assert "went wrong" not in reply.text, custom_id


async def test_an_answer_after_a_quarter_of_an_hour_comes_in_private(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    discord.expect(50027)
    discord.refuse("PATCH", r"/webhooks/.*", Refused(401, 50027, "Invalid Webhook Token"))
    await anna.slash("presets")
    alone = anna.in_dms()
    await discord.until(lambda: discord.public(alone.channel))
    assert "anime" in last(discord, alone.channel).text


async def test_an_answer_that_discord_refuses_is_replaced_by_a_number_that_the_log_has(
    discord: DiscordServer, bot: House, anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    discord.refuse("PATCH", r"/webhooks/.*", Refused(400, 50035, "Invalid Form Body"))
    reply = await anna.answered(await anna.slash("presets"))
    mark = reply.text.removesuffix(".").rpartition(" ")[2]
    assert f"interaction not answered ({mark})" in caplog.text


async def test_what_people_put_into_names_and_captions_is_no_markup_and_notifies_nobody(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    odd = f"`<@{anna.user.id}> @everyone [win](evil.example)` \u202e"
    good = {f"{number}.jpg": photo(number) for number in range(12)}
    files = zipped({**good, "1.txt": odd.encode(), f"{odd}.jpg": b"no picture"})
    asked = await anna.slash("train", preset="anime", trigger="zuri", images=Attachment("x.zip", files))
    reply = await looked_through(anna, asked)
    shown = odd.replace("`", "'").removesuffix(" \u202e")
    assert f"Left out: `{shown} .jpg`" in reply.text
    await anna.press(await confirmation(anna, asked), START)
    await discord.until(lambda: discord.public(channel))
    card = last(discord, channel)
    details = await anna.answered(await anna.press(card, "Details"))
    assert f"`1.jpg`: `{shown}" in details.text
    assert not any(message.pinged for message in (reply, card, details))


async def test_an_interaction_heard_too_late_changes_nothing(discord: DiscordServer, bot: House, anna: Person) -> None:
    discord.expect(10062)
    discord.expect_late()
    discord.refuse("POST", r"/interactions/.*", Refused(404, 10062, "Unknown interaction"))
    await anna.slash("train", preset="anime", trigger="zuri", images=photos())
    await discord.until(lambda: any(request.code == 10062 for request in discord.rest.requests))
    assert (await anna.answered(await anna.slash("clear"))).text


async def test_the_connection_may_break_and_presses_are_heard_again(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    resumed = discord.gateway.resumed
    await discord.gateway.drop()
    await discord.gateway.until_connected()
    assert discord.gateway.resumed == resumed + 1
    assert (await anna.answered(await anna.slash("jobs"))).text
    await discord.gateway.ask_to_reconnect()
    await discord.gateway.until_connected()
    assert (await anna.answered(await anna.slash("jobs"))).text
    identified = discord.gateway.identified
    await discord.gateway.invalidate()
    await discord.gateway.until_identified(identified + 1)
    assert (await anna.answered(await anna.slash("jobs"))).text


async def test_a_job_that_fails_says_why(discord: DiscordServer, bot: House, anna: Person, channel: Channel) -> None:
    card, lease = await a_running_job(anna, bot.queue)
    await lease.fail(Message("queue-no-draft"))
    await discord.until(lambda: len(discord.public(channel)) == 2 and "Failed" in card.text)
    result = last(discord, channel)
    assert "`zuri` failed" in result.text
    assert result.pinged == {anna.user.id}
    assert (await bot.queue.jobs.get(lease.job.id)).state is JobState.FAILED


async def test_a_command_of_before_that_discord_still_offers_is_answered_with_a_number_that_the_log_has(
    discord: DiscordServer, bot: House, anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    discord.rest.commands["1:old"] = {"id": "1", "name": "old", "type": 1, "options": []}
    try:
        reply = await anna.answered(await anna.slash("old"))
    finally:
        del discord.rest.commands["1:old"]
    assert reply.seen_by is anna.user
    mark = reply.text.rpartition(": ")[2].rstrip(".")
    assert mark in caplog.text
