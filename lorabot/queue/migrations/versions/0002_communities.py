"""Communities that are moderated, people and their consent, proposals, references to messages, upload pages."""

import sqlalchemy as sa
from alembic import op

from lorabot.queue.tables import Json, RowId, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_QUEUED = sa.text("state = 'queued'")
_SUCCEEDED = sa.text("state = 'succeeded'")


def upgrade() -> None:
    # Added by itself: SQLite would copy the whole table in a batch, and other tables refer to it.
    op.add_column("jobs", sa.Column("scope", sa.String(400), server_default=sa.text("''"), nullable=False))
    jobs = sa.table("jobs", sa.column("address", sa.String), sa.column("scope", sa.String))
    slash = _place_of_slash(jobs.c.address)
    op.execute(
        jobs.update().values(
            scope=sa.case((slash > 0, sa.func.substr(jobs.c.address, 1, slash - 1)), else_=jobs.c.address)
        )
    )
    op.drop_index("ix_jobs_next", "jobs")
    op.create_index(
        "ix_jobs_next",
        "jobs",
        [sa.text("priority DESC"), "turn", "created_at", "id", "scope"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    op.create_index(
        "ix_jobs_succeeded",
        "jobs",
        ["base", "finished_at"],
        sqlite_where=_SUCCEEDED,
        postgresql_where=_SUCCEEDED,
    )
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
    op.create_table(
        "pauses",
        sa.Column("scope", sa.String(400), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("actor", sa.String(220), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_pauses"),
    )
    op.execute("INSERT INTO pauses (scope, at, actor) SELECT '', changed_at, changed_by FROM switches")
    op.drop_table("switches")
    op.create_table(
        "acts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("actor", sa.String(220), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("scope", sa.String(400)),
        sa.Column("job_id", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_acts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_acts_scope", "acts", ["scope"])
    op.create_table(
        "people",
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("language", sa.String(20)),
        sa.Column("consented_at", UtcTime),
        sa.Column("unreachable_at", UtcTime),
        sa.PrimaryKeyConstraint("owner", name="pk_people"),
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("request", Json, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("dataset_id", sa.String(32)),
        sa.Column("job_id", sa.String(32)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_proposals"),
    )
    op.create_index("ix_proposals_owner", "proposals", ["owner"])
    op.create_table(
        "refs",
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("address", "key", name="pk_refs"),
    )
    op.create_index("ix_refs_owner", "refs", ["owner"])
    op.create_table(
        "upload_links",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("language", sa.String(20), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("closed_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_upload_links"),
    )
    op.create_index("ix_upload_links_owner", "upload_links", ["owner"])


def _place_of_slash(text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    name = "strpos" if op.get_bind().dialect.name == "postgresql" else "instr"
    place: sa.ColumnElement[int] = getattr(sa.func, name)(text, "/", type_=sa.Integer())
    return place


def downgrade() -> None:
    for table in ("upload_links", "refs", "proposals", "people", "acts", "pauses"):
        op.drop_table(table)
    op.create_table(
        "switches",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.Column("changed_by", sa.String(220), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )
    op.drop_index("ix_jobs_finished_at", "jobs")
    op.drop_index("ix_jobs_succeeded", "jobs")
    op.drop_index("ix_jobs_next", "jobs")
    op.create_index(
        "ix_jobs_next",
        "jobs",
        [sa.text("priority DESC"), "turn", "created_at", "id"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    op.drop_column("jobs", "scope")
