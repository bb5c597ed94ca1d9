"""The port `core.ports.Workspace`, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.git.process import Git
from adapters.git.repository import Locks, located
from adapters.git.setup import set_up
from adapters.git.snapshots import Snapshots
from adapters.git.worktrees import Worktrees
from core.model import Project
from core.ports import Checkout, Located


class GitWorkspace:
    """git and the file system around it.

    `env` is the environment of git, its hooks and the projects' `setup`: the caller has taken the bot's secrets out of
    it. `warn` is told, in a sentence, when a snapshot could not take everything in.
    """

    def __init__(self, env: Mapping[str, str], warn: Callable[[str], None], git: str = "git") -> None:
        self._env = dict(env)
        self._git = Git(env, git)
        self._worktrees = Worktrees(self._git, Locks())
        self._snapshots = Snapshots(self._git, Locks(), warn)

    async def inspect(self, project: Project) -> Checkout:
        """Refuses what is no git repository, bare, without commits, or lacks `base_branch`."""
        return await self._worktrees.inspect(project)

    async def locate(self, directory: Path) -> Located | None:
        """The checkout that contains `directory`, and the project its `origin` names."""
        return await located(self._git, directory)

    async def add_worktree(self, project: Project, directory: Path, branch: str, start: str = "") -> None:
        """New worktree on a new branch; what an earlier call left half-made in a crash is cleaned up first."""
        await self._worktrees.add(project, directory, branch, start)

    async def remove_worktree(self, project: Project, directory: Path, branch: str) -> None:
        """Delete a worktree and its branch unless anything would be lost."""
        await self._worktrees.remove(project, directory, branch)

    async def set_up(self, project: Project, directory: Path, output: Callable[[str], None]) -> None:
        """Run the project's `setup` by `sh -c`, at most 30 minutes."""
        await set_up(self._env, project, directory, output)

    async def snapshot(self, directory: Path, name: str) -> str:
        """Commit id of the whole worktree as it is, ignored files apart."""
        return await self._snapshots.take(directory, name)

    async def restore(self, directory: Path, snapshot: str) -> None:
        """Make the worktree's files those of `snapshot`, as uncommitted changes."""
        await self._snapshots.restore(directory, snapshot)

    async def snapshot_head(self, directory: Path, snapshot: str) -> str:
        """The commit HEAD was at when `snapshot` was made."""
        return await self._snapshots.head(directory, snapshot)

    async def changed_files(self, directory: Path, before: str, after: str) -> int:
        """How many files differ between two snapshots."""
        return await self._snapshots.count_changes(directory, before, after)

    async def drop_snapshots(self, directory: Path, name: str) -> None:
        """Forget every snapshot below refs/kugetsu/`name`."""
        await self._snapshots.drop(directory, name)
