"""Puts a project's `copy` entries (`.env` and the like) from the checkout into a new worktree, and nothing else.

The checkout's content is written by many people and by agents, so neither `..` nor a symbolic link may lead out of it,
nor out of the worktree. What was put there is noted in the worktree's git directory: it is never committed.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from adapters.git.process import Git
from adapters.git.repository import git_path, real
from core.errors import WorkspaceError

_NOTE = "kugetsu-copies"  # in a worktree's git directory, gone with it: names with a NUL after each


def check_entries(top: Path, entries: tuple[str, ...]) -> None:
    """Raises WorkspaceError for the first entry that is not plainly inside the checkout."""
    for entry in entries:
        path = Path(entry)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in entry:
            raise _refused(entry, "it must be a relative path inside the checkout, without '..'")
        if path.parts[0].casefold() == ".git":
            raise _refused(entry, "git's own directory cannot be copied")
        for source in _sources(top, entry):
            if not real(source).is_relative_to(top):
                raise _refused(entry, f"{source} is a symbolic link that leads out of the checkout")


def copy_entries(top: Path, worktree: Path, entries: tuple[str, ...], keep: Collection[str] = ()) -> list[str]:
    """Entries the checkout does not have are passed over; files the worktree has already are replaced, `keep` apart.

    Returns the files put there.
    """
    put = []
    for entry in entries:
        for source in _sources(top, entry):
            target = worktree / source.relative_to(top)
            if str(source.relative_to(top)) in keep:
                continue
            if not real(target.parent).is_relative_to(worktree):
                raise _refused(entry, f"in the worktree, {target.parent} leads out of it")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            # A link inside a copied folder stays one; an entry that is a link gives what it points at.
            shutil.copy2(source, target, follow_symlinks=source == top / entry)
            put.append(str(source.relative_to(top)))
    return put


def is_copy(top: Path, worktree: Path, entries: tuple[str, ...], name: str) -> bool:
    """Whether the worktree's file `name` is just what `copy_entries` put there."""
    if not any(Path(name).is_relative_to(entry) for entry in entries):
        return False
    source, target = top / name, worktree / name
    if source.is_symlink() and target.is_symlink():
        return source.readlink() == target.readlink()
    return source.is_file() and target.is_file() and filecmp.cmp(source, target, shallow=False)


async def note_copies(git: Git, worktree: Path, entries: tuple[str, ...], put: Collection[str]) -> None:
    """Remember, in a worktree just made, what of it is no work: files `put` there, and others below an entry.

    A file that is the same as the committed one is left out: what the agent makes of that is work like any other.
    """
    status = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    known = set((await git.run(worktree, "ls-files", "-z")).names)
    changed = {line[3:] for line in (await git.run(worktree, *status)).names}
    # Those a session that was moved here has brought along.
    brought = {name for name in changed - known if any(Path(name).is_relative_to(entry) for entry in entries)}
    copies = brought | {name for name in put if name in changed or name not in known}
    if copies:
        file = await git_path(git, worktree, _NOTE)
        file.write_bytes(os.fsencode("".join(f"{name}\0" for name in sorted(copies))))


async def noted_copies(git: Git, worktree: Path) -> frozenset[str]:
    """What `note_copies` remembered, as git names files."""
    try:
        content = (await git_path(git, worktree, _NOTE)).read_bytes()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise WorkspaceError(f"{error.filename} cannot be read: {error.strerror}") from error
    return frozenset(os.fsdecode(content).split("\0")[:-1])


def _sources(top: Path, entry: str) -> Iterator[Path]:
    """The files an entry stands for; sockets and the like are left out."""
    start = top / entry
    if start.is_file():
        yield start
    elif start.is_dir():
        if not real(start).is_relative_to(top):
            raise _refused(entry, f"{start} is a symbolic link that leads out of the checkout")
        for path in sorted(start.rglob("*")):
            if path.is_symlink() or path.is_file():
                yield path


def _refused(entry: str, why: str) -> WorkspaceError:
    return WorkspaceError(
        f"The project's copy entry {entry!r} is refused: {why}.", "Correct `copy` in the configuration."
    )
