"""The commands beside ``/train``, what is offered while typing, and how they are made known."""

from lorabot.locale import translator
from tests.bot.house import PRESETS, House
from tests.discord.flow import a_job, a_running_job, looked_through, photos
from tests.discord.server import Channel, DiscordServer, Person


async def test_presets_and_bases_are_offered_with_title_and_description(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    offered = await anna.autocomplete("train", "preset", "ani")
    assert [choice["value"] for choice in offered] == ["anime"]
    anime = PRESETS.get("anime")
    assert anime.title.get("en") in offered[0]["name"]
    assert len(await anna.autocomplete("train", "preset", "")) == len(PRESETS.presets)
    assert [choice["value"] for choice in await anna.autocomplete("train", "base", "")] == ["demo"]
    assert await anna.autocomplete("train", "preset", "qqqq") == []


async def test_own_jobs_are_offered_to_cancel_and_listed(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    await a_job(anna, bot.queue)
    offered = await anna.autocomplete("cancel", "job", "")
    assert len(offered) == 1
    listed = await anna.answered(await anna.slash("jobs"))
    assert offered[0]["value"] in listed.text
    ben = Person.at(discord, channel, "ben")
    assert await ben.autocomplete("cancel", "job", "") == []
    reply = await anna.answered(await anna.slash("cancel", job=offered[0]["value"]))
    assert "cancelled" in reply.text
    await discord.until(lambda: "Cancelled" in discord.public(channel)[0].text)
    assert [job.state.value for job in await bot.queue.jobs.of(f"discord:{anna.user.id}", 9)] == ["cancelled"]


async def test_the_cards_buttons_are_for_the_one_who_asked(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    card, lease = await a_running_job(anna, bot.queue)
    ben = Person.at(discord, channel, "ben")
    refused = await ben.answered(await ben.press(card, "Cancel"))
    assert refused.seen_by is ben.user
    details = await anna.answered(await anna.press(card, "Details"))
    assert details.seen_by is anna.user
    assert lease.job.id in details.text
    stopping = await anna.answered(await anna.press(card, "Cancel"))
    assert "stopping `zuri`" in stopping.text
    assert (await bot.queue.jobs.get(lease.job.id)).cancel_requested


async def test_texts_about_presets_privacy_and_help_come_privately(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    for line, words in (("presets", "anime"), ("privacy", "30 days"), ("help", "/train"), ("clear", "no photos")):
        reply = await anna.answered(await anna.slash(line))
        assert words in reply.text
        assert reply.seen_by is anna.user
    one = await anna.answered(await anna.slash("presets", preset="anime"))
    assert "How many" in one.text


async def test_everything_about_a_person_is_deleted_when_they_ask(
    discord: DiscordServer, bot: House, anna: Person
) -> None:
    await looked_through(anna, await anna.slash("train", preset="anime", trigger="zuri", images=photos()))
    asked = await anna.answered(await anna.slash("forgetme"))
    owner = f"discord:{anna.user.id}"
    assert (await bot.queue.people.get(owner)).language == "en"
    await anna.press(asked, asked.labels[0])
    await discord.until(lambda: not asked.labels)
    assert (await bot.queue.people.get(owner)).language is None


async def test_the_commands_are_there_in_both_languages(discord: DiscordServer, bot: House) -> None:
    say = translator("zh-CN")
    train = discord.rest.commands["1:train"]
    assert train["name_localizations"]["zh-CN"] == say("discord-name-train")
    assert train["description_localizations"]["zh-CN"] == say("discord-hint-train")
    assert [option["name"] for option in train["options"]] == ["preset", "images", "trigger", "base", "name"]
    assert train["contexts"] == [0, 1]
    assert discord.rest.syncs == 1


async def test_only_moderators_are_shown_the_queue_command(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    assert anna.sees_command("train")
    assert not anna.sees_command("queue show")
    assert anna.in_dms().sees_command("jobs")
