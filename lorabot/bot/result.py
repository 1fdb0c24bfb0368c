"""The message that ends a job: what it made, or why it made nothing. A pure function of its arguments."""

from collections.abc import Iterator
from dataclasses import replace

from lorabot.bot.card import preset_title
from lorabot.bot.reply import Button, File, Picture, Reply
from lorabot.locale import Message, Translator
from lorabot.presets import DEMO
from lorabot.queue.model import Artefact, Job, JobState, JsonObject, Outcome, Returned

_PICTURES = ("plot", "grid")
_LOST = "trainer-dataset-lost"
"""The failure of a job whose photos can't be read any more."""
_FILES = ("lora", "report", "report_json", "tensorboard", "log")


def result_of(job: Job, photos: Returned, text: Translator) -> Reply:
    """The outcome of a job that has ended; ``photos`` tells which of it are there for another try."""
    if job.state is JobState.SUCCEEDED and job.outcome is not None:
        artefacts = job.outcome.artefacts
        return Reply(
            "\n".join(_lines(job, job.outcome, text)),
            pictures=tuple(_pictures(artefacts, text)),
            files=tuple(_files(artefacts)),
            buttons=tuple(Button(text(f"result-{way}"), f"again:{job.id}:{way}") for way in ("stronger", "weaker")),
            private=False,
            result=True,
            owner=job.owner,
        )
    files: tuple[File, ...] = ()
    if job.state is JobState.CANCELLED:
        said = text("result-cancelled", name=job.name)
    else:
        reason = text.text(job.failure) if job.failure else text("result-no-reason")
        said = text("result-failed", name=job.name, reason=reason)
        files = tuple(_files(job.outcome.artefacts)) if job.outcome else ()
        if job.failure is not None and job.failure.code == _LOST:
            photos = replace(photos, displaced=0)  # no others are to blame, and what to do has been said
    return Reply(with_photos(said, photos, text), files=files, private=False, result=True, owner=job.owner)


def with_photos(said: str, photos: Returned, text: Translator) -> str:
    """``said``, and what can be done with the ``photos`` of a job that made nothing."""
    lines = [said]
    if photos.kept:
        lines.append(text("result-photos-kept", count=photos.kept))
    if photos.displaced:
        lines.append(text("result-photos-displaced", count=photos.displaced, kept=photos.kept))
    return "\n".join(lines)


def kept_text(outcome: Outcome, text: Translator) -> str | None:
    """The validation loss of the step that was chosen, beside that of the start; None where nothing was chosen."""
    first, kept, step = (_number(outcome.summary, key) for key in ("first_validation", "best_validation", "best_step"))
    if first is None or kept is None or step is None:
        return None
    return text("result-loss", first=f"{first:.4f}", kept=f"{kept:.4f}", step=int(step))


def notice_of(job: Job, message: Message, text: Translator) -> Reply:
    """Something that happened to a job on its way."""
    return Reply(text("result-notice", name=job.name, notice=text.text(message)), private=False, owner=job.owner)


def _lines(job: Job, outcome: Outcome, text: Translator) -> Iterator[str]:
    yield text("result-done", name=job.name, preset=preset_title(job, text.language))
    images, steps, seconds = (_number(outcome.summary, key) for key in ("images", "steps", "seconds"))
    if images is not None and steps is not None and seconds is not None:
        yield text("result-how", images=int(images), steps=int(steps), duration=_duration(seconds))
    if (kept := kept_text(outcome, text)) is not None:
        yield kept
    lora = next((artefact.filename for artefact in outcome.artefacts if artefact.kind == "lora"), None)
    if lora is not None:
        code = "result-use-demo" if job.base == DEMO.id else "result-use"
        yield text(code, file=lora, trigger=job.trigger, base=job.base)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _number(summary: JsonObject, key: str) -> float | None:
    value = summary.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _pictures(artefacts: tuple[Artefact, ...], text: Translator) -> Iterator[Picture]:
    for kind in _PICTURES:
        for artefact in artefacts:
            if artefact.kind == kind:
                alt = text(f"result-alt-{kind}")
                yield Picture(artefact.key, artefact.filename, artefact.content_type, alt)


def _files(artefacts: tuple[Artefact, ...]) -> Iterator[File]:
    for kind in _FILES:
        for artefact in artefacts:
            if artefact.kind == kind:
                yield File(artefact.key, artefact.filename, artefact.content_type, artefact.size)
