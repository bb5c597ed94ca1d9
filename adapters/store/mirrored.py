"""What the mirror needs of the database, read at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from adapters.store.codec import base_from, place_from, session_from
from adapters.store.database import Part, reads, writes
from adapters.store.tables import bases, mirror_files, places, sessions
from core.model import BaseSession, Place, Session


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything the mirror's files are made of, and the names of those it has written."""

    bases: tuple[BaseSession, ...]
    sessions: tuple[tuple[Session, tuple[Place, ...]], ...]  # oldest first; places in the order they were attached
    ours: frozenset[str]


class Mirrored(Part):
    """The mirror's part of the store."""

    @reads
    def shown(self, db: Connection) -> Shown:
        """What the files should say now."""
        at: dict[str, list[Place]] = {}
        for row in db.execute(select(places).order_by(places.c.id)):
            at.setdefault(row.session_key, []).append(place_from(row))
        rows = db.execute(select(sessions).order_by(sessions.c.created, sessions.c.key))
        return Shown(
            bases=tuple(base_from(row) for row in db.execute(select(bases).order_by(bases.c.key))),
            sessions=tuple((session_from(row), tuple(at.get(row.key, ()))) for row in rows),
            ours=frozenset(db.execute(select(mirror_files.c.name)).scalars()),
        )

    @writes
    def own_files(self, db: Connection, names: Collection[str]) -> None:
        """Note, before they are written, that these files below state_dir are the mirror's."""
        if names:
            db.execute(insert(mirror_files).on_conflict_do_nothing(), [{"name": name} for name in names])

    @writes
    def disown_files(self, db: Connection, names: Collection[str]) -> None:
        """Forget files that were removed."""
        if names:
            db.execute(delete(mirror_files).where(mirror_files.c.name.in_(names)))
