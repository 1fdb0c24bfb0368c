"""What the trainers that are up say of themselves: for people, for estimates, and for how many tickets are of use."""

from sqlalchemy import delete, insert, or_, select

from lorabot.queue.clock import now, now_plus
from lorabot.queue.database import Database
from lorabot.queue.model import TrainerState
from lorabot.queue.payload import TRAINER
from lorabot.queue.tables import trainers

EVERY_S = 20.0
"""How often a trainer says how it is."""
_SILENT_S = 4 * EVERY_S


class Trainers:
    """The trainers by the names of their workers. All methods raise ``StoreUnavailable`` while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, worker: str, state: TrainerState) -> None:
        """``worker`` is up and is as ``state`` says. Those that have been silent for long are taken for gone."""
        async with self._database.write() as connection:
            await self._database.lock(connection, f"trainer:{worker}")
            gone = or_(trainers.c.worker == worker, trainers.c.at < now_plus(-_SILENT_S))
            await connection.execute(delete(trainers).where(gone))
            await connection.execute(insert(trainers).values(worker=worker, at=now(), state=TRAINER.write(state)))

    async def withdraw(self, worker: str) -> None:
        """``worker`` ends."""
        async with self._database.write() as connection:
            await connection.execute(delete(trainers).where(trainers.c.worker == worker))

    async def present(self) -> dict[str, TrainerState]:
        """The trainers that are up, by name."""
        query = select(trainers).where(trainers.c.at >= now_plus(-_SILENT_S)).order_by(trainers.c.worker)
        async with self._database.read() as connection:
            found = (await connection.execute(query)).mappings().all()
        return {row["worker"]: TRAINER.read(row["state"]) for row in found}

    async def bases(self) -> frozenset[str] | None:
        """The base models that one or another of them has; None where none is up, or has said yet."""
        states = (await self.present()).values()
        return frozenset(base for state in states for base in state.bases) or None

    async def nobody_has(self, base: str) -> bool:
        """Whether trainers are up and ``base`` is on none of their hosts."""
        bases = await self.bases()
        return bases is not None and base not in bases
