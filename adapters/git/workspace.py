"""The port `core.ports.Workspace`, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.git.bundles import Bundles
from adapters.git.differences import changes, patch
from adapters.git.finishing import Finishing
from adapters.git.history import base_of
from adapters.git.process import Git
from adapters.git.pushing import push
from adapters.git.repository import Locks, ignored, located
from adapters.git.rewinding import Rewinding
from adapters.git.setup import set_up
from adapters.git.snapshots import Snapshots
from adapters.git.traces import traces
from adapters.git.worktrees import Worktrees
from core.model import Project
from core.ports import Checkout, FileChange, Located, Stake, Trace, Work


class GitWorkspace:
    """git and the file system around it.

    `env` is the environment of git, its hooks and the projects' `setup`: the caller has taken the bot's secrets out of
    it. `warn` is told, in a sentence, when a snapshot could not take everything in.
    """

    def __init__(self, env: Mapping[str, str], warn: Callable[[str], None], git: str = "git") -> None:
        self._env = dict(env)
        self._git = Git(env, git)
        self._worktrees = Worktrees(self._git, Locks())
        locks = Locks()
        self._snapshots = Snapshots(self._git, locks, warn)
        self._rewinding = Rewinding(self._git, locks, self._snapshots)
        self._finishing = Finishing(self._git, locks, self._snapshots)
        self._bundles = Bundles(self._git, self._worktrees, self._snapshots)

    async def inspect(self, project: Project) -> Checkout:
        """Refuses what is no git repository, bare, without commits, or lacks `base_branch`."""
        return await self._worktrees.inspect(project)

    async def locate(self, directory: Path) -> Located | None:
        """The checkout that contains `directory`, and the project its `origin` names."""
        return await located(self._git, directory)

    async def add_worktree(self, project: Project, directory: Path, branch: str, start: str = "") -> None:
        """New worktree on a new branch; what an earlier call left half-made in a crash is cleaned up first."""
        await self._worktrees.add(project, directory, branch, start)

    async def open_worktree(self, project: Project, directory: Path, branch: str) -> None:
        """A worktree on a branch that exists."""
        await self._worktrees.open(project, directory, branch)

    async def at_stake(self, project: Project, directory: Path, branch: str) -> Stake:
        """What would be lost with the worktree and its branch; an empty branch stands for none."""
        return await self._worktrees.at_stake(project, directory, branch)

    async def remove_worktree(
        self, project: Project, directory: Path, branch: str, *, force: bool = False, keep_branch: bool = False
    ) -> None:
        """Delete a worktree and its branch unless anything would be lost; an empty branch stands for none.

        The project's base branch and a branch that is checked out elsewhere stay.
        """
        await self._worktrees.remove(project, directory, branch, force=force, keep_branch=keep_branch)

    async def traces(self, project: Project, worktrees: Path) -> list[Trace]:
        """Worktrees below the folder `worktrees`, registered or not, and branches `kugetsu/…`."""
        return await traces(self._git, project, worktrees)

    async def bundle(self, directory: Path, branch: str, base: str, target: Path) -> None:
        """Write the branch, and the worktree as it is, into a git bundle."""
        await self._bundles.bundle(directory, branch, base, target)

    async def unbundle(self, project: Project, directory: Path, branch: str, bundle: Path) -> None:
        """A worktree on a new branch as `bundle` has it."""
        await self._bundles.unbundle(project, directory, branch, bundle)

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

    async def changes(self, directory: Path, before: str, after: str) -> list[FileChange]:
        """What differs between two snapshots or commits, by path."""
        return await changes(self._git, directory, before, after)

    async def patch(self, directory: Path, before: str, after: str, target: Path) -> int:
        """Write what differs into `target`, for `git apply`; its size in bytes, 0 without a difference."""
        return await patch(self._git, directory, before, after, target)

    async def base_of(self, project: Project, directory: Path) -> str:
        """The commit at which the branch checked out in `directory` left the project's base branch."""
        return await base_of(self._git, project, directory)

    async def rewind(self, directory: Path, snapshot: str) -> bool:
        """Like `restore`, and the branch as well, unless others have what would go."""
        return await self._rewinding.rewind(directory, snapshot)

    async def work(self, project: Project, directory: Path, branch: str) -> Work:
        """What there is to commit and to push; an empty branch stands for the one checked out."""
        return await self._finishing.work(project, directory, branch)

    async def commit(self, directory: Path, message: str) -> str:
        """Commit everything but ignored files and copies, hooks included, within 10 minutes."""
        return await self._finishing.commit(directory, message)

    async def push(self, directory: Path, branch: str, remote: str) -> None:
        """Push within 10 minutes; an empty branch stands for the one checked out."""
        await push(self._git, directory, branch, remote)

    async def ignored(self, directory: Path, file: Path) -> bool:
        """Whether git ignores `file` in the worktree at `directory`."""
        return await ignored(self._git, directory, file)

    async def drop_snapshots(self, directory: Path, name: str) -> None:
        """Forget every snapshot below refs/kugetsu/`name`."""
        await self._snapshots.drop(directory, name)
