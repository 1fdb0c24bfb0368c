"""Who runs the queue: moderators that of their community, operators all of it, and it is written down."""

from pathlib import Path

import pytest

from lorabot.bot.commands import complete
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.moderation import ACTIONS, NotAModerator
from lorabot.bot.commands.requests import Cancel, Details, QueueCommand
from lorabot.locale import translator
from lorabot.queue import Queue
from lorabot.queue.errors import NoSuchJob, NotYours, WrongState
from lorabot.queue.model import Address, CardState, JobState, TrainerState
from tests.bot.commands.people import Person, person
from tests.bot.house import PRESETS, claimed

HARBOUR = Address("fake", "port/pier")


@pytest.fixture
def ann(queue: Queue, tmp_path: Path) -> Person:
    return person(queue, tmp_path)


@pytest.fixture
def mod(queue: Queue, tmp_path: Path) -> Person:
    """Moderates the community that ann is in."""
    return person(queue, tmp_path, "mod", moderator=True)


@pytest.fixture
def operator(queue: Queue, tmp_path: Path) -> Person:
    """Speaks in private."""
    return person(queue, tmp_path, "op", place=Address("fake", "op"), operator=True)


@pytest.fixture
def stranger(queue: Queue, tmp_path: Path) -> Person:
    """Asks in another community."""
    return person(queue, tmp_path, "eve", place=HARBOUR)


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_member_may_do_none_of_it(ann: Person, action: str) -> None:
    job = await ann.started()
    with pytest.raises(NotAModerator):
        await ann.ask(QueueCommand(action, job))
    assert await ann.queue.audit.last() == []


async def test_a_paused_community_waits_and_the_others_go_on(ann: Person, mod: Person, stranger: Person) -> None:
    await ann.started()
    other = await stranger.started()
    paused = await mod.say("/queue pause")
    assert "The queue of this community is paused" in paused.text
    assert (await claimed(mod.queue)).job.id == other
    assert await mod.queue.jobs.claim("w") is None
    assert "goes on" in (await mod.press(paused, "queue:resume")).text
    assert (await claimed(mod.queue)).job.owner == ann.owner


async def test_an_operator_pauses_everything_or_one_community(ann: Person, operator: Person, stranger: Person) -> None:
    await ann.started()
    await stranger.started()
    assert "Everything is paused" in (await operator.say("/queue pause")).text
    assert await operator.queue.jobs.claim("w") is None
    operator.place, operator.moderator = ann.place, True
    assert "this community" in (await operator.say("/queue pause")).text
    await operator.say("/queue resume all")
    assert (await claimed(operator.queue)).job.owner == stranger.owner
    assert "goes on" in (await operator.say("/queue resume")).text
    assert (await claimed(operator.queue)).job.owner == ann.owner


async def test_a_community_that_an_operator_paused_too_is_told_so(mod: Person, operator: Person) -> None:
    await operator.say("/queue pause")
    await mod.say("/queue pause")
    assert "an operator has paused everything" in (await mod.say("/queue resume")).text
    with pytest.raises(CommandError, match="command-queue-not-all"):
        await mod.say("/queue resume all")


async def test_a_moderator_holds_releases_moves_and_cancels(ann: Person, mod: Person, tmp_path: Path) -> None:
    first = await ann.started()
    bob = person(mod.queue, tmp_path, "bob")
    second = await bob.started("anime kavo")
    assert "is on hold" in (await mod.say(f"/queue hold {first}")).text
    with pytest.raises(WrongState):
        await mod.say(f"/queue hold {first}")
    assert "waits for its turn again" in (await mod.say(f"/queue release {first}")).text
    assert "moved to the front, number 1 in line" in (await mod.say("/queue front kavo")).text
    assert (await claimed(mod.queue)).job.id == second
    assert "`zuri` is cancelled." in (await mod.say(f"/queue cancel {first}")).text
    assert (await mod.queue.jobs.get(first)).state is JobState.CANCELLED
    assert "I'm stopping `kavo`" in (await mod.say(f"/queue cancel {second}")).text


async def test_who_is_cancelled_by_a_moderator_is_told_in_their_conversation(ann: Person, mod: Person) -> None:
    job = await ann.started()
    await mod.ask(Cancel(job))
    (entry,) = await mod.queue.outbox.pending()
    assert (entry.job_id, entry.kind) == (job, "outcome")


async def test_a_moderator_cannot_touch_or_see_jobs_of_another_community(mod: Person, stranger: Person) -> None:
    job = await stranger.started()
    for action in ("hold", "front", "cancel"):
        with pytest.raises(NoSuchJob):
            await mod.say(f"/queue {action} {job}")
    for request in (Cancel(job), Details(job)):
        with pytest.raises(NotYours):
            await mod.ask(request)
    assert job not in (await mod.say("/queue show")).text
    assert [value for value, _, _ in await mod.commands.autocomplete_jobs(mod.actor, mod.place, "")] == []
    assert (await mod.queue.jobs.get(job)).state is JobState.QUEUED


async def test_the_queue_is_shown_with_whose_jobs_and_what_is_paused(
    ann: Person, mod: Person, operator: Person, stranger: Person
) -> None:
    assert "The queue is empty." in (await mod.say("/queue")).text
    here, there = await ann.started(), await stranger.started()
    await mod.say("/queue pause")
    shown = await mod.say("/queue show")
    assert f"`{here}` zuri, Anime character, for fake:ann: Number 1" in shown.text.replace("Next", "Number 1")
    assert "Paused: fake:town (by fake:mod)" in shown.text
    assert [button.action for button in shown.buttons] == ["queue:resume"]
    everything = await operator.say("/queue show")
    assert here in everything.text
    assert there in everything.text
    assert [button.action for button in everything.buttons] == ["queue:pause:all"]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (TrainerState("AMD EPYC, 2 threads"), "Trainer `w`: AMD EPYC, 2 threads"),
        (TrainerState("GB10", CardState("GB10", 0, 0, 0, (), 0)), "Trainer `w`: GB10"),
        (
            TrainerState("H100", CardState("H100", int(80e9), int(70e9), int(6.5e9), (("chrome", int(3.1e9)),), 0)),
            "Trainer `w`: H100, 70.0 of 80.0 GB free, 6.5 GB its own; held by others: chrome (3.1 GB)",
        ),
        (
            TrainerState("H100", CardState("H100", int(80e9), int(70e9), 0, (), int(10e9))),
            "Trainer `w`: H100, 70.0 of 80.0 GB free, 0.0 GB its own; 10.0 GB by programs it can't name",
        ),
    ],
)
async def test_moderators_see_the_trainers_cards_and_who_holds_them(
    queue: Queue, mod: Person, state: TrainerState, text: str
) -> None:
    await queue.trainers.announce("w", state)
    assert (await mod.say("/queue show")).text.splitlines()[-1] == text


async def test_a_job_on_a_base_that_no_trainer_has_says_so_to_its_owner_and_to_moderators(
    queue: Queue, ann: Person, mod: Person
) -> None:
    job = await ann.started()
    nowhere = "No trainer that is running has the base model demo"
    nobody_up = (await ann.say(f"/status {job}")).text
    assert nowhere not in nobody_up, "no trainer is up: that is another matter"
    assert "No trainer is ready at the moment" in nobody_up
    await queue.trainers.announce("w", TrainerState("H100", bases=("sdxl",)))
    assert nowhere in (await ann.say(f"/status {job}")).text
    assert "One of these jobs waits for a trainer with the base model `demo`" in (await mod.say("/queue show")).text
    await queue.trainers.announce("w", TrainerState("H100", bases=("sdxl", "demo")))
    served = (await ann.say(f"/status {job}")).text
    assert nowhere not in served
    assert "No trainer is ready" not in served
    assert "no running one has it" not in (await mod.say("/queue show")).text


async def test_all_that_moderators_do_is_in_the_log_and_reading_it_is_for_them(
    ann: Person, mod: Person, operator: Person, stranger: Person
) -> None:
    job, other = await ann.started(), await stranger.started()
    for line in ("pause", "resume", f"hold {job}", f"release {job}", f"front {job}", f"cancel {job}"):
        await mod.say(f"/queue {line}")
    await operator.say(f"/queue cancel {other}")
    await ann.queue.jobs.cancel(await ann.started(), ann.owner)  # one's own job is nobody's moderation
    acts = await mod.queue.audit.last()
    assert [(act.actor, act.action, act.scope, act.job) for act in reversed(acts)] == [
        ("fake:mod", "pause", "fake:town", None),
        ("fake:mod", "resume", "fake:town", None),
        ("fake:mod", "hold", "fake:town", job),
        ("fake:mod", "release", "fake:town", job),
        ("fake:mod", "front", "fake:town", job),
        ("fake:mod", "cancel", "fake:town", job),
        ("fake:op", "cancel", "fake:port", other),
    ]
    log = (await mod.say("/queue log")).text
    assert f"fake:mod did `cancel` in fake:town, job `{job}`." in log
    assert "fake:op" not in log
    assert "fake:op" in (await operator.say("/queue log")).text


async def test_a_slip_of_the_tongue_is_answered_with_what_was_meant(mod: Person) -> None:
    with pytest.raises(CommandError) as slip:
        await mod.say("/queue relase x")
    assert slip.value.message.params["nearest"] == "release"
    with pytest.raises(CommandError, match="command-queue-which-job"):
        await mod.say("/queue hold")
    mod.language = "zh-CN"
    assert "本社区的队列已暂停" in (await mod.say("/队列 暂停")).text


async def test_two_jobs_of_one_name_are_told_apart(ann: Person, mod: Person, tmp_path: Path) -> None:
    jobs = [await ann.started(), await person(mod.queue, tmp_path, "bob").started()]
    with pytest.raises(CommandError) as several:
        await mod.say("/queue hold zuri")
    assert all(job in str(several.value.message.params["jobs"]) for job in jobs)


async def test_commands_for_moderators_are_offered_to_them_alone(ann: Person, mod: Person) -> None:
    say = translator("en")
    assert complete("/qu", PRESETS, (), say) == []
    assert [one.insert for one in complete("/qu", PRESETS, (), say, moderates=True)] == ["/queue "]
    offers = [one.label for one in complete("/queue action:", PRESETS, (), say, moderates=True)]
    assert offers == list(ACTIONS)
    assert "/queue" not in (await ann.say("/help")).text
    assert "/queue" in (await mod.say("/help")).text
    job = await ann.started()
    found = await mod.commands.autocomplete_jobs(mod.actor, mod.place, "zu")
    assert [(value, label) for value, label, _ in found] == [(job, "zuri")]
