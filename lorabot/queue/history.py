"""What past jobs tell: how long they took, and how far the estimates were off."""

from sqlalchemy import select

from lorabot.queue import rows
from lorabot.queue.database import Database
from lorabot.queue.model import Job
from lorabot.queue.tables import jobs, succeeded


class History:
    """The jobs that succeeded and are still kept. All methods raise ``StoreUnavailable`` while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def succeeded(self, base: str, limit: int = 50) -> list[Job]:
        """The last jobs that were trained on ``base``, newest first."""
        query = select(jobs).where(succeeded, jobs.c.base == base).order_by(jobs.c.finished_at.desc()).limit(limit)
        async with self._database.read() as connection:
            return [rows.job(row) for row in (await connection.execute(query)).mappings()]

    async def errors(self, limit: int = 50) -> list[float]:
        """By how much of the estimate the last jobs took longer (above 0) or shorter than estimated, newest first."""
        query = select(jobs.c.outcome).where(succeeded).order_by(jobs.c.finished_at.desc()).limit(limit)
        async with self._database.read() as connection:
            outcomes = (await connection.execute(query)).scalars().all()
        found = (outcome.get("summary", {}).get("estimate_error") for outcome in outcomes)
        return [float(error) for error in found if isinstance(error, int | float)]
