"""What is kept is told with the true numbers, and is gone when somebody says so."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from lorabot.bot.commands import Commands
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Details, ForgetMe
from lorabot.bot.intake import tally
from lorabot.bot.intake.service import Intake, Intaken
from lorabot.bot.intake.spool import Upload, UploadUnwanted
from lorabot.locale import translator
from lorabot.queue import Queue, QueueConfig, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.keys import image_key
from lorabot.queue.model import Address, Image, JobState
from lorabot.queue.tables import metadata
from tests.bot.client import ChatClient
from tests.bot.commands.people import SQUARE, Person, person
from tests.bot.house import INTAKE, PRESETS, House, claimed
from tests.bot.pictures import photo, zip_of_photos


async def test_privacy_says_the_numbers_that_are_set(queue: Queue, valkey: EmbeddedValkey, tmp_path: Path) -> None:
    assert "30 days after it has ended" in (await person(queue, tmp_path).say("/privacy")).text
    config = QueueConfig(keep_days=3, draft_days=1.5)
    url = f"sqlite:///{tmp_path}/lorabot.sqlite3"
    async with open_queue(config, url, valkey.url, str(tmp_path / "blobs")) as other:
        ann = person(other, tmp_path / "other")
        text = (await ann.say("/privacy")).text
        assert "3 days after it has ended" in text
        assert "at most 1.5 days" in text
        await ann.send(12)
        assert "for 3 days" in (await ann.say("/train anime zuri")).text


def test_one_day_is_said_as_one_in_both_languages() -> None:
    for language, words in (("en", "one day after it has ended"), ("zh-CN", "1 天")):
        say = translator(language)
        assert words in say("command-privacy", days=1.0, drafts=1.0)
        assert "1 days" not in say("command-privacy", days=1.0, drafts=1.0) + say("command-consent", days=1.0)


async def test_forgetting_asks_first_and_leaves_nothing_of_the_person(queue: Queue, tmp_path: Path) -> None:
    ann, bob = person(queue, tmp_path), person(queue, tmp_path, "bob", moderator=True)
    for one in (ann, bob):
        await one.started()
        await one.send(3)
    await bob.say("/queue pause")
    asked = await ann.press(await ann.say("/privacy"), "forgetme")
    assert "can't be undone" in asked.text
    assert len(await queue.jobs.of(ann.owner)) == 1
    done = await ann.press(asked, "forgetme:yes")
    assert "What stands in a chat stays there" in done.text
    assert "(1 job, 15 files)" in done.text
    async with queue.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = str((await connection.execute(select(table))).all())
            assert "fake:ann" not in rows, table.name
    assert len(await queue.jobs.of(bob.owner)) == 1
    assert await queue.jobs.paused("fake:town")
    await ann.send(12)
    assert "Before we start" in (await ann.say("/train anime zuri")).text


async def test_a_file_that_waits_to_be_looked_through_is_forgotten_too(queue: Queue, tmp_path: Path) -> None:
    intake = Intake(queue, INTAKE, tmp_path / "bot")
    place = Address("fake", "town/square")

    async def chunks() -> AsyncIterator[bytes]:
        yield photo(1)

    for owner in ("fake:ann", "fake:bob"):
        await intake.receive(
            chunks(), owner=owner, address=place, language="en", batch="b", name="a.jpg", declared=None
        )
    ann = person(queue, tmp_path)
    await ann.ask(ForgetMe("yes"))
    left = [path.read_text() for path in (tmp_path / "bot" / "uploads").glob("*.json")]
    assert len(left) == 1
    assert "fake:bob" in left[0]


async def test_a_file_that_is_just_arriving_is_forgotten_as_soon_as_it_is_there(queue: Queue, tmp_path: Path) -> None:
    intake = Intake(queue, INTAKE, tmp_path / "bot")
    ann = Person(Commands(queue, PRESETS, intake), queue)
    begun, forgotten = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield photo(1)[:100]
        begun.set()
        await forgotten.wait()
        yield photo(1)[100:]

    sending = asyncio.create_task(
        intake.receive(
            chunks(), owner=ann.owner, address=ann.place, language="en", batch="b", name="a.jpg", declared=None
        )
    )
    await begun.wait()
    await ann.ask(ForgetMe("yes"))
    forgotten.set()
    with pytest.raises(UploadUnwanted):
        await sending
    assert list((tmp_path / "bot" / "uploads").iterdir()) == []


async def test_where_others_read_along_nothing_is_said_of_what_was_done_elsewhere(queue: Queue, tmp_path: Path) -> None:
    ann = person(queue, tmp_path, place=Address("fake", "alone"))
    private = await ann.started("anime zuri name:secret")
    among_others = replace(ann, place=SQUARE, overheard=True)
    assert "no jobs yet" in (await replace(among_others, name="eve").say("/jobs")).text
    assert private in (await among_others.say("/status secret")).text, "who names it wants it told"
    for asked in ("/jobs", "/status", "/cancel"):
        with pytest.raises(CommandError, match="command-none-here"):
            await among_others.say(asked)
    assert (await queue.jobs.get(private)).state is JobState.QUEUED
    await queue.jobs.cancel(private, ann.owner)
    public = await among_others.started("anime kavo")
    for asked in ("/jobs", "/status"):
        said = (await among_others.say(asked)).text
        assert public in said
        assert private not in said


async def test_captions_are_told_to_their_owner_alone(queue: Queue, tmp_path: Path) -> None:
    ann = person(queue, tmp_path)
    image = Image("1.jpg", image_key(ann.owner, "1"), "1", 512, 512, 5, "zuri in the bath")
    await queue.drafts.add(ann.owner, ann.place, [image])
    details = Details(await ann.started())
    assert "in the bath" in (await ann.ask(details)).text
    told = (await replace(ann, overheard=True).ask(details)).text
    assert "13 photos" in told
    assert "in the bath" not in told
    assert "1.jpg" not in told


async def test_an_operator_among_others_means_their_community_unless_they_say_all(queue: Queue, tmp_path: Path) -> None:
    bob = person(queue, tmp_path, "bob", place=Address("fake", "city"))
    elsewhere = await bob.started()
    olga = person(queue, tmp_path, "olga", operator=True, overheard=True)
    assert elsewhere not in (await olga.say("/queue")).text
    await olga.say("/queue pause")
    assert await queue.jobs.paused("fake:town")
    assert not await queue.jobs.paused("fake:city")
    assert elsewhere in (await olga.say("/queue show all")).text
    await olga.say("/queue pause all")
    assert await queue.jobs.paused("fake:city")


async def test_photos_sent_while_all_before_is_still_being_deleted_are_kept(queue: Queue, tmp_path: Path) -> None:
    async def announce(upload: Upload, intaken: Intaken, final: bool) -> None: ...

    async def chunks() -> AsyncIterator[bytes]:
        yield photo(1)

    intake = Intake(queue, INTAKE, tmp_path / "bot")
    intake.on("fake", announce)
    ann = Person(Commands(queue, PRESETS, intake), queue)
    job = await ann.started()
    lease = await claimed(queue)
    forgetting = asyncio.create_task(ann.ask(ForgetMe("yes")))
    while not (await queue.jobs.get(job)).cancel_requested:  # noqa: ASYNC110 - it waits for the trainer now
        await asyncio.sleep(0.02)
    intake.begin(
        await intake.receive(
            chunks(), owner=ann.owner, address=ann.place, language="en", batch="b", name="a.jpg", declared=None
        )
    )
    looking = asyncio.create_task(intake.settled(ann.owner))
    await asyncio.wait({looking}, timeout=1)
    await lease.cancelled()
    await forgetting
    await looking
    draft = await queue.drafts.get(ann.owner, ann.place)
    assert draft is not None
    assert [await queue.blobs.exists(image.key) for image in draft.images] == [True]


async def test_on_the_web_the_conversation_itself_is_gone_from_every_tab(chat: ChatClient, house: House) -> None:
    await chat.upload(zip_of_photos(3), "photos.zip")
    report = await chat.until(lambda line: bool(line.images))
    other = ChatClient(chat.http, house.url, "en")
    await other.connect()
    sure = await chat.ask("/forgetme")
    await chat.press(sure.buttons[0].action)
    for tab in (chat, other):
        done = await tab.until(lambda line: "deleted everything" in line.text)
        assert list(tab.lines) == [done.id]
        assert "stays there" not in done.text, "nothing of it stands here any more"
    await other.disconnect()
    async with chat.http.get(house.url + report.images[0].url) as answer:
        assert answer.status == 404
    assert "no photos to train on" in (await chat.ask("/train anime zuri")).text


async def test_on_the_web_nothing_more_is_said_of_photos_that_are_forgotten(
    chat: ChatClient, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "_PATIENCE_S", 0.5)
    await chat.upload(zip_of_photos(3), "holiday.zip", batch="drop", of=2)
    await chat.until(lambda line: bool(line.images))
    await chat.press("forgetme:yes")
    done = await chat.until(lambda line: "deleted everything" in line.text)
    await asyncio.sleep(0.7)  # the second file would not be waited for any longer
    assert [line.id for line in await queue.transcript.last(chat.conversation)] == [done.id]
    await chat.upload(zip_of_photos(2), "new.zip", batch="drop")
    found = await chat.until(lambda line: "2 good pictures" in line.text)
    assert len(found.images) == 2
    assert "holiday" not in str([line.payload for line in await queue.transcript.last(chat.conversation)])
