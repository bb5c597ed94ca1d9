"""What chats delivered, before anything else happens to it: this is where a replayed message is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from adapters.store.codec import inbound_values, place_values, received_from
from adapters.store.database import Part, must_hit, reads, shows, writes
from adapters.store.tables import inbox, operations, places, posts, runs
from core.model import Inbound, PersonId, Place, RunId
from core.ports import MADE, Received, source_of

# Telegram numbers updates at random after a week without any: a number may come again, for another message.
REMEMBERED = timedelta(days=7)

_FORGET = delete(inbox).where(inbox.c.received < bindparam("until"), inbox.c.outcome.is_not(None))
_RECEIVE = insert(inbox).on_conflict_do_nothing(index_elements=["platform", "event_id"]).returning(inbox)
_CLOSE = update(inbox).where(inbox.c.id == bindparam("row"))
_FORGET_NOTES = delete(operations).where(operations.c.kind == MADE, operations.c.subject == bindparam("of"))
_BY_MESSAGE = (
    select(inbox)
    .where(
        inbox.c.platform == bindparam("on"),
        inbox.c.place_chat == bindparam("chat"),
        inbox.c.message == bindparam("of"),
        inbox.c.edited.is_(False),
    )
    .order_by(inbox.c.id)
    .limit(1)
)


class Inbox(Part):
    """The inbox part of the store."""

    @writes
    def receive(self, db: Connection, inbound: Inbound) -> int | None:
        """See core.ports.Store."""
        received = self._receive(db, [inbound])
        return received[0].row if received else None

    @writes
    def receive_all(self, db: Connection, inbounds: Sequence[Inbound]) -> list[Received]:
        """See core.ports.Store."""
        return self._receive(db, inbounds)

    def _receive(self, db: Connection, inbounds: Sequence[Inbound]) -> list[Received]:
        """What nobody closed is kept longer than the rest: it is still to be answered for."""
        now = self._clock.now()
        db.execute(_FORGET, {"until": now - REMEMBERED})
        rows = (db.execute(_RECEIVE, inbound_values(each) | {"received": now}).one_or_none() for each in inbounds)
        return [received_from(row) for row in rows if row is not None]

    @writes
    def close_inbound(
        self,
        db: Connection,
        row: int,
        outcome: str,
        reason: str = "",
        run: RunId | None = None,
        parts: Sequence[int] = (),
    ) -> None:
        """See core.ports.Store. Raises NotFound."""
        closed = {"outcome": outcome, "reason": reason, "run": run, "closed": self._clock.now(), "held": ""}
        for number in (row, *parts):
            must_hit(db.execute(_CLOSE.values(closed), {"row": number}), f"message {number}")
        db.execute(_FORGET_NOTES, {"of": source_of(row)})

    @writes
    def hold_inbound(self, db: Connection, rows: Sequence[int], question: str) -> None:
        """See core.ports.Store."""
        db.execute(update(inbox).where(inbox.c.id.in_(rows)).values(held=question))

    @reads
    def open_inbound(self, db: Connection, platform: str) -> list[Received]:
        """See core.ports.Store."""
        undecided = select(inbox).where(inbox.c.platform == platform, inbox.c.outcome.is_(None)).order_by(inbox.c.id)
        return [received_from(row) for row in db.execute(undecided)]

    @reads
    def inbound_of(self, db: Connection, platform: str, chat: str, message: str) -> Received | None:
        """See core.ports.Store."""
        row = db.execute(_BY_MESSAGE, {"on": platform, "chat": chat, "of": message}).one_or_none()
        return None if row is None else received_from(row)

    @reads
    def last_inbound(self, db: Connection, person: PersonId, place: Place) -> Received | None:
        """See core.ports.Store."""
        row = db.execute(
            select(inbox)
            .where(inbox.c.person == person, ~inbox.c.text.regexp_match("^[/!]why\\b"))
            .where(inbox.c.edited.is_(False))
            .filter_by(**place_values(place, "place_"))
            .order_by(inbox.c.id.desc())
            .limit(1)
        ).one_or_none()
        return None if row is None else received_from(row)

    @shows
    def move_chat(self, db: Connection, platform: str, chat: str, to: str) -> None:
        """See core.ports.Store."""
        for table, column in ((places, "chat"), (posts, "chat"), (runs, "chat"), (inbox, "place_chat")):
            on = table.c.platform == platform if "platform" in table.c else table.c.place_platform == platform
            moving = update(table).where(on, table.c[column] == chat)
            db.execute(moving.values({column: to}).prefix_with("OR IGNORE"))
