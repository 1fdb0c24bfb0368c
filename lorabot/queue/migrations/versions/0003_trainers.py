"""What trainers say of themselves: their device, who holds its memory, how fast it is."""

import sqlalchemy as sa
from alembic import op

from lorabot.queue.tables import Json, UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trainers",
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("state", Json, nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_trainers"),
    )


def downgrade() -> None:
    op.drop_table("trainers")
