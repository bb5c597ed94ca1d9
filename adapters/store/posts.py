"""Messages on their way to chat platforms, and those that were sent: what is shown where, and what it is about."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Integer, bindparam, cast, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from adapters.store.codec import post_from, post_values
from adapters.store.database import Part, must_hit, reads, writes
from adapters.store.tables import inbox, posts
from core.messages import Post, PostKind, PostState
from core.model import AskId, RunId

_ADD = insert_or(posts).on_conflict_do_nothing(index_elements=["key"])
_SAVE = update(posts).where(posts.c.id == bindparam("row"))
_TO_SEND = [PostState.PENDING.value, PostState.SENDING.value, PostState.UNKNOWN.value]
_TO_CLOSE = [PostKind.LIVE.value, PostKind.ASK.value]


class Posts(Part):
    """The posts part of the store."""

    @writes
    def add_posts(self, db: Connection, new: Sequence[Post]) -> list[Post]:
        """See core.ports.Store."""
        if not new:
            return []
        db.execute(_ADD, [post_values(post) for post in new])
        keys = [post.key for post in new]
        stored = {row.key: post_from(row) for row in db.execute(select(posts).where(posts.c.key.in_(keys)))}
        return [stored[key] for key in keys]

    @writes
    def save_post(self, db: Connection, post: Post) -> None:
        """See core.ports.Store. Raises NotFound."""
        must_hit(db.execute(_SAVE, post_values(post) | {"row": post.id}), f"message {post.key}")

    @reads
    def post(self, db: Connection, key: str) -> Post | None:
        """See core.ports.Store."""
        row = db.execute(select(posts).where(posts.c.key == key)).one_or_none()
        return None if row is None else post_from(row)

    @reads
    def open_posts(self, db: Connection, platform: str) -> list[Post]:
        """See core.ports.Store."""
        unclosed = (posts.c.state == PostState.SENT.value) & posts.c.kind.in_(_TO_CLOSE)
        found = select(posts).where(posts.c.platform == platform, or_(posts.c.state.in_(_TO_SEND), unclosed))
        return [post_from(row) for row in db.execute(found.order_by(posts.c.id))]

    @reads
    def post_at(self, db: Connection, platform: str, chat: str, message: str) -> Post | None:
        """See core.ports.Store."""
        here = select(posts).where(posts.c.platform == platform, posts.c.chat == chat, posts.c.message == message)
        row = db.execute(here.order_by(posts.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else post_from(row)

    @reads
    def posts_of(self, db: Connection, *, run: RunId | None = None, ask: AskId | None = None) -> list[Post]:
        """See core.ports.Store."""
        about = posts.c.run == run if run is not None else posts.c.ask == ask
        return [post_from(row) for row in db.execute(select(posts).where(about).order_by(posts.c.id))]

    @reads
    def knows_message(self, db: Connection, platform: str, chat: str | None, message: str) -> bool:
        """See core.ports.Store."""
        for table, at in ((posts, "chat"), (inbox, "place_chat")):
            found = select(table.c.id).where(table.c.platform == platform, table.c.message == message)
            if db.execute((found if chat is None else found.where(table.c[at] == chat)).limit(1)).first():
                return True
        return False

    @reads
    def newest_message(self, db: Connection, platform: str, chat: str) -> str:
        """See core.ports.Store."""
        ours = select(func.max(cast(posts.c.message, Integer))).where(
            posts.c.platform == platform, posts.c.chat == chat, posts.c.message != ""
        )
        theirs = select(func.max(cast(inbox.c.message, Integer))).where(
            inbox.c.platform == platform, inbox.c.place_chat == chat, inbox.c.message != ""
        )
        found = [number for query in (ours, theirs) if (number := db.execute(query).scalar_one())]
        return str(max(found)) if found else ""
