"""The tables, as the newest migration leaves them, and the types both databases share."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    not_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime: ``timestamptz`` in PostgreSQL; in SQLite, which has none, microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the store are aware; this one has no time zone")
        return value if dialect.name == "postgresql" else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        assert isinstance(value, int)
        return _EPOCH + timedelta(microseconds=value)


# none_as_null: a missing value is SQL's NULL, not the JSON text 'null', so that IS NULL means what it says.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite counts ids by itself only in a column that is exactly INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("images", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("owner", String(200), primary_key=True),
    Column("address", String(400), primary_key=True),
    Column("images", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("address", String(400), nullable=False),
    # The community that the address belongs to: see model.Address.scope.
    Column("scope", String(400), nullable=False, server_default=text("''")),
    Column("language", String(20), nullable=False),
    Column("preset", Json, nullable=False),
    Column("vocabulary", Json),
    Column("trigger", String(200), nullable=False),
    Column("base", String(200), nullable=False),
    Column("dataset_id", String(32), ForeignKey("datasets.id"), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("options", Json, nullable=False),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    # The round in which the job's owner is served, see claim.py.
    Column("turn", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False, server_default=text("false")),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("worker", String(200)),
    Column("lease_until", UtcTime),
    Column("progress", Json),
    Column("outcome", Json),
    Column("failure", Json),
    Column("resume", Json),
    Column("card_ref", String(400)),
    Column("card_version", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("state IN ('held','queued','running','succeeded','failed','cancelled')", name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="running_is_leased"),
    CheckConstraint(
        "(state IN ('succeeded','failed','cancelled')) = (finished_at IS NOT NULL)", name="final_is_finished"
    ),
)
# Conditions of the partial indexes. Queries must spell them the same, with constants instead of parameters: neither
# database looks into parameters when it chooses an index.
queued = jobs.c.state == literal_column("'queued'")
running = jobs.c.state == literal_column("'running'")
succeeded = jobs.c.state == literal_column("'succeeded'")
started_in_turn = and_(jobs.c.started_at.is_not(None), jobs.c.priority == literal_column("0"))
Index(
    # The scope at the end: passing over the jobs of a paused community must not read their rows.
    "ix_jobs_next", jobs.c.priority.desc(), jobs.c.turn, jobs.c.created_at, jobs.c.id, jobs.c.scope,
    sqlite_where=queued, postgresql_where=queued,
)  # fmt: skip
Index("ix_jobs_lease", jobs.c.lease_until, sqlite_where=running, postgresql_where=running)
Index("ix_jobs_owner", jobs.c.owner, jobs.c.created_at)
stale_card = jobs.c.version > jobs.c.card_version
Index("ix_jobs_stale_card", jobs.c.id, sqlite_where=stale_card, postgresql_where=stale_card)
Index("ix_jobs_succeeded", jobs.c.base, jobs.c.finished_at, sqlite_where=succeeded, postgresql_where=succeeded)
Index("ix_jobs_finished_at", jobs.c.finished_at)
Index("ix_jobs_turn", jobs.c.turn, sqlite_where=started_in_turn, postgresql_where=started_in_turn)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("worker", String(200), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    # succeeded, failed, cancelled, crashed or released; empty while it runs.
    Column("ending", String(20)),
    Column("signature", String(200)),
    Column("message", Json),
)

events = Table(
    "events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("actor", String(220), nullable=False),
    Column("details", Json, nullable=False),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("address", String(400), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("message", Json),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    Column("given_up", Boolean(create_constraint=False), nullable=False, server_default=text("false")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    sqlite_autoincrement=True,
)
undelivered = and_(outbox.c.delivered_at.is_(None), not_(outbox.c.given_up))
Index("ix_outbox_due", outbox.c.due_at, outbox.c.id, sqlite_where=undelivered, postgresql_where=undelivered)

transcript = Table(
    "transcript",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("conversation", String(200), nullable=False),
    Column("key", String(200)),
    Column("author", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    # Counts the changes of a conversation: the newest change has the highest.
    Column("revision", BigInteger, nullable=False),
    Column("payload", Json, nullable=False),
    UniqueConstraint("conversation", "key"),
    UniqueConstraint("conversation", "revision"),
    # Ids are parts of idempotency keys and must never come back.
    sqlite_autoincrement=True,
)

# Communities whose waiting jobs are not started. The empty scope stands for all of them.
pauses = Table(
    "pauses",
    metadata,
    Column("scope", String(400), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(220), nullable=False),
)

# What moderators did. It outlives the jobs, so it refers to them by id only.
acts = Table(
    "acts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(220), nullable=False),
    Column("action", String(40), nullable=False),
    Column("scope", String(400), index=True),
    Column("job_id", String(32)),
    sqlite_autoincrement=True,
)

people = Table(
    "people",
    metadata,
    Column("owner", String(200), primary_key=True),
    Column("language", String(20)),
    Column("consented_at", UtcTime),
    Column("unreachable_at", UtcTime),
)

proposals = Table(
    "proposals",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("address", String(400), nullable=False),
    Column("request", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("dataset_id", String(32)),
    Column("job_id", String(32)),
    Column("created_at", UtcTime, nullable=False),
)

# References to messages of a platform, and marks of what was sent there.
refs = Table(
    "refs",
    metadata,
    Column("address", String(400), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("ref", Text, nullable=False),
    Column("owner", String(200), index=True),
    Column("at", UtcTime, nullable=False),
)

upload_links = Table(
    "upload_links",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("address", String(400), nullable=False),
    Column("language", String(20), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
)

# One row for each trainer that is up; it outlives a lost one for a minute or so.
trainers = Table(
    "trainers",
    metadata,
    Column("worker", String(200), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("state", Json, nullable=False),
)
