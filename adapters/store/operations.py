"""Sequences of steps with outside effects, written down as they go, so that a restart continues or undoes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from adapters.store.codec import operation_from, to_json
from adapters.store.database import Part, reads, writes
from adapters.store.tables import operations
from core.errors import NotFound
from core.ports import Operation


class Operations(Part):
    """The operations part of the store. `data` holds JSON's own types only; what is returned is what was stored."""

    @writes
    def begin(self, db: Connection, kind: str, subject: str, data: Mapping[str, Any]) -> Operation:
        """See core.ports.Store."""
        values = {
            "kind": kind,
            "subject": subject,
            "data": to_json(dict(data)),
            "done": to_json(()),
            "created": self._clock.now(),
        }
        return operation_from(db.execute(insert(operations).returning(operations), values).one())

    @writes
    def step_done(
        self, db: Connection, operation: Operation, step: str, data: Mapping[str, Any] | None = None
    ) -> Operation:
        """See core.ports.Store. Goes by what is stored, not by the handle; a step done twice counts once."""
        this = operations.c.id == operation.id
        row = db.execute(select(operations).where(this)).one_or_none()
        if row is None:
            raise NotFound(f"The {operation.kind} of {operation.subject} has ended already", "Try the command again.")
        stored = operation_from(row)
        done = stored.done if step in stored.done else (*stored.done, step)
        values = {"data": to_json({**stored.data, **(data or {})}), "done": to_json(done)}
        return operation_from(db.execute(update(operations).where(this).returning(operations), values).one())

    @writes
    def end(self, db: Connection, operation: Operation) -> None:
        """See core.ports.Store. No error when it has ended already."""
        db.execute(delete(operations).where(operations.c.id == operation.id))

    @reads
    def open_operations(
        self, db: Connection, *, kind: str | None = None, subject: str | None = None
    ) -> list[Operation]:
        """See core.ports.Store."""
        found = select(operations).order_by(operations.c.id)
        if kind is not None:
            found = found.where(operations.c.kind == kind)
        if subject is not None:
            found = found.where(operations.c.subject == subject)
        return [operation_from(row) for row in db.execute(found)]
