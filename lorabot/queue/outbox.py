"""What must reach a conversation once, and what each job's card shows."""

from collections.abc import Collection

from sqlalchemy import Column, ColumnElement, select, update

from lorabot.queue import rows
from lorabot.queue.clock import now, now_plus
from lorabot.queue.database import Database
from lorabot.queue.model import Address, Card, Job, OutboxEntry
from lorabot.queue.tables import jobs, outbox, stale_card, undelivered


def _on(platform: str | None, besides: Collection[Address], address: Column[str]) -> tuple[ColumnElement[bool], ...]:
    there = () if platform is None else (address.startswith(f"{platform}:", autoescape=True),)
    return (*there, address.not_in([str(one) for one in besides])) if besides else there


class Outbox:
    """Notices and outcomes, written in the transaction of what they tell. Delivered at least once, by a key once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(
        self, limit: int = 50, platform: str | None = None, besides: Collection[Address] = ()
    ) -> list[OutboxEntry]:
        """Entries that are due, oldest first; those of one platform only, when it is named, and none to ``besides``."""
        query = (
            select(outbox)
            .where(undelivered, outbox.c.due_at <= now(), *_on(platform, besides, outbox.c.address))
            .order_by(outbox.c.due_at, outbox.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [rows.outbox_entry(row) for row in (await connection.execute(query)).mappings()]

    async def delivered(self, entry_id: int) -> None:
        await self._set(entry_id, delivered_at=now())

    async def failed(self, entry_id: int, retry_in_s: float | None) -> None:
        """Try again after ``retry_in_s``; None gives up: the conversation is gone, or doesn't want to hear of us.

        What was given up waits for ``take_up``.
        """
        if retry_in_s is None:
            await self._set(entry_id, tries=outbox.c.tries + 1, given_up=True)
        else:
            await self._set(entry_id, tries=outbox.c.tries + 1, due_at=now_plus(retry_in_s))

    async def take_up(self, owner: str) -> None:
        """The owner can be reached again: what became of their jobs is due, where telling them was given up."""
        theirs = select(jobs.c.id).where(jobs.c.owner == owner)
        async with self._database.write() as connection:
            await connection.execute(
                update(outbox)
                .where(outbox.c.given_up, outbox.c.kind == "outcome", outbox.c.job_id.in_(theirs))
                .values(given_up=False, due_at=now())
            )

    async def _set(self, entry_id: int, **values: object) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == entry_id).values(values))


class Cards:
    """Which message shows a job, and which version of the job it shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stale(
        self, limit: int = 50, platform: str | None = None, besides: Collection[Address] = ()
    ) -> list[tuple[Job, Card]]:
        """Jobs that have changed since their card was drawn, or that have none yet (``card.ref`` is None).

        Those of one platform only, when it is named, and none of ``besides``.
        """
        query = select(jobs).where(stale_card, *_on(platform, besides, jobs.c.address)).order_by(jobs.c.id).limit(limit)
        async with self._database.read() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [(rows.job(row), rows.card(row)) for row in found]

    async def get(self, job_id: str) -> Card | None:
        """None for a job that is not there."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one_or_none()
        return None if row is None else rows.card(row)

    async def save(self, job_id: str, ref: str | None, version: int) -> None:
        """The message ``ref`` shows the job as of ``version``. An older version than the one saved changes nothing."""
        async with self._database.write() as connection:
            await connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.card_version <= version)
                .values(card_ref=ref, card_version=version)
            )
