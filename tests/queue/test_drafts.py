"""Drafts collect, datasets are fixed."""

import asyncio

import pytest
from sqlalchemy import delete, text

from lorabot.queue import Queue
from lorabot.queue.errors import NoDraft
from lorabot.queue.model import Address
from lorabot.queue.tables import drafts
from tests.queue.samples import ADDRESS, eventually, image, submit


async def test_images_are_collected_in_order_and_once(queue: Queue) -> None:
    first, second = image("web:ann", "a.png"), image("web:ann", "b.png")
    await queue.drafts.add("web:ann", ADDRESS, [first])
    draft = await queue.drafts.add("web:ann", ADDRESS, [second, first])
    assert draft.images == (first, second)
    assert await queue.drafts.get("web:ann", ADDRESS) == draft


async def test_parallel_uploads_lose_nothing(queue: Queue) -> None:
    images = [image("web:ann", f"{number}.png") for number in range(8)]
    await asyncio.gather(*(queue.drafts.add("web:ann", ADDRESS, [one]) for one in images))
    draft = await queue.drafts.get("web:ann", ADDRESS)
    assert draft is not None
    assert {one.name for one in draft.images} == {one.name for one in images}


async def test_photos_that_come_while_the_earlier_ones_are_taken_away_are_a_draft_by_themselves(queue: Queue) -> None:
    async def waits() -> bool:
        async with queue.database.read() as connection:
            return bool(await connection.scalar(text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")))

    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "a.png")])
    async with queue.database.write() as connection:
        await connection.execute(delete(drafts))
        adding = asyncio.create_task(queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "b.png")]))
        if queue.database.postgresql:  # in SQLite it does not begin before
            await eventually(waits)
    assert [one.name for one in (await adding).images] == ["b.png"]


async def test_drafts_of_owners_and_conversations_are_apart(queue: Queue) -> None:
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann")])
    assert await queue.drafts.get("web:bob", ADDRESS) is None
    assert await queue.drafts.get("web:ann", Address("web", "other")) is None


async def test_clearing_says_how_much_there_was(queue: Queue) -> None:
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "a.png"), image("web:ann", "b.png")])
    assert await queue.drafts.clear("web:ann", ADDRESS) == 2
    assert await queue.drafts.clear("web:ann", ADDRESS) == 0
    assert await queue.drafts.get("web:ann", ADDRESS) is None


async def test_a_dataset_does_not_change_with_the_draft_it_was_made_of(queue: Queue) -> None:
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "a.png")])
    dataset = await queue.drafts.seal("web:ann", ADDRESS)
    await queue.drafts.add("web:ann", ADDRESS, [image("web:ann", "b.png")])
    await queue.drafts.clear("web:ann", ADDRESS)
    assert await queue.drafts.dataset(dataset.id) == dataset
    assert [one.name for one in dataset.images] == ["a.png"]


async def test_nothing_can_not_be_sealed(queue: Queue) -> None:
    with pytest.raises(NoDraft):
        await queue.drafts.seal("web:ann", ADDRESS)
    job = await submit(queue)
    with pytest.raises(NoDraft):
        await queue.drafts.seal("web:ann", ADDRESS)
    assert (await queue.drafts.dataset(job.dataset_id)).owner == "web:ann"
