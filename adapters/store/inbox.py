"""What chats delivered, before anything else happens to it: this is where a replayed message is recognised."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, update
from sqlalchemy.dialects.sqlite import insert

from adapters.store.codec import inbound_values
from adapters.store.database import Part, must_hit, writes
from adapters.store.tables import inbox
from core.model import Inbound

# Telegram numbers updates at random after a week without any: a number may come again, for another message.
REMEMBERED = timedelta(days=7)

_FORGET = delete(inbox).where(inbox.c.received < bindparam("until"), inbox.c.outcome.is_not(None))
_RECEIVE = insert(inbox).on_conflict_do_nothing(index_elements=["platform", "event_id"]).returning(inbox.c.id)
_CLOSE = update(inbox).where(inbox.c.id == bindparam("row"))


class Inbox(Part):
    """The inbox part of the store."""

    @writes
    def receive(self, db: Connection, inbound: Inbound) -> int | None:
        """See core.ports.Store. What nobody closed is kept longer: it is still to be answered for."""
        now = self._clock.now()
        db.execute(_FORGET, {"until": now - REMEMBERED})
        row: int | None = db.execute(_RECEIVE, inbound_values(inbound) | {"received": now}).scalar_one_or_none()
        return row

    @writes
    def close_inbound(self, db: Connection, row: int, outcome: str, reason: str = "") -> None:
        """See core.ports.Store. Raises NotFound."""
        closed = {"row": row, "outcome": outcome, "reason": reason, "closed": self._clock.now()}
        must_hit(db.execute(_CLOSE, closed), f"message {row}")
