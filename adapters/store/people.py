"""Who was paired, with which role, and what they may spend."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from adapters.store.database import Part, reads, writes
from adapters.store.tables import budgets, people
from core.model import Person, PersonId
from core.ports import DayBudget


class People(Part):
    """The people part of the store."""

    @reads
    def roles(self, db: Connection) -> dict[PersonId, str]:
        """See core.ports.Store."""
        return {PersonId(row.id): row.role for row in db.execute(select(people.c.id, people.c.role))}

    @reads
    def day_budget(self, db: Connection, person: PersonId) -> DayBudget | None:
        """See core.ports.Store."""
        row = db.execute(select(budgets).where(budgets.c.person == person)).one_or_none()
        return None if row is None else DayBudget(row.amount, PersonId(row.set_by))

    @writes
    def save_day_budget(self, db: Connection, person: PersonId, budget: DayBudget | None) -> None:
        """See core.ports.Store."""
        db.execute(delete(budgets).where(budgets.c.person == person))
        if budget:
            db.execute(insert(budgets).values(person=person, amount=budget.amount, set_by=budget.set_by))

    @writes
    def save_role(self, db: Connection, person: Person, role: str) -> None:
        """See core.ports.Store."""
        values = {"id": person.id, "name": person.name, "role": role, "timezone": "", "created": self._clock.now()}
        saved = insert(people).values(values)
        db.execute(saved.on_conflict_do_update(index_elements=["id"], set_={"role": role, "name": person.name}))
