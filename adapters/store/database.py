"""One connection that writes and one that reads, and how the parts of the store run on them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, CursorResult, Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from adapters.store.translate import translate
from core.errors import NotFound, StoreError
from core.ports import Clock

BUSY_SECONDS = 5.0  # how long SQLite waits for a lock another process holds, e.g. a person's sqlite3 shell

P = ParamSpec("P")
T = TypeVar("T")
PartT = TypeVar("PartT", bound="Part")


class Database:
    """SQLite has one writer: writes queue for one connection. Reads have another and never wait for a write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None
        self._writer: _Line | None = None
        self._reader: _Line | None = None
        self._under_way: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect to the file, which is there and sound."""
        self._engine = create_engine(
            URL.create("sqlite", database=str(self._path)),
            poolclass=NullPool,
            hide_parameters=True,  # prompts and answers do not belong in logs
            # The first write of a transaction takes the write lock at once: upgrading later could fail.
            connect_args={"timeout": BUSY_SECONDS, "isolation_level": "IMMEDIATE"},
        )
        event.listen(self._engine, "connect", _set_up)
        self._writer = _Line(self._engine)
        # Without transactions each SELECT sees what is committed at that moment.
        self._reader = _Line(self._engine.execution_options(isolation_level="AUTOCOMMIT"))
        with translate(self._path):
            await self._writer.connect()
            await self._reader.connect()

    async def close(self) -> None:
        """Finish what is under way first. No error when it was never opened."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        lines, self._writer, self._reader = (self._writer, self._reader), None, None
        with translate(self._path):
            for line in lines:
                if line is not None:
                    await line.close()
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    async def write(self, work: Callable[[Connection], T], after: Callable[[], None] | None = None) -> T:
        """Run `work` as one transaction; `after` is called when it is committed, also if the caller is gone by then."""

        def transaction(connection: Connection) -> T:
            with connection.begin():
                return work(connection)

        return await self._run(self._writer, transaction, after)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads."""
        return await self._run(self._reader, work, None)

    async def _run(self, line: _Line | None, work: Callable[[Connection], T], after: Callable[[], None] | None) -> T:
        if line is None:
            raise StoreError(f"The database {self._path} is not open", "Start kugetsu again.")

        async def call() -> T:
            with translate(self._path):
                result = await line.use(work)
            if after is not None:
                after()
            return result

        # A task of its own: a caller cancelled half-way would otherwise take the connection down with it.
        task = asyncio.create_task(call())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)


class _Line:
    """One connection in a thread of its own, for one caller at a time, made anew after it failed.

    A transaction is one trip to the thread and back. A driver that makes the trip for every statement, row and commit
    takes several times as long: these trips are most of what a message waits for on its way to its prompt.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def connect(self) -> None:
        await self._in_thread(self._connected)

    async def use(self, work: Callable[[Connection], T]) -> T:
        return await self._in_thread(lambda: self._use(work))

    async def close(self) -> None:
        await self._in_thread(self._disconnect)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _use(self, work: Callable[[Connection], T]) -> T:
        connection = self._connected()
        try:
            return work(connection)
        except IntegrityError:
            raise  # an answer, not a failure
        except DBAPIError:
            # After a full disk or an I/O error SQLite may have rolled back by itself, or be unable to.
            self._connection = None
            connection.invalidate()
            connection.close()
            raise

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # No fsync per commit: what is committed is with the kernel, so a killed process loses nothing. A power failure may
    # take the last commits, whole ones, and leaves the database sound.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


class Part:
    """What every part of the store stands on."""

    def __init__(self, database: Database, clock: Clock, changed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed


def reads(
    method: Callable[Concatenate[PartT, Connection, P], T],
) -> Callable[Concatenate[PartT, P], Coroutine[Any, Any, T]]:
    """Make a method out of plain statements a coroutine on the reading connection."""

    @functools.wraps(method)
    async def call(self: PartT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(lambda connection: method(self, connection, *args, **kwargs))

    return call


def writes(
    method: Callable[Concatenate[PartT, Connection, P], T],
) -> Callable[Concatenate[PartT, P], Coroutine[Any, Any, T]]:
    """Make a method out of plain statements a coroutine: one committed transaction."""

    @functools.wraps(method)
    async def call(self: PartT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.write(lambda connection: method(self, connection, *args, **kwargs))

    return call


def shows(
    method: Callable[Concatenate[PartT, Connection, P], T],
) -> Callable[Concatenate[PartT, P], Coroutine[Any, Any, T]]:
    """Like `writes`, for what the mirror shows: it hears of it once it is committed."""

    @functools.wraps(method)
    async def call(self: PartT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.write(
            lambda connection: method(self, connection, *args, **kwargs), after=self._changed
        )

    return call


def must_hit(result: CursorResult[Any], what: str) -> None:
    """Raise NotFound when an update found no row."""
    if result.rowcount == 0:
        raise NotFound(f"kugetsu has no {what} any more", "See what there is with `list`.")
