"""A community that its platform gives another id keeps all it has: on both databases."""

import re

from sqlalchemy import select

from lorabot.locale import Message
from lorabot.queue import Queue
from lorabot.queue.model import Address, Outcome, Returned
from lorabot.queue.tables import metadata
from tests.queue.samples import image, new_job

OLD, NEW = Address("telegram", "-5"), Address("telegram", "-1005")
TOPIC, NEIGHBOUR = Address("telegram", "-5/7"), Address("telegram", "-50")
ANN = "telegram:1"


async def inhabit(queue: Queue, place: Address) -> str:
    """Something in every table that names a place; returns a job that waits there."""
    job = await queue.jobs.submit(await new_job(queue, ANN, address=place))
    await queue.proposals.add(ANN, place, {"train": {}}, "digest")
    await queue.upload_links.open(ANN, place, "en")
    await queue.refs.put(place, "outbox:1#text", f"sent to {place}", ANN)
    await queue.refs.put(place, "asked:12", ANN)
    another = await queue.jobs.submit(await new_job(queue, ANN, address=place))
    await queue.jobs.cancel(another.id, "telegram:2", moderator=True)
    await queue.drafts.add(ANN, place, [image(ANN, f"{place}.png")])
    await queue.jobs.front(job.id, "telegram:2", place.scope)
    await queue.cards.save(job.id, "12:digest:", 1)
    return job.id


async def naming(queue: Queue, scope: str) -> dict[str, list[str]]:
    """The rows that name a community, by table."""
    found = {}
    async with queue.database.read() as connection:
        for table in metadata.sorted_tables:
            if {"address", "scope"} & set(table.c.keys()):
                rows = [str(row) for row in await connection.execute(select(table))]
                found[table.name] = [row for row in rows if re.search(rf"'{scope}(/\d+)?'", row)]
    return found


async def test_all_of_a_community_moves_and_nothing_of_its_neighbour(queue: Queue) -> None:
    jobs = [await inhabit(queue, place) for place in (OLD, TOPIC, NEIGHBOUR)]
    lease = await queue.jobs.claim("w")
    assert lease is not None
    assert lease.job.address == OLD
    await lease.notice(Message("queue-worker-lost", {"times": 1}))
    await queue.jobs.pause("telegram:2", OLD.scope)
    before = await naming(queue, OLD.scope)
    assert all(before.values()), "a new table that names places must get its row here, and its move in moving.py"
    neighbour = await naming(queue, NEIGHBOUR.scope)

    await queue.move(OLD.scope, NEW.scope, ("asked:",))
    assert not any((await naming(queue, OLD.scope)).values())
    assert await naming(queue, NEIGHBOUR.scope) == neighbour
    moved = await naming(queue, NEW.scope)
    gone = {"refs": 2}
    assert {table: len(rows) for table, rows in moved.items()} == {
        table: len(rows) - gone.get(table, 0) for table, rows in before.items()
    }
    assert [(await queue.jobs.get(job)).address.channel for job in jobs] == ["-1005", "-1005/7", "-50"]
    cards = [await queue.cards.get(job) for job in jobs]
    assert [card.ref if card else "" for card in cards] == [None, None, "12:digest:"]
    await lease.succeed(Outcome(()))
    assert {entry.address for entry in await queue.outbox.pending() if entry.job_id == lease.job.id} == {NEW}


async def test_photos_go_back_to_where_their_community_is_now(queue: Queue) -> None:
    await queue.jobs.submit(await new_job(queue, ANN, address=OLD))
    lease = await queue.jobs.claim("w")
    assert lease is not None
    await queue.move(OLD.scope, NEW.scope)
    await lease.fail(Message("queue-crashed", {"id": lease.job.id}))
    assert await queue.drafts.get(ANN, OLD) is None
    assert await queue.drafts.get(ANN, NEW) is not None
    assert await queue.drafts.returned(lease.job) == Returned(kept=1)


async def test_what_is_there_already_stays(queue: Queue) -> None:
    for place in (OLD, NEW):
        await queue.drafts.add(ANN, place, [image(ANN, "both.png"), image(ANN, f"{place}.png")])
        await queue.refs.put(place, "card", f"of {place}")
        await queue.jobs.pause(f"telegram:{place.channel}", place.scope)
    await queue.move(OLD.scope, NEW.scope)
    await queue.drafts.add(ANN, OLD, [image(ANN, "late.png")])
    await queue.move(OLD.scope, NEW.scope)
    draft = await queue.drafts.get(ANN, NEW)
    assert draft is not None
    assert {one.name for one in draft.images} == {"both.png", f"{OLD}.png", f"{NEW}.png", "late.png"}
    assert await queue.drafts.get(ANN, OLD) is None
    assert await queue.refs.get(NEW, "card") == f"of {NEW}"
    assert await queue.jobs.paused_scopes() == {NEW.scope: f"telegram:{NEW.channel}"}
