"""The database as a file: made whole or not at all, checked, brought up to date. Blocking; comes before all else."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, Column, MetaData, PrimaryKeyConstraint, String, Table, create_engine, insert

from adapters.store.files import sync_folder
from adapters.store.tables import SCHEMA, metadata
from adapters.store.translate import damaged
from core.errors import StoreError

CHECK_SECONDS = 0.3  # the most that looking for damage may add to a start; a few hundred MB

# As Alembic makes it: a new database gets its tables without importing Alembic (11 MB and 0.1 s that stay for good).
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def prepare(path: Path, check_seconds: float = CHECK_SECONDS) -> None:
    """Leave a sound database of the present schema at `path`, mode 0600 in a folder of mode 0700.

    Raises StoreError when what is there is damaged, foreign or from a newer kugetsu (and leaves it as it is), and
    whatever SQLite and the system raise.
    """
    _own_folder(path.parent)
    if not path.exists():
        _create(path)
        return
    revision = _inspect(path, check_seconds)
    if revision != SCHEMA:
        # Only here: most starts find the schema up to date and never pay for Alembic.
        from adapters.store.migrations import upgrade  # noqa: PLC0415

        upgrade(path, revision)


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    # A folder somebody else owns (a mounted volume) is theirs to protect.
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        folder.chmod(0o700)


def _create(path: Path) -> None:
    """Under another name first, so that an empty or half-made `path` is always damage and never a new beginning."""
    for left in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if left.exists():
            raise StoreError(
                f"{left} is there, but the database {path.name} it belongs to is not",
                f"Put {path.name} back beside it, or move {left.name} away too: it holds the newest changes to it.",
            )
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.with_name(f"{new.name}-journal").unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    engine = create_engine(URL.create("sqlite", database=str(new)))
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            _version.create(connection)
            connection.execute(insert(_version), {"version_num": SCHEMA})
    finally:
        engine.dispose()
    new.rename(path)
    sync_folder(path.parent)


def _inspect(path: Path, check_seconds: float) -> str | None:
    """The database's revision, None when it has none yet."""
    if path.stat().st_size == 0:
        raise damaged(path, "it is empty")
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        _look_for_damage(path, connection, check_seconds)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if _version.name not in tables:
            raise StoreError(
                f"{path} is a database, but not one of kugetsu's",
                f"Move it out of {path.parent}, or set `state_dir` to another folder.",
            )
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _look_for_damage(path: Path, connection: sqlite3.Connection, check_seconds: float) -> None:
    until = time.monotonic() + check_seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        result = "ok"  # too large to read through; damage further on is reported when it is met
    finally:
        connection.set_progress_handler(None, 0)
    if result != "ok":
        raise damaged(path, " ".join(result.split()))
