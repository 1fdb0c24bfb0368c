"""Jobs that wait for their owner's yes."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.queue import rows
from lorabot.queue.clock import now, now_plus
from lorabot.queue.database import Database
from lorabot.queue.errors import AlreadyStarted, NoProposal, NotYours
from lorabot.queue.keys import new_id
from lorabot.queue.model import Address, Image, Proposal
from lorabot.queue.payload import OBJECT
from lorabot.queue.tables import proposals

LIFE = timedelta(days=1)


def digest(images: Iterable[Image]) -> str:
    """Tells whether a draft still holds the same images."""
    return sha256("".join(sorted(image.sha256 for image in images)).encode()).hexdigest()


class Proposals:
    """Proposals by id. Each is good for a day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, owner: str, address: Address, request: Mapping[str, object], digest: str, dataset: str | None = None
    ) -> Proposal:
        statement = (
            insert(proposals)
            .values(
                id=new_id(),
                owner=owner,
                address=str(address),
                request=OBJECT.write(dict(request)),
                digest=digest,
                dataset_id=dataset,
                created_at=now(),
            )
            .returning(*proposals.c)
        )
        async with self._database.write() as connection:
            return rows.proposal((await connection.execute(statement)).mappings().one())

    async def get(self, proposal_id: str, owner: str) -> Proposal:
        """Raises ``NoProposal``, and ``NotYours`` where it is somebody else's."""
        query = select(proposals).where(and_(proposals.c.id == proposal_id, _alive()))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NoProposal
        if row["owner"] != owner:
            raise NotYours(proposal_id)
        return rows.proposal(row)

    async def drop(self, proposal_id: str) -> None:
        """Forget it; one that is not there is fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(proposals).where(proposals.c.id == proposal_id))


async def refuse_second(connection: AsyncConnection, proposal_id: str) -> None:
    """Lock the proposal; raise ``AlreadyStarted`` where a job came of it already, ``NoProposal`` where it is gone."""
    query = select(proposals.c.job_id).where(proposals.c.id == proposal_id, _alive()).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NoProposal
    if row.job_id is not None:
        raise AlreadyStarted(row.job_id)


async def note_started(connection: AsyncConnection, proposal_id: str, job_id: str) -> None:
    await connection.execute(update(proposals).where(proposals.c.id == proposal_id).values(job_id=job_id))


def _alive() -> ColumnElement[bool]:
    return proposals.c.created_at > now_plus(-LIFE.total_seconds())
