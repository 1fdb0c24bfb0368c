"""Upload pages made for somebody, each good until they are done with it."""

from sqlalchemy import insert, select, update

from lorabot.queue import rows
from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.keys import new_id
from lorabot.queue.model import Address, UploadLink
from lorabot.queue.tables import upload_links

_ID_LENGTH = 20


class UploadLinks:
    """Links by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, owner: str, address: Address, language: str) -> UploadLink:
        """The owner's open link to this address, a new one where there is none: there is never a second to lose."""
        again = (  # its time begins anew, or it would be deleted before who asked now is done with it
            update(upload_links)
            .where(
                upload_links.c.owner == owner,
                upload_links.c.address == str(address),
                upload_links.c.closed_at.is_(None),
            )
            .values(language=language, created_at=now())
            .returning(*upload_links.c)
        )
        statement = (
            insert(upload_links)
            .values(id=new_id(_ID_LENGTH), owner=owner, address=str(address), language=language, created_at=now())
            .returning(*upload_links.c)
        )
        async with self._database.write() as connection:
            known = (await connection.execute(again)).mappings().first()
            return rows.upload_link(known or (await connection.execute(statement)).mappings().one())

    async def get(self, link_id: str) -> UploadLink | None:
        """None for one that is gone."""
        query = select(upload_links).where(upload_links.c.id == link_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else rows.upload_link(row)

    async def close(self, link_id: str) -> None:
        """Its owner is done; nothing more comes in by it."""
        async with self._database.write() as connection:
            await connection.execute(
                update(upload_links)
                .where(upload_links.c.id == link_id, upload_links.c.closed_at.is_(None))
                .values(closed_at=now())
            )
