"""Looks at a session's worktree and branch: what is there, and what of it exists nowhere else.

Asking what is at stake and refusing to remove it are answered from the same look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.git.copying import is_copy
from adapters.git.history import commit_lines
from adapters.git.process import Git, in_thread, printable
from adapters.git.repository import Repository, Worktree, commit_of, git_path, points_into, registered_at, worktrees
from core.errors import WorkspaceError
from core.model import Project
from core.ports import Stake

LISTED = 50  # lines of changes and of commits in a Stake

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a directory and a branch saw."""

    tree: Worktree | None  # as git has the directory registered
    there: bool  # the directory exists and is not empty
    sound: bool  # git can work in the directory, or nothing is there
    ours: bool  # the directory is a worktree of this repository, or nothing is there
    forced: bool  # git has to be forced past copies and submodules, though both were looked at
    tip: str  # where the branch points; empty when there is none to delete
    changes: tuple[str, ...]
    commits: tuple[str, ...]

    @property
    def stake(self) -> Stake:
        """As the port tells it."""
        locked = self.tree.locked if self.tree else ""
        if not self.ours:
            locked = "it is no worktree of this repository"
        return Stake(_cut(self.changes), _cut(self.commits), locked)


async def look(
    git: Git, project: Project, repository: Repository, target: Path, ref: str, *, keep_branch: bool
) -> Found:
    """`ref` is the branch's full name, empty without one.

    A branch that is checked out elsewhere or is the project's base branch is never deleted, so nothing on it is at
    stake. Raises WorkspaceError when `target` is the project's own checkout.
    """
    registered = await worktrees(git, repository)
    if target in {repository.top, registered[0].path}:
        raise WorkspaceError(f"{target} is the project's own checkout, not the worktree of a session.")
    tree = registered_at(registered, target)
    stays = any(other.branch == ref for other in registered if other.path != target)
    stays = stays or keep_branch or ref == f"refs/heads/{project.base_branch}"
    tip = await commit_of(git, repository.top, ref) if ref and not stays else ""
    there = await _read(_occupied, target)
    pointing = points_into(target / ".git", repository.common)
    sound = not there or (pointing and await _works(git, target))
    head = tree.head if tree else ""
    changes: list[str] = []
    commits: list[str] = []
    forced = False
    if there and sound:
        head = await commit_of(git, target, "HEAD")
        changes, forced = await _changes(git, project, repository, target)
        submodules = await _read(_git_folders, await git_path(git, target, "modules"))
        for folder in submodules:
            commits += [f"{line} (submodule {folder.name})" for line in await _unpushed(git, folder)]
        forced = forced or bool(submodules)
    elif there:
        changes = await _read(_everything, repository.top, target, project.copy)
    goes = ref if tip else ""
    commits = await _lost(git, repository, [tip, head], goes) + commits
    return Found(
        tree=tree,
        there=there,
        sound=sound,
        ours=tree is not None or pointing or not there,
        forced=forced,
        tip=tip,
        changes=tuple(changes),
        commits=tuple(commits),
    )


async def _changes(git: Git, project: Project, repository: Repository, target: Path) -> tuple[list[str], bool]:
    """What is not committed, and whether there were unchanged copies, which are left out."""
    options = ("--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames")
    lines = (await git.run(target, "status", *options)).names

    def changed() -> list[str]:
        return [line for line in lines if not is_copy(repository.top, target, project.copy, line[3:])]

    found = await _read(changed)
    return [printable(line) for line in found], len(found) < len(lines)


async def _lost(git: Git, repository: Repository, tips: Sequence[str], goes: str) -> list[str]:
    """Commits that no branch but `goes`, no remote-tracking branch and no tag leads to. Snapshots do not count."""
    # An id that cannot be read any more leads nowhere.
    known = [tip for tip in dict.fromkeys(tips) if tip and await commit_of(git, repository.top, tip)]
    if not known:
        return []
    head = ["HEAD"] if await commit_of(git, repository.top, "HEAD") else []
    besides = [f"--exclude={goes.removeprefix('refs/heads/')}"] if goes else []
    kept = [*head, *besides, "--branches", "--remotes", "--tags"]
    return await commit_lines(git, repository.top, *known, "--not", *kept)


async def _unpushed(git: Git, folder: Path) -> list[str]:
    """Commits of a submodule, whose git directory goes with the worktree, that its remotes do not have."""
    head = ["HEAD"] if await commit_of(git, folder, "HEAD") else []
    return await commit_lines(git, folder, *head, "--branches", "--not", "--remotes", "--tags")


async def _works(git: Git, target: Path) -> bool:
    """Whether the git directory that `target` points at is still there."""
    return not (await git.run(target, "rev-parse", "--git-dir", expect=(0, 128))).status


async def _read(function: Callable[..., _T], *arguments: Any) -> _T:
    try:
        return await in_thread(function, *arguments)
    except OSError as error:
        raise WorkspaceError(f"{error.filename} cannot be read: {error.strerror}") from error


def _occupied(target: Path) -> bool:
    return target.exists() and not (target.is_dir() and not any(target.iterdir()))


def _git_folders(modules: Path) -> list[Path]:
    return sorted(head.parent for head in modules.rglob("HEAD") if (head.parent / "objects").is_dir())


def _everything(top: Path, target: Path, copies: tuple[str, ...]) -> list[str]:
    """All entries of a directory in which git cannot tell what was changed; a lone `.git` file is none."""
    if not target.is_dir():
        return [f"?? {printable(target.name)}"]
    found = []
    for path in sorted(target.iterdir()):
        pointer = path.name == ".git" and path.is_file()
        if not pointer and not is_copy(top, target, copies, path.name):
            found.append(f"?? {printable(path.name)}{'/' if path.is_dir() else ''}")
    return found


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    more = len(lines) - LISTED
    return (*lines[:LISTED], f"… and {more} more") if more > 0 else lines
