"""Communities are moderated by themselves, and what moderators do is written down: on both databases."""

import asyncio

import pytest

from lorabot.queue import Queue
from lorabot.queue.errors import AlreadyStarted, NoProposal, NoSuchJob, NotYours
from lorabot.queue.model import Address, Job, JobState
from lorabot.queue.proposals import digest
from tests.queue.samples import image, new_job

TOWN, PORT = Address("discord", "town/square"), Address("discord", "port/pier")


async def asked(queue: Queue, owner: str, address: Address) -> Job:
    return await queue.jobs.submit(await new_job(queue, owner, address=address))


def test_the_scope_of_an_address_is_its_community() -> None:
    assert [Address("discord", channel).scope for channel in ("1/2", "@me/2", "7")] == [
        "discord:1",
        "discord:@me",
        "discord:7",
    ]


async def test_a_paused_community_is_passed_over_and_the_others_served(queue: Queue) -> None:
    await asked(queue, "discord:ann", TOWN)
    there = await asked(queue, "discord:bob", PORT)
    await queue.jobs.pause("mod", TOWN.scope)
    await queue.jobs.pause("mod", TOWN.scope)
    assert await queue.jobs.paused(TOWN.scope)
    assert not await queue.jobs.paused(PORT.scope)
    assert not await queue.jobs.paused()
    assert await queue.jobs.runnable() == 1
    lease = await queue.jobs.claim("w")
    assert lease is not None
    assert lease.job.id == there.id
    assert await queue.jobs.claim("w") is None
    await queue.jobs.unpause("mod", TOWN.scope)
    assert await queue.jobs.claim("w") is not None


async def test_a_pause_of_everything_and_one_of_a_community_are_lifted_by_themselves(queue: Queue) -> None:
    await asked(queue, "discord:ann", TOWN)
    await queue.jobs.pause("op")
    await queue.jobs.pause("mod", TOWN.scope)
    assert await queue.jobs.paused_scopes() == {"": "op", TOWN.scope: "mod"}
    await queue.jobs.unpause("op")
    assert await queue.jobs.claim("w") is None
    await queue.jobs.unpause("mod", TOWN.scope)
    assert await queue.jobs.claim("w") is not None


async def test_a_job_of_another_community_is_not_there_for_a_moderator(queue: Queue) -> None:
    job = await asked(queue, "discord:ann", TOWN)
    for act in (queue.jobs.hold, queue.jobs.front):
        with pytest.raises(NoSuchJob):
            await act(job.id, "mod", PORT.scope)
    with pytest.raises(NotYours):
        await queue.jobs.cancel(job.id, "mod", moderator=True, scope=PORT.scope)
    assert await queue.jobs.unfinished(scope=PORT.scope) == []
    assert [one.id for one in await queue.jobs.unfinished(scope=TOWN.scope)] == [job.id]
    assert (await queue.jobs.cancel(job.id, "mod", moderator=True, scope=TOWN.scope)).state is JobState.CANCELLED
    assert [(act.actor, act.action, act.job) for act in await queue.audit.last(TOWN.scope)] == [
        ("mod", "cancel", job.id)
    ]
    assert await queue.audit.last(PORT.scope) == []


async def test_the_place_a_job_would_get_is_the_one_it_gets(queue: Queue) -> None:
    for number, owner in enumerate(("discord:ann", "discord:ann", "discord:bob")):
        expected = await queue.jobs.next_place(owner)
        job = await asked(queue, owner, TOWN)
        assert await queue.jobs.position(job.id) == expected
        if number == 0:
            assert expected == 1
    assert await queue.jobs.next_place("discord:eve") == 3


async def test_of_many_presses_at_once_one_starts_the_job(queue: Queue) -> None:
    wish = await new_job(queue, "discord:ann", address=TOWN)
    proposal = await queue.proposals.add("discord:ann", TOWN, {"train": {"preset": "anime"}}, digest([image("x")]))
    assert (await queue.proposals.get(proposal.id, "discord:ann")).job is None
    with pytest.raises(NotYours):
        await queue.proposals.get(proposal.id, "discord:bob")
    done = await asyncio.gather(*(queue.jobs.submit(wish, proposal.id) for _ in range(4)), return_exceptions=True)
    (job,) = [one for one in done if isinstance(one, Job)]
    assert all(isinstance(one, AlreadyStarted) and one.job == job.id for one in done if one is not job)
    assert (await queue.proposals.get(proposal.id, "discord:ann")).job == job.id
    await queue.proposals.drop(proposal.id)
    with pytest.raises(NoProposal):
        await queue.jobs.submit(wish, proposal.id)


async def test_references_are_kept_replaced_and_dropped(queue: Queue) -> None:
    assert await queue.refs.get(TOWN, "card") is None
    await asyncio.gather(*(queue.refs.put(TOWN, "card", f"message {number}") for number in range(5)))
    await queue.refs.put(TOWN, "card", "message 9")
    await queue.refs.put(PORT, "card", "another")
    assert await queue.refs.get(TOWN, "card") == "message 9"
    await queue.refs.drop(TOWN, "card")
    await queue.refs.drop(TOWN, "card")
    assert [await queue.refs.get(place, "card") for place in (TOWN, PORT)] == [None, "another"]
    for owner, place in (("web:ann", TOWN), ("web:ann", PORT), ("web:bob", PORT)):
        await queue.refs.put(place, f"asks {owner}", f"message to {owner}", owner)
    assert await queue.refs.of("web:ann", "asks web:ann") == dict.fromkeys((TOWN, PORT), "message to web:ann")


async def test_people_are_remembered_by_what_they_said_last(queue: Queue) -> None:
    nobody = await queue.people.get("discord:ann")
    assert (nobody.language, nobody.consented_at, nobody.unreachable_at) == (None, None, None)
    await asyncio.gather(*(queue.people.note_met("discord:ann", "en") for _ in range(5)))
    await queue.people.note_consent("discord:ann")
    await queue.people.note_unreachable("discord:ann")
    ann = await queue.people.get("discord:ann")
    assert ann.language == "en"
    assert None not in (ann.consented_at, ann.unreachable_at)
    await queue.people.note_met("discord:ann", "zh-CN")
    met = await queue.people.get("discord:ann")
    assert (met.language, met.consented_at, met.unreachable_at) == ("zh-CN", ann.consented_at, None)


async def test_an_upload_link_is_open_until_it_is_closed(queue: Queue) -> None:
    link = await queue.upload_links.open("discord:ann", TOWN, "zh-CN")
    assert await queue.upload_links.get(link.id) == link
    assert (await queue.upload_links.open("discord:ann", TOWN, "en")).id == link.id, "one link to lose is enough"
    assert (await queue.upload_links.open("discord:bob", TOWN, "en")).id != link.id
    await queue.upload_links.close(link.id)
    closed = await queue.upload_links.get(link.id)
    assert closed is not None
    assert closed.closed
    assert await queue.upload_links.get("nothing") is None
    assert (await queue.upload_links.open("discord:ann", TOWN, "en")).id != link.id
