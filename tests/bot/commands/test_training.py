"""From `/train` to a job with a yes in between: asked, agreed, confirmed, once."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lorabot.bot.commands import parse_action
from lorabot.bot.commands.buttons import Buttons
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.estimates import estimated_s
from lorabot.bot.commands.requests import Again, Agree, Pick, Start, Train
from lorabot.bot.commands.training import no_preset_takes
from lorabot.bot.reply import Button
from lorabot.locale import translator
from lorabot.presets import UnknownBase
from lorabot.queue import Queue
from lorabot.queue.clock import now_plus
from lorabot.queue.errors import AlreadyQueued, AlreadyStarted, NoDraft, NoProposal, NoSuchJob, NotYours
from lorabot.queue.model import JsonObject, Outcome, Speed, TrainerState
from lorabot.queue.tables import jobs, people, proposals
from tests.bot.commands.people import Person, person
from tests.bot.house import PRESETS, claimed, finish


@pytest.fixture
def ann(queue: Queue, tmp_path: Path) -> Person:
    return person(queue, tmp_path)


def took(seconds: float, **more: int) -> JsonObject:
    """What a job of 12 photos says of itself that trained for so long."""
    times = {"seconds_training": seconds, "seconds_exporting": 4.0}
    return {"images": 12, "labelled": 12, "measured": 11, "drawn": 4, "seconds": seconds + 4, **times, **more}


async def consented(person: Person) -> Person:
    await person.queue.people.note_consent(person.owner)
    return person


async def test_the_first_job_asks_for_consent_and_the_second_does_not(ann: Person) -> None:
    await ann.send(12)
    asked = await ann.say("/train anime zuri")
    assert asked.private
    assert "30 days" in asked.text
    assert [button.action.partition(":")[0] for button in asked.buttons] == ["agree", "drop"]
    assert (await ann.queue.people.get(ann.owner)).consented_at is None
    confirm = await ann.press(asked, "agree:")
    assert (await ann.queue.people.get(ann.owner)).consented_at is not None
    assert [button.action.partition(":")[0] for button in confirm.buttons] == ["start", "drop"]
    assert "under way" not in confirm.text
    await ann.press(confirm, "start:")
    await ann.queue.jobs.cancel((await ann.queue.jobs.of(ann.owner))[0].id, ann.owner)
    await ann.send(12)
    again = await ann.say("/train anime zuri")
    assert [button.action.partition(":")[0] for button in again.buttons] == ["start", "drop"]


async def test_a_confirmation_says_what_will_happen_and_starts_nothing(ann: Person) -> None:
    await consented(ann)
    await ann.send(12)
    reply = await ann.say("/train preset:anime trigger:zuri name:my-zuri")
    assert "`my-zuri`, Anime character on 12 photos, base model `demo`, called up by `zuri`" in reply.text
    assert "first of its kind" in reply.text
    assert "The LoRA file will have about 1.2 MB." in reply.text
    assert "Nobody is waiting before you" in reply.text
    assert await ann.queue.jobs.of(ann.owner) == []
    started = await ann.press(reply, "start:")
    assert not started.private
    assert "You're next in line" in started.text
    (job,) = await ann.queue.jobs.of(ann.owner)
    assert (job.name, job.trigger, job.scope, job.address) == ("my-zuri", "zuri", "fake:town", ann.place)
    assert await ann.queue.drafts.get(ann.owner, ann.place) is None


async def test_where_no_trainer_is_up_nobody_is_told_that_it_starts(ann: Person) -> None:
    await consented(ann)
    waits = "No trainer is ready at the moment, so it waits until one is."
    await ann.send(12)
    confirm = await ann.say("/train anime zuri")
    assert waits in confirm.text
    assert waits in (await ann.press(confirm, "start:")).text

    await ann.queue.trainers.announce("w", TrainerState("a processor"))
    await ann.queue.jobs.cancel((await ann.queue.jobs.of(ann.owner))[0].id, ann.owner)
    confirm = await ann.say("/train anime kavo")
    assert waits not in confirm.text
    assert waits not in (await ann.press(confirm, "start:")).text


async def test_what_is_missing_is_asked_for_with_buttons_that_keep_the_rest(ann: Person) -> None:
    await consented(ann)
    await ann.send(12)
    which = await ann.say("/train base:demo name:kavo-1 seed:42")
    anime = await ann.press(which, "pick:anime")
    assert "Which word shall call it up" in anime.text
    word = anime.buttons[0].label
    assert anime.buttons[0].action == f"pick:anime:{word}:demo:kavo-1:42"
    confirm = await ann.ask(Pick("anime", word, "demo", "kavo-1", "42"))
    assert f"`kavo-1`, Anime character on 12 photos, base model `demo`, called up by `{word}`" in confirm.text
    await ann.press(confirm, "start:")
    assert (await ann.queue.jobs.of(ann.owner, 1))[0].seed == 42


async def test_what_is_too_long_for_a_button_is_kept_for_whoever_asked(ann: Person, tmp_path: Path) -> None:
    await consented(ann)
    await ann.send(12)
    name = "the-longest-name-that-a-file-may-have-00"
    which = await ann.say(f"/train base:demo name:{name} seed:2147483646")
    anime = await ann.press(which, "pick:anime")
    assert all(len(button.action.encode()) <= 64 for button in (*which.buttons, *anime.buttons))
    word, action = anime.buttons[0].label, anime.buttons[0].action
    confirm = await ann.press(anime, action)
    assert f"`{name}`, Anime character on 12 photos, base model `demo`, called up by `{word}`" in confirm.text
    await ann.press(confirm, "start:")
    (job,) = await ann.queue.jobs.of(ann.owner)
    assert (job.name, job.seed) == (name, 2147483646)

    with pytest.raises(NotYours):
        await person(ann.queue, tmp_path, "bob").ask(parse_action(action))
    with pytest.raises(CommandError, match="command-old-button"):
        await ann.ask(Start(action.split(":")[1].removeprefix("~")))
    with pytest.raises(CommandError, match="command-old-button"):
        await ann.ask(Pick(f"~{confirm.buttons[0].action.partition(':')[2]}"))
    with pytest.raises(NoProposal):
        await ann.ask(Pick("~gone", word))


async def test_the_longest_words_of_all_fit_a_button(ann: Person) -> None:
    """Presets' and base models' ids may have 40 and 32 characters, trigger words 24."""
    buttons = Buttons(ann.queue.proposals)
    rest = Train(preset="p" * 40, base="b" * 32, name="n" * 40, seed="2147483646")
    (by_trigger,) = await buttons.adding(ann.owner, ann.place, "train", rest, "trigger", [Button("zuri", "z" * 24)])
    (by_preset,) = await buttons.adding(
        ann.owner, ann.place, "train", replace(rest, preset=None, trigger="z" * 24), "preset", [Button("P", "p" * 40)]
    )
    with_all = await buttons.action(ann.owner, ann.place, "train", replace(rest, trigger="z" * 24))
    for action in (by_trigger.action, by_preset.action, with_all):
        assert len(action.encode()) <= 64
        pressed = parse_action(action)
        assert isinstance(pressed, Train)
        assert await buttons.whole(ann.owner, pressed) == replace(rest, trigger="z" * 24)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("n" * 500, f"`{'n' * 40}…` is too long for a file's name."),
        ("../etc", "`../etc` can't be a file's name."),
    ],
)
async def test_a_name_that_no_file_may_have_is_refused_for_what_is_wrong_with_it(
    ann: Person, name: str, said: str
) -> None:
    with pytest.raises(CommandError) as refused:
        await ann.say(f"/train anime zuri name:{name}")
    assert translator("en").text(refused.value.message).startswith(said)


async def test_too_few_photos_are_said_before_anything_is_asked(ann: Person) -> None:
    with pytest.raises(NoDraft):
        await ann.say("/train anime zuri")
    await ann.send(1)
    with pytest.raises(CommandError, match="command-too-few"):
        await ann.say("/train anime zuri")


async def test_a_preset_is_asked_for_only_where_one_takes_so_many_photos(ann: Person) -> None:
    with pytest.raises(NoDraft):
        await ann.say("/train")
    await ann.send(3)
    with pytest.raises(CommandError) as few:
        await ann.say("/train")
    assert few.value.message.params == {"count": 3, "least": 5, "more": 2}
    many = no_preset_takes(201, PRESETS, PRESETS.bases.usual)
    assert many is not None
    assert many.message.params == {"count": 201, "most": 200}
    assert all(no_preset_takes(count, PRESETS, PRESETS.bases.usual) is None for count in (5, 50, 200))


async def test_a_number_of_thousands_of_digits_is_no_seed(ann: Person) -> None:
    with pytest.raises(CommandError, match="command-seed-odd"):
        await ann.ask(Pick("anime", "zuri", None, None, "9" * 5000))


async def test_photos_that_came_meanwhile_make_a_fresh_confirmation(ann: Person) -> None:
    await consented(ann)
    await ann.send(12)
    old = await ann.say("/train anime zuri")
    await ann.send(3)
    fresh = await ann.press(old, "start:")
    assert "on 15 photos" in fresh.text
    assert await ann.queue.jobs.of(ann.owner) == []
    await ann.press(fresh, "start:")
    assert len(await ann.queue.jobs.of(ann.owner)) == 1
    with pytest.raises(NoProposal):
        await ann.press(old, "start:")


async def test_two_presses_at_once_start_one_job(ann: Person) -> None:
    await consented(ann)
    await ann.send(12)
    reply = await ann.say("/train anime zuri")
    done = await asyncio.gather(*(ann.press(reply, "start:") for _ in range(5)), return_exceptions=True)
    assert len(await ann.queue.jobs.of(ann.owner)) == 1
    refusals = [one for one in done if isinstance(one, BaseException)]
    assert len(refusals) == 4
    assert all(isinstance(one, AlreadyStarted | AlreadyQueued | NoDraft) for one in refusals), refusals
    with pytest.raises(AlreadyStarted):
        await ann.press(reply, "start:")


async def test_a_second_job_is_refused_and_can_be_started_when_the_first_is_over(ann: Person) -> None:
    first = await ann.started()
    await ann.send(12)
    reply = await ann.say("/train anime kavo")
    with pytest.raises(AlreadyQueued):
        await ann.press(reply, "start:")
    await ann.queue.jobs.cancel(first, ann.owner)
    assert "`kavo` will be trained" in (await ann.press(reply, "start:")).text


async def test_the_buttons_of_a_proposal_are_its_owners_alone(ann: Person, queue: Queue, tmp_path: Path) -> None:
    bob = person(queue, tmp_path, "bob", moderator=True)
    await ann.send(12)
    asked = await ann.say("/train anime zuri")
    for action in ("agree:", "drop:"):
        with pytest.raises(NotYours):
            await bob.press(asked, action)
    confirm = await ann.press(asked, "agree:")
    with pytest.raises(NotYours):
        await bob.press(confirm, "start:")


async def test_a_proposal_that_was_dropped_or_is_a_day_old_is_gone(ann: Person) -> None:
    await consented(ann)
    await ann.send(12)
    dropped = await ann.say("/train anime zuri")
    assert "Your photos are still here" in (await ann.press(dropped, "drop:")).text
    with pytest.raises(NoProposal):
        await ann.press(dropped, "start:")
    old = await ann.say("/train anime zuri")
    async with ann.queue.database.write() as connection:
        await connection.execute(proposals.update().values(created_at=now_plus(-86_401.0)))
    with pytest.raises(NoProposal):
        await ann.press(old, "start:")
    with pytest.raises(NoProposal):
        await ann.ask(Agree("nothing"))


async def test_start_asks_for_the_consent_that_was_taken_back(ann: Person) -> None:
    await consented(ann)
    await ann.send(12)
    reply = await ann.say("/train anime zuri")
    proposal = reply.buttons[0].action.partition(":")[2]
    async with ann.queue.database.write() as connection:
        await connection.execute(people.update().values(consented_at=None))
    asked = await ann.ask(Start(proposal))
    assert [button.action.partition(":")[0] for button in asked.buttons] == ["agree", "drop"]


async def test_a_job_is_trained_again_for_longer_on_the_same_images(ann: Person) -> None:
    first = await ann.started()
    await finish(await claimed(ann.queue), ann.queue)
    confirm = await ann.ask(Again(first, "stronger"))
    assert "`zuri-2`, Anime character on 12 photos" in confirm.text
    assert "It takes about 2 minutes" in confirm.text  # 80 s of steps half as long again, and 3 s of writing
    await ann.press(confirm, "start:")
    before, after = await ann.queue.jobs.get(first), (await ann.queue.jobs.of(ann.owner))[0]
    recipes = [job.preset["recipes"] for job in (before, after)]
    assert isinstance(recipes[0], dict)
    assert isinstance(recipes[1], dict)
    assert [name for name in recipes[0] if recipes[0][name] != recipes[1][name]] == ["demo"]
    assert recipes[1]["demo"]["views"] == round(recipes[0]["demo"]["views"] * 1.5)
    assert (after.dataset_id, after.trigger, after.name) == (before.dataset_id, before.trigger, "zuri-2")


async def test_stronger_and_weaker_have_an_end(ann: Person) -> None:
    await ann.started()
    for way in ("stronger",) * 3:
        await finish(await claimed(ann.queue), ann.queue)
        newest = (await ann.queue.jobs.of(ann.owner, 1))[0]
        await ann.press(await ann.ask(Again(newest.id, way)), "start:")
    await finish(await claimed(ann.queue), ann.queue)
    newest = (await ann.queue.jobs.of(ann.owner, 1))[0]
    assert newest.name == "zuri-4"
    with pytest.raises(CommandError, match="command-again-enough"):
        await ann.ask(Again(newest.id, "stronger"))


async def test_a_job_whose_base_model_is_gone_says_so_when_it_is_to_be_trained_again(ann: Person) -> None:
    job = await ann.started()
    await finish(await claimed(ann.queue), ann.queue)
    async with ann.queue.database.write() as connection:
        await connection.execute(jobs.update().values(base="anything-v5"))
    with pytest.raises(UnknownBase, match="anything-v5"):
        await ann.ask(Again(job, "stronger"))


async def test_only_its_owner_trains_a_job_again(ann: Person, queue: Queue, tmp_path: Path) -> None:
    job = await ann.started()
    await finish(await claimed(queue), queue)
    with pytest.raises(NotYours):
        await person(queue, tmp_path, "bob", moderator=True).ask(Again(job, "weaker"))
    with pytest.raises(NoSuchJob):
        await ann.ask(Again("gone", "weaker"))


async def test_the_estimate_is_what_the_last_ones_took(ann: Person, queue: Queue, tmp_path: Path) -> None:
    bob = person(queue, tmp_path, "bob")
    for seconds in (600, 720, 6000):
        await bob.started()
        await (await claimed(queue)).succeed(Outcome((), took(seconds, peak_bytes=5_100_000_000)))
    await consented(ann)
    await ann.send(12)
    confirm = await ann.say("/train anime zuri")
    assert "It takes 10 to 14 minutes, as the last ones like it did." in confirm.text
    assert "It needs about 5.1 GB of the card's memory." in confirm.text
    await ann.press(confirm, "start:")
    (job,) = await queue.jobs.of(ann.owner)
    assert estimated_s(job) == pytest.approx(724)
    li = await consented(person(queue, tmp_path, "li", language="zh-CN"))
    await li.send(12)
    assert "大约需要10 到 14 分钟" in (await li.say("/训练 anime zuri")).text


async def test_the_first_estimate_is_by_the_step_that_a_trainer_has_timed(ann: Person, queue: Queue) -> None:
    await queue.trainers.announce("w", TrainerState("a card", None, {"demo": Speed(7 * 128**2, 0.4, 0.05)}))
    await consented(ann)
    await ann.send(12)
    # 300 steps of 0.4 s are 2 minutes; pictures and measurements come on top.
    assert (
        "It takes roughly 1 to 3 minutes: it's the first of its kind here" in (await ann.say("/train anime zuri")).text
    )


async def test_jobs_of_a_device_that_is_gone_tell_nothing(ann: Person, queue: Queue, tmp_path: Path) -> None:
    await person(queue, tmp_path, "bob").started()
    await (await claimed(queue)).succeed(Outcome((), {**took(600), "device": "a card"}))
    await person(queue, tmp_path, "eve").started()
    await (await claimed(queue)).succeed(Outcome((), {**took(6000), "device": "a processor"}))
    await consented(ann)
    for device, text in (("a card", "9 to 12 minutes"), ("a processor", "1.5 to 2 hours")):
        await queue.trainers.announce("w", TrainerState(device))
        await ann.send(12)
        assert text in (await ann.say("/train anime zuri")).text


async def test_an_installation_without_a_past_does_not_guess(ann: Person, queue: Queue, tmp_path: Path) -> None:
    await person(queue, tmp_path, "bob").started()
    await (await claimed(queue)).succeed(Outcome((), {"seconds": 600}))  # by an older lorabot
    await consented(ann)
    await ann.send(12)
    assert "first of its kind" in (await ann.say("/train anime zuri")).text


async def test_the_place_in_line_and_the_wait_are_told(ann: Person, queue: Queue, tmp_path: Path) -> None:
    bob, eve = person(queue, tmp_path, "bob"), person(queue, tmp_path, "eve")
    await queue.trainers.announce("w", TrainerState("a processor"))
    await bob.started()
    await (await claimed(queue)).succeed(Outcome((), took(600)))
    await bob.started()
    await claimed(queue)
    await eve.started()
    await consented(ann)
    await ann.send(12)
    assert "You'd be number 2 in line; it starts in about 20 minutes." in (await ann.say("/train anime zuri")).text
    await queue.jobs.pause("mod", "fake:town")
    assert "paused right now" in (await ann.say("/train anime zuri")).text


async def test_chinese_is_confirmed_in_chinese(queue: Queue, tmp_path: Path) -> None:
    li = await consented(person(queue, tmp_path, "li", language="zh-CN"))
    await li.send(12)
    assert "准备好了：`zuri`，动漫角色，12 张照片" in (await li.say("/训练 anime zuri")).text
    assert (await queue.people.get(li.owner)).language == "zh-CN"
