"""Brings each job's news to its conversation: one card a job, kept current, and every notice and outcome once.

What shows progress is throttled and may be skipped; what is final is tried again until it is there.
"""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from lorabot.bot.card import Card, card_of
from lorabot.bot.config import DeliveryConfig
from lorabot.bot.front_end import FrontEnd, TryLater, Unreachable, surprising
from lorabot.bot.result import notice_of, result_of
from lorabot.locale import UserError, translator
from lorabot.queue import Queue
from lorabot.queue.model import Card as CardRow
from lorabot.queue.model import Job, JobState, OutboxEntry

_AT_ONCE = 200
_RECALLED = 1000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Shown:
    """What a card shows, as far as this process knows."""

    card: Card | None = None
    at: float = float("-inf")
    first_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    gone: bool = False


class Delivery:
    """Delivery to one front end. Several front ends have one each, so that none waits for another."""

    def __init__(self, queue: Queue, front_end: FrontEnd, config: DeliveryConfig) -> None:
        self._queue = queue
        self._front_end = front_end
        self._config = config
        self._shown: dict[str, _Shown] = {}
        self._waiting: set[str] = set()
        self._recalled = False

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set. The store may go away meanwhile."""
        async with AsyncExitStack() as stack:
            changes = await stack.enter_async_context(self._queue.changes("job:", "outbox"))
            stopping = asyncio.create_task(stop.wait())
            stack.callback(stopping.cancel)
            while not stop.is_set():
                try:
                    pause = await self.round()
                except UserError as error:
                    _log.warning("delivery to %s waits: %s", self._front_end.platform, error)
                    pause = self._config.retry_s
                hearing = asyncio.create_task(changes.wait(pause))
                await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                hearing.cancel()

    async def round(self) -> float:
        """Deliver what is due. Returns seconds until the next look, should nothing be heard before."""
        pause = self._config.poll_s
        await self._recall()
        for job, row in await self._queue.cards.stale(_AT_ONCE, self._front_end.platform):
            pause = min(pause, await self._show(job, row))
        await self._show_places()
        for entry in await self._queue.outbox.pending(_AT_ONCE, self._front_end.platform):
            await self._post(entry)
        return max(0.0, pause)

    async def _show(self, job: Job, row: CardRow) -> float:
        """Bring the card up to date, if it is time. Returns seconds until it will be."""
        shown = self._shown.setdefault(job.id, _Shown(first_at=time.monotonic()))
        now = time.monotonic()
        wait = shown.not_before - now
        if row.ref is not None and not job.state.final:
            wait = max(wait, shown.at + self._front_end.edit_interval(now - shown.first_at) - now)
        if wait > 0:
            return wait
        position = await self._queue.jobs.position(job.id)
        card = card_of(job, position, translator(job.language))
        ref = row.ref
        if card != shown.card and not shown.gone:
            try:
                ref = await self._front_end.show_card(job.address, card, row.ref)
            except Unreachable as error:
                _log.info("card of %s can't be shown any more: %s", job.id, error)
                shown.gone = True
                await self._queue.people.note_unreachable(job.owner)
            except TryLater as error:
                shown.not_before = now + error.seconds
                return error.seconds
            except Exception as error:
                shown.failures += 1
                wait = self._backoff(shown.failures)
                shown.not_before = now + wait
                _log.warning(
                    "card of %s not shown, again in %.1f s: %s", job.id, wait, error, exc_info=surprising(error)
                )
                return wait
        await self._queue.cards.save(job.id, ref, job.version)
        shown.card, shown.at, shown.failures = card, now, 0
        if job.state is JobState.QUEUED:
            self._waiting.add(job.id)
        else:
            self._waiting.discard(job.id)
        if job.state.final:
            self._shown.pop(job.id, None)
        return self._config.poll_s

    async def _recall(self) -> None:
        """Once: take up the waiting jobs of before the start, whose cards are current but for their place in line."""
        if self._recalled:
            return
        for job in await self._queue.jobs.unfinished(_RECALLED):
            if job.state is JobState.QUEUED and job.address.platform == self._front_end.platform:
                self._shown[job.id] = _Shown(first_at=time.monotonic())
                self._waiting.add(job.id)
        self._recalled = True

    async def _show_places(self) -> None:
        """The place in line of a waiting job changes without its doing."""
        places = await self._queue.jobs.positions() if self._waiting else {}
        for job_id, shown in [(job_id, self._shown[job_id]) for job_id in self._waiting]:
            if job_id not in places:  # it waits no longer, and has changed then
                self._waiting.discard(job_id)
            elif shown.card is None or shown.card.position != places[job_id]:
                row = await self._queue.cards.get(job_id)
                if row is not None:
                    await self._show(await self._queue.jobs.get(job_id), row)

    async def _post(self, entry: OutboxEntry) -> None:
        try:
            job = await self._queue.jobs.get(entry.job_id)
            say = translator(job.language)
            if entry.kind == "notice" and entry.message is not None:
                reply = notice_of(job, entry.message, say)
            else:
                reply = result_of(job, say)
            await self._front_end.post(entry.address, reply, f"outbox:{entry.id}")
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

    def _backoff(self, failures: int) -> float:
        return min(self._config.retry_max_s, self._config.retry_s * 2.0 ** min(failures - 1, 20))
