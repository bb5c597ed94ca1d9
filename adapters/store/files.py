"""Files that are whole or not there, also after a power failure."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_FOREIGN_BYTES = 1024 * 1024  # of a file that somebody else may have written


class Unreadable(Exception):
    """A file that is there and is not read; its text says why."""


def read_file(path: Path, limit: int = MAX_FOREIGN_BYTES) -> bytes | None:
    """None when there is none. Raises Unreadable: above `limit` bytes, a symbolic link, no file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable("it is a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("it is no file")
        with open(handle, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise Unreadable(str(error.strerror)) from error
    finally:
        os.close(handle)
    if len(content) > limit:
        raise Unreadable(f"it is larger than {limit / 1024**2:.0f} MB")
    return content


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` survive a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes) -> None:
    """Write `path`, mode 0600: readers see the old content or the new. One writer at a time. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # of a process that was killed
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk half a file would keep the space
        raise
    sync_folder(path.parent)
