"""Drafts collect images in a conversation; sealed, they are the dataset of a job."""

from collections.abc import Iterable

from sqlalchemy import Exists, and_, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorabot.queue import rows
from lorabot.queue.clock import now
from lorabot.queue.database import Database
from lorabot.queue.errors import NoDraft
from lorabot.queue.keys import new_id
from lorabot.queue.model import Address, Dataset, Draft, Image, Job, Returned
from lorabot.queue.payload import IMAGES
from lorabot.queue.tables import datasets, drafts, jobs


class Drafts:
    """One draft for each owner in each conversation. The images' files lie in the blobs under ``keys.image_key``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: str, address: Address) -> Draft | None:
        async with self._database.read() as connection:
            query = select(drafts).where(drafts.c.owner == owner, drafts.c.address == str(address))
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else rows.draft(row)

    async def add(self, owner: str, address: Address, images: Iterable[Image]) -> Draft:
        """Append ``images``. One that is there already (by content) is not added twice; a caption that it comes with
        now counts. Returns the whole draft.
        """
        async with self._database.write() as connection:
            return await append(self._database, connection, owner, address, images)

    async def clear(self, owner: str, address: Address) -> int:
        """Forget the draft; returns how many images it had. Their files stay until nothing refers to them."""
        async with self._database.write() as connection:
            statement = (
                delete(drafts)
                .where(drafts.c.owner == owner, drafts.c.address == str(address))
                .returning(drafts.c.images)
            )
            stored = (await connection.execute(statement)).scalar_one_or_none()
        return 0 if stored is None else len(IMAGES.read(stored))

    async def seal(self, owner: str, address: Address) -> Dataset:
        """A dataset of what the draft holds now. Raises ``NoDraft``.

        The draft stays until ``JobStore.submit`` takes the dataset's images out of it, so that a refused job loses
        nobody's photos.
        """
        async with self._database.write() as connection:
            query = select(drafts.c.images).where(drafts.c.owner == owner, drafts.c.address == str(address))
            stored = await connection.scalar(query)
            if not stored:
                raise NoDraft
            statement = (
                insert(datasets)
                .values(id=new_id(), owner=owner, images=stored, created_at=now())
                .returning(*datasets.c)
            )
            return rows.dataset((await connection.execute(statement)).mappings().one())

    async def dataset(self, dataset_id: str) -> Dataset:
        """Raises ``KeyError``: a job's dataset is always there."""
        async with self._database.read() as connection:
            query = select(datasets).where(datasets.c.id == dataset_id)
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise KeyError(dataset_id)
        return rows.dataset(row)

    async def returned(self, job: Job) -> Returned:
        """What of the photos of an ended ``job`` its owner's draft holds again, see ``give_back``."""
        query = (
            select(datasets.c.images.label("used"), drafts.c.images.label("kept"), _shared().label("shared"))
            .join(jobs, jobs.c.dataset_id == datasets.c.id)
            .join(drafts, and_(drafts.c.owner == jobs.c.owner, drafts.c.address == jobs.c.address))
            .where(jobs.c.id == job.id)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return Returned()
        used, there = ({image.sha256 for image in IMAGES.read(images)} for images in (row.used, row.kept))
        return Returned(len(used & there), 0 if row.shared else len(used - there))


async def append(
    database: Database, connection: AsyncConnection, owner: str, address: Address, images: Iterable[Image]
) -> Draft:
    """As ``Drafts.add``, in the caller's transaction."""
    mine = and_(drafts.c.owner == owner, drafts.c.address == str(address))
    await database.lock(connection, f"draft:{owner}:{address}")
    # A job may be taking its images out of it just now, or its owner may be throwing it away.
    stored = await connection.scalar(select(drafts.c.images).where(mine).with_for_update())
    all_images = {image.sha256: image for image in (() if stored is None else IMAGES.read(stored))}
    for image in images:
        if image.sha256 not in all_images or image.caption is not None:
            all_images[image.sha256] = image
    values = {"images": IMAGES.write(tuple(all_images.values())), "updated_at": now()}
    result = await connection.execute(
        insert(drafts).values(owner=owner, address=str(address), **values).returning(*drafts.c)
        if stored is None
        else update(drafts).where(mine).values(values).returning(*drafts.c)
    )
    return rows.draft(result.mappings().one())


async def give_back(database: Database, connection: AsyncConnection, job: Job) -> None:
    """What ``job`` was to be trained on is its owner's draft again, unless another job has it too, or they have begun
    to collect something else: that must not be mixed with it.

    In the caller's transaction, who holds the job's row: drafts come behind jobs in every transaction with both.
    """
    # Not the address that the job had when a worker took it: its community may have moved since.
    address = await connection.scalar(select(jobs.c.address).where(jobs.c.id == job.id))
    await database.lock(connection, f"draft:{job.owner}:{address}")
    photos = (
        select(jobs.c.owner, jobs.c.address, datasets.c.images, now())
        .join(datasets, datasets.c.id == jobs.c.dataset_id)
        .where(
            jobs.c.id == job.id,
            ~_shared(),
            ~exists(select(drafts.c.owner).where(drafts.c.owner == jobs.c.owner, drafts.c.address == jobs.c.address)),
        )
    )
    await connection.execute(insert(drafts).from_select(["owner", "address", "images", "updated_at"], photos))


def _shared() -> Exists:
    """Whether another one of ``jobs`` has the same dataset."""
    another = jobs.alias()
    return exists(select(another.c.id).where(another.c.dataset_id == jobs.c.dataset_id, another.c.id != jobs.c.id))
