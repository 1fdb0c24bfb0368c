"""Brings each job's news to its conversation: one card a job, kept current, and every notice and outcome once.

What shows progress is throttled and may be skipped; what is final is tried again until it is there. Each conversation
is served by itself, one thing after the other, so that none waits for another. What people wait for comes first there:
outcomes and notices, then what a job has come to, and last the places in line, which change in all cards at once.
"""

import asyncio
import logging
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from lorabot.bot.card import Card, card_of
from lorabot.bot.config import DeliveryConfig
from lorabot.bot.front_end import FrontEnd, TryLater, Unreachable, surprising
from lorabot.bot.result import notice_of, result_of
from lorabot.locale import UserError, translator
from lorabot.queue import Queue
from lorabot.queue.errors import NoSuchJob
from lorabot.queue.model import Address, Job, JobState, OutboxEntry
from lorabot.queue.model import Card as CardRow

_AT_ONCE = 200
_RECALLED = 1000
_RECALL_S = 600.0
_FINISH_S = 6.0  # longer than a front end takes to hear out what it is sending
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Shown:
    """What a card shows, as far as this process knows. ``unsaved``: its message, where the store was away just then."""

    card: Card | None = None
    unsaved: str | None = None
    at: float = float("-inf")
    first_at: float = field(default_factory=time.monotonic)
    failures: int = 0
    not_before: float = 0.0
    gone: bool = False


@dataclass(slots=True)
class _Due:
    """What one conversation is to be told now. ``moved`` are waiting jobs whose place in line has changed."""

    cards: list[tuple[Job, CardRow]] = field(default_factory=list)
    entries: list[OutboxEntry] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)


class Delivery:
    """Delivery to one front end. Several front ends have one each, so that none waits for another."""

    def __init__(self, queue: Queue, front_end: FrontEnd, config: DeliveryConfig) -> None:
        self._queue = queue
        self._front_end = front_end
        self._config = config
        self._shown: dict[str, _Shown] = {}
        self._waiting: dict[str, Address] = {}
        self._moved_at: dict[Address, float] = {}
        self._serving: dict[Address, asyncio.Task[None]] = {}
        self._posted: set[int] = set()
        """What is there, where the store was away when it should have been told so."""
        self._recall_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set. The store may go away meanwhile."""
        async with AsyncExitStack() as stack:
            changes = await stack.enter_async_context(self._queue.changes("job:", "outbox"))
            stopping = asyncio.create_task(stop.wait())
            stack.callback(stopping.cancel)
            stack.push_async_callback(self._finish)
            while not stop.is_set():
                try:
                    pause = await self._round()
                except UserError as error:
                    _log.warning("delivery to %s waits: %s", self._front_end.platform, error)
                    pause = self._config.retry_s
                hearing = asyncio.create_task(changes.wait(pause))
                await asyncio.wait({hearing, stopping, *self._serving.values()}, return_when=asyncio.FIRST_COMPLETED)
                hearing.cancel()

    async def _finish(self) -> None:
        """What is on its way has a moment to arrive, and to be known to be there. The next start does the rest."""
        late = set(self._serving.values())
        if late:
            _, late = await asyncio.wait(late, timeout=_FINISH_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._serving.clear()

    async def _round(self) -> float:
        """Begin what is due in conversations where nothing is under way.

        Returns seconds until the next look, should nothing be heard before.
        """
        self._serving = {address: task for address, task in self._serving.items() if not task.done()}
        await self._recall()
        busy = tuple(self._serving)
        platform = self._front_end.platform
        pause = self._config.poll_s
        due: defaultdict[Address, _Due] = defaultdict(_Due)
        for job, row in await self._queue.cards.stale(_AT_ONCE, platform, busy):
            wait = self._wait_for(job, row)
            if wait > 0:
                pause = min(pause, wait)
            else:
                due[job.address].cards.append((job, row))
        for entry in await self._queue.outbox.pending(_AT_ONCE, platform, busy):
            due[entry.address].entries.append(entry)
        for job_id, address in await self._moved():
            due[address].moved.append(job_id)
        for address, one in due.items():
            if address not in self._serving:
                self._serving[address] = asyncio.create_task(self._serve(one), name=f"delivery to {address}")
        return pause

    async def _serve(self, due: _Due) -> None:
        """Tell one conversation what matters most now; the next round looks again, so no outcome waits for long."""
        told = {entry.job_id for entry in due.entries}
        first = [(job, row) for job, row in due.cards if job.state.final or job.id in told]
        others = [(job, row) for job, row in due.cards if not (job.state.final or job.id in told)]
        try:
            for job, row in first:
                await self._show(job, row)
            for entry in due.entries:
                await self._post(entry)
            if others:
                await self._show(*min(others, key=lambda card: self._shown_at(card[0].id)))
            if not (due.cards or due.entries):
                await self._show_places(due.moved)
        except Exception as error:  # most likely the store
            _log.warning("delivery to %s waits: %s", self._front_end.platform, error, exc_info=surprising(error))
            await asyncio.sleep(self._config.retry_s)

    def _wait_for(self, job: Job, row: CardRow) -> float:
        """Seconds until the card may be brought up to date."""
        shown = self._shown.setdefault(job.id, _Shown())
        now = time.monotonic()
        if row.ref is None or job.state.final:
            return shown.not_before - now
        return max(shown.not_before, shown.at + self._pace(shown)) - now

    def _shown_at(self, job_id: str) -> float:
        shown = self._shown.get(job_id)
        return shown.at if shown is not None else float("-inf")

    def _pace(self, shown: _Shown) -> float:
        return self._front_end.edit_interval(time.monotonic() - shown.first_at)

    async def _show(self, job: Job, row: CardRow) -> bool:
        """Bring the card up to date. Returns whether that took the platform anything, as far as ``ref`` tells."""
        shown = self._shown.setdefault(job.id, _Shown())
        position = await self._queue.jobs.position(job.id)
        card = card_of(job, position, translator(job.language))
        ref = before = row.ref if shown.unsaved is None else shown.unsaved
        if card != shown.card and not shown.gone:
            try:
                ref = await self._front_end.show_card(job.address, card, before)
            except Unreachable as error:
                _log.info("card of %s can't be shown any more: %s", job.id, error)
                shown.gone = True
                await self._queue.people.note_unreachable(job.owner)
            except TryLater as error:
                shown.not_before = time.monotonic() + error.seconds
                return True
            except Exception as error:
                shown.failures += 1
                wait = self._backoff(shown.failures)
                shown.not_before = time.monotonic() + wait
                _log.warning(
                    "card of %s not shown, again in %.1f s: %s", job.id, wait, error, exc_info=surprising(error)
                )
                return True
        shown.card, shown.unsaved, shown.at, shown.failures = card, ref, time.monotonic(), 0
        await self._queue.cards.save(job.id, ref, job.version)
        shown.unsaved = None
        if job.state is JobState.QUEUED:
            self._waiting[job.id] = job.address
        else:
            self._waiting.pop(job.id, None)
        if job.state.final:
            self._shown.pop(job.id, None)
        return ref != before

    async def _recall(self) -> None:
        """Now and then: take up waiting jobs of before the start, and forget those that were deleted.

        Cards of waiting jobs are current but for their place in line.
        """
        now = time.monotonic()
        if now < self._recall_at:
            return
        unfinished = {job.id: job for job in await self._queue.jobs.unfinished(_RECALLED)}
        for job in unfinished.values():
            if job.state is JobState.QUEUED and job.address.platform == self._front_end.platform:
                self._shown.setdefault(job.id, _Shown())
                self._waiting.setdefault(job.id, job.address)
        for job_id in self._shown.keys() - unfinished.keys():
            del self._shown[job_id]
            self._waiting.pop(job_id, None)
        self._recall_at = now + _RECALL_S

    async def _moved(self) -> list[tuple[str, Address]]:
        """Waiting jobs whose cards show another place in line than they have, the next ones first.

        Nothing of a job has changed when its place does, so one card of a conversation is changed at a time.
        """
        places = await self._queue.jobs.positions() if self._waiting else {}
        self._waiting = {job_id: self._waiting[job_id] for job_id in places if job_id in self._waiting}
        waited_in = set(self._waiting.values())
        self._moved_at = {address: at for address, at in self._moved_at.items() if address in waited_in}
        now = time.monotonic()
        moved = []
        for job_id, address in self._waiting.items():
            shown = self._shown.setdefault(job_id, _Shown())
            last = max(shown.at, self._moved_at.get(address, float("-inf")))
            if (shown.card is None or shown.card.position != places[job_id]) and (
                max(shown.not_before, last + self._pace(shown)) <= now
            ):
                moved.append((job_id, address))
        return moved

    async def _show_places(self, moved: list[str]) -> None:
        """Change the first card that has to be changed: others may show their place already, from before a restart."""
        for job_id in moved:
            row = await self._queue.cards.get(job_id)
            try:
                job = await self._queue.jobs.get(job_id)
            except NoSuchJob:
                row = None
            if row is None:
                self._waiting.pop(job_id, None)
            elif job.state is JobState.QUEUED and await self._show(job, row):
                self._moved_at[job.address] = time.monotonic()
                return

    async def _post(self, entry: OutboxEntry) -> None:
        try:
            job = await self._queue.jobs.get(entry.job_id)
            say = translator(job.language)
            if entry.kind == "notice" and entry.message is not None:
                reply = notice_of(job, entry.message, say)
            else:
                reply = result_of(job, await self._queue.drafts.returned(job), say)
            if entry.id not in self._posted:
                await self._front_end.post(entry.address, reply, f"outbox:{entry.id}")
                self._posted.add(entry.id)
        except Unreachable as error:
            _log.info("%s of %s can't be delivered any more: %s", entry.kind, entry.job_id, error)
            await self._queue.outbox.failed(entry.id, None)
            await self._queue.people.note_unreachable(job.owner)
        except TryLater as error:
            await self._queue.outbox.failed(entry.id, error.seconds)
        except Exception as error:
            wait = self._backoff(entry.tries + 1)
            _log.warning(
                "%s of %s not delivered, again in %.1f s: %s",
                entry.kind,
                entry.job_id,
                wait,
                error,
                exc_info=surprising(error),
            )
            await self._queue.outbox.failed(entry.id, wait)
        else:
            await self._queue.outbox.delivered(entry.id)
            self._posted.discard(entry.id)

    def _backoff(self, failures: int) -> float:
        return min(self._config.retry_max_s, self._config.retry_s * 2.0 ** min(failures - 1, 20))
