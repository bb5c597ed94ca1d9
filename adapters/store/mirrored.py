"""What the mirror needs of the database, read at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from adapters.store.codec import base_from, place_from, session_from
from adapters.store.database import Part, reads, writes
from adapters.store.tables import bases, mirror_files, places, sessions
from core.model import BaseSession, Place, Session


@dataclass(frozen=True, slots=True)
class Written:
    """What the mirror put into one of its files. `before` is there instead if the process died over it."""

    content: bytes | None  # None: not known
    before: bytes | None = None

    def is_ours(self, content: bytes) -> bool:
        """Whether the file has `content` from us and not from a person."""
        return self.content is None or content in {self.content, self.before}


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything the mirror's files are made of."""

    bases: tuple[BaseSession, ...]
    sessions: tuple[tuple[Session, tuple[Place, ...]], ...]  # oldest first; places in the order they were attached


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
        )

    @reads
    def written(self, db: Connection) -> dict[str, Written]:
        """The mirror's files by their names below state_dir."""
        return {row.name: Written(row.content, row.before) for row in db.execute(select(mirror_files))}

    @writes
    def own_files(self, db: Connection, files: Mapping[str, Written]) -> None:
        """Note, before they are written, that these files are the mirror's and what is going to be in them."""
        if files:
            rows = [{"name": name, "content": file.content, "before": file.before} for name, file in files.items()]
            own = insert(mirror_files)
            values = {"content": own.excluded.content, "before": own.excluded.before}
            db.execute(own.on_conflict_do_update(index_elements=["name"], set_=values), rows)

    @writes
    def disown_files(self, db: Connection, names: Collection[str]) -> None:
        """Forget files that were removed."""
        if names:
            db.execute(delete(mirror_files).where(mirror_files.c.name.in_(names)))
