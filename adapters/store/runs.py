"""Runs, and the text received while they go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Boolean, ColumnElement, Connection, Table, Text, bindparam, delete, func, insert, select, update

from adapters.store.codec import run_from, run_values
from adapters.store.database import Part, must_hit, reads, writes
from adapters.store.tables import Words, asides, run_text, runs
from core.model import Attachment, PersonId, Place, Run, RunId, RunState, SessionKey
from core.ports import Chunk
from core.progress import Progress
from core.progress import Text as ProgressText

_OVER = [state.value for state in RunState if state.over]
_UNFINISHED = [state.value for state in RunState if not state.over]

_SAVE = update(runs).where(runs.c.id == bindparam("row"))
_DROP_TEXT = delete(run_text).where(run_text.c.run == bindparam("of"))
_APPEND = insert(run_text).from_select(
    ["run", "part", "text", "whole"],
    # Text that comes late, after the run was saved as over, must not come back as text of a run under way.
    select(
        runs.c.id,
        bindparam("of_part", type_=Text),
        bindparam("new_text", type_=Words),
        bindparam("is_whole", type_=Boolean),
    ).where(runs.c.id == bindparam("of"), *(runs.c.state != state for state in _OVER)),
)
_RECEIVED = (
    select(run_text.c.part, run_text.c.text, run_text.c.whole)
    .where(run_text.c.run == bindparam("of"))
    .order_by(run_text.c.id)
)


class Runs(Part):
    """The runs part of the store."""

    @writes
    def add_run(
        self,
        db: Connection,
        session: SessionKey,
        prompt: str,
        person: PersonId,
        place: Place,
        *,
        message: str = "",
        attachments: Sequence[Attachment] = (),
        source: str = "",
    ) -> Run:
        """See core.ports.Store. A session made again under the same key goes on counting."""
        if source and (made := db.execute(select(runs).where(runs.c.source == source)).one_or_none()):
            return run_from(made)
        new = Run(
            id=RunId(0),
            session=session,
            number=0,
            prompt=prompt,
            person=person,
            place=place,
            state=RunState.QUEUED,
            created=self._clock.now(),
            message=message,
            attachments=tuple(attachments),
        )
        values = run_values(new) | {"source": source or None}
        values["number"] = (
            select(func.coalesce(func.max(runs.c.number), 0) + 1)
            .where(runs.c.session_key == session.key)
            .scalar_subquery()
        )
        return run_from(db.execute(insert(runs).values(values).returning(runs)).one())

    @writes
    def save_run(self, db: Connection, run: Run) -> None:
        """See core.ports.Store. Raises NotFound. Saved as over, `run.text` takes the place of the text received."""
        must_hit(db.execute(_SAVE, run_values(run) | {"row": run.id}), f"run {run.number} of {run.session}")
        if run.state.over:
            db.execute(_DROP_TEXT, {"of": run.id})

    @writes
    def change_run(self, db: Connection, run: RunId, change: Callable[[Run], Run]) -> Run | None:
        """See core.ports.Store. Not for the end of a run: see `save_run`."""
        row = db.execute(select(runs).where(runs.c.id == run)).one_or_none()
        if row is None:
            return None
        changed = change(run_from(row))
        db.execute(_SAVE, run_values(changed) | {"row": run})
        return changed

    @reads
    def run(self, db: Connection, run: RunId) -> Run | None:
        """See core.ports.Store."""
        row = db.execute(select(runs).where(runs.c.id == run)).one_or_none()
        return None if row is None else run_from(row)

    @reads
    def runs(self, db: Connection, session: SessionKey) -> list[Run]:
        """See core.ports.Store."""
        rows = db.execute(select(runs).where(runs.c.session_key == session.key).order_by(runs.c.number))
        return [run_from(row) for row in rows]

    @reads
    def run_of_source(self, db: Connection, source: str) -> Run | None:
        """See core.ports.Store."""
        row = db.execute(select(runs).where(runs.c.source == source)).one_or_none()
        return None if row is None else run_from(row)

    @reads
    def last_run_in(self, db: Connection, person: PersonId, platform: str, chat: str) -> Run | None:
        """See core.ports.Store."""
        theirs = select(runs).where(runs.c.person == person, runs.c.platform == platform, runs.c.chat == chat)
        row = db.execute(theirs.order_by(runs.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else run_from(row)

    @reads
    def unfinished_runs(self, db: Connection, session: SessionKey | None = None) -> list[Run]:
        """See core.ports.Store."""
        found = select(runs).where(runs.c.state.in_(_UNFINISHED)).order_by(runs.c.id)
        if session is not None:  # asked for every message: with many live runs, decoding all of them is felt
            found = found.where(runs.c.session_key == session.key)
        return [run_from(row) for row in db.execute(found)]

    @writes
    def add_aside(
        self, db: Connection, session: SessionKey, person: PersonId, question: str, answer: str, cost: float
    ) -> None:
        """See core.ports.Store."""
        values = {"session_key": session.key, "person": person, "question": question, "answer": answer, "cost": cost}
        db.execute(insert(asides).values(created=self._clock.now(), **values))

    @reads
    def spent_in(self, db: Connection, session: SessionKey) -> float:
        """See core.ports.Store."""
        return sum(_sum(db, each, each.c.session_key == session.key) for each in (runs, asides))

    @reads
    def spent_by(self, db: Connection, person: PersonId, since: datetime) -> float:
        """See core.ports.Store."""
        return sum(_sum(db, each, each.c.person == person, each.c.created >= since) for each in (runs, asides))

    @writes
    def append_text(self, db: Connection, chunks: Sequence[Chunk]) -> None:
        """See core.ports.Store. Text of a run that is over is not kept: the run has its own."""
        if chunks:
            db.execute(
                _APPEND,
                [
                    {"of": chunk.run, "of_part": chunk.part, "new_text": chunk.text, "is_whole": chunk.whole}
                    for chunk in chunks
                ],
            )

    @reads
    def received_parts(self, db: Connection, run: RunId) -> list[Chunk]:
        """See core.ports.Store."""
        return [Chunk(run, part, text, whole=True) for part, text in _parts(db, run).items()]

    @reads
    def received_text(self, db: Connection, run: RunId) -> str:
        """See core.ports.Store. Blank parts are left out, as in the live answer."""
        return Progress(items=tuple(ProgressText(part, text) for part, text in _parts(db, run).items())).text


def _sum(db: Connection, table: Table, *where: ColumnElement[bool]) -> float:
    total: float = db.execute(select(func.coalesce(func.sum(table.c.cost), 0.0)).where(*where)).scalar_one()
    return total


def _parts(db: Connection, run: RunId) -> dict[str, str]:
    parts: dict[str, list[str]] = {}
    for part, text, whole in db.execute(_RECEIVED, {"of": run}):
        if whole and part in parts:
            parts[part] = [text]
        elif text:
            parts.setdefault(part, []).append(text)
    return {part: "".join(texts) for part, texts in parts.items()}
