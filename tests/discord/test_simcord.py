"""SimCord, a Discord simulator that others keep, agrees on our commands: registered, visible, answered, private."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import simcord
from discord import Permissions

from lorabot.bot.discord.answering import Answering
from lorabot.bot.discord.client import Client
from lorabot.bot.discord.downloads import Downloads
from tests.discord.conftest import Shared, config_of, parts_of


@asynccontextmanager
async def simulated(shared: Shared) -> AsyncIterator[simcord.Env]:
    """Our client in SimCord's world, over the real queue."""
    await shared.stop()
    parts = parts_of(shared)
    config = config_of(shared.server)
    async with Downloads(parts.intake) as downloads:
        client = Client(parts, config, Answering(parts, config, downloads))
        async with simcord.run(client, settle_timeout=20) as running:
            yield running


async def test_simcord_agrees_on_the_commands(shared: Shared) -> None:
    async with simulated(shared) as env:
        await use_everything(env)


async def use_everything(env: simcord.Env) -> None:
    guild = env.create_guild()
    channel = guild.create_text_channel("lora")
    anna = guild.add_member(env.create_user("anna"))
    mods = guild.create_role("mods", permissions=Permissions(manage_messages=True))
    mona = guild.add_member(env.create_user("mona"), roles=[mods])
    assert "queue" not in " ".join(anna.available_commands(channel))
    assert {"train", "jobs", "presets", "privacy", "forgetme"} <= set(anna.available_commands(channel))

    for line in ("jobs", "presets", "privacy", "forgetme", "help"):
        answered = await anna.slash(channel, line)
        assert answered.acknowledged
        assert answered.response is not None
        assert answered.response.ephemeral
        assert answered.response.components
    offered = await anna.autocomplete(channel, "train", "preset", "ani")
    assert [choice["value"] for choice in offered] == ["anime"]

    form = await anna.slash(channel, "train", preset="anime")
    assert form.modal is not None
    sent = await anna.submit_modal(form, {"preset": ["anime"], "trigger": "zuri"})
    assert sent.acknowledged
    assert sent.response is not None
    assert "no photos" in str(sent.response.components), "SimCord's files are not on a server, so none is sent"
    assert (await mona.slash(channel, "queue show")).response is not None
    assert env.errors == []
