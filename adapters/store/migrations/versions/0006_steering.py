"""What people choose for a session and a place, what may be spent, questions on the side, and runs taken back."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

FIRST_CONSTRAINT = "\n\tPRIMARY KEY"


def upgrade() -> None:
    _widen("sessions", {"model": "TEXT", "agent": "TEXT", "variant": "TEXT", "budget": "FLOAT"})
    _widen("places", {"verbosity": "TEXT"}, verbosity="normal")
    _widen("runs", {"undone": "TEXT", "context": "INTEGER", "context_limit": "INTEGER", "urgent": "BOOLEAN"})
    op.create_index("runs_person", "runs", ["person", "created"], unique=False)
    op.create_table(
        "asides",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_key", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("asides_session_key", "asides", ["session_key"], unique=False)
    op.create_index("asides_person", "asides", ["person", "created"], unique=False)
    op.create_table(
        "budgets",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("amount", sa.Float(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person"),
    )


def _widen(table: str, columns: Mapping[str, str], **given: str) -> None:
    """The table made again with more columns at its end, empty or 0 where nothing is `given`.

    SQLite's own ALTER TABLE would leave another definition than a new database has.
    """
    db = op.get_bind()
    schema = sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL")
    found = db.execute(schema, {"table": table}).all()
    rows = [dict(row) for row in db.execute(sa.text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608
    op.drop_table(table)
    added = "".join(f"\n\t{name} {kind} NOT NULL, " for name, kind in columns.items())
    for kind, sql in found:
        db.exec_driver_sql(sql.replace(FIRST_CONSTRAINT, added + FIRST_CONSTRAINT, 1) if kind == "table" else sql)
    new = {name: "" if kind == "TEXT" else 0 for name, kind in columns.items()} | given
    if rows:
        db.execute(sa.table(table, *map(sa.column, [*rows[0], *new])).insert(), [row | new for row in rows])
