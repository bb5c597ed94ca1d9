"""What buttons say, so that they work after a restart; what a run was refused, so that it can be allowed later."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("offers_created", "offers", ["created"])
    connection = op.get_bind()
    # Until now only the lines for people were kept: there is nothing in them that could be allowed.
    for run, refused in connection.execute(sa.text("SELECT id, refused FROM runs WHERE refused != '[]'")).all():
        refusals = [{"line": line, "permission": "", "patterns": []} for line in json.loads(refused)]
        values = {"id": run, "refused": json.dumps(refusals, ensure_ascii=False)}
        connection.execute(sa.text("UPDATE runs SET refused = :refused WHERE id = :id"), values)
