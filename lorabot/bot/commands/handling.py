"""Carries out requests. Every front end asks here, and translates only what comes back."""

import difflib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from lorabot.bot.card import card_of
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Actor, Cancel, Clear, Help, Jobs, Presets, Request, Status, Train
from lorabot.bot.commands.trigger import check_trigger, made_up
from lorabot.bot.commands.vocabulary import COMMANDS
from lorabot.bot.intake.service import Intake
from lorabot.bot.reply import Button, Reply
from lorabot.locale import Translator, translator
from lorabot.presets import AVAILABLE_BASES, BASES, DEFAULT_BASE, Catalogue, Preset
from lorabot.queue import Queue
from lorabot.queue.errors import NoDraft, NotYours
from lorabot.queue.model import Address, Job, JobState, NewJob

_SHOWN_JOBS = 10
_KNOWN_JOBS = 100
_SUGGESTED_TRIGGERS = 3
_MOST_NAME = 40
_MOST_SEED = 2**31 - 1
_EXAMPLES = {"train": "/train preset:anime trigger:zuri"}


@dataclass(frozen=True, slots=True)
class Checked:
    """A ``Train`` that can be done as far as its words go. ``trigger`` is None where it still has to be named."""

    preset: Preset
    base: str
    trigger: str | None
    name: str | None
    seed: int


class Commands:
    """All commands, over one queue."""

    def __init__(self, queue: Queue, presets: Catalogue, intake: Intake, base: str = DEFAULT_BASE) -> None:
        self._queue = queue
        self._intake = intake
        self._base = base
        self.presets = presets

    async def handle(self, actor: Actor, address: Address, request: Request) -> Reply:
        """Do what ``actor`` asks in the conversation ``address``. Raises ``UserError`` where it can't be done."""
        say = translator(actor.language)
        match request:
            case Train():
                return await self._train(actor, address, request, say)
            case Status():
                return await self._status(actor, request.job, say)
            case Jobs():
                return await self._jobs(actor, say)
            case Cancel():
                return await self._cancel(actor, request.job, say)
            case Presets():
                return self._presets(request.preset, say)
            case Clear():
                await self._intake.settled(actor.owner)
                return Reply(say("command-cleared", count=await self._queue.drafts.clear(actor.owner, address)))
            case Help():
                return Reply(say("command-help") + "\n" + "\n".join(_help_lines(say)))

    async def jobs_to_cancel(self, owner: str) -> Sequence[Job]:
        """The owner's jobs that have not ended."""
        return [job for job in await self._queue.jobs.of(owner, _KNOWN_JOBS) if not job.state.final]

    def check(self, request: Train) -> Checked | None:
        """Check the words of ``request``; None where it names no preset. Raises ``UserError``."""
        base = self._known_base(request.base) if request.base else self._base
        trigger = check_trigger(request.trigger, self.presets) if request.trigger else None
        name = _check_name(request.name) if request.name else None
        seed = _check_seed(request.seed) if request.seed else secrets.randbelow(_MOST_SEED)
        if request.preset is None:
            return None
        preset = self.presets.get(request.preset)
        preset.recipe(BASES[base])
        return Checked(preset, base, trigger, name, seed)

    async def _train(self, actor: Actor, address: Address, request: Train, say: Translator) -> Reply:
        checked = self.check(request)
        await self._intake.settled(actor.owner)
        draft = await self._queue.drafts.get(actor.owner, address)
        count = len(draft.images) if draft else 0
        if checked is None:
            return Reply(say("command-which-preset"), preset_buttons(self.presets, count, say, self._base))
        _refuse_count(checked.preset, count, say)
        if checked.trigger is None:
            return self._which_trigger(checked.preset, f"{actor.owner} {count}", say)
        job = await self._submit(actor, address, checked, checked.trigger)
        position = await self._queue.jobs.position(job.id)
        title = checked.preset.title.get(actor.language)
        text = say("command-queued", name=job.name, preset=title, images=count, position=position or 0)
        return Reply(text, private=False)

    async def _submit(self, actor: Actor, address: Address, checked: Checked, trigger: str) -> Job:
        caption = checked.preset.recipe(BASES[checked.base]).caption
        vocabulary = self.presets.vocabulary_for(caption)
        dataset = await self._queue.drafts.seal(actor.owner, address)
        return await self._queue.jobs.submit(
            NewJob(
                name=checked.name or trigger,
                owner=actor.owner,
                address=address,
                language=actor.language,
                preset=checked.preset.model_dump(mode="json"),
                vocabulary=vocabulary.model_dump(mode="json") if vocabulary else None,
                trigger=trigger,
                base=checked.base,
                dataset_id=dataset.id,
                seed=checked.seed,
            )
        )

    def _which_trigger(self, preset: Preset, seed: str, say: Translator) -> Reply:
        words = [made_up(f"{seed} {number}", self.presets) for number in range(_SUGGESTED_TRIGGERS)]
        buttons = tuple(Button(word, f"train:{preset.id}:{word}") for word in words)
        return Reply(say("command-which-trigger", preset=preset.id, example=words[0]), buttons)

    def _known_base(self, wish: str) -> str:
        base = wish.strip().casefold()
        if base in AVAILABLE_BASES:
            return base
        if base in BASES:
            raise CommandError("command-base-not-here", base=base, bases=", ".join(AVAILABLE_BASES))
        near = difflib.get_close_matches(base, BASES, n=1)
        if near:
            raise CommandError("command-base-unknown-near", base=wish[:_MOST_NAME], nearest=near[0])
        raise CommandError("command-base-unknown", base=wish[:_MOST_NAME], bases=", ".join(AVAILABLE_BASES))

    async def _status(self, actor: Actor, reference: str | None, say: Translator) -> Reply:
        if reference is not None:
            job = await self._find(actor, reference)
        else:
            own = await self._queue.jobs.of(actor.owner, 1)
            if not own:
                return Reply(say("command-no-jobs"))
            job = own[0]
        position = await self._queue.jobs.position(job.id)
        card = card_of(job, position, say)
        lines = [say("command-status", name=job.name, id=job.id, preset=card.title, state=card.state_text)]
        if card.stage_text:
            lines.append(card.stage_text)
        if card.total_steps:
            lines.append(say("command-steps", step=card.step, total=card.total_steps))
        lines += [line for line in (card.rate_text, card.eta_text, card.note) if line]
        return Reply("\n".join(lines), card.buttons)

    async def _jobs(self, actor: Actor, say: Translator) -> Reply:
        jobs = await self._queue.jobs.of(actor.owner, _SHOWN_JOBS)
        if not jobs:
            return Reply(say("command-no-jobs"))
        lines = [say("command-jobs")]
        buttons = []
        for job in jobs:
            card = card_of(job, await self._queue.jobs.position(job.id), say)
            lines.append(say("command-jobs-line", name=job.name, id=job.id, preset=card.title, state=card.state_text))
            if card.buttons:
                buttons.append(Button(say("command-cancel-job", name=job.name), f"cancel:{job.id}", "danger"))
        return Reply("\n".join(lines), tuple(buttons))

    async def _cancel(self, actor: Actor, reference: str | None, say: Translator) -> Reply:
        if reference is not None:
            found = await self._find(actor, reference)
        else:
            own = await self.jobs_to_cancel(actor.owner)
            if not own:
                raise CommandError("command-nothing-to-cancel")
            if len(own) > 1:
                raise CommandError("command-which-job", jobs=", ".join(f"`{job.id}` ({job.name})" for job in own))
            found = own[0]
        job = await self._queue.jobs.cancel(found.id, actor.owner, actor.moderator)
        stopped = job.state is JobState.CANCELLED
        return Reply(say("command-cancelled" if stopped else "command-cancelling", name=job.name))

    async def _find(self, actor: Actor, reference: str) -> Job:
        """The job that ``reference`` names: an id, or the name of one's own. Raises ``NoSuchJob``, ``NotYours``."""
        wanted = reference.strip().casefold()
        own = await self._queue.jobs.of(actor.owner, _KNOWN_JOBS)
        named = [job for job in own if wanted in (job.id, job.name.casefold())]
        if named:
            return next((job for job in named if not job.state.final), named[0])
        job = await self._queue.jobs.get(wanted[:_MOST_NAME])
        if job.owner != actor.owner and not actor.moderator:
            raise NotYours(job.id)
        return job

    def _presets(self, wish: str | None, say: Translator) -> Reply:
        language = say.language
        if wish is not None:
            preset = self.presets.get(wish)
            return Reply(
                say(
                    "command-preset",
                    preset=preset.id,
                    title=preset.title.get(language),
                    description=preset.description.get(language),
                    kind=preset.send.kind.get(language),
                    least=preset.send.min_images,
                    best=preset.send.best,
                    most=preset.send.max_images,
                    bases=", ".join(base for base in AVAILABLE_BASES if BASES[base] in preset.recipes),
                )
            )
        lines = [say("command-presets")]
        for preset in self.presets.presets.values():
            title, description = preset.title.get(language), preset.description.get(language)
            lines.append(say("command-presets-line", preset=preset.id, title=title, description=description))
        return Reply("\n".join(lines))


def preset_buttons(presets: Catalogue, images: int, say: Translator, base: str = DEFAULT_BASE) -> tuple[Button, ...]:
    """A button for each preset that can be trained on ``base`` with this many images."""
    return tuple(
        Button(preset.title.get(say.language), f"train:{preset.id}")
        for preset in presets.presets.values()
        if BASES[base] in preset.recipes and preset.send.min_images <= images <= preset.send.max_images
    )


def _refuse_count(preset: Preset, count: int, say: Translator) -> None:
    send = preset.send
    if count == 0:
        raise NoDraft
    kind = send.kind.get(say.language)
    if count < send.min_images:
        more = send.min_images - count
        raise CommandError(
            "command-too-few", preset=preset.id, count=count, least=send.min_images, more=more, kind=kind
        )
    if count > send.max_images:
        raise CommandError("command-too-many-images", preset=preset.id, count=count, most=send.max_images)


def _check_name(typed: str) -> str:
    """A name that can be a file's name everywhere. Raises ``CommandError`` with one that would do."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", typed) and len(typed) <= _MOST_NAME:
        return typed
    plain = unicodedata.normalize("NFKD", typed).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")[:_MOST_NAME]
    raise CommandError("command-name-odd", name=typed[:_MOST_NAME], limit=_MOST_NAME, suggestion=slug or "my-lora")


def _check_seed(typed: str) -> int:
    if typed.isascii() and typed.isdigit() and int(typed) <= _MOST_SEED:
        return int(typed)
    raise CommandError("command-seed-odd", seed=typed[:_MOST_NAME], limit=_MOST_SEED)


def _help_lines(say: Translator) -> list[str]:
    return [
        say("command-help-line", usage=_EXAMPLES.get(name, f"/{name}"), hint=say(f"command-hint-{name}"))
        for name in COMMANDS
    ]
