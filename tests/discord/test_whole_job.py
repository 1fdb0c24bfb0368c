"""Whole jobs on Discord: `lorabot up` as an operator starts it, with a real trainer on the demo base.

Both tests are of one evening in one house: starting it costs more than a small training.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from safetensors import safe_open

from lorabot.queue.model import JobState, Stage
from tests.chaos.house import PRESET, House, looking_in, until, up
from tests.discord.conftest import MODERATOR_ROLE
from tests.discord.flow import last, photos, started
from tests.discord.server import DiscordServer, Permission, Person
from tests.house import free_port

pytestmark = pytest.mark.slow
TRAINED_S = 180.0


@dataclass(frozen=True, slots=True)
class Evening:
    """A house, its folder, and the Discord that its settings name."""

    house: House
    folder: Path
    discord: DiscordServer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evening(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Evening]:
    folder = tmp_path_factory.mktemp("house")
    server = DiscordServer()
    server.patience_s = 100  # the trainer's libraries load beside the first photos
    async with server.running():
        with up(
            folder,
            free_port(),
            LORABOT_DISCORD__TOKEN=server.token,
            LORABOT_DISCORD__API_URL=server.api_url,
            LORABOT_DISCORD__GATEWAY_URL=server.gateway_url,
            LORABOT_DISCORD__MODERATOR_ROLES=str(MODERATOR_ROLE),
        ) as house:
            await server.gateway.until_connected(90)
            await server.until(lambda: server.rest.commands, 30)
            yield Evening(house, folder, server)
    server.judge()


async def asked(person: Person, trigger: str) -> None:
    await started(person, await person.slash("train", preset=PRESET, trigger=trigger, images=photos(12)))


async def test_a_member_trains_a_lora_while_the_bot_dies_and_comes_back(evening: Evening, tmp_path: Path) -> None:
    discord, house = evening.discord, evening.house
    async with looking_in(evening.folder) as queue:
        guild = discord.guild()
        channel = discord.channel(guild)
        await discord.tell(guild)
        anna = Person.at(discord, channel)
        await asked(anna, "zuri")
        card = last(discord, channel)
        job = (await queue.jobs.of(f"discord:{anna.user.id}", 1))[0]
        await until(queue, job.id, lambda job: job.progress is not None and job.progress.stage is Stage.TRAINING)
        identified = discord.gateway.identified
        house.kill("bot")
        await discord.gateway.until_identified(identified + 1, 90)
        await discord.until(lambda: len(discord.public(channel)) == 2 and "Done" in card.text, TRAINED_S)

        result = last(discord, channel)
        (tmp_path / "lora").write_bytes(result.file("zuri.safetensors").data)
        with safe_open(tmp_path / "lora", "pt") as lora:
            assert lora.metadata()["modelspec.trigger_phrase"] == "zuri"
        assert len([file for file in result.files if file.filename.endswith(".png")]) == 2
        assert result.pinged == {anna.user.id}
        assert (await queue.jobs.get(job.id)).attempt == 1, "the training did not notice"
        assert discord.rest.syncs == 1


async def test_a_moderator_pauses_moves_and_cancels_while_trainings_run(evening: Evening) -> None:
    discord = evening.discord
    async with looking_in(evening.folder) as queue:
        guild = discord.guild()
        channel = discord.channel(guild)
        mods = discord.role(guild, "mods", Permission.MANAGE_MESSAGES)
        await discord.tell(guild)
        mona = Person(discord, discord.user("mona", "en-US", guild, mods), channel)
        anna, ben = Person.at(discord, channel, "anna"), Person.at(discord, channel, "ben")
        await mona.answered(await mona.slash("queue pause"))
        await asked(anna, "zuri")
        await asked(ben, "pomo")
        jobs = {job.trigger: job.id for job in await queue.jobs.unfinished(10)}
        await mona.answered(await mona.slash("queue front", job=jobs["pomo"]))
        await mona.answered(await mona.slash("queue resume"))
        await until(queue, jobs["pomo"], lambda job: job.state is JobState.RUNNING)
        assert (await queue.jobs.get(jobs["zuri"])).state is JobState.QUEUED
        await mona.answered(await mona.slash("queue cancel", job=jobs["pomo"]))
        await until(queue, jobs["pomo"], lambda job: job.state is JobState.CANCELLED)
        await until(queue, jobs["zuri"], lambda job: job.state is JobState.RUNNING)
        own = next(card for card in discord.public(channel) if "`zuri`" in card.text)
        await anna.press(own, "Cancel")
        await until(queue, jobs["zuri"], lambda job: job.state is JobState.CANCELLED)
        await discord.until(lambda: "Cancelled" in own.text)
