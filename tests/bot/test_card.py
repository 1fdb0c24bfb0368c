"""The card is a function of the job: everything it shows, in both languages."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lorabot.bot.card import card_of, duration_left
from lorabot.bot.result import result_of
from lorabot.locale import LANGUAGES, Message, translator
from lorabot.presets import DEMO
from lorabot.queue.model import Address, Artefact, Job, JobState, Outcome, Progress, Returned, Sample, Stage
from tests.bot.house import PRESETS

JOB = Job(
    name="zuri",
    owner="fake:1",
    address=Address("fake", "1"),
    language="en",
    preset=PRESETS.get("anime").model_dump(mode="json"),
    vocabulary=None,
    trigger="zuri",
    base="demo",
    dataset_id="d",
    seed=1,
    id="abc",
    state=JobState.QUEUED,
    priority=0,
    created_at=datetime.now(UTC),
    started_at=None,
    finished_at=None,
    attempt=0,
    crashes=0,
    cancel_requested=False,
    version=1,
    progress=None,
    outcome=None,
    failure=None,
    resume=None,
)
TRAINING = Progress(
    Stage.TRAINING,
    step=25,
    total_steps=200,
    rate=0.4,
    eta_s=437.5,
    loss=((0, 0.3), (25, 0.2)),
    samples=(Sample(25, "jobs/abc/1/s.png", "zuri on a roof"),),
    note=Message("queue-no-draft"),
)
EN = translator("en")


def test_a_waiting_job_shows_its_place_and_can_be_cancelled() -> None:
    card = card_of(JOB, 3, EN)
    assert (card.state_text, card.position, card.percent) == ("Number 3 in line", 3, None)
    assert [(button.action, button.style) for button in card.buttons] == [
        ("cancel:abc", "danger"),
        ("details:abc", "plain"),
    ]


def test_a_training_job_shows_how_far_it_is() -> None:
    card = card_of(replace(JOB, state=JobState.RUNNING, progress=TRAINING), None, EN)
    assert (card.stage_text, card.step, card.total_steps, card.percent) == ("Training", 25, 200, 12.5)
    assert (card.rate_text, card.eta_text) == ("2.5 s a step", "7 min left")
    assert card.samples[0].picture.alt == "zuri on a roof, at step 25"
    assert card.note.startswith("There are no photos")


def test_a_job_that_waits_again_after_a_crash_shows_no_stale_rate() -> None:
    card = card_of(replace(JOB, state=JobState.QUEUED, progress=TRAINING), 1, EN)
    assert (card.stage_text, card.rate_text, card.eta_text) == ("", "", "")


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_an_ended_job_has_nothing_to_press(state: JobState) -> None:
    card = card_of(replace(JOB, state=state, progress=TRAINING), None, EN)
    assert card.final
    assert card.buttons == ()
    assert card.eta_text == ""


def test_a_job_being_cancelled_says_so_and_offers_it_no_second_time() -> None:
    card = card_of(replace(JOB, state=JobState.RUNNING, cancel_requested=True), None, EN)
    assert (card.state_text, card.buttons) == ("Being cancelled", ())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("state", list(JobState))
def test_every_state_and_stage_has_its_words(language: str, stage: Stage, state: JobState) -> None:
    job = replace(JOB, state=state, progress=replace(TRAINING, stage=stage), failure=Message("queue-unavailable"))
    card = card_of(job, 2, translator(language))
    for text in (card.state_text, card.note, card.title, result_of(job, Returned(), translator(language)).text):
        assert text
        assert not text.startswith(("card-", "result-", "queue-"))


def test_a_lora_of_the_demo_base_is_not_said_to_fit_stable_diffusion() -> None:
    lora = Artefact("lora", "zuri.safetensors", "key", 1, "application/octet-stream", "0" * 64)
    done = replace(JOB, state=JobState.SUCCEEDED, outcome=Outcome((lora,), {}))
    demo = result_of(replace(done, base=DEMO.id), Returned(), EN).text
    assert "train on a Stable Diffusion base" in demo
    assert "where your LoRA files are" not in demo
    assert "where your LoRA files are" in result_of(replace(done, base="anime"), Returned(), EN).text


def test_of_photos_that_are_not_back_those_that_others_displaced_are_told_of() -> None:
    failed = replace(JOB, state=JobState.FAILED, failure=Message("queue-unavailable"))
    text = result_of(failed, Returned(kept=2, displaced=1), EN).text
    assert "Your 2 photos are still here" in text
    assert "Its other photo is not here any more, because you have sent others since" in text
    lost = replace(failed, failure=Message("trainer-dataset-lost"))
    assert "because" not in result_of(lost, Returned(displaced=3), EN).text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "5 s left"), (38, "40 s left"), (60, "1 min left"), (3599, "60 min left"), (4000, "1 h 7 min left")],
)
def test_a_time_left_is_said_as_a_person_would(seconds: float, words: str) -> None:
    assert duration_left(seconds, EN) == words


def test_actions_of_buttons_fit_the_narrowest_platform() -> None:
    """Telegram's callback_data takes 64 bytes: the longest preset with the longest trigger word must fit."""
    longest = max(PRESETS.presets, key=len)
    assert len(f"train:{longest}:{'z' * 24}".encode()) <= 64
    assert len(card_of(JOB, 1, EN).buttons[0].action.encode()) <= 64
