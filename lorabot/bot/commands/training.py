"""From the wish to train to a job in the queue: what is asked, proposed and confirmed on the way."""

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lorabot.bot.card import duration_text, range_text
from lorabot.bot.commands.buttons import Buttons, words_of
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.estimates import Estimate, Estimates, with_estimate
from lorabot.bot.commands.requests import Actor, Train
from lorabot.bot.commands.trigger import check_trigger, made_up
from lorabot.bot.commands.unserved import unserved
from lorabot.bot.commands.work import recipe_of
from lorabot.bot.intake.service import Intake
from lorabot.bot.reply import Button, Reply
from lorabot.locale import Translator
from lorabot.presets import Base, Bilingual, Catalogue, Family, Preset
from lorabot.presets.lora_sizes import lora_bytes
from lorabot.queue import Queue
from lorabot.queue.errors import AlreadyStarted, NoDraft, NoProposal, NotYours
from lorabot.queue.model import Address, Image, Job, NewJob, Proposal
from lorabot.queue.proposals import digest

_TRIGGERS = 3
_KNOWN_JOBS = 100
_MOST_NAME = 40
_MOST_SEED = 2**31 - 1
# One step of 'stronger' or 'weaker': felt, and never more than four times what the preset's author meant.
_STEP = 1.5
_MOST_TIMES = 4.0


@dataclass(frozen=True, slots=True)
class Checked:
    """A ``Train`` that can be done as far as its words go. ``trigger`` is None where it still has to be named."""

    preset: Preset
    base: Base
    trigger: str | None
    name: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A job before it is one, and the images it would train on."""

    job: NewJob
    images: tuple[Image, ...]


class Training:
    """The commands that lead to a job."""

    def __init__(self, queue: Queue, presets: Catalogue, intake: Intake, buttons: Buttons) -> None:
        self._queue = queue
        self._presets = presets
        self._intake = intake
        self._buttons = buttons

    def check(self, request: Train) -> Checked | None:
        """Check the words of ``request``; None where it names no preset. Raises ``UserError``."""
        base = self._base(request)
        trigger = check_trigger(request.trigger, self._presets) if request.trigger else None
        name = _check_name(request.name) if request.name else None
        seed = _check_seed(request.seed) if request.seed else secrets.randbelow(_MOST_SEED)
        if request.preset is None:
            return None
        preset = self._presets.get(request.preset)
        preset.recipe(base.family)
        return Checked(preset, base, trigger, name, seed)

    async def train(self, actor: Actor, address: Address, request: Train, say: Translator) -> Reply:
        """Queue the job at once."""
        request = await self._buttons.whole(actor.owner, request)
        wish = await self._wish(actor, address, request, say, "train")
        if isinstance(wish, Reply):
            return wish
        dataset = await self._queue.drafts.seal(actor.owner, address)
        wish = Wish(replace(wish.job, dataset_id=dataset.id), dataset.images)
        job = await self._queue.jobs.submit(await self._estimated(wish))
        queued = await self._queued(job, len(dataset.images), say)
        return replace(queued, text="\n".join([queued.text, *await self._expectations(wish, say)]))

    async def propose(self, actor: Actor, address: Address, request: Train, say: Translator) -> Reply:
        """Ask for the consent that is missing, then for a yes."""
        request = await self._buttons.whole(actor.owner, request)
        wish = await self._wish(actor, address, request, say, "pick")
        if isinstance(wish, Reply):
            return wish
        terms = {"train": words_of(request), "seed": wish.job.seed}
        proposal = await self._queue.proposals.add(actor.owner, address, terms, digest(wish.images))
        if (await self._queue.people.get(actor.owner)).consented_at is None:
            return self._consent(proposal, say)
        return await self._confirmation(proposal, wish, say)

    async def agree(self, actor: Actor, proposal_id: str, say: Translator) -> Reply:
        proposal = await self._queue.proposals.get(proposal_id, actor.owner)
        await self._queue.people.note_consent(actor.owner)
        if proposal.job is not None:
            raise AlreadyStarted(proposal.job)
        return await self._renewed(actor, proposal, say)

    async def start(self, actor: Actor, proposal_id: str, say: Translator) -> Reply:
        """Queue what was proposed; where the photos have changed since, ask again."""
        proposal = await self._queue.proposals.get(proposal_id, actor.owner)
        if proposal.job is not None:
            raise AlreadyStarted(proposal.job)
        if (await self._queue.people.get(actor.owner)).consented_at is None and proposal.dataset is None:
            return self._consent(proposal, say)
        wish = await self._wish_of(actor, proposal, say)
        if isinstance(wish, Reply):
            return wish
        if digest(wish.images) != proposal.digest:
            return await self._renewed(actor, proposal, say)
        job = await self._estimated(wish)
        if proposal.dataset is None:
            dataset = await self._queue.drafts.seal(proposal.owner, proposal.address)
            if digest(dataset.images) != proposal.digest:
                return await self._renewed(actor, proposal, say)
            job = replace(job, dataset_id=dataset.id)
        queued = await self._queue.jobs.submit(job, proposal.id)
        return await self._queued(queued, len(wish.images), say)

    async def drop(self, actor: Actor, proposal_id: str, say: Translator) -> Reply:
        proposal = await self._queue.proposals.get(proposal_id, actor.owner)
        if proposal.job is not None:
            raise AlreadyStarted(proposal.job)
        await self._queue.proposals.drop(proposal.id)
        return Reply(say("command-dropped"))

    async def again(self, actor: Actor, address: Address, job_id: str, way: str, say: Translator) -> Reply:
        """Propose the same job with more or fewer views of the same images."""
        if way not in ("stronger", "weaker"):
            raise CommandError("command-old-button")
        job = await self._queue.jobs.get(job_id)
        if job.owner != actor.owner:
            raise NotYours(job.name)
        self._presets.bases.wished(job.base)  # it may be gone since
        recipe = recipe_of(job, self._presets.bases)
        before = recipe.views if recipe else 0
        views = round(before * _STEP if way == "stronger" else before / _STEP)
        ordinary = self._ordinary_views(job) or before
        if not ordinary / _MOST_TIMES <= views <= ordinary * _MOST_TIMES or not 1 <= views <= 100_000:
            raise CommandError("command-again-enough", name=job.name, way=way)
        terms = {"again": job.id, "views": views, "name": await self._next_name(actor.owner, job.name)}
        dataset = await self._queue.drafts.dataset(job.dataset_id)
        proposal = await self._queue.proposals.add(actor.owner, address, terms, digest(dataset.images), dataset.id)
        return await self._renewed(actor, proposal, say)

    # What a proposal stands for

    async def _wish(
        self, actor: Actor, address: Address, request: Train, say: Translator, verb: str, seed: int | None = None
    ) -> Wish | Reply:
        """The job that ``request`` asks for, or the question that is open. ``verb`` is that of the question's buttons.

        Its dataset is not sealed yet. Raises ``UserError`` where it can't be.
        """
        checked = self.check(request)
        await self._intake.settled(actor.owner)
        draft = await self._queue.drafts.get(actor.owner, address)
        images = draft.images if draft else ()
        if not images:
            raise NoDraft
        if checked is None:
            if (refusal := no_preset_takes(len(images), self._presets, self._base(request))) is not None:
                raise refusal
            found = preset_buttons(self._presets, len(images), say, self._base(request), verb)
            choices = [replace(button, action=button.action.partition(":")[2]) for button in found]
            buttons = await self._buttons.adding(actor.owner, address, verb, request, "preset", choices)
            return Reply(say("command-which-preset"), buttons)
        refuse_count(checked.preset, len(images), say)
        if checked.trigger is None:
            words = [made_up(f"{actor.owner} {len(images)} {number}", self._presets) for number in range(_TRIGGERS)]
            asked = replace(request, preset=checked.preset.id)
            choices = [Button(word, word) for word in words]
            buttons = await self._buttons.adding(actor.owner, address, verb, asked, "trigger", choices)
            return Reply(say("command-which-trigger", preset=checked.preset.id, example=words[0]), buttons)
        caption = checked.preset.recipe(checked.base.family).caption
        vocabulary = self._presets.vocabulary_for(caption)
        job = NewJob(
            name=checked.name or checked.trigger,
            owner=actor.owner,
            address=address,
            language=actor.language,
            preset=checked.preset.model_dump(mode="json"),
            vocabulary=vocabulary.model_dump(mode="json") if vocabulary else None,
            trigger=checked.trigger,
            base=checked.base.id,
            dataset_id="",
            seed=checked.seed if seed is None else seed,
        )
        return Wish(job, images)

    async def _wish_of(self, actor: Actor, proposal: Proposal, say: Translator) -> Wish | Reply:
        terms = proposal.request
        again = terms.get("again")
        if isinstance(again, str) and proposal.dataset is not None:
            job = await self._queue.jobs.get(again)
            try:
                images = (await self._queue.drafts.dataset(proposal.dataset)).images
            except KeyError:  # deleted just now
                raise NoProposal from None
            base = self._presets.bases.wished(job.base)
            return Wish(_longer(job, actor, proposal, base.family), images)
        seed = terms.get("seed")
        words = terms.get("train")
        if not isinstance(words, Mapping) or not isinstance(seed, int):
            raise CommandError("command-old-button")
        request = Train(**{name: str(word) for name, word in words.items()})
        return await self._wish(actor, proposal.address, request, say, "pick", seed)

    async def _renewed(self, actor: Actor, proposal: Proposal, say: Translator) -> Reply:
        """The confirmation as of now. Photos that have changed make it a new one."""
        wish = await self._wish_of(actor, proposal, say)
        if isinstance(wish, Reply):
            return wish
        changed = digest(wish.images)
        if changed != proposal.digest:
            await self._queue.proposals.drop(proposal.id)
            proposal = await self._queue.proposals.add(proposal.owner, proposal.address, proposal.request, changed)
        return await self._confirmation(proposal, wish, say)

    # What is said

    def _consent(self, proposal: Proposal, say: Translator) -> Reply:
        buttons = (
            Button(say("command-agree"), f"agree:{proposal.id}", "primary"),
            Button(say("command-drop"), f"drop:{proposal.id}"),
        )
        return Reply(say("command-consent", days=self._queue.config.keep_days), buttons)

    async def _confirmation(self, proposal: Proposal, wish: Wish, say: Translator) -> Reply:
        job, images = wish.job, wish.images
        title = Bilingual.model_validate(job.preset["title"]).get(say.language)
        lines = [
            say("command-confirm", name=job.name, preset=title, trigger=job.trigger, base=job.base, images=len(images))
        ]
        captions = sum(image.caption is not None for image in images)
        if captions:
            lines.append(say("intake-captions", count=captions))
        lines += await self._prospects(wish, say)
        buttons = (
            Button(say("command-start"), f"start:{proposal.id}", "primary"),
            Button(say("command-drop"), f"drop:{proposal.id}"),
        )
        return Reply("\n".join(lines), buttons)

    async def _prospects(self, wish: Wish, say: Translator) -> list[str]:
        """How long it takes, what it needs and when it starts, as far as that is known."""
        job, lines = wish.job, await self._expectations(wish, say)
        estimates = Estimates(self._queue, self._presets.bases)
        if await self._queue.jobs.paused(job.address.scope):
            return [*lines, say("command-place-paused")]
        place = await self._queue.jobs.next_place(job.owner)
        missing = await unserved(self._queue, job.base, say)
        wait = None if missing else await estimates.wait(place)
        if wait is None:
            return [*lines, say("command-place", position=place), *missing]
        return [*lines, say("command-place-wait", position=place, duration=duration_text(wait, say))]

    async def _expectations(self, wish: Wish, say: Translator) -> list[str]:
        """How long it takes and what it needs."""
        lines = _expected(await _estimate(Estimates(self._queue, self._presets.bases), wish), say)
        recipe = recipe_of(wish.job, self._presets.bases)
        if recipe is not None:
            size = lora_bytes(self._presets.bases[wish.job.base].family, recipe)
            lines.append(say("command-estimate-file", megabytes=f"{size / 1e6:.1f}"))
        return lines

    async def _estimated(self, wish: Wish) -> NewJob:
        """The wished job with what is expected of it, to be compared with what comes true."""
        expected = await _estimate(Estimates(self._queue, self._presets.bases), wish)
        return replace(wish.job, options=with_estimate(wish.job.options, expected))

    async def _queued(self, job: Job, images: int, say: Translator) -> Reply:
        position = await self._queue.jobs.position(job.id)
        title = Bilingual.model_validate(job.preset["title"]).get(say.language)
        lines = [say("command-queued", name=job.name, preset=title, images=images, position=position or 0)]
        if position is not None:
            lines += await unserved(self._queue, job.base, say)
        return Reply("\n".join(lines), private=False)

    # Words

    def _base(self, request: Train) -> Base:
        return self._presets.bases.wished(request.base) if request.base else self._presets.bases.usual

    def _ordinary_views(self, job: Job) -> int | None:
        """What the preset has now; None where it is there no more."""
        preset = self._presets.presets.get(str(job.preset.get("id")))
        base = self._presets.bases.get(job.base)
        recipe = preset.recipes.get(base.family) if preset is not None and base is not None else None
        return recipe.views if recipe else None

    async def _next_name(self, owner: str, name: str) -> str:
        """``zuri-2`` after ``zuri``, whatever the owner's own jobs are called already."""
        taken = {job.name for job in await self._queue.jobs.of(owner, _KNOWN_JOBS)}
        stem = re.sub(r"-\d+\Z", "", name)[: _MOST_NAME - 4]
        number = 2
        while f"{stem}-{number}" in taken:
            number += 1
        return f"{stem}-{number}"


async def _estimate(estimates: Estimates, wish: Wish) -> Estimate | None:
    captioned = sum(image.caption is not None for image in wish.images)
    return await estimates.of(wish.job, len(wish.images), captioned)


def _expected(estimate: Estimate | None, say: Translator) -> list[str]:
    if estimate is None:
        return [say("command-estimate-first")]
    lines = [say(f"command-estimate-{estimate.basis}", duration=range_text(estimate.low, estimate.high, say))]
    if estimate.peak_bytes is not None:
        lines.append(say("command-estimate-memory", gigabytes=f"{estimate.peak_bytes / 1e9:.1f}"))
    return lines


def preset_buttons(
    presets: Catalogue, images: int, say: Translator, base: Base, verb: str = "train"
) -> tuple[Button, ...]:
    """A button for each preset that can be trained on ``base`` with this many images: ``VERB:PRESET``."""
    return tuple(
        Button(preset.title.get(say.language), f"{verb}:{preset.id}")
        for preset in presets.presets.values()
        if base.family in preset.recipes and preset.send.min_images <= images <= preset.send.max_images
    )


def no_preset_takes(count: int, presets: Catalogue, base: Base) -> CommandError | None:
    """Why no preset that can be trained on ``base`` takes ``count`` images; None where one does."""
    sends = [preset.send for preset in presets.presets.values() if base.family in preset.recipes]
    if not sends or any(send.min_images <= count <= send.max_images for send in sends):
        return None
    least = min(send.min_images for send in sends)
    if count < least:
        return CommandError("command-too-few-for-any", count=count, least=least, more=least - count)
    most = max(send.max_images for send in sends if send.max_images < count)
    return CommandError("command-too-many-for-any", count=count, most=most)


def _longer(job: Job, actor: Actor, proposal: Proposal, family: Family) -> NewJob:
    """``job`` once more, with the views and the name of ``proposal``."""
    recipes = job.preset.get("recipes")
    assert isinstance(recipes, dict), "views_of found a recipe"
    recipe = {**recipes[family], "views": proposal.request["views"]}
    return NewJob(
        name=str(proposal.request["name"]),
        owner=job.owner,
        address=proposal.address,
        language=actor.language,
        preset={**job.preset, "recipes": {**recipes, family: recipe}},
        vocabulary=job.vocabulary,
        trigger=job.trigger,
        base=job.base,
        dataset_id=proposal.dataset or job.dataset_id,
        seed=job.seed,
        options=job.options,
    )


def refuse_count(preset: Preset, count: int, say: Translator) -> None:
    """Raise ``CommandError`` where ``preset`` does not take so many images."""
    send = preset.send
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
    code = "command-name-odd" if len(typed) <= _MOST_NAME else "command-name-long"
    raise CommandError(code, name=typed[:_MOST_NAME], limit=_MOST_NAME, suggestion=slug or "my-lora")


def _check_seed(typed: str) -> int:
    # Python refuses to read numbers of thousands of digits.
    if typed.isascii() and typed.isdigit() and len(typed) <= _MOST_NAME and int(typed) <= _MOST_SEED:
        return int(typed)
    raise CommandError("command-seed-odd", seed=typed[:_MOST_NAME], limit=_MOST_SEED)
