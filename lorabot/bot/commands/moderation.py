"""What moderators and operators do to the queue. Everything of it lands in a log that they can read.

A moderator acts on the community spoken in. An operator acts on everything: where they moderate the community as well,
or the others of it read along, a command means this community, and the word ``all`` means everything.
"""

import difflib
from collections import Counter
from collections.abc import Awaitable, Callable

from lorabot.bot.card import card_of
from lorabot.bot.commands.cancelling import cancelled
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Actor
from lorabot.bot.reply import Button, Reply
from lorabot.locale import Translator
from lorabot.queue import Queue
from lorabot.queue.claim import EVERYTHING
from lorabot.queue.errors import NoSuchJob
from lorabot.queue.model import Address, Job, TrainerState

ACTIONS = ("show", "pause", "resume", "hold", "release", "front", "cancel", "log")
ACTION_ALIASES = {
    "list": "show",
    "查看": "show",
    "暂停": "pause",
    "继续": "resume",
    "恢复": "resume",
    "unpause": "resume",
    "挂起": "hold",
    "放行": "release",
    "unhold": "release",
    "置顶": "front",
    "提前": "front",
    "取消": "cancel",
    "日志": "log",
}
_ALL = ("all", "全部", "所有")
_SHOWN = 20
_KNOWN = 500
# Of a card's memory, in bytes; nobody is asked about less than that.
_WORTH_NAMING = 256 * 1024**2


class NotAModerator(CommandError):
    """A member asked for what only moderators may do."""

    def __init__(self) -> None:
        super().__init__("command-not-a-moderator")


def may_touch(actor: Actor, address: Address, job: Job) -> bool:
    """May ``actor``, speaking in ``address``, act on somebody else's ``job``?"""
    return actor.operator or (actor.moderator and job.scope == address.scope)


class Moderation:
    """``/queue`` and its actions."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def handle(
        self, actor: Actor, address: Address, action: str | None, word: str | None, say: Translator
    ) -> Reply:
        """Raises ``NotAModerator``, ``CommandError``, and what the queue raises of a job."""
        if not (actor.moderator or actor.operator):
            raise NotAModerator
        wanted = (action or "show").casefold()
        wanted = ACTION_ALIASES.get(wanted, wanted)
        everything = word is not None and word.casefold() in _ALL
        if everything and not actor.operator:
            raise CommandError("command-queue-not-all")
        # An operator who speaks where they moderate nothing, such as in private, means everything.
        scope = address.scope if (actor.moderator or actor.overheard) and not everything else None
        match wanted:
            case "show":
                return await self._show(scope, say)
            case "log":
                return await self._log(scope, say)
            case "pause":
                await self._queue.jobs.pause(actor.owner, scope)
                return Reply(say("command-queue-paused", where=_where(scope)), (_button("resume", everything, say),))
            case "resume":
                await self._queue.jobs.unpause(actor.owner, scope)
                code = "command-queue-resumed"
                if scope is not None and await self._queue.jobs.paused(scope):
                    code = "command-queue-still-paused"
                return Reply(say(code, where=_where(scope)))
            case "hold" | "release" | "front" | "cancel":
                return await self._move(actor, address, scope, wanted, word, say)
        near = difflib.get_close_matches(wanted, ACTIONS, n=1, cutoff=0.5)
        raise CommandError(
            "command-queue-unknown", action=wanted[:40], nearest=near[0] if near else "show", actions=", ".join(ACTIONS)
        )

    async def _move(
        self, actor: Actor, address: Address, scope: str | None, action: str, word: str | None, say: Translator
    ) -> Reply:
        if word is None:
            raise CommandError("command-queue-which-job", action=action)
        if actor.operator:
            scope = None  # a job is named, so it is clear which one is meant
        job = await self._find(word, scope)
        store = self._queue.jobs
        if action == "cancel":
            job = await store.cancel(job.id, actor.owner, moderator=True, scope=scope)
            return Reply(await cancelled(self._queue, job, actor, address, say))
        acts: dict[str, Callable[[str, str, str | None], Awaitable[Job]]] = {
            "hold": store.hold,
            "release": store.unhold,
            "front": store.front,
        }
        job = await acts[action](job.id, actor.owner, scope)
        place = await store.position(job.id)
        return Reply(say(f"command-queue-{action}", name=job.name, id=job.id, position=place or 0))

    async def _find(self, word: str, scope: str | None) -> Job:
        """The job with this id, else the only unfinished one of this name. Raises ``NoSuchJob``, ``CommandError``."""
        wanted = word.strip().casefold()[:40]
        try:
            job = await self._queue.jobs.get(wanted)
        except NoSuchJob:
            unfinished = await self._queue.jobs.unfinished(_KNOWN, scope)
            named = [job for job in unfinished if job.name.casefold() == wanted]
            if not named:
                raise
            if len(named) > 1:
                ids = ", ".join(f"`{job.id}`" for job in named[:_SHOWN])
                raise CommandError("command-queue-several", name=wanted, jobs=ids) from None
            return named[0]
        if scope is not None and job.scope != scope:
            raise NoSuchJob(wanted)
        return job

    async def _show(self, scope: str | None, say: Translator) -> Reply:
        found = await self._queue.jobs.unfinished(_SHOWN + 1, scope)
        places = await self._queue.jobs.positions()
        paused = await self._queue.jobs.paused_scopes()
        lines = []
        if EVERYTHING in paused:
            lines.append(say("command-queue-is-paused", where="all", by=paused[EVERYTHING]))
        lines += [
            say("command-queue-is-paused", where=place, by=by)
            for place, by in sorted(paused.items())
            if place != EVERYTHING and scope in (None, place)
        ]
        lines.append(say("command-queue-jobs") if found else say("command-queue-empty"))
        for job in found[:_SHOWN]:
            card = card_of(job, places.get(job.id), say)
            lines.append(
                say(
                    "command-queue-line",
                    id=job.id,
                    name=job.name,
                    preset=card.title,
                    owner=job.owner,
                    state=" · ".join(part for part in (card.status_text, card.eta_text) if part),
                )
            )
        if len(found) > _SHOWN:
            lines.append(say("command-queue-more"))
        wanted = Counter(job.base for job in found[:_SHOWN] if job.id in places)
        for base, count in wanted.items():
            if await self._queue.trainers.nobody_has(base):
                lines.append(say("command-queue-base-nowhere", base=base, jobs=count))
        lines += [_trainer(name, state, say) for name, state in (await self._queue.trainers.present()).items()]
        stopped = (EVERYTHING if scope is None else scope) in paused
        return Reply("\n".join(lines), (_button("resume" if stopped else "pause", scope is None, say),))

    async def _log(self, scope: str | None, say: Translator) -> Reply:
        acts = await self._queue.audit.last(scope, _SHOWN)
        if not acts:
            return Reply(say("command-queue-log-empty"))
        lines = [say("command-queue-log")]
        lines += [
            say(
                "command-queue-log-line",
                at=f"{act.at:%Y-%m-%d %H:%M} UTC",
                who=act.actor,
                action=act.action,
                job=act.job or "none",
                where=_where(act.scope),
            )
            for act in acts
        ]
        return Reply("\n".join(lines))


def _trainer(worker: str, state: TrainerState, say: Translator) -> str:
    """A trainer's card and who holds its memory, or the processor that it trains on."""
    card = state.card
    if card is None or not card.total:
        return say("command-queue-trainer", worker=worker, device=card.name if card else state.device)
    holders = [f"{name} ({_gb(size)} GB)" if size else name for name, size in card.holders]
    return say(
        "command-queue-card",
        worker=worker,
        card=card.name,
        free=_gb(card.free),
        total=_gb(card.total),
        own=_gb(card.own),
        holders=", ".join(holders) or "none",
        unnamed=_gb(card.unnamed) if card.unnamed >= _WORTH_NAMING else "none",
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"


def _where(scope: str | None) -> str:
    return "all" if scope is None else scope


def _button(action: str, everything: bool, say: Translator) -> Button:
    return Button(say(f"command-queue-button-{action}"), f"queue:{action}:all" if everything else f"queue:{action}")
