"""What goes out to people and must not get lost on the way: requests of the agent, and answers of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from adapters.store.codec import ask_from, ask_values, delivery_from, place_values
from adapters.store.database import Part, must_hit, reads, writes
from adapters.store.tables import asks, outbox
from core.model import AskId, Place, RunId
from core.ports import Ask, Delivery


class Outbox(Part):
    """The asks and the outbox of the store."""

    @writes
    def add_ask(self, db: Connection, ask: Ask) -> None:
        """See core.ports.Store. The run must be there."""
        db.execute(insert(asks), ask_values(ask))

    @writes
    def save_ask(self, db: Connection, ask: Ask) -> None:
        """See core.ports.Store. Raises NotFound."""
        must_hit(db.execute(update(asks).where(asks.c.id == ask.id), ask_values(ask)), f"request {ask.id}")

    @reads
    def open_asks(self, db: Connection) -> list[Ask]:
        """See core.ports.Store. Oldest first."""
        rows = db.execute(select(asks).where(asks.c.decision.is_(None)).order_by(asks.c.created, asks.c.id))
        return [ask_from(row) for row in rows]

    @reads
    def ask(self, db: Connection, ask: AskId) -> Ask | None:
        """See core.ports.Store."""
        row = db.execute(select(asks).where(asks.c.id == ask)).one_or_none()
        return None if row is None else ask_from(row)

    @writes
    def enqueue(self, db: Connection, run: RunId, places: Sequence[Place]) -> list[Delivery]:
        """See core.ports.Store. In the order of `places`; rows of an earlier call come back as they are now."""
        rows = {f"run:{run}:{json.dumps([place.platform, place.chat, place.thread])}": place for place in places}
        if not rows:
            return []
        now = self._clock.now()
        db.execute(
            insert(outbox).on_conflict_do_nothing(index_elements=["key"]),
            [
                {"key": key, "run": run, **place_values(place), "state": "pending", "created": now}
                for key, place in rows.items()
            ],
        )
        stored = {row.key: delivery_from(row) for row in db.execute(select(outbox).where(outbox.c.key.in_(rows)))}
        return [stored[key] for key in rows]

    @writes
    def save_delivery(self, db: Connection, delivery: Delivery) -> None:
        """See core.ports.Store. Raises NotFound. Only the state changes."""
        saved = db.execute(update(outbox).where(outbox.c.id == delivery.id), {"state": delivery.state})
        must_hit(saved, f"delivery {delivery.key}")

    @reads
    def pending_deliveries(self, db: Connection) -> list[Delivery]:
        """See core.ports.Store. Whatever is not known to be sent, oldest first."""
        rows = db.execute(select(outbox).where(outbox.c.state != "sent").order_by(outbox.c.id))
        return [delivery_from(row) for row in rows]
