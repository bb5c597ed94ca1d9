"""Which message of a chat is the newest: asked before each message that is sent, however long the history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    number = sa.text("CAST(message AS INTEGER)")
    op.create_index("posts_newest", "posts", ["platform", "chat", number], unique=False)
    op.create_index("inbox_newest", "inbox", ["platform", "place_chat", number], unique=False)
