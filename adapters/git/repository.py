"""What several parts ask of a repository: where it is, what a name points at, which worktrees it has."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from adapters.git.process import Git, printable
from core.errors import WorkspaceError
from core.ports import Located
from core.refs import parse_remote

_OBJECT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

_UNFINISHED = {  # by what git keeps in its directory meanwhile
    "rebase-merge": "rebase",
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """A checkout's top level and the directory its git keeps everything shared in. Both are real paths."""

    top: Path
    common: Path


@dataclass(frozen=True, slots=True)
class Worktree:
    """A worktree as git has it registered. Its directory may be gone."""

    path: Path
    branch: str  # full ref name, empty when detached
    head: str  # commit id, empty in an unborn branch
    locked: str  # the reason, never empty when it is locked


def registered_at(trees: Sequence[Worktree], path: Path) -> Worktree | None:
    """The one of `trees` whose directory is the real path `path`."""
    return next((tree for tree in trees if tree.path == path), None)


class Locks:
    """One asyncio lock a path, made on demand and gone when nobody holds it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    def of(self, path: Path) -> asyncio.Lock:
        """Hold on to the result while using it."""
        return self._locks.setdefault(path, asyncio.Lock())


async def open_repository(git: Git, directory: Path) -> Repository:
    """Refuses what is not the top level of a checkout: nothing may ever happen to a repository around it."""
    top = real(directory)
    queries = ("--is-bare-repository", "--is-inside-work-tree", "--show-prefix", "--git-common-dir")
    bare, inside, prefix, common = (await git.run(top, "rev-parse", *queries)).text.split("\n", 3)
    if bare == "true":
        raise WorkspaceError(
            f"{top} is a bare repository: there are no files to work on.",
            "Point the project's path at a checkout of it: git clone, or git worktree add.",
        )
    if inside != "true":
        raise WorkspaceError(f"{top} is inside a .git directory.", "Point the project's path at the checkout itself.")
    if prefix:
        outer = (await git.run(top, "rev-parse", "--show-toplevel")).text
        raise WorkspaceError(f"{top} is a folder inside the repository {outer}, not a checkout.", f"Use {outer}.")
    return Repository(top, real(top / common))


async def located(git: Git, directory: Path) -> Located | None:
    """The checkout around `directory` with the project its `origin` names; None where there is no checkout."""
    found = await git.run(directory, "rev-parse", "--show-toplevel", expect=(0, 128))
    if "not a git repository" in found.words or "must be run in a work tree" in found.words:
        return None
    if found.status:  # there is one, and git does not want to read it: "dubious ownership" is the usual reason
        raise WorkspaceError(f"{directory}: {found.words}")
    top = found.text
    origin = (await git.run(Path(top), "config", "--get", "remote.origin.url", expect=(0, 1))).text
    return Located(Path(top), parse_remote(origin, Path(top).name))


async def commit_of(git: Git, directory: Path, name: str) -> str:
    """The commit id `name` stands for, empty when there is none."""
    found = await git.run(directory, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", expect=(0, 1))
    return found.text


async def current_branch(git: Git, directory: Path) -> str:
    """The branch checked out in `directory`, empty when its HEAD is detached."""
    # In full: `--short` would say more where a tag has the same name.
    found = await git.run(directory, "symbolic-ref", "--quiet", "HEAD", expect=(0, 1))
    return found.text.removeprefix("refs/heads/")


async def git_path(git: Git, directory: Path, name: str) -> Path:
    """Where git keeps its file `name` for the worktree `directory`."""
    return directory / (await git.run(directory, "rev-parse", "--git-path", name)).text


async def settings(git: Git, directory: Path) -> dict[str, str]:
    """git's configuration there. Names are in lower case, but for what stands between their first and last dot."""
    listed = (await git.run(directory, "config", "--list", "-z")).names
    return dict(setting.partition("\n")[::2] for setting in listed)


async def unfinished(git: Git, directory: Path) -> str:
    """What git is in the middle of there, as the command that is to be finished; empty when of nothing."""
    folder = directory / (await git.run(directory, "rev-parse", "--git-dir")).text
    return next((command for name, command in _UNFINISHED.items() if (folder / name).exists()), "")


def in_the_middle(command: str, directory: Path, nothing: str) -> WorkspaceError:
    """That `unfinished` found something; `nothing` says what was therefore not done: `committed`."""
    return WorkspaceError(
        f"A {command} is not finished in {directory}, so nothing was {nothing}.",
        f"Have the agent finish it, or give it up: git -C {directory} {command} --abort",
    )


async def unmerged(git: Git, directory: Path) -> list[str]:
    """The files with conflicts, for people."""
    stages = (await git.run(directory, "ls-files", "--unmerged", "-z")).names
    return [printable(name) for name in dict.fromkeys(stage.partition("\t")[2] for stage in stages)]


async def base_commit(git: Git, directory: Path, branch: str) -> str:
    """Where new work starts: `branch` here, else on origin; HEAD when `branch` is empty. Refuses when there is none."""
    if not branch:
        if head := await commit_of(git, directory, "HEAD"):
            return head
        raise WorkspaceError(
            f"{directory} has no commit yet, so there is nothing to start from.",
            "Make a first one: git commit --allow-empty -m 'Start'",
        )
    for ref in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if commit := await commit_of(git, directory, ref):
            return commit
    raise WorkspaceError(
        f"{directory} has no branch {branch!r}, neither its own nor from origin.",
        "Fetch it (git fetch origin), or correct the project's base_branch in the configuration.",
    )


async def worktrees(git: Git, repository: Repository) -> list[Worktree]:
    """All of them, the main checkout first."""
    listed = (await git.run(repository.top, "worktree", "list", "--porcelain")).text.removesuffix("\n")
    found = []
    for block in listed.split("\n\n"):
        # A path may hold line ends; what follows it never starts otherwise.
        after_path = r"(?m)\n(?=HEAD |bare$|branch |detached$|locked|prunable)"
        path, *facts = re.split(after_path, block.removeprefix("worktree "))
        told = dict(fact.partition(" ")[::2] for fact in facts)
        head = told.get("HEAD", "")
        locked = "locked" in told and (told["locked"] or "no reason was given")
        found.append(Worktree(real(Path(path)), told.get("branch", ""), head if head.strip("0") else "", locked or ""))
    return found


def points_into(pointer: Path, common: Path) -> bool:
    """Whether the file `.git` of a worktree belongs to the repository that keeps everything shared in `common`."""
    try:
        if not pointer.is_file():
            return False
        named = pointer.read_text(errors="surrogateescape").removesuffix("\n").removeprefix("gitdir: ")
    except OSError as error:
        raise WorkspaceError(f"{pointer} cannot be read: {error.strerror}") from error
    return real(pointer.parent / named).is_relative_to(common / "worktrees")  # git may write it relative


async def ignored(git: Git, directory: Path, file: Path) -> bool:
    """See the port. A relative `file` is one of the worktree; what is committed is never ignored."""
    repository = await open_repository(git, directory)
    path = repository.top / file
    return not (await git.run(repository.top, "check-ignore", "--quiet", "--", str(path), expect=(0, 1))).status


async def check_branch(git: Git, directory: Path, branch: str) -> str:
    """The full ref name. Refuses names git would not take for a branch."""
    ref = f"refs/heads/{branch}"
    valid = bool(branch) and not branch.startswith("-") and branch != "HEAD" and "\0" not in branch
    if not valid or (await git.run(directory, "check-ref-format", ref, expect=(0, 1))).status:
        raise WorkspaceError(f"{branch!r} cannot be the name of a git branch.", "See: git help check-ref-format")
    return ref


def check_object_id(name: str) -> str:
    """`name`, when it is a full object id: nothing else is ever taken for a snapshot."""
    if not _OBJECT_ID.fullmatch(name):
        raise WorkspaceError(f"{name!r} is no commit id.")
    return name


def real(path: Path) -> Path:
    """Without `..` and symbolic links, as far as it exists."""
    return Path(os.path.realpath(path))
