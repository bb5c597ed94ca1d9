"""Takes a worktree back to a snapshot, its branch included where nobody else has what would go."""

from __future__ import annotations

from pathlib import Path

from adapters.git.history import tracking_lost
from adapters.git.process import Git
from adapters.git.repository import Locks, commit_of, current_branch, in_the_middle, real, unfinished, unmerged
from adapters.git.snapshots import Snapshots
from core.errors import WorkspaceError

_REASON = "kugetsu: as it was at a snapshot"  # in the reflogs, where the commits that went are still found


class Rewinding:
    """`locks` are those of the snapshots."""

    def __init__(self, git: Git, locks: Locks, snapshots: Snapshots) -> None:
        self._git = git
        self._locks = locks
        self._snapshots = snapshots

    async def rewind(self, directory: Path, snapshot: str) -> bool:
        """See the port. The branch also stays when another local branch has one of the commits, when the snapshot is
        from before the first commit, and when it follows a remote's branch that is not seen here (a clone of one branch
        only): nobody can tell then what the remote has.

        The branch moves first: cut off in between, the same call does the rest.
        """
        target = await self._snapshots.head(directory, snapshot)
        top = real(directory)
        lock = self._locks.of(top)
        async with lock:
            await self._snapshots.index(top)  # refuses a folder inside another repository
            await self._refuse_unfinished(top)
            head = await commit_of(self._git, top, "HEAD")
            moves = target == head or await self._may_move(top, head, target)
            if moves and target != head:
                await self._git.run(top, "update-ref", "-m", _REASON, "HEAD", target, head)
            await self._snapshots.bring_back(top, snapshot)
        return moves

    async def _may_move(self, top: Path, head: str, target: str) -> bool:
        if not (head and target):
            return False
        branch = await current_branch(self._git, top)
        besides = [f"--exclude={branch}"] if branch else []
        going = ("rev-list", "--count", head, f"^{target}")
        kept = ("--not", *besides, "--branches", "--remotes")
        count = (await self._git.run(top, *going)).text
        if count == "0":
            return True
        return count == (await self._git.run(top, *going, *kept)).text and not (
            branch and await tracking_lost(self._git, top, branch)
        )

    async def _refuse_unfinished(self, top: Path) -> None:
        if command := await unfinished(self._git, top):
            raise in_the_middle(command, top, "taken back")
        if conflicts := await unmerged(self._git, top):
            raise WorkspaceError(
                f"There are conflicts in {top}, {conflicts[0]} among them, so nothing was taken back.",
                f"Have the agent resolve them and `git add` the files, or give them up: git -C {top} reset",
            )
