"""Everything that can be told of a job, for the one who asks for more than the card."""

from collections.abc import Iterator

from pydantic import ValidationError

from lorabot.bot.card import card_of, duration_text
from lorabot.bot.reply import Reply
from lorabot.bot.result import kept_text
from lorabot.locale import Translator
from lorabot.presets import Bases, NoRecipe, Preset
from lorabot.queue import Queue
from lorabot.queue.model import Dataset, Job

_CAPTIONS = 5
_MOST_CAPTION = 160


async def details_of(job: Job, queue: Queue, bases: Bases, say: Translator, *, overheard: bool = False) -> Reply:
    """State, words, numbers and, unless others read it too, captions of ``job``."""
    card = card_of(job, await queue.jobs.position(job.id), say)
    dataset = await queue.drafts.dataset(job.dataset_id)
    lines = [
        say("command-status", name=job.name, id=job.id, preset=card.title, state=card.state_text),
        say("details-words", trigger=job.trigger, base=job.base, seed=str(job.seed), images=len(dataset.images)),
    ]
    lines += _recipe(job, bases, say)
    if card.stage_text:
        lines.append(card.stage_text)
    if card.total_steps:
        lines.append(say("command-steps", step=card.step, total=card.total_steps))
    lines += [line for line in (card.rate_text, card.eta_text) if line]
    lines += _measured(job, say)
    lines += [card.note] if card.note else []
    lines += [] if overheard else _captions(dataset, say)
    buttons = tuple(button for button in card.buttons if not button.action.startswith("details:"))
    return Reply("\n".join(lines), buttons)


def _recipe(job: Job, bases: Bases, say: Translator) -> Iterator[str]:
    """The plan as the preset asks for it; the machine may have found a smaller batch to fit."""
    try:
        recipe = Preset.model_validate(job.preset).recipe(bases[job.base].family)
    except (ValidationError, KeyError, NoRecipe):  # a preset of another version, a base that is gone
        return
    yield say(
        "details-recipe",
        views=recipe.views,
        resolution=recipe.resolution,
        batch=recipe.batch,
        rank=recipe.rank,
        rate=f"{recipe.unet_lr:g}",
    )


def _measured(job: Job, say: Translator) -> Iterator[str]:
    progress = job.progress
    if progress is not None and progress.loss:
        yield say("details-loss", first=f"{progress.loss[0][1]:.4f}", last=f"{progress.loss[-1][1]:.4f}")
    if job.outcome is not None and (kept := kept_text(job.outcome, say)) is not None:
        yield kept
    elif progress is not None and progress.validation:
        first, best = progress.validation[0][1], min(value for _, value in progress.validation)
        code = "details-validation-ended" if job.state.final else "details-validation"
        yield say(code, first=f"{first:.4f}", best=f"{best:.4f}")
    if job.started_at is not None and job.finished_at is not None:
        seconds = (job.finished_at - job.started_at).total_seconds()
        yield say("details-took", duration=duration_text(seconds, say))
    if job.crashes:
        yield say("details-crashes", count=job.crashes)


def _captions(dataset: Dataset, say: Translator) -> Iterator[str]:
    """Those that the owner wrote; the trainer's own are not kept with the job."""
    written = [image for image in dataset.images if image.caption]
    if written:
        yield say("details-captions", count=len(written))
    for image in written[:_CAPTIONS]:
        # In backticks, as names are: whoever moderates reads it too, and nothing in it shall be a link or a mention.
        caption = " ".join((image.caption or "").replace("`", "'").split())
        yield say("details-caption", name=image.name, caption=caption[:_MOST_CAPTION])
