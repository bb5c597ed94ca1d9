"""The checkout: git and the file system around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.model import (
    Project,
    ProjectRef,
)

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Checkout:
    """What `inspect` saw of a project's repository."""

    head: str  # commit id, empty in a repository without commits
    branch: str  # empty when detached
    dirty: bool


@dataclass(frozen=True, slots=True)
class Located:
    """A checkout somebody stands in, and the project its `origin` names."""

    top: Path
    ref: ProjectRef


@dataclass(frozen=True, slots=True)
class Stake:
    """Work that exists nowhere else."""

    changes: tuple[str, ...] = ()  # uncommitted files, as `git status --short` prints them
    commits: tuple[str, ...] = ()  # commits on no remote and on no other branch: short id and subject
    locked: str = ""  # why git was told not to touch the worktree

    def __bool__(self) -> bool:
        return bool(self.changes or self.commits or self.locked)


@dataclass(frozen=True, slots=True)
class Trace:
    """A worktree or branch that may be kugetsu's. Either may be missing."""

    directory: Path | None
    branch: str
    registered: bool  # git knows the worktree
    present: bool  # the folder is there


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs between two states."""

    path: str
    added: int = 0  # lines
    removed: int = 0
    before: str = ""  # its old path, when it was renamed
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """Where a branch stands between its base and its remote."""

    uncommitted: tuple[FileChange, ...]  # against HEAD, ignored files apart
    commits: tuple[str, ...]  # on the branch and not on its base, oldest first: short id and subject
    unpushed: tuple[str, ...]  # of those, what the remote's branch does not have as far as we last saw
    head: str  # commit id
    remote: str = ""  # its name; empty where there is none
    url: str = ""  # the remote's, without any password


class Workspace(Protocol):
    """git and the file system around it. All methods raise WorkspaceError with git's own words."""

    async def inspect(self, project: Project) -> Checkout:
        """Refuses what is no git repository, bare, without commits, or lacks `base_branch`."""

    async def locate(self, directory: Path) -> Located | None:
        """The checkout that contains `directory`; None where there is none."""

    async def add_worktree(self, project: Project, directory: Path, branch: str, start: str = "") -> None:
        """New worktree on a new branch from `start` (default: the project's base branch), `copy` files put in.

        Safe to repeat: a worktree of ours on that branch in that directory is taken as done. Refuses a directory or
        branch that exists otherwise.
        """

    async def open_worktree(self, project: Project, directory: Path, branch: str) -> None:
        """A worktree on a branch that exists: of an archived session, or one whose folder was deleted by hand.

        `copy` files are put in. Safe to repeat. Refuses when the branch is gone or checked out elsewhere.
        """

    async def at_stake(self, project: Project, directory: Path, branch: str) -> Stake:
        """What would be lost with the worktree and its branch. Nothing when neither is there."""

    async def remove_worktree(
        self, project: Project, directory: Path, branch: str, *, force: bool = False, keep_branch: bool = False
    ) -> None:
        """Delete the worktree and, unless `keep_branch`, its branch. Absent ones are ignored, so are `copy` files.

        Refuses to lose what `at_stake` names (with `keep_branch`: uncommitted changes) unless forced. A locked worktree
        is refused in any case.
        """

    async def traces(self, project: Project, worktrees: Path) -> list[Trace]:
        """What kugetsu has left in the repository: worktrees below the folder `worktrees`, registered or not, and
        branches `kugetsu/…`.
        """

    async def bundle(self, directory: Path, branch: str, base: str, target: Path) -> None:
        """Write `branch`, and a snapshot of the worktree as it is, into a git bundle: all that is not on `base`."""

    async def unbundle(self, project: Project, directory: Path, branch: str, bundle: Path) -> None:
        """A worktree on a new `branch` as `bundle` has it, uncommitted changes included. Refuses what `add_worktree`
        refuses, and a bundle whose base this repository does not have.
        """

    async def set_up(self, project: Project, directory: Path, output: Callable[[str], None]) -> None:
        """Run the project's `setup` by `sh -c` in `directory`, lines to `output` as they come."""

    async def snapshot(self, directory: Path, name: str) -> str:
        """Commit id of the whole worktree as it is (ignored files apart), kept below refs/kugetsu/`name`.

        Neither index nor HEAD nor branches change. Its first parent is HEAD.
        """

    async def restore(self, directory: Path, snapshot: str) -> None:
        """Make the worktree's files those of `snapshot`, as uncommitted changes; ignored files stay."""

    async def snapshot_head(self, directory: Path, snapshot: str) -> str:
        """The commit HEAD was at when `snapshot` was made."""

    async def changed_files(self, directory: Path, before: str, after: str) -> int:
        """How many files differ between two snapshots."""

    async def changes(self, directory: Path, before: str, after: str) -> list[FileChange]:
        """What differs between two snapshots or commits, by path; renames are told as such."""

    async def patch(self, directory: Path, before: str, after: str, target: Path) -> int:
        """Write what differs into `target`, for `git apply`, binary files included. Returns its size in bytes; 0, and
        nothing is written, when nothing differs.
        """

    async def base_of(self, project: Project, directory: Path) -> str:
        """The commit at which the branch checked out in `directory` left the project's base branch."""

    async def rewind(self, directory: Path, snapshot: str) -> bool:
        """Like `restore`, and the branch as well where that loses nothing others have: commits made since that are on
        no remote are taken off it (they stay in the snapshots). False: they are on a remote, so the branch stayed.
        Given a snapshot that has more commits than the branch, they are put back.
        """

    async def work(self, project: Project, directory: Path, branch: str) -> Work:
        """What there is to commit and to push. Contacts no remote."""

    async def commit(self, directory: Path, message: str) -> str:
        """Commit everything but ignored files, with the user's own name and hooks. Returns the commit's id.

        Raises NothingToCommit; WorkspaceError with the words of git or of the hook that refused, and then nothing
        stays staged that was not.
        """

    async def push(self, directory: Path, branch: str, remote: str) -> None:
        """Push `branch` to the branch of that name, never by force, and follow it from now on. Raises PushRejected
        when the remote has commits that the branch has not, WorkspaceError with git's words. Nobody is asked for a
        password.
        """

    async def ignored(self, directory: Path, file: Path) -> bool:
        """Whether git ignores `file` in the worktree at `directory`."""

    async def drop_snapshots(self, directory: Path, name: str) -> None:
        """Forget every snapshot below refs/kugetsu/`name`."""
