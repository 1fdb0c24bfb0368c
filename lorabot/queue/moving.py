"""A community whose platform gives it another id: all that is stored of it moves along."""

from collections.abc import Sequence

from sqlalchemy import Column, ColumnElement, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.queue.database import Database
from lorabot.queue.drafts import append
from lorabot.queue.model import Address
from lorabot.queue.payload import IMAGES
from lorabot.queue.tables import acts, drafts, jobs, outbox, pauses, proposals, refs, upload_links


async def move(database: Database, old: str, new: str, left_behind: Sequence[str] = ()) -> None:
    """Let all that is of the community ``old`` be of ``new``, both named by their scope, in one transaction.

    Messages stay where they are: cards are shown anew with the next change of their job, and references whose keys
    begin with one of ``left_behind`` are forgotten. What ``new`` has already stays; drafts of one person become one.
    A second time moves what has come to ``old`` since.
    """
    async with database.write() as connection:
        await database.lock(connection, f"move:{old}")
        await connection.execute(
            update(jobs)
            .where(_of(jobs.c.address, old))
            .values(address=_moved(jobs.c.address, old, new), scope=new, card_ref=None)
        )
        await _move_drafts(database, connection, old, new)
        for table in (outbox, proposals, upload_links):
            address = table.c.address
            await connection.execute(update(table).where(_of(address, old)).values(address=_moved(address, old, new)))
        await connection.execute(update(acts).where(acts.c.scope == old).values(scope=new))
        await _move_pause(database, connection, old, new)
        await _move_refs(database, connection, old, new, left_behind)


def _of(address: Column[str], scope: str) -> ColumnElement[bool]:
    return or_(address == scope, address.startswith(f"{scope}/", autoescape=True))


def _moved(address: Column[str], old: str, new: str) -> ColumnElement[str]:
    return literal(new).concat(func.substr(address, len(old) + 1))


async def _move_drafts(database: Database, connection: AsyncConnection, old: str, new: str) -> None:
    found = await connection.execute(select(drafts.c.owner, drafts.c.address).where(_of(drafts.c.address, old)))
    for owner, address in sorted((row.owner, row.address) for row in found):
        await database.lock(connection, f"draft:{owner}:{address}")
        mine = delete(drafts).where(drafts.c.owner == owner, drafts.c.address == address).returning(drafts.c.images)
        stored = await connection.scalar(mine)
        if stored:
            there = Address.parse(new + address[len(old) :])
            await append(database, connection, owner, there, IMAGES.read(stored))


async def _move_pause(database: Database, connection: AsyncConnection, old: str, new: str) -> None:
    await database.lock(connection, f"pause:{new}")
    if await connection.scalar(select(pauses.c.scope).where(pauses.c.scope == new)) is None:
        await connection.execute(update(pauses).where(pauses.c.scope == old).values(scope=new))
    await connection.execute(delete(pauses).where(pauses.c.scope == old))


async def _move_refs(
    database: Database, connection: AsyncConnection, old: str, new: str, left_behind: Sequence[str]
) -> None:
    mine = _of(refs.c.address, old)
    for prefix in left_behind:
        await connection.execute(delete(refs).where(mine, refs.c.key.startswith(prefix, autoescape=True)))
    insert = postgresql.insert if database.postgresql else sqlite.insert
    rest = select(_moved(refs.c.address, old, new), refs.c.key, refs.c.ref, refs.c.owner, refs.c.at).where(mine)
    copied = insert(refs).from_select(["address", "key", "ref", "owner", "at"], rest)
    await connection.execute(copied.on_conflict_do_nothing())
    await connection.execute(delete(refs).where(mine))
