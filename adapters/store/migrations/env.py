"""What Alembic runs to migrate. The connection, in a transaction, comes from whoever calls."""

from __future__ import annotations

from alembic import context

from adapters.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters little in place; batch copies the table
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
