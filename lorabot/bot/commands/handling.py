"""Carries out requests. Every front end asks here, and translates only what comes back."""

from collections.abc import Sequence

from lorabot.bot.card import card_of
from lorabot.bot.commands.buttons import Buttons
from lorabot.bot.commands.cancelling import cancelled
from lorabot.bot.commands.completion import Choice, base_choices, job_choices, preset_choices
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.moderation import Moderation, may_touch
from lorabot.bot.commands.privacy import Keeping
from lorabot.bot.commands.requests import (
    Actor,
    Again,
    Agree,
    Cancel,
    Clear,
    Details,
    Drop,
    ForgetMe,
    Help,
    Jobs,
    Pick,
    Presets,
    Privacy,
    Propose,
    QueueCommand,
    Request,
    Start,
    Status,
    Train,
)
from lorabot.bot.commands.training import Checked, Training
from lorabot.bot.commands.unserved import unserved
from lorabot.bot.commands.vocabulary import COMMANDS, MODERATING
from lorabot.bot.details import details_of
from lorabot.bot.intake.service import Intake
from lorabot.bot.reply import Button, Reply
from lorabot.locale import Translator, translator
from lorabot.presets import Catalogue
from lorabot.queue import Queue
from lorabot.queue.errors import NotYours
from lorabot.queue.model import Address, Job

_SHOWN_JOBS = 10
_KNOWN_JOBS = 100
_MOST_NAME = 40
_EXAMPLES = {"train": "/train preset:anime trigger:zuri"}


class Commands:
    """All commands, over one queue."""

    def __init__(self, queue: Queue, presets: Catalogue, intake: Intake) -> None:
        self._queue = queue
        self._intake = intake
        self.buttons = Buttons(queue.proposals)
        self._training = Training(queue, presets, intake, self.buttons)
        self._moderation = Moderation(queue)
        self._keeping = Keeping(queue, intake)
        self.presets = presets

    async def handle(self, actor: Actor, address: Address, request: Request) -> Reply:
        """Do what ``actor`` asks in the conversation ``address``. Raises ``UserError`` where it can't be done."""
        say = translator(actor.language)
        await self.note_language(actor.owner, actor.language)
        match request:
            case Train():
                return await self._training.train(actor, address, request, say)
            case Propose():
                return await self._training.propose(actor, address, request.train, say)
            case Pick():
                train = Train(request.preset, request.trigger, request.base, request.name, request.seed)
                return await self._training.propose(actor, address, train, say)
            case Agree():
                return await self._training.agree(actor, request.proposal, say)
            case Start():
                return await self._training.start(actor, request.proposal, say)
            case Drop():
                return await self._training.drop(actor, request.proposal, say)
            case Again():
                return await self._training.again(actor, address, request.job, request.way, say)
            case Status():
                return await self._status(actor, address, request.job, say)
            case Details():
                job = await self._find(actor, address, request.job)
                return await details_of(job, self._queue, self.presets.bases, say, overheard=actor.overheard)
            case Jobs():
                return await self._jobs(actor, address, say)
            case Cancel():
                return await self._cancel(actor, address, request.job, say)
            case Presets():
                return self._presets(request.preset, say)
            case Clear():
                async with self._intake.until_now(actor.owner):
                    count = await self._queue.drafts.clear(actor.owner, address)
                return Reply(say("command-cleared", count=count))
            case Privacy():
                return self._keeping.privacy(say)
            case ForgetMe():
                return await self._keeping.forget(actor, address, request.sure, say)
            case QueueCommand():
                return await self._moderation.handle(actor, address, request.action, request.job, say)
            case Help():
                return Reply(say("command-help") + "\n" + "\n".join(_help_lines(actor, say)))

    async def note_language(self, owner: str, language: str) -> None:
        """Remember the language that ``owner`` speaks, and that they can be reached: they get what waits for them."""
        before = await self._queue.people.get(owner)
        await self._queue.people.note_met(owner, language)
        if before.unreachable_at is not None:
            await self._queue.outbox.take_up(owner)

    def check(self, request: Train) -> Checked | None:
        """Check the words of ``request``; None where it names no preset. Raises ``UserError``."""
        return self._training.check(request)

    def autocomplete_presets(self, text: str, language: str) -> list[Choice]:
        """Presets like ``text``: what to send back, what to show, and a hint. At most 25."""
        return preset_choices(text, self.presets, translator(language))

    def autocomplete_bases(self, text: str, language: str) -> list[Choice]:
        """Base models like ``text``; as ``autocomplete_presets``."""
        return base_choices(text, self.presets.bases, translator(language))

    async def autocomplete_jobs(self, actor: Actor, address: Address, text: str) -> list[Choice]:
        """Unfinished jobs like ``text`` that ``actor`` may act on; as ``autocomplete_presets``."""
        return job_choices(text, await self.jobs_to_move(actor, address), translator(actor.language))

    async def jobs_to_move(self, actor: Actor, address: Address) -> Sequence[Job]:
        """The actor's unfinished jobs, then, for a moderator, those of others."""
        jobs = list(await self.jobs_to_cancel(actor.owner))
        if actor.moderator or actor.operator:
            own = {job.id for job in jobs}
            others = await self._queue.jobs.unfinished(_KNOWN_JOBS, None if actor.operator else address.scope)
            jobs += [job for job in others if job.id not in own]
        return jobs

    async def jobs_to_cancel(self, owner: str) -> Sequence[Job]:
        """The owner's jobs that have not ended."""
        return [job for job in await self._queue.jobs.of(owner, _KNOWN_JOBS) if not job.state.final]

    async def _status(self, actor: Actor, address: Address, reference: str | None, say: Translator) -> Reply:
        if reference is not None:
            job = await self._find(actor, address, reference)
        else:
            own = await self._told_here(actor, address)
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
        if position is not None:
            lines += await unserved(self._queue, job.base, say)
        return Reply("\n".join(lines), card.buttons)

    async def _told_here(self, actor: Actor, address: Address, *, unfinished: bool = False) -> Sequence[Job]:
        """The actor's jobs, newest first, without those that others shall not read of. Raises ``CommandError``."""
        own = (
            await self.jobs_to_cancel(actor.owner)
            if unfinished
            else await self._queue.jobs.of(actor.owner, _KNOWN_JOBS)
        )
        told = [job for job in own if not actor.overheard or job.scope == address.scope]
        if own and not told:
            raise CommandError("command-none-here")
        return told

    async def _jobs(self, actor: Actor, address: Address, say: Translator) -> Reply:
        jobs = (await self._told_here(actor, address))[:_SHOWN_JOBS]
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

    async def _cancel(self, actor: Actor, address: Address, reference: str | None, say: Translator) -> Reply:
        if reference is not None:
            found = await self._find(actor, address, reference)
        else:
            own = await self._told_here(actor, address, unfinished=True)
            if not own:
                raise CommandError("command-nothing-to-cancel")
            if len(own) > 1:
                raise CommandError("command-which-job", jobs=", ".join(f"`{job.id}` ({job.name})" for job in own))
            found = own[0]
        scope = None if actor.operator else address.scope
        job = await self._queue.jobs.cancel(found.id, actor.owner, actor.moderator or actor.operator, scope)
        return Reply(await cancelled(self._queue, job, actor, address, say))

    async def _find(self, actor: Actor, address: Address, reference: str) -> Job:
        """The job that ``reference`` names: an id, or the name of one's own. Raises ``NoSuchJob``, ``NotYours``."""
        wanted = reference.strip().casefold()
        own = await self._queue.jobs.of(actor.owner, _KNOWN_JOBS)
        named = [job for job in own if wanted in (job.id, job.name.casefold())]
        if named:
            return next((job for job in named if not job.state.final), named[0])
        job = await self._queue.jobs.get(wanted[:_MOST_NAME])
        if job.owner != actor.owner and not may_touch(actor, address, job):
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
                    bases=", ".join(b.id for b in self.presets.bases.values() if b.family in preset.recipes),
                )
            )
        lines = [say("command-presets")]
        for preset in self.presets.presets.values():
            title, description = preset.title.get(language), preset.description.get(language)
            lines.append(say("command-presets-line", preset=preset.id, title=title, description=description))
        return Reply("\n".join(lines))


def _help_lines(actor: Actor, say: Translator) -> list[str]:
    moderates = actor.moderator or actor.operator
    return [
        say("command-help-line", usage=_EXAMPLES.get(name, f"/{name}"), hint=say(f"command-hint-{name}"))
        for name in COMMANDS
        if name not in MODERATING or moderates
    ]
