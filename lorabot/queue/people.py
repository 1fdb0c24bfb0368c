"""What is remembered of people beside their jobs: language, consent, and whether they can be reached."""

from datetime import datetime

from sqlalchemy import ColumnElement, insert, select, update

from lorabot.queue import rows
from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.model import Person
from lorabot.queue.tables import people


class People:
    """People by owner, ``platform:user-id``. Who was never noted is a ``Person`` all the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: str) -> Person:
        async with self._database.read() as connection:
            row = (await connection.execute(select(people).where(people.c.owner == owner))).mappings().one_or_none()
        return Person(owner) if row is None else rows.person(row)

    async def note_met(self, owner: str, language: str) -> None:
        """The person has spoken, in this language; so they can be reached."""
        person = await self.get(owner)
        if person.language != language or person.unreachable_at is not None:
            await self._set(owner, language=language, unreachable_at=None)

    async def note_consent(self, owner: str) -> None:
        """The person agreed that their images are used."""
        await self._set(owner, consented_at=now())

    async def note_unreachable(self, owner: str) -> None:
        """The platform refused a message to the person for good."""
        await self._set(owner, unreachable_at=now())

    async def _set(self, owner: str, **values: str | ColumnElement[datetime] | None) -> None:
        async with self._database.write() as connection:
            await self._database.lock(connection, f"person:{owner}")
            changed = await connection.execute(update(people).where(people.c.owner == owner).values(values))
            if changed.rowcount == 0:
                await connection.execute(insert(people).values(owner=owner, **values))
