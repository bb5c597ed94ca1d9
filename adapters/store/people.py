"""Who was paired, and with which role."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from adapters.store.database import Part, reads, writes
from adapters.store.tables import people
from core.model import Person, PersonId


class People(Part):
    """The people part of the store."""

    @reads
    def roles(self, db: Connection) -> dict[PersonId, str]:
        """See core.ports.Store."""
        return {PersonId(row.id): row.role for row in db.execute(select(people.c.id, people.c.role))}

    @writes
    def save_role(self, db: Connection, person: Person, role: str) -> None:
        """See core.ports.Store."""
        values = {"id": person.id, "name": person.name, "role": role, "timezone": "", "created": self._clock.now()}
        saved = insert(people).values(values)
        db.execute(saved.on_conflict_do_update(index_elements=["id"], set_={"role": role, "name": person.name}))
