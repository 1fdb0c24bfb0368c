"""What was said in the conversations of the web chat, which has no platform that remembers them."""

from collections.abc import Mapping

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.queue import rows
from lorabot.queue.bell import Bell
from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.model import Line
from lorabot.queue.payload import OBJECT
from lorabot.queue.tables import transcript


class Transcript:
    """Lines by conversation, in order. A line that has a key is there once and can be changed."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database = database
        self._bell = bell

    async def append(
        self, conversation: str, author: str, payload: Mapping[str, object], key: str | None = None
    ) -> Line:
        """Add a line. If there is one with this ``key`` already, nothing changes and that one is returned."""
        async with self._database.write() as connection:
            revision = await self._next_revision(connection, conversation)
            if key is not None:
                query = select(transcript).where(transcript.c.conversation == conversation, transcript.c.key == key)
                row = (await connection.execute(query)).mappings().one_or_none()
                if row is not None:
                    return rows.line(row)
            statement = (
                insert(transcript)
                .values(
                    conversation=conversation,
                    key=key,
                    author=author,
                    at=now(),
                    revision=revision,
                    payload=OBJECT.write(dict(payload)),
                )
                .returning(*transcript.c)
            )
            line = rows.line((await connection.execute(statement)).mappings().one())
        self._bell.changed(f"transcript:{conversation}")
        return line

    async def update(self, conversation: str, key: str, payload: Mapping[str, object]) -> Line | None:
        """Change the line with this ``key``; None when there is none."""
        async with self._database.write() as connection:
            revision = await self._next_revision(connection, conversation)
            statement = (
                update(transcript)
                .where(transcript.c.conversation == conversation, transcript.c.key == key)
                .values(payload=OBJECT.write(dict(payload)), revision=revision)
                .returning(*transcript.c)
            )
            row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None:
            return None
        self._bell.changed(f"transcript:{conversation}")
        return rows.line(row)

    async def get(self, conversation: str, key: str) -> Line | None:
        query = select(transcript).where(transcript.c.conversation == conversation, transcript.c.key == key)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else rows.line(row)

    async def since(self, conversation: str, line_id: int = 0, limit: int = 1000) -> list[Line]:
        """Lines after ``line_id``, in the order they were said."""
        query = (
            select(transcript)
            .where(transcript.c.conversation == conversation, transcript.c.id > line_id)
            .order_by(transcript.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [rows.line(row) for row in (await connection.execute(query)).mappings()]

    async def last(self, conversation: str, limit: int = 200) -> list[Line]:
        """The newest lines, in the order they were said."""
        query = (
            select(transcript)
            .where(transcript.c.conversation == conversation)
            .order_by(transcript.c.id.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [rows.line(row) for row in reversed(found)]

    async def changed(self, conversation: str, revision: int = 0, limit: int = 1000) -> list[Line]:
        """Lines said or changed after ``revision`` (the highest that the caller has seen), oldest change first."""
        query = (
            select(transcript)
            .where(transcript.c.conversation == conversation, transcript.c.revision > revision)
            .order_by(transcript.c.revision)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [rows.line(row) for row in (await connection.execute(query)).mappings()]

    async def _next_revision(self, connection: AsyncConnection, conversation: str) -> int:
        # The lock also makes ids of one conversation appear in order: a reader that saw 6 has missed no 5.
        await self._database.lock(connection, f"transcript:{conversation}")
        highest = await connection.scalar(
            select(func.max(transcript.c.revision)).where(transcript.c.conversation == conversation)
        )
        return (highest or 0) + 1
