"""The store itself: its parts put together, opened and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, insert

from adapters.store.codec import place_values
from adapters.store.database import Database, writes
from adapters.store.inbox import Inbox
from adapters.store.mirrored import Mirrored
from adapters.store.offers import Offers
from adapters.store.operations import Operations
from adapters.store.outbox import Outbox
from adapters.store.people import People
from adapters.store.posts import Posts
from adapters.store.runs import Runs
from adapters.store.schema import prepare
from adapters.store.sessions import Sessions
from adapters.store.tables import audit
from adapters.store.translate import translate
from core.model import PersonId, Place
from core.ports import Clock

FILE = "kugetsu.db"


def _nobody_listens() -> None:
    """What `changed` is when there is no mirror."""


class SqlStore(Inbox, Sessions, Operations, Runs, Outbox, Posts, Offers, People, Mirrored):
    """`core.ports.Store` on SQLite, in `state_dir`/kugetsu.db.

    One process at a time may have it open. `changed` is called, on the event loop, whenever sessions, places or bases
    were changed; it must not raise.
    """

    def __init__(self, state_dir: Path, clock: Clock, changed: Callable[[], None] = _nobody_listens) -> None:
        self._path = state_dir.expanduser().absolute() / FILE
        super().__init__(Database(self._path), clock, changed)

    async def open(self) -> None:
        """See core.ports.Store."""
        with translate(self._path):
            await asyncio.to_thread(prepare, self._path)
        try:
            await self._database.open()
        except BaseException:
            await self._database.close()
            raise

    async def close(self) -> None:
        """See core.ports.Store. Waits for what is under way; may be repeated."""
        await self._database.close()

    @writes
    def audit(
        self, db: Connection, person: PersonId, action: str, subject: str, place: Place | None, detail: str = ""
    ) -> None:
        """See core.ports.Store."""
        values = {"at": self._clock.now(), "person": person, "action": action, "subject": subject, "detail": detail}
        db.execute(insert(audit), values | ({} if place is None else place_values(place)))
