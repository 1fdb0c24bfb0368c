"""The moderators' log: who paused, held, moved or cancelled what, where and when."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.queue import rows
from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.model import Act
from lorabot.queue.tables import acts


async def record(
    connection: AsyncConnection, actor: str, action: str, scope: str | None, job_id: str | None = None
) -> None:
    """Add a line, in the transaction of what it tells. Without a ``scope`` it holds for everything."""
    await connection.execute(insert(acts).values(at=now(), actor=actor, action=action, scope=scope, job_id=job_id))


class Audit:
    """Reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last(self, scope: str | None = None, limit: int = 20) -> list[Act]:
        """The newest lines first; with a ``scope`` those of that community and those that held for everything."""
        query = select(acts).order_by(acts.c.id.desc()).limit(limit)
        if scope is not None:
            query = query.where((acts.c.scope == scope) | acts.c.scope.is_(None))
        async with self._database.read() as connection:
            return [rows.act(row) for row in (await connection.execute(query)).mappings()]
