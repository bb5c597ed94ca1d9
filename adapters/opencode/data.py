"""Whether starting an opencode would change a user's data for good, told from the files without starting anything.

opencode brings its database up to date at every start, silently and with no way back. The names of the migrations a
binary knows stand in it as plain text, and the database keeps the names of those it has had; so the two are compared.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from adapters.opencode.binary import Binary
from core.errors import AgentUnsupported, WouldMigrate

_NAME = re.compile(rb'20\d{12}_[a-z0-9_-]{1,150}(?=")')  # "20260312043431_session_message_cursor"
_QUOTED_YEAR = b'"20'
_OWN_TABLE = b'identifier("migration")'  # in versions that keep their list in `migration`, and can read the older one
_OLD_LIST, _NEW_LIST = ("__drizzle_migrations", "name"), ("migration", "id")
_CHUNK = 4 * 1024 * 1024  # bytes; between chunks other threads get their turn
_OVERLAP = 200  # bytes; longer than any name
_PROGRAM = 10_000_000  # bytes; a binary has more than 100 million, the npm launcher of 1.3 four thousand


def database(env: Mapping[str, str]) -> Path | None:
    """The file an opencode started with `env` keeps its sessions in. None: it keeps none."""
    home = Path(env.get("HOME") or Path.home())
    folder = Path(env.get("XDG_DATA_HOME") or home / ".local" / "share") / "opencode"
    name = env.get("OPENCODE_DB") or "opencode.db"
    return None if name == ":memory:" else folder / name


def would_migrate(binary: Binary, env: Mapping[str, str]) -> AgentUnsupported | None:
    """Why `binary` is not to be started on the data there is. None: it may be, or that cannot be told.

    Writes nothing (what SQLite notes in the index beside a log, `-shm`, is gone with the reader). Without a database
    there is nothing to migrate.
    """
    file = database(env)
    if file is None or not file.is_file():
        return None
    try:
        old, new = _applied(file)
        known, reads_new = _known(binary.path)
    except (sqlite3.Error, OSError):
        return None
    if not known or not old | new:
        return None
    pending = known - old - new
    if pending:
        return WouldMigrate(
            f"opencode {binary.version} would change the database {file}, which an earlier version made, for good: "
            f"{len(pending)} migrations, the last of them {max(pending)}",
            "Name the opencode you have used so far under opencode.command. Or make a copy of the database, and allow "
            "it to be changed with opencode.allow_migration",
        )
    if (old | new) - known and known - old and not reads_new:
        # 1.3 would answer every request with an error, and leave an empty table behind.
        return AgentUnsupported(
            f"opencode {binary.version} cannot use the database {file}: a newer version made it",
            "Name the opencode you have used so far under opencode.command",
        )
    return None


async def check_data(binary: Binary, env: Mapping[str, str], *, allow_migration: bool = False) -> None:
    """Raises WouldMigrate unless that is allowed, AgentUnsupported. Takes 0.3 s where there is a database."""
    problem = await asyncio.to_thread(would_migrate, binary, env)
    if problem and not (allow_migration and isinstance(problem, WouldMigrate)):
        raise problem


def _applied(file: Path) -> tuple[set[str], set[str]]:
    """By older versions' list and by the newer's. Without a log beside it nobody is writing, and SQLite, which would
    make files of its own to find that out, is told so.
    """
    log = file.with_name(f"{file.name}-wal")
    query = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?{query}", uri=True, timeout=1)) as connection:
        return _rows(connection, *_OLD_LIST), _rows(connection, *_NEW_LIST)


def _rows(connection: sqlite3.Connection, table: str, column: str) -> set[str]:
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    if not there:
        return set()
    return {str(name) for (name,) in connection.execute(f"SELECT {column} FROM {table}") if name}  # noqa: S608


def _known(command: Path) -> tuple[set[str], bool]:
    """The migrations a binary brings, and whether it reads the newer list."""
    program = next(_programs(command), None)
    names: set[str] = set()
    reads_new = False
    if program is None:
        return names, reads_new
    with program.open("rb") as file:
        rest = b""
        while chunk := file.read(_CHUNK):
            data = rest + chunk
            reads_new = reads_new or _OWN_TABLE in data
            at = data.find(_QUOTED_YEAR)
            while at >= 0:
                if found := _NAME.match(data, at + 1):
                    names.add(found.group().decode())
                at = data.find(_QUOTED_YEAR, at + 1)
            rest = data[-_OVERLAP:]
    return names, reads_new


def _programs(command: Path) -> Iterator[Path]:
    """The binary itself, or what an npm launcher of that path would start (of any platform: all know the same)."""
    real = command.resolve()
    if real.stat().st_size >= _PROGRAM:
        yield real
        return
    for parent in real.parents:
        for candidate in sorted((parent / "node_modules").glob("opencode-*/bin/opencode*")):
            if candidate.stat().st_size >= _PROGRAM:
                yield candidate
