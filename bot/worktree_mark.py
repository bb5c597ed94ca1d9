"""A note in a worktree's git folder: which configuration and which session it belongs to.

So the command line, typed by a person or by the agent inside a worktree, finds the bot that made it. The git folder is
the one place beside the files that git neither shows, commits nor cleans.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from core.errors import ConfigurationError, WorkspaceError

FILE = "kugetsu.json"
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """`config` is None when the session was made without a file. `session` is the session's key as text."""

    config: Path | None
    state_dir: Path
    session: str
    token: str = ""  # lets who can read this send files of the worktree, and do nothing else


def write_mark(directory: Path, config: Path | None, state_dir: Path, session: str, token: str = "") -> None:
    """Mark the worktree (or checkout) at `directory`. Raises WorkspaceError when that is none, or cannot be written."""
    git = _git_dir(directory)
    if git is None:
        raise WorkspaceError(f"{directory} is no git worktree", "Was it removed by hand? `kugetsu prune` tidies up.")
    mark = Mark(config.absolute() if config else None, state_dir.absolute(), session, token)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{FILE}.", dir=git)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(TypeAdapter(Mark).dump_json(mark))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(git / FILE)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise WorkspaceError(f"{git / FILE} cannot be written: {error.strerror}") from error


def renew_mark(directory: Path, config: Path | None, state_dir: Path, session: str, token: str) -> None:
    """Write the mark unless it carries this token: it may be from before there were any. Raises WorkspaceError."""
    git = _git_dir(directory)
    try:
        if git is not None and _parsed(git / FILE).token == token:
            return
    except ConfigurationError:
        pass  # none, or damaged
    write_mark(directory, config, state_dir, session, token)


def read_mark(cwd: Path) -> Mark | None:
    """The mark of the nearest marked worktree `cwd` is in; a repository without one inside of it is looked past.

    Raises ConfigurationError when there is one that cannot be read.
    """
    absolute = cwd.absolute()
    for directory in (absolute, *absolute.parents):
        git = _git_dir(directory)
        if git is not None and os.path.isfile(git / FILE):  # noqa: PTH113 (as below)
            return _parsed(git / FILE)
    return None


def _git_dir(directory: Path) -> Path | None:
    """What `git rev-parse --git-dir` would say in a worktree's top folder; None elsewhere."""
    dot_git = directory / ".git"
    if os.path.isdir(dot_git):  # noqa: PTH112 (Path.is_dir raises where a parent may not be read)
        return dot_git
    try:
        with dot_git.open(encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(_MAX_BYTES)
    except OSError:  # not there, or not ours to read: no worktree that we made
        return None
    if not text.startswith("gitdir:"):
        return None
    git = directory / text.removeprefix("gitdir:").strip()  # relative since git 2.48 on request
    return git if os.path.isdir(git) else None  # noqa: PTH112


def _parsed(path: Path) -> Mark:
    try:
        with path.open(encoding="utf-8") as file:
            return TypeAdapter(Mark).validate_json(file.read(_MAX_BYTES))
    except (OSError, ValueError) as error:
        what = f"{path}, which ties this worktree to its bot, cannot be read"
        raise ConfigurationError(
            what, "Name the configuration with --config FILE.", (f"{path}: is damaged",)
        ) from error
