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

    async def patch(self, directory: Path, before: str, after: str, target: Path) -> str:
        """Write what changed between two snapshots into `target`, for `git apply`. Returns git's summary, a line a
        file; empty when nothing did.
        """

    async def ignored(self, directory: Path, file: Path) -> bool:
        """Whether git ignores `file` in the worktree at `directory`."""

    async def drop_snapshots(self, directory: Path, name: str) -> None:
        """Forget every snapshot below refs/kugetsu/`name`."""
