"""What the mirror wrote into its files, so that edits by hand are told from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Made anew: SQLite's own ALTER TABLE leaves another definition than a new database has.
    names = op.get_bind().execute(sa.text("SELECT name FROM mirror_files")).scalars().all()
    op.drop_table("mirror_files")
    files = op.create_table(
        "mirror_files",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.bulk_insert(files, [{"name": name} for name in names])
