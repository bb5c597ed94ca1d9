"""Projects, base sessions, sessions and the places they are shown in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError

from adapters.store.codec import (
    base_from,
    base_values,
    key_from,
    place_from,
    place_values,
    project_from,
    project_values,
    session_from,
    session_values,
)
from adapters.store.database import Part, reads, shows, writes
from adapters.store.tables import bases, places, projects, sessions
from core.errors import NotFound, SessionExists, StoreError
from core.model import BaseSession, Place, ProjectRef, Session, SessionKey, Verbosity


class Sessions(Part):
    """The sessions part of the store. Keys and refs are compared whatever their case, and come back as stored."""

    @reads
    def adopted_projects(self, db: Connection) -> dict[str, Path]:
        """See core.ports.Store."""
        rows = db.execute(select(projects).order_by(projects.c.key))
        return {str(project_from(row)): Path(row.path) for row in rows}

    @writes
    def adopt_project(self, db: Connection, project: ProjectRef, path: Path) -> None:
        """See core.ports.Store."""
        values = project_values(project) | {"path": str(path), "created": self._clock.now()}
        db.execute(insert(projects).on_conflict_do_update(index_elements=["key"], set_=values), values)

    @reads
    def base(self, db: Connection, project: ProjectRef) -> BaseSession | None:
        """See core.ports.Store."""
        row = db.execute(select(bases).where(bases.c.key == project.key)).one_or_none()
        return None if row is None else base_from(row)

    @reads
    def bases(self, db: Connection) -> list[BaseSession]:
        """See core.ports.Store. Oldest first."""
        return [base_from(row) for row in db.execute(select(bases).order_by(bases.c.created, bases.c.key))]

    @shows
    def save_base(self, db: Connection, base: BaseSession) -> None:
        """See core.ports.Store. Adds or replaces."""
        values = base_values(base)
        db.execute(insert(bases).on_conflict_do_update(index_elements=["key"], set_=values), values)

    @shows
    def remove_base(self, db: Connection, project: ProjectRef) -> None:
        """See core.ports.Store. No error when there is none."""
        db.execute(delete(bases).where(bases.c.key == project.key))

    @shows
    def add_session(self, db: Connection, session: Session) -> None:
        """See core.ports.Store. Raises StoreError when another session has the slug."""
        try:
            db.execute(insert(sessions), session_values(session))
        except IntegrityError as error:
            taken = db.execute(
                select(sessions).where(or_(sessions.c.key == session.key.key, sessions.c.slug == session.slug))
            ).first()
            if taken is None:
                raise
            if taken.key == session.key.key:
                raise SessionExists(f"{key_from(taken)} has a session already", "Use `continue` or `fork`.") from error
            raise StoreError(
                f"{session.key} cannot have the file name {session.slug!r}: {key_from(taken)} has it",
                "Report this as a bug of kugetsu.",
            ) from error

    @shows
    def save_session(self, db: Connection, session: Session) -> None:
        """See core.ports.Store. A session removed meanwhile stays removed: that is no error of the run it still had."""
        db.execute(update(sessions).where(sessions.c.key == session.key.key), session_values(session))

    @shows
    def change_session(self, db: Connection, key: SessionKey, change: Callable[[Session], Session]) -> Session | None:
        """See core.ports.Store."""
        row = db.execute(select(sessions).where(sessions.c.key == key.key)).one_or_none()
        if row is None:
            return None
        changed = change(session_from(row))
        db.execute(update(sessions).where(sessions.c.key == key.key), session_values(changed))
        return changed

    @shows
    def remove_session(self, db: Connection, key: SessionKey) -> None:
        """See core.ports.Store. No error when it is gone already."""
        db.execute(delete(sessions).where(sessions.c.key == key.key))

    @reads
    def session(self, db: Connection, key: SessionKey) -> Session | None:
        """See core.ports.Store."""
        row = db.execute(select(sessions).where(sessions.c.key == key.key)).one_or_none()
        return None if row is None else session_from(row)

    @reads
    def sessions(self, db: Connection) -> list[Session]:
        """See core.ports.Store."""
        rows = db.execute(select(sessions).order_by(sessions.c.created, sessions.c.key))
        return [session_from(row) for row in rows]

    @shows
    def attach(self, db: Connection, place: Place, key: SessionKey) -> None:
        """See core.ports.Store. Raises NotFound. Repeating it keeps the place's turn among the session's places."""
        if db.execute(select(sessions.c.key).where(sessions.c.key == key.key)).first() is None:
            raise NotFound(f"{key} has no session", f"Make one with `start {key.ref}`.")
        db.execute(delete(places).filter_by(**place_values(place)).where(places.c.session_key != key.key))
        new = place_values(place) | {"session_key": key.key, "verbosity": Verbosity.NORMAL.value}
        db.execute(insert(places).on_conflict_do_nothing(), new)

    @shows
    def detach(self, db: Connection, place: Place) -> None:
        """See core.ports.Store. No error when nothing is attached there."""
        db.execute(delete(places).filter_by(**place_values(place)))

    @reads
    def verbosities(self, db: Connection, key: SessionKey) -> dict[Place, Verbosity]:
        """See core.ports.Store."""
        rows = db.execute(select(places).where(places.c.session_key == key.key).order_by(places.c.id))
        return {place_from(row): Verbosity(row.verbosity) for row in rows}

    @reads
    def verbosity(self, db: Connection, place: Place) -> Verbosity:
        """See core.ports.Store."""
        found = db.execute(select(places.c.verbosity).filter_by(**place_values(place))).scalar_one_or_none()
        return Verbosity(found or Verbosity.NORMAL)

    @writes
    def set_verbosity(self, db: Connection, place: Place, verbosity: Verbosity) -> None:
        """See core.ports.Store. No error when nothing is attached there."""
        db.execute(update(places).filter_by(**place_values(place)).values(verbosity=verbosity.value))

    @reads
    def session_at(self, db: Connection, place: Place) -> SessionKey | None:
        """See core.ports.Store."""
        at = select(sessions).join(places, places.c.session_key == sessions.c.key)
        row = db.execute(
            at.where(places.c.platform == place.platform, places.c.chat == place.chat, places.c.thread == place.thread)
        ).one_or_none()
        return None if row is None else key_from(row)

    @reads
    def places(self, db: Connection, key: SessionKey) -> list[Place]:
        """See core.ports.Store."""
        rows = db.execute(select(places).where(places.c.session_key == key.key).order_by(places.c.id))
        return [place_from(row) for row in rows]
