"""The outbox and the cards: what delivery reads, and what it writes back."""

from lorabot.locale import Message
from lorabot.queue import Queue
from lorabot.queue.model import Address, Outcome, Progress, Stage
from tests.queue.samples import new_job, submit

NOTE = Message("note", {})


async def test_entries_wait_in_order_until_they_are_delivered(queue: Queue) -> None:
    await submit(queue)
    lease = await queue.jobs.claim("w")
    assert lease is not None
    await lease.notice(NOTE)
    await lease.succeed(Outcome(()))
    first, second = await queue.outbox.pending()
    assert (first.kind, second.kind) == ("notice", "outcome")
    await queue.outbox.delivered(first.id)
    assert await queue.outbox.pending() == [second]
    assert await queue.outbox.pending(limit=0) == []


async def test_a_failed_delivery_comes_again_when_it_is_due(queue: Queue) -> None:
    job = await submit(queue)
    await queue.jobs.cancel(job.id, "mod", moderator=True)
    (entry,) = await queue.outbox.pending()
    await queue.outbox.failed(entry.id, 3600)
    assert await queue.outbox.pending() == []
    await queue.outbox.failed(entry.id, -1)
    (again,) = await queue.outbox.pending()
    assert (again.id, again.tries) == (entry.id, 2)


async def test_a_given_up_delivery_comes_again_only_when_its_owner_is_there_again(queue: Queue) -> None:
    for owner in ("web:ann", "web:bob"):
        job = await submit(queue, owner)
        lease = await queue.jobs.claim("w")
        assert lease is not None
        await lease.notice(Message("queue-no-draft"))
        await lease.fail(Message("queue-no-draft"))
    for entry in await queue.outbox.pending():
        await queue.outbox.failed(entry.id, None)
    assert await queue.outbox.pending() == []
    await queue.outbox.take_up("web:bob")
    (again,) = await queue.outbox.pending()
    assert (again.job_id, again.kind) == (job.id, "outcome"), "what was told on the way is no news any more"
    await queue.outbox.delivered(again.id)
    await queue.outbox.take_up("web:bob")
    assert await queue.outbox.pending() == []


async def test_each_platform_sees_its_own(queue: Queue) -> None:
    for platform in ("web", "discord", "web_"):
        job = await queue.jobs.submit(await new_job(queue, f"{platform}:ann", address=Address(platform, "1")))
        await queue.jobs.cancel(job.id, "mod", moderator=True)
    assert [str(entry.address) for entry in await queue.outbox.pending(platform="web")] == ["web:1"]
    assert [str(entry.address) for entry in await queue.outbox.pending(platform="web_")] == ["web_:1"]
    assert [str(job.address) for job, _ in await queue.cards.stale(platform="discord")] == ["discord:1"]
    assert len(await queue.cards.stale()) == 3


async def test_a_card_is_stale_whenever_its_job_has_visibly_changed(queue: Queue) -> None:
    job = await submit(queue)
    ((shown, card),) = await queue.cards.stale()
    assert (shown, card.ref) == (job, None)
    await queue.cards.save(job.id, "message-1", shown.version)
    assert await queue.cards.stale() == []
    lease = await queue.jobs.claim("w")
    assert lease is not None
    await lease.beat(Progress(Stage.TRAINING, 1, 2))
    ((changed, card),) = await queue.cards.stale()
    assert (changed.progress, card.ref) == (Progress(Stage.TRAINING, 1, 2), "message-1")
    await queue.cards.save(job.id, "message-1", changed.version)
    await lease.beat()
    assert await queue.cards.stale() == []


async def test_a_slow_drawer_does_not_undo_a_newer_card(queue: Queue) -> None:
    job = await submit(queue)
    await queue.jobs.cancel(job.id, "mod", moderator=True)
    await queue.cards.save(job.id, "message-1", 2)
    await queue.cards.save(job.id, "message-1", 1)
    card = await queue.cards.get(job.id)
    assert card is not None
    assert card.version == 2
    assert await queue.cards.get("none") is None
