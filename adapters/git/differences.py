"""What differs between two states: file by file, and as a patch.

Told by git's plumbing, which no setting of the user's (prefixes, colours, external programs) makes unreadable.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from adapters.git.process import Git
from adapters.git.repository import check_object_id, real
from core.errors import WorkspaceError
from core.ports import FileChange

SECONDS = 600.0  # for a patch: git packs a binary file of a gigabyte within a few minutes

# Files that were renamed and changed as well are found by comparing all that went with all that came. Above this number
# of either, git would take seconds for it; those moved unchanged are found in any number.
_RENAMES = ("--find-renames", "-l300")
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color")
# Above this a file counts as binary: finding the lines that differ takes git several times the file's size in memory.
_SETTINGS = ("core.bigFileThreshold=64m",)


async def changes(git: Git, directory: Path, before: str, after: str) -> list[FileChange]:
    """See the port. What is no UTF-8 in a path shows as \\xNN. Text files over 64 MB are told as binary."""
    ends = (check_object_id(before), check_object_id(after))
    told = await git.run(
        real(directory), "diff-tree", "-r", "-z", "--numstat", *_RENAMES, *_PLAIN, *ends, settings=_SETTINGS
    )
    return file_changes(told.names)


async def staged(git: Git, directory: Path, commit: str, env: Mapping[str, str]) -> list[FileChange]:
    """What differs between a commit or tree and the index that `env` names."""
    options = ("--cached", "-z", "--numstat", *_RENAMES, *_PLAIN)
    told = await git.run(directory, "diff-index", *options, commit, "--", env=env, settings=_SETTINGS)
    return file_changes(told.names)


async def patch(git: Git, directory: Path, before: str, after: str, target: Path) -> int:
    """See the port. `target` appears when it is whole; git itself writes it, so its size does not matter to us."""
    ends = (check_object_id(before), check_object_id(after))
    with _part(target) as (part, file):
        # By stdout: git does not look at whether it could write to what `--output` names.
        await git.run(
            real(directory),
            *("diff-tree", "-r", "-p", "--binary", *_RENAMES, *_PLAIN, *ends),
            settings=_SETTINGS,
            stdout=file,
            seconds=SECONDS,
        )
        size = part.stat().st_size
        if size:
            part.replace(target)
            return size
    return 0


def file_changes(fields: list[str]) -> list[FileChange]:
    """What git prints with `--numstat -z`, by path. After a renamed file's counts come an empty name and both paths."""
    found = []
    rest: Iterator[str] = iter(fields)
    for field in rest:
        added, removed, path = field.split("\t", 2)
        before = "" if path else _shown(next(rest))
        path = _shown(path or next(rest))
        if added == "-":
            found.append(FileChange(path, before=before, binary=True))
        else:
            found.append(FileChange(path, int(added), int(removed), before))
    return sorted(found, key=lambda change: change.path)


def _shown(path: str) -> str:
    """A name that can be sent and stored: Python's stand-ins for broken bytes cannot."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextmanager
def _part(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file beside `target` that is gone in the end unless it was given another name."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".patch-", dir=real(target.parent), delete=False) as part:
            try:
                yield Path(part.name), part.file
            finally:
                Path(part.name).unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{target} could not be written: {error.strerror}") from error
