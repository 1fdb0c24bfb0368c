"""Whole jobs on Telegram: `lorabot up` as an operator starts it, with a real trainer on the demo base.

All tests are of one evening in one house: starting it costs more than a small training.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from safetensors import safe_open

from lorabot.queue import Queue
from lorabot.queue.model import JobState, Stage
from tests.bot.pictures import photo, zip_of_photos
from tests.chaos.house import PRESET, House, looking_in, until, up
from tests.telegram.flow import agrees, has_action
from tests.telegram.server import Group, Person, TelegramServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]
TRAINED_S = 300.0


@dataclass(frozen=True, slots=True)
class Evening:
    """A house, its folder, and the Telegram that its settings name."""

    house: House
    folder: Path
    telegram: TelegramServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evening(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Evening]:
    folder = tmp_path_factory.mktemp("house")
    squatter = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with TelegramServer().serving() as server, squatter:
        server.state.patience_s = 100  # a group takes twenty messages a minute
        with up(
            folder,
            squatter.sockets[0].getsockname()[1],
            LORABOT_TELEGRAM__TOKEN=server.token,
            LORABOT_TELEGRAM__API_URL=server.url,
            LORABOT_TELEGRAM__FILE_URL=server.file_url,
        ) as house:
            await server.state.until(lambda: len(server.state.commands) == 9 and server.state.polls > 0, 90)
            squatter.close()
            yield Evening(house, folder, server)
            assert server.token.partition(":")[2] not in house.log


async def test_a_program_on_the_pages_port_keeps_nobody_from_telegram_and_the_page_opens_when_it_ends(
    evening: Evening,
) -> None:
    assert "Something else listens on" in evening.house.log
    await evening.house.answers()


async def asks(person: Person, trigger: str, group: Group | None = None) -> None:
    """Send a zip that says what it is for, and go through with it."""
    caption = f"/train@test_lorabot {PRESET} {trigger}"
    sent = person.sends_file("photos.zip", zip_of_photos(12), caption, group=group)
    await person.answered(person.presses(await agrees(person, sent, group), "Start"))
    await person.sees(lambda message: has_action("cancel:", message) and trigger in message.text, group=group)


async def noted(queue: Queue, job_id: str) -> None:
    """Wait until the bot knows which message is the card: nobody can ask Telegram for one whose answer was lost."""
    async with asyncio.timeout(60):
        while (row := await queue.cards.get(job_id)) is None or row.ref is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_photos_become_a_lora_while_the_bot_dies_and_comes_back(evening: Evening, tmp_path: Path) -> None:
    telegram, house = evening.telegram, evening.house
    async with looking_in(evening.folder) as queue:
        anna = telegram.person()
        anna.sends_album([photo(number) for number in range(10)])
        house.kill("bot")  # photos on their way are fetched by the next one
        anna.sends_file("more.zip", zip_of_photos(2, first=10))
        count = await anna.sees(lambda message: has_action("train", message) and "12" in message.text, timeout_s=120)
        anna.presses(count, "Train")
        presets = await anna.sees("What shall it learn?")
        anna.presses(presets, str(presets.button("Anime")["text"]))
        await anna.sees("just type your own")
        anna.says("/clear")
        await asks(anna, "zuri")
        job = (await queue.jobs.of(f"telegram:{anna.member.id}", 1))[0]
        card = await anna.sees(lambda message: has_action("cancel:", message))
        await until(queue, job.id, lambda job: job.progress is not None and job.progress.stage is Stage.TRAINING)
        await noted(queue, job.id)
        house.kill("bot")
        telegram.state.bot_was_killed()
        result = await anna.sees(lambda message: has_action("again:", message), timeout_s=TRAINED_S)
        await telegram.state.until(lambda: "Done" in card.text, 60)

        assert result.file is not None
        (tmp_path / "lora").write_bytes(result.file.data)
        with safe_open(tmp_path / "lora", "pt") as lora:
            assert lora.metadata()["modelspec.trigger_phrase"] == "zuri"
        await asyncio.sleep(2)
        names = [message.file.name for message in anna.received() if message.file and message is not card]
        assert sorted(names) == sorted({*names}), "each part of the result once"
        assert len([name for name in names if name.endswith(".png")]) == 2
        assert card.file is not None, "the loss picture"
        calls = telegram.calls("editMessageText", "editMessageMedia", "editMessageCaption")
        edits = [call.at for call in calls if int(call.params["message_id"]) == card.id]
        begun = [call.at for call in telegram.calls("getMe")]  # what a bot asks first
        hasty = [(a, b) for a, b in pairwise(edits[:-1]) if b - a < 5 and not any(a < at < b for at in begun)]
        assert not hasty, "but for the last one, edits are five seconds apart"
        assert (await queue.jobs.get(job.id)).attempt == 1, "the training did not notice"


async def test_an_admin_pauses_moves_and_cancels_while_trainings_run(evening: Evening) -> None:
    telegram = evening.telegram
    async with looking_in(evening.folder) as queue:
        anna, ben, mona = telegram.person("Anna"), telegram.person("Ben"), telegram.person("Mona")
        group = telegram.group(anna, ben, mona)
        group.takes_in(mona, "administrator")
        mona.says("/queue pause", group=group)
        await mona.sees(lambda message: has_action("queue:resume", message), group=group)
        await asks(anna, "zuri", group)
        await asks(ben, "pomo", group)
        jobs = {job.trigger: job.id for job in await queue.jobs.unfinished(10)}
        mona.says(f"/queue front {jobs['pomo']}", group=group)
        mona.says("/queue resume", group=group)
        await until(queue, jobs["pomo"], lambda job: job.state is JobState.RUNNING)
        assert (await queue.jobs.get(jobs["zuri"])).state is JobState.QUEUED
        mona.says(f"/queue cancel {jobs['pomo']}", group=group)
        await until(queue, jobs["pomo"], lambda job: job.state is JobState.CANCELLED)
        await until(queue, jobs["zuri"], lambda job: job.state is JobState.RUNNING)
        card = await anna.sees(lambda message: has_action(f"cancel:{jobs['zuri']}", message), group=group)
        await anna.answered(anna.presses(card, "Cancel"))
        await until(queue, jobs["zuri"], lambda job: job.state is JobState.CANCELLED)
        await telegram.state.until(lambda: "Cancelled" in card.text, 90)
