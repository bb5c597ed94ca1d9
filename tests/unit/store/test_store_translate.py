"""Which sentence each failure becomes."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import ArgumentError, OperationalError

from adapters.store.translate import translate
from core.errors import NotFound, StoreError

PATH = Path("/state/kugetsu.db")


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("in SQLite's words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), "no room left"),
        (OSError(errno.ENOSPC, "No space left on device"), "no room left"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "no room left"),
        (sqlite_error(sqlite3.SQLITE_READONLY), "cannot be written"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), "is damaged"),
        (sqlite_error(sqlite3.SQLITE_NOTADB), "is damaged"),
        (sqlite_error(sqlite3.SQLITE_IOERR | 3 << 8), "failed to read or write"),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), "cannot be opened"),
        (sqlite_error(sqlite3.SQLITE_BUSY), "locked"),
        (sqlite_error(sqlite3.SQLITE_ERROR), "in SQLite's words"),
        (OSError(errno.ENOTDIR, "Not a directory"), "Not a directory"),
        (ArgumentError("no statement"), "no statement"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "by SQLAlchemy"])
def test_failures_are_for_people(error: Exception, said: str, wrapped: bool) -> None:
    raised = error
    if wrapped and isinstance(error, sqlite3.Error):
        raised = OperationalError("SELECT secret", {"prompt": "secret"}, error)
    with pytest.raises(StoreError, match=said) as caught, translate(PATH):
        raise raised
    assert str(PATH) in str(caught.value)
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def test_our_own_errors_pass() -> None:
    with pytest.raises(NotFound), translate(PATH):
        raise NotFound("no session")
