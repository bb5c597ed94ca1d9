"""Messages on their way to chats; of messages that came, and of runs, what is needed to answer them after a crash."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _posts()
    _inbox()
    _runs()


def _posts() -> None:
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("buttons", sa.Text(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("ask", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Boolean(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="posts_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("posts_state", "posts", ["state"], unique=False)
    op.create_index("posts_message", "posts", ["platform", "chat", "message"], unique=False)
    op.create_index("posts_run", "posts", ["run"], unique=False)
    op.create_index("posts_ask", "posts", ["ask"], unique=False)


def _inbox() -> None:
    rows = _taken("inbox")
    inbox = op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("place_platform", sa.Text(), nullable=False),
        sa.Column("place_chat", sa.Text(), nullable=False),
        sa.Column("place_thread", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("person_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("directory", sa.Text(), nullable=True),
        sa.Column("debug", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=False),
        sa.Column("direct", sa.Boolean(), nullable=False),
        sa.Column("addressed", sa.Boolean(), nullable=False),
        sa.Column("edited", sa.Boolean(), nullable=False),
        sa.Column("joins", sa.Float(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("held", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("received", sa.Text(), nullable=False),
        sa.Column("closed", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("platform", "event_id", name="inbox_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_received", "inbox", ["received"], unique=False)
    op.create_index("inbox_message", "inbox", ["platform", "place_chat", "message"], unique=False)
    op.create_index("inbox_outcome", "inbox", ["outcome"], unique=False)
    new = {"message": "", "reply_to": "", "direct": True, "addressed": True, "edited": False, "joins": 0.0}
    op.bulk_insert(inbox, [row | new | {"files": "[]", "held": "", "run": None} for row in rows])


def _runs() -> None:
    rows = _taken("runs")
    runs = op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_key", sa.Text(), nullable=False),
        sa.Column("session_instance", sa.Text(), nullable=False),
        sa.Column("session_owner", sa.Text(), nullable=False),
        sa.Column("session_repo", sa.Text(), nullable=False),
        sa.Column("session_number", sa.Integer(), nullable=False),
        sa.Column("session_merge_request", sa.Boolean(), nullable=False),
        sa.Column("session_name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("started", sa.Text(), nullable=True),
        sa.Column("ended", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("tokens_input", sa.Integer(), nullable=False),
        sa.Column("tokens_output", sa.Integer(), nullable=False),
        sa.Column("tokens_reasoning", sa.Integer(), nullable=False),
        sa.Column("tokens_cache_read", sa.Integer(), nullable=False),
        sa.Column("tokens_cache_write", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("snapshot_before", sa.Text(), nullable=False),
        sa.Column("snapshot_after", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_key", "number", name="runs_number"),
        sa.UniqueConstraint("source", name="runs_source"),
    )
    op.create_index("runs_state", "runs", ["state"], unique=False)
    op.bulk_insert(runs, [row | {"message": "", "attachments": "[]", "source": None} for row in rows])


def _taken(table: str) -> list[dict[str, Any]]:
    """Its rows, the table itself being gone: SQLite's own ALTER TABLE leaves another definition than a new one has."""
    rows = [dict(row) for row in op.get_bind().execute(sa.text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608
    op.drop_table(table)
    return rows
