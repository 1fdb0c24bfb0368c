"""References to messages of a chat platform, and marks of what was sent there: what must survive a restart."""

from sqlalchemy import and_, delete, insert, select, update

from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.model import Address
from lorabot.queue.tables import refs


class Refs:
    """Small texts by address and key. Those that are as old as a deleted job are deleted too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, address: Address, key: str) -> str | None:
        """None for a key that is not there."""
        query = select(refs.c.ref).where(refs.c.address == str(address), refs.c.key == key)
        async with self._database.read() as connection:
            found: str | None = await connection.scalar(query)
        return found

    async def all(self, address: Address, prefix: str) -> dict[str, str]:
        """Those of ``address`` whose keys begin with ``prefix``."""
        begins = refs.c.key.startswith(prefix, autoescape=True)
        query = select(refs.c.key, refs.c.ref).where(refs.c.address == str(address), begins).order_by(refs.c.key)
        async with self._database.read() as connection:
            return {row.key: row.ref for row in await connection.execute(query)}

    async def of(self, owner: str, key: str) -> dict[Address, str]:
        """What is noted of ``owner`` under ``key``, by address."""
        query = select(refs.c.address, refs.c.ref).where(refs.c.owner == owner, refs.c.key == key)
        async with self._database.read() as connection:
            return {Address.parse(row.address): row.ref for row in await connection.execute(query)}

    async def put(self, address: Address, key: str, ref: str, owner: str | None = None) -> None:
        """Remember ``ref``, in place of what was there. Name the ``owner`` of what says something about a person."""
        there = and_(refs.c.address == str(address), refs.c.key == key)
        async with self._database.write() as connection:
            await self._database.lock(connection, f"ref:{address}:{key}")
            values = {"ref": ref, "owner": owner, "at": now()}
            changed = await connection.execute(update(refs).where(there).values(values))
            if changed.rowcount == 0:
                await connection.execute(insert(refs).values(address=str(address), key=key, **values))

    async def drop(self, address: Address, key: str) -> None:
        """Forget it; one that is not there is fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(refs).where(refs.c.address == str(address), refs.c.key == key))
