"""The queue in one piece, as the bot and the trainer hold it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from arq.connections import ArqRedis

from lorabot.queue.audit import Audit
from lorabot.queue.blobs import Blobs, open_blobs
from lorabot.queue.config import QueueConfig
from lorabot.queue.database import Database, create_engine, parse_database_url
from lorabot.queue.drafts import Drafts
from lorabot.queue.forgetting import Forgotten, forget
from lorabot.queue.history import History
from lorabot.queue.jobs import JobStore
from lorabot.queue.moving import move
from lorabot.queue.outbox import Cards, Outbox
from lorabot.queue.people import People
from lorabot.queue.proposals import Proposals
from lorabot.queue.redis import connect
from lorabot.queue.refs import Refs
from lorabot.queue.signals import Changes, Signals
from lorabot.queue.tickets import Tickets
from lorabot.queue.trainers import Trainers
from lorabot.queue.transcript import Transcript
from lorabot.queue.upload_links import UploadLinks


@dataclass(frozen=True, slots=True)
class Queue:
    """All parts of an open queue. ``redis`` and ``database`` are for the queue itself; everyone else uses the parts."""

    config: QueueConfig
    jobs: JobStore
    drafts: Drafts
    outbox: Outbox
    cards: Cards
    transcript: Transcript
    people: People
    proposals: Proposals
    refs: Refs
    upload_links: UploadLinks
    history: History
    trainers: Trainers
    audit: Audit
    blobs: Blobs
    tickets: Tickets
    signals: Signals
    redis: ArqRedis
    database: Database

    def changes(self, *prefixes: str) -> AbstractAsyncContextManager[Changes]:
        """``async with queue.changes("job:") as changes: topics = await changes.wait(1.0)``. No prefix hears all."""
        return self.signals.listen(*prefixes)

    async def forget(self, owner: str, conversations: Iterable[str] = (), patience_s: float = 10.0) -> Forgotten:
        """Delete everything stored about ``owner``, and these conversations of the web chat."""
        return await forget(self.database, self.jobs, self.blobs, owner, conversations, patience_s)

    async def move(self, old: str, new: str, left_behind: Sequence[str] = ()) -> None:
        """Let all that is of the community ``old`` be of ``new``: see ``moving.move``."""
        await move(self.database, old, new, left_behind)


@asynccontextmanager
async def open_queue(config: QueueConfig, database_url: str, redis_url: str, blob_url: str) -> AsyncIterator[Queue]:
    """The queue at these places. Raises ``BadUrl``; does not need the database or Redis to be there yet.

    The database's tables must be there: call ``migrate`` once before.
    """
    blobs = open_blobs(blob_url)
    url = parse_database_url(database_url)
    hasty = connect(redis_url, patient=False, expires_s=config.ticket_expiry_s)
    patient = connect(redis_url, patient=True, expires_s=config.ticket_expiry_s)
    database = Database(create_engine(url))
    signals = Signals(hasty, Tickets(hasty))
    try:
        async with signals.running():
            yield Queue(
                config=config,
                jobs=JobStore(database, config, signals),
                drafts=Drafts(database),
                outbox=Outbox(database),
                cards=Cards(database),
                transcript=Transcript(database, signals),
                people=People(database),
                proposals=Proposals(database),
                refs=Refs(database),
                upload_links=UploadLinks(database),
                history=History(database),
                trainers=Trainers(database),
                audit=Audit(database),
                blobs=blobs,
                tickets=Tickets(patient),
                signals=signals,
                redis=patient,
                database=database,
            )
    finally:
        await database.close()
        await hasty.aclose(close_connection_pool=True)
        await patient.aclose(close_connection_pool=True)
