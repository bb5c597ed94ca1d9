"""SQLite's and the file system's failures in words for people. Statements and values never get into them."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError, StatementError

from core.errors import StoreError

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY_ERRNOS = {errno.EROFS, errno.EACCES, errno.EPERM}


def damaged(path: Path, how: str) -> StoreError:
    """What to say of a database that cannot be trusted. It is left as it is."""
    return StoreError(
        f"The database {path} is damaged: {how}",
        f"Move {path.name} (and {path.name}-wal, {path.name}-shm if they are there) out of {path.parent} and start "
        f"again; it is not changed or deleted. sessions/*.json there still list the sessions.",
    )


def full(path: Path) -> StoreError:
    """Nothing was written, and nothing half."""
    return StoreError(
        f"There is no room left to write {path}",
        f"Free space (or raise the quota) where {path.parent} is; kugetsu goes on as soon as there is some.",
    )


def read_only(path: Path) -> StoreError:
    """Nothing was written."""
    return StoreError(
        f"{path} cannot be written",
        f"Make {path.parent} writable for the user kugetsu runs as, or set `state_dir` to a folder that is.",
    )


@contextmanager
def translate(path: Path) -> Iterator[None]:
    """Raise what SQLAlchemy, SQLite and the system raise inside as StoreError about `path`."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, StatementError) else None
        raise _explained(path, cause or error) from error
    except (sqlite3.Error, OSError) as error:
        raise _explained(path, error) from error
    except UnicodeEncodeError as error:
        # Free text is repaired on its way in; what is left are names of files and branches, useless when altered.
        raise StoreError(
            f"{error.object!r} cannot be stored: it is not valid Unicode",
            "Rename the file, folder or branch of that name.",
        ) from error


def _explained(path: Path, error: BaseException) -> StoreError:
    if isinstance(error, OSError):
        if error.errno in _FULL_ERRNOS:
            return full(path)
        if error.errno in _READ_ONLY_ERRNOS:
            return read_only(path)
        return StoreError(f"{path} cannot be used: {error.strerror or error}", f"Check {path.parent}.")
    # Extended result codes carry the primary one in their low byte.
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, str(error))
        case sqlite3.SQLITE_FULL:
            return full(path)
        case sqlite3.SQLITE_READONLY:
            return read_only(path)
        case sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                f"The database {path} cannot be opened", f"Check that it is a file and that {path.parent} is writable."
            )
        case sqlite3.SQLITE_IOERR:
            return StoreError(
                f"The system failed to read or write the database {path}: {error}",
                f"Check the space left where {path.parent} is, its quota, and the system's log for a failing disk.",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(
                f"Another process keeps the database {path} locked", "End the program that has it open, then try again."
            )
    return StoreError(f"The database {path} failed: {error}", "Try again; if it stays so, run `kugetsu doctor`.")
