"""Jobs to put into a queue."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256

from sqlalchemy import update

from lorabot.queue import Queue
from lorabot.queue.clock import now_plus
from lorabot.queue.keys import image_key
from lorabot.queue.model import Address, Image, Job, NewJob
from lorabot.queue.tables import jobs

ADDRESS = Address("web", "conversation")


def image(owner: str, name: str = "photo.png") -> Image:
    digest = sha256(name.encode()).hexdigest()
    return Image(name=name, key=image_key(owner, digest), sha256=digest, width=64, height=48, size=1234)


async def new_job(
    queue: Queue, owner: str = "web:ann", name: str = "zuri", address: Address = ADDRESS, base: str = "demo"
) -> NewJob:
    await queue.drafts.add(owner, address, [image(owner)])
    dataset = await queue.drafts.seal(owner, address)
    return NewJob(
        name=name,
        owner=owner,
        address=address,
        language="en",
        preset={"id": "anime", "recipes": {"demo": {"rank": 8}}},
        vocabulary=None,
        trigger="zuri",
        base=base,
        dataset_id=dataset.id,
        seed=7,
    )


async def submit(queue: Queue, owner: str = "web:ann", name: str = "zuri", base: str = "demo") -> Job:
    return await queue.jobs.submit(await new_job(queue, owner, name, base=base))


async def lapse(queue: Queue, job_id: str) -> None:
    """Let the time of the job's lease be over, without waiting for it."""
    async with queue.database.write() as connection:
        await connection.execute(update(jobs).where(jobs.c.id == job_id).values(lease_until=now_plus(-1.0)))


async def eventually(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10.0) -> None:
    """Wait for what gives no sign of its own when it comes true."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
