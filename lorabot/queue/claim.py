"""Which job is next, and the one statement that takes it.

Order: jobs whose worker was lost go on first; then by priority; then in turns. Turns are start-time fair queueing
(Goyal, Vin, Cheng 1996) with every job of the same cost: an owner's next job comes one round after their last, but
never before the round being served, so that ten jobs of one person don't keep another's single job waiting.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from lorabot.queue.clock import now, now_plus
from lorabot.queue.config import QueueConfig
from lorabot.queue.model import JobState
from lorabot.queue.tables import attempts, jobs, pauses, queued, running, started_in_turn

LOST = "lost"
EVERYTHING = ""
"""The scope of a pause that holds for all communities."""


def paused(scope: str | None = None) -> ColumnElement[bool]:
    """Whether nothing is started at all; with a ``scope``, whether nothing of that community is."""
    places = (EVERYTHING,) if scope is None else (EVERYTHING, scope)
    return exists(select(pauses.c.scope).where(pauses.c.scope.in_(places)))


def startable() -> ColumnElement[bool]:
    """Queued, and its community is not paused."""
    return and_(queued, not_(paused()), jobs.c.scope.not_in(select(pauses.c.scope)))


def lapsed() -> ColumnElement[bool]:
    """Running, but its worker has not renewed the claim in time."""
    return and_(running, jobs.c.lease_until < now())


def worn_out(config: QueueConfig) -> ColumnElement[bool]:
    """Whether being lost once more is one crash too many. For lapsed jobs: their present attempt is not counted yet."""
    lost = (
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.job_id == jobs.c.id, attempts.c.signature == LOST)
        .scalar_subquery()
    )
    return or_(lost >= config.same_crashes - 1, jobs.c.crashes >= config.any_crashes - 1)


def on_one_of(bases: Collection[str] | None) -> ColumnElement[bool]:
    """Whether the job is on one of these base models; None: on any."""
    return true() if bases is None else jobs.c.base.in_(sorted(bases))


def runnable(config: QueueConfig, bases: Collection[str] | None = None) -> ColumnElement[bool]:
    """What ``take`` could take for one who has these ``bases``; None: all."""
    return and_(
        on_one_of(bases),
        or_(
            startable(),
            and_(lapsed(), not_(jobs.c.cancel_requested), not_(worn_out(config))),
        ),
    )


def take(
    config: QueueConfig, worker: str, bases: Collection[str] | None = None, *, orphans: bool = True
) -> ReturningUpdate[*tuple[Any, ...]]:
    """The statement that gives the next job to ``worker`` and returns its row; no row when there is nothing to do.

    Only jobs on ``bases``, the base models that the worker has (None: all). Without ``orphans`` it leaves jobs alone
    whose lease has lapsed.
    """
    orphan = (
        select(jobs.c.id)
        .where(lapsed(), on_one_of(bases), not_(jobs.c.cancel_requested), not_(worn_out(config)))
        .order_by(jobs.c.lease_until)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    waiting = (
        select(jobs.c.id)
        .where(startable(), on_one_of(bases))
        .order_by(jobs.c.priority.desc(), jobs.c.turn, jobs.c.created_at, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    was_lost = case((running, 1), else_=0)
    return (
        update(jobs)
        .where(jobs.c.id == (func.coalesce(orphan, waiting) if orphans else waiting))
        .values(
            state=JobState.RUNNING.value,
            worker=worker,
            attempt=jobs.c.attempt + 1,
            crashes=jobs.c.crashes + was_lost,
            lease_until=now_plus(config.lease_s),
            started_at=func.coalesce(jobs.c.started_at, now()),
            version=jobs.c.version + 1,
        )
        .returning(*jobs.c)
    )


def ahead_of(row: Any) -> Select[int]:
    """How many queued jobs are served before the queued job of ``row``."""
    mine = tuple_(literal(row["turn"]), literal(row["created_at"], jobs.c.created_at.type), literal(row["id"]))
    return (
        select(func.count())
        .select_from(jobs)
        .where(
            queued,
            or_(
                jobs.c.priority > row["priority"],
                and_(jobs.c.priority == row["priority"], tuple_(jobs.c.turn, jobs.c.created_at, jobs.c.id) < mine),
            ),
        )
    )


def next_turn(owner: str) -> Select[int | None, int | None]:
    """Two numbers: the round being served, and the round of the owner's last job."""
    # Jobs that were moved to the front run out of turn and say nothing about the round.
    serving = select(func.max(jobs.c.turn)).where(started_in_turn).scalar_subquery()
    last = (
        select(func.max(jobs.c.turn))
        .where(
            jobs.c.owner == owner,
            or_(jobs.c.state != JobState.CANCELLED.value, jobs.c.started_at.is_not(None)),
        )
        .scalar_subquery()
    )
    return select(serving, last)
