"""Moderators run the queue of their own server, members do not, and all of it is written down."""

from collections.abc import Sequence

from lorabot.queue.model import JobState
from tests.bot.house import House, claimed, finish
from tests.discord.conftest import MODERATOR_ROLE
from tests.discord.flow import a_job
from tests.discord.server import Channel, DiscordServer, Message, Permission, Person
from tests.discord.server.world import Role


async def moderator(discord: DiscordServer, channel: Channel, name: str = "mona") -> Person:
    assert channel.guild is not None
    role = discord.role(channel.guild, "mods", Permission.MANAGE_MESSAGES)
    await discord.tell(channel.guild)
    return Person(discord, discord.user(name, "en-US", channel.guild, role), channel)


async def says(person: Person, line: str, **options: str) -> str:
    return (await person.answered(await person.slash(line, **options))).text


def job_of(card: Message, jobs: Sequence[str]) -> str:
    return next(job for job in jobs if any(job in button["custom_id"] for button in card.buttons))


async def test_a_moderator_pauses_moves_holds_and_cancels(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    mona = await moderator(discord, channel)
    ben = Person.at(discord, channel, "ben")
    assert "paused" in await says(mona, "queue pause")
    first, second = await a_job(anna, bot.queue, "first"), await a_job(ben, bot.queue, "second")
    assert await bot.queue.jobs.claim("tester") is None, "nothing starts while it is paused"
    jobs = {job.name: job.id for job in await bot.queue.jobs.unfinished(10)}
    shown = await says(mona, "queue show")
    assert f"<@{anna.user.id}>" in shown
    assert jobs["second"] in shown

    await says(mona, "queue front", job=jobs["second"])
    await says(mona, "queue hold", job=jobs["first"])
    await discord.until(lambda: "On hold" in first.text and "Next in line" in second.text)
    await says(mona, "queue resume")
    lease = await claimed(bot.queue)
    assert lease.job.name == "second"
    await finish(lease, bot.queue)
    assert await bot.queue.jobs.claim("tester") is None, "the other one is held"
    await says(mona, "queue release", job="first")
    assert "`first`" in await says(mona, "queue cancel", job=jobs["first"])
    await discord.until(lambda: "Cancelled" in first.text)
    assert (await bot.queue.jobs.get(jobs["first"])).state is JobState.CANCELLED

    log = await says(mona, "queue log")
    for action in ("pause", "front", "hold", "resume", "release", "cancel"):
        assert action in log
    assert f"<@{mona.user.id}>" in log
    assert "did `pause` in **Painters**" in log, "a server is called by its name"


async def test_a_member_who_gets_at_the_command_is_refused(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    mona = await moderator(discord, channel)
    shown = await mona.answered(await mona.slash("queue show"))
    hidden = discord.rest.commands["1:queue"].pop("default_member_permissions")  # an admin has opened it to everybody
    try:
        for line in ("queue show", "queue pause", "queue log"):
            assert "moderators" in await says(anna, line)
    finally:
        discord.rest.commands["1:queue"]["default_member_permissions"] = hidden
    pressed = await anna.press_id(shown, shown.buttons[0]["custom_id"])
    assert (await anna.reads(pressed, "moderators")).seen_by is anna.user
    assert not await bot.queue.jobs.paused()


async def test_a_role_of_the_settings_moderates_too(discord: DiscordServer, bot: House, channel: Channel) -> None:
    assert channel.guild is not None
    role = channel.guild.roles[MODERATOR_ROLE] = Role(MODERATOR_ROLE, "Helpers", Permission(0))
    await discord.tell(channel.guild)
    ines = Person(discord, discord.user("ines", "en-US", channel.guild, role), channel)
    discord.rest.commands["1:queue"]["default_member_permissions"] = None
    try:
        assert "moderators" not in await says(ines, "queue show")
    finally:
        discord.rest.commands["1:queue"]["default_member_permissions"] = str(int(Permission.MANAGE_MESSAGES))


async def test_who_moderates_one_channel_only_has_no_power_over_the_servers_queue(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    own = discord.channel(channel.guild, "eves-room")
    eve = Person.at(discord, own, "eve")
    own.overwrites[eve.user.id] = (Permission.MANAGE_MESSAGES | Permission.MANAGE_CHANNELS, Permission(0))
    await discord.tell(channel.guild)
    await a_job(anna, bot.queue)
    job = (await bot.queue.jobs.of(f"discord:{anna.user.id}", 1))[0]
    assert "moderators" in await says(eve, "queue pause")
    assert "moderators" in await says(eve, "queue cancel", job=job.id)
    assert "belongs to somebody else" in await says(eve, "cancel", job=job.id)
    assert (await bot.queue.jobs.get(job.id)).state is JobState.QUEUED
    assert not await bot.queue.jobs.paused(job.scope)


async def test_the_owner_of_a_server_moderates_without_any_role(
    discord: DiscordServer, bot: House, channel: Channel
) -> None:
    assert channel.guild is not None
    assert "moderators" not in await says(Person(discord, channel.guild.owner, channel), "queue show")


async def test_moderators_of_one_server_have_no_power_over_another(
    discord: DiscordServer, bot: House, anna: Person, channel: Channel
) -> None:
    other = discord.guild("Others")
    elsewhere = discord.channel(other)
    await discord.tell(other)
    mona = await moderator(discord, elsewhere)
    card = await a_job(anna, bot.queue)
    job = (await bot.queue.jobs.of(f"discord:{anna.user.id}", 1))[0]
    assert job.id not in await says(mona, "queue show")
    for action in ("front", "hold", "cancel"):
        await says(mona, f"queue {action}", job=job.id)
    await says(mona, "queue pause")
    assert (await bot.queue.jobs.get(job.id)).state is JobState.QUEUED
    assert (await claimed(bot.queue)).job.id == job.id, "their pause stops their own server only"
    assert "Cancel" in card.labels
    await says(mona, "queue resume")
