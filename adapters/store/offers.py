"""What buttons say when they are pressed, for as long as somebody may still scroll up to one."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select

from adapters.store.database import Part, reads, writes
from adapters.store.tables import offers

REMEMBERED = timedelta(days=30)

_FORGET = delete(offers).where(offers.c.created < bindparam("until"))
_ADD = insert(offers)
_LINE = select(offers.c.line).where(offers.c.id == bindparam("button"))


class Offers(Part):
    """The offers part of the store."""

    @writes
    def add_offer(self, db: Connection, button: str, line: str) -> None:
        """See core.ports.Store."""
        now = self._clock.now()
        db.execute(_FORGET, {"until": now - REMEMBERED})
        db.execute(_ADD, {"id": button, "line": line, "created": now})

    @reads
    def offer(self, db: Connection, button: str) -> str | None:
        """See core.ports.Store."""
        line: str | None = db.execute(_LINE, {"button": button}).scalar_one_or_none()
        return line
