"""A platform that can't be told of photos right now loses none of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorabot.bot.intake import service
from lorabot.bot.intake.service import Intake, Intaken
from lorabot.bot.intake.spool import Upload
from lorabot.queue import Queue
from lorabot.queue.model import Address
from tests.bot.house import INTAKE
from tests.bot.pictures import photo

HERE = Address("fake", "square")


@pytest.fixture
async def intake(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Intake]:
    monkeypatch.setattr(service, "_RETRY_S", (0.01, 0.01))
    intake = Intake(queue, INTAKE, tmp_path / "bot")
    yield intake
    await intake.close()


async def send(intake: Intake, name: str = "a.jpg", number: int = 1) -> Upload:
    async def chunks() -> AsyncIterator[bytes]:
        yield photo(number)

    upload = await intake.receive(
        chunks(), owner="fake:ann", address=HERE, language="en", batch="b", name=name, declared=None
    )
    intake.begin(upload)
    return upload


async def test_the_end_is_told_again_until_it_is_heard(intake: Intake, queue: Queue) -> None:
    tries = 0
    told = asyncio.Event()

    async def announce(upload: Upload, intaken: Intaken, final: bool) -> None:
        nonlocal tries
        tries += 1
        if not final or tries < 5:
            raise RuntimeError("the platform is away")
        assert intaken.draft == 1
        told.set()

    intake.on("fake", announce)
    await send(intake)
    async with asyncio.timeout(20):
        await told.wait()
    draft = await queue.drafts.get("fake:ann", HERE)
    assert draft is not None
    assert len(draft.images) == 1


async def test_photos_stay_although_nobody_could_be_told(intake: Intake, queue: Queue, tmp_path: Path) -> None:
    async def announce(upload: Upload, intaken: Intaken, final: bool) -> None:
        raise RuntimeError("the platform is gone")

    intake.on("fake", announce)
    await send(intake)
    await intake.settled("fake:ann")
    draft = await queue.drafts.get("fake:ann", HERE)
    assert draft is not None
    assert list((tmp_path / "bot" / "uploads").iterdir()) == []


async def test_uploads_wait_for_who_can_tell_of_them(intake: Intake) -> None:
    upload = await send(intake)
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def announce(upload: Upload, intaken: Intaken, final: bool) -> None:
        if final:
            heard.put_nowait(upload.id)

    intake.on("other", announce)
    assert heard.empty()
    intake.on("fake", announce)
    async with asyncio.timeout(20):
        assert await heard.get() == upload.id


async def test_what_comes_later_waits_outside_until_those_before_are_dealt_with(intake: Intake, queue: Queue) -> None:
    """Twice one behind the other, as two who throw away their photos in a row."""
    go_on = asyncio.Event()
    looked_at: list[str] = []

    async def announce(upload: Upload, intaken: Intaken, final: bool) -> None:
        if upload.name == "first.jpg":
            await go_on.wait()
        if final:
            looked_at.append(upload.name)

    async def throw_away() -> int:
        async with intake.until_now("fake:ann"):
            return await queue.drafts.clear("fake:ann", HERE)

    intake.on("fake", announce)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        await send(intake, "first.jpg", 1)
        one = tasks.create_task(throw_away())
        await asyncio.sleep(0)
        await send(intake, "second.jpg", 2)
        two = tasks.create_task(throw_away())
        await asyncio.sleep(0)
        await send(intake, "third.jpg", 3)
        await asyncio.sleep(0.2)
        assert looked_at == []
        go_on.set()
        assert (await one, await two) == (1, 1)
        await intake.settled("fake:ann")
    draft = await queue.drafts.get("fake:ann", HERE)
    assert draft is not None
    assert [image.name for image in draft.images] == ["third.jpg"]
    assert looked_at == ["first.jpg", "second.jpg", "third.jpg"]
