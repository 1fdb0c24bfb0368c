"""The one message that shows a job: a pure function of the job, its place in line and a language."""

from collections.abc import Iterator
from dataclasses import dataclass

from lorabot.bot.reply import Button, Picture
from lorabot.locale import Translator
from lorabot.presets import Bilingual
from lorabot.queue.model import Job, JobState, Progress

_SCALES = (("seconds", 1, 5.0, 90.0), ("minutes", 60, 1.0, 3600.0), ("hours", 3600, 0.5, float("inf")))
"""How a duration is said: in which unit of so many seconds, rounded to what, below how many seconds."""
Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class CardSample:
    """A picture the model made of ``prompt`` at ``step``."""

    picture: Picture
    step: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a chat shows of a job in words and numbers. Texts are in the job's language.

    ``percent`` is of the stage, 0 to 100; ``position`` the place in line, 1 is next.
    """

    job: str
    name: str
    title: str
    trigger: str
    state: str
    final: bool
    state_text: str
    stage_text: str
    position: int | None
    step: int
    total_steps: int
    percent: float | None
    rate_text: str
    eta_text: str
    loss: Curve
    validation: Curve
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(CardFacts):
    """Everything a chat shows of a job."""

    samples: tuple[CardSample, ...]
    buttons: tuple[Button, ...]
    curve_names: tuple[str, str]
    """What the curves of ``loss`` and of ``validation`` are called in a picture."""

    @property
    def status_text(self) -> str:
        """The state and the stage as one: 'In training · Training' would say it twice."""
        stopping = not self.buttons
        return self.state_text if stopping or not self.stage_text else self.stage_text


def card_of(job: Job, position: int | None, text: Translator) -> Card:
    """The card of ``job``; ``position`` is its place in line (1 is next), None where it does not wait."""
    progress = job.progress
    running = progress if job.state is JobState.RUNNING else None
    return Card(
        job=job.id,
        name=job.name,
        title=preset_title(job, text.language),
        trigger=job.trigger,
        state=job.state.value,
        final=job.state.final,
        state_text=_state_text(job, position, text),
        stage_text=text(f"card-stage-{running.stage.value}") if running else "",
        position=position if job.state is JobState.QUEUED else None,
        step=progress.step if progress else 0,
        total_steps=progress.total_steps if progress else 0,
        percent=_percent(job),
        rate_text=_rate_text(running, text),
        eta_text=duration_left(running.eta_s, text) if running and running.eta_s is not None else "",
        loss=progress.loss if progress else (),
        validation=progress.validation if progress else (),
        samples=tuple(_samples(progress, text)),
        note=_note(job, text),
        buttons=_buttons(job, text),
        curve_names=(text("picture-live-loss"), text("picture-live-validation")),
    )


def preset_title(job: Job, language: str) -> str:
    """The title of the preset as it was when the job was asked for."""
    return Bilingual.model_validate(job.preset["title"]).get(language)


def duration_left(seconds: float, text: Translator) -> str:
    """A time left in words, rounded as a person would say it."""
    if seconds < 55:
        return text("card-left-seconds", seconds=max(5, round(seconds / 5) * 5))
    if seconds < 3600:
        return text("card-left-minutes", minutes=max(1, round(seconds / 60)))
    hours, minutes = divmod(round(seconds / 60), 60)
    return text("card-left-hours", hours=hours, minutes=minutes)


def duration_text(seconds: float, text: Translator) -> str:
    """A duration in words, rounded as a person would say it."""
    if seconds < 90:
        return text("duration-seconds", seconds=max(5, round(seconds / 5) * 5))
    if seconds < 3600:
        return text("duration-minutes", minutes=round(seconds / 60))
    hours, minutes = divmod(round(seconds / 60), 60)
    return text("duration-hours", hours=hours, minutes=minutes)


def range_text(low: float, high: float, text: Translator) -> str:
    """A duration from ``low`` to ``high`` seconds in words; just one where both are said the same."""
    code, unit, step = next((code, unit, step) for code, unit, step, most in _SCALES if high < most)
    first, last = (max(step, round(seconds / unit / step) * step) for seconds in (low, high))
    if first == last:
        return duration_text((low + high) / 2, text)
    return text(f"duration-{code}-range", low=f"{first:g}", high=f"{last:g}")


def _state_text(job: Job, position: int | None, text: Translator) -> str:
    if job.cancel_requested and not job.state.final:
        return text("card-state-cancelling")
    if job.state is JobState.QUEUED and position is not None:
        return text("card-state-in-line", position=position)
    return text(f"card-state-{job.state.value}")


def _percent(job: Job) -> float | None:
    if job.state is JobState.SUCCEEDED:
        return 100.0
    if job.progress is None or job.progress.total_steps <= 0:
        return None
    return round(min(100.0, 100 * job.progress.step / job.progress.total_steps), 1)


def _rate_text(progress: Progress | None, text: Translator) -> str:
    if progress is None or not progress.rate:
        return ""
    if progress.rate >= 1:
        return text("card-rate", rate=_short(progress.rate))
    return text("card-rate-slow", seconds=_short(1 / progress.rate))


def _short(number: float) -> str:
    """Two figures that count: 0.43, 1.2, 14."""
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2f}"


def _samples(progress: Progress | None, text: Translator) -> Iterator[CardSample]:
    for sample in progress.samples if progress else ():
        suffix = sample.key.rpartition(".")[2].lower()
        kind = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}.get(suffix, "image/png")
        filename = sample.key.rpartition("/")[2]
        alt = text("card-sample-alt", prompt=sample.prompt, step=sample.step)
        yield CardSample(Picture(sample.key, filename, kind, alt), sample.step, sample.prompt)


def _note(job: Job, text: Translator) -> str:
    if job.failure is not None:
        return text.text(job.failure)
    if job.progress is not None and job.progress.note is not None and not job.state.final:
        return text.text(job.progress.note)
    return ""


def _buttons(job: Job, text: Translator) -> tuple[Button, ...]:
    if job.state.final or job.cancel_requested:
        return ()
    return (
        Button(text("card-cancel"), f"cancel:{job.id}", "danger"),
        Button(text("card-details"), f"details:{job.id}"),
    )
