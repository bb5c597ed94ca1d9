"""Alembic, driven from code: `upgrade` brings an older database to the newest revision, or leaves it as it was.

A new revision: change adapters/store/tables.py, put the file below versions/, name it in tables.SCHEMA.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from core.errors import StoreError


def upgrade(path: Path, revision: str | None, to: str = "head") -> None:
    """Migrate the database at `path`, now at `revision`, in one transaction.

    Raises StoreError when it is from a newer kugetsu.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    if revision not in {None, *(script.revision for script in scripts.walk_revisions())}:
        raise StoreError(
            f"The database {path} is from a newer kugetsu (schema {revision})",
            "Upgrade kugetsu, or set `state_dir` to another folder.",
        )
    engine = create_engine(URL.create("sqlite", database=str(path)))
    # Python's sqlite3 would run each CREATE TABLE in a transaction of its own; a migration cut off must leave nothing.
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    finally:
        engine.dispose()


def _leave_transactions_to_us(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
