"""kill -9 of any part at any stage of a running job: the job goes on from where it was and is delivered once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from lorabot.queue.model import Job, JobState, Stage
from tests.bot.client import ChatClient, ChatError
from tests.bot.pictures import zip_of_photos
from tests.chaos.house import PRESET, House, Part, looking_in, until, up
from tests.house import all_gone, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(360)]  # three deaths a test, each with a start of what died
_ORDER = tuple(Stage)


@pytest.fixture(scope="module")
def only_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with up(tmp_path_factory.mktemp("house"), free_port()) as running:
        yield running


@pytest.fixture
def house(only_house: House) -> House:
    """The one house of all tests here, up: starting it costs more than a training."""
    if only_house.process.poll() is not None:
        only_house.start()
    return only_house


@asynccontextmanager
async def visitor(house: House) -> AsyncIterator[ChatClient]:
    """Someone who opens the chat page, as soon as it answers."""
    await house.answers()
    async with ChatClient.open(house.url) as client:
        yield client


async def a_job(client: ChatClient) -> str:
    """Ask for a training; returns the job's id."""
    await client.upload(zip_of_photos(12), "zuri.zip")
    await client.until(lambda line: any(button.action.startswith("train") for button in line.buttons), 60)
    await client.say(f"/train preset:{PRESET} trigger:zuri")
    card = await client.until(lambda line: line.card is not None)
    assert card.card is not None
    return card.card.job


async def back_again(client: ChatClient) -> None:
    """Come back after the bot was away."""
    async with asyncio.timeout(60):
        while True:
            await client.disconnect()
            try:
                await client.connect()
                return
            except (OSError, ChatError):
                await asyncio.sleep(0.2)


async def delivered_once(client: ChatClient) -> None:
    """The conversation holds one card and one result, and the result's LoRA can be downloaded."""
    await back_again(client)
    result = await client.until(lambda line: line.kind == "result", 60)
    await asyncio.sleep(1)
    kinds = [line.kind for line in client.lines.values()]
    assert (kinds.count("card"), kinds.count("result")) == (1, 1), kinds
    lora = next(file for file in result.files if file.name.endswith(".safetensors"))
    assert len(await client.fetch(lora.url)) == lora.size


def has_reached(stage: Stage, job: Job) -> bool:
    if job.state.final:
        raise AssertionError(f"it ended before {stage} was seen: {job.state}, {job.failure}")
    # A short stage may be over before it is seen: the next one will do.
    if job.progress is None or _ORDER.index(job.progress.stage) < _ORDER.index(stage):
        return False
    # In the middle of a training there is something to go on from.
    return stage is not Stage.TRAINING or job.resume is not None


@pytest.mark.parametrize(
    "deaths",
    [  # each part once at each stage; three deaths of the same kind would end a job
        (("engine", Stage.CAPTIONING), ("bot", Stage.TRAINING), ("trainer", Stage.EXPORTING)),
        (("trainer", Stage.CAPTIONING), ("engine", Stage.TRAINING), ("bot", Stage.EXPORTING)),
        (("bot", Stage.CAPTIONING), ("trainer", Stage.TRAINING), ("engine", Stage.EXPORTING)),
    ],
    ids=lambda deaths: ", ".join(f"{part} {stage}" for part, stage in deaths),
)
async def test_a_job_outlives_the_deaths_of_all_parts(house: House, deaths: Sequence[tuple[Part, Stage]]) -> None:
    async with visitor(house) as client, looking_in(house.folder) as queue:
        job_id = await a_job(client)
        attempt = 1
        for part, stage in deaths:
            await house.answers()  # a bot that was killed is back
            before = await until(queue, job_id, partial(has_reached, stage))
            assert before.attempt == attempt
            house.kill(part)
            if part == "bot":
                continue  # the training goes on as if nothing had been
            attempt += 1
            again = await until(queue, job_id, partial(has_begun, attempt))
            if before.resume is not None:
                assert steps_done(again) >= before.resume.step, "it goes on from its last checkpoint"
        after = await until(queue, job_id, lambda job: job.state.final)
        assert (after.state, after.attempt) == (JobState.SUCCEEDED, attempt), after.failure
        await delivered_once(client)


def has_begun(attempt: int, job: Job) -> bool:
    return job.attempt == attempt and steps_done(job) > 0


def steps_done(job: Job) -> int:
    return job.progress.step if job.progress is not None else 0


async def test_a_job_outlives_the_death_of_the_whole_house(house: House) -> None:
    async with visitor(house) as client, looking_in(house.folder) as queue:
        job_id = await a_job(client)
        await until(queue, job_id, partial(has_reached, Stage.TRAINING))
        house.process.kill()
        house.process.wait()
        house.start()
        after = await until(queue, job_id, lambda job: job.state.final)
        assert after.state is JobState.SUCCEEDED, after.failure
        await delivered_once(client)


async def test_stopping_the_house_saves_the_job_and_leaves_nothing_behind(house: House) -> None:
    async with looking_in(house.folder) as queue:
        async with visitor(house) as client:
            job_id = await a_job(client)
            await until(queue, job_id, partial(has_reached, Stage.TRAINING))
            parts = house.processes()
            await asyncio.to_thread(house.stop)
        stopped = await queue.jobs.get(job_id)
        assert house.process.returncode == 0, house.log
        assert stopped.state is JobState.QUEUED, "given back, to be gone on with"
        assert stopped.resume is not None
        assert stopped.crashes == 0
        assert len(parts) >= 4, "Valkey, bot, trainer, engine"
        assert await asyncio.to_thread(all_gone, parts) == []
