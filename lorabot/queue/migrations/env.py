"""Alembic's entry: runs in the transaction that ``migrate`` has begun."""

from alembic import context

from lorabot.queue.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a column by making the table anew.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
