"""Worktrees as entries of a dictionary."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.errors import NothingToCommit, WorkspaceError
from core.model import Project
from core.ports import Checkout, FileChange, Located, Stake, Trace, Work

BASE = "c0ffee"  # the commit everything starts from


class FakeWorkspace:
    """A `core.ports.Workspace`."""

    def __init__(self) -> None:
        self._count = itertools.count(1)
        self.worktrees: dict[Path, str] = {}
        self.added: list[Path] = []  # every time one was really made
        self.opened: list[Path] = []
        self.snapshots: dict[str, tuple[Path, str]] = {}
        self.restored: list[tuple[Path, str]] = []
        self.set_ups = 0
        self.raising: dict[str, Exception] = {}  # by method; taken out when raised
        self.hanging: dict[str, asyncio.Event] = {}  # snapshots alone
        self._waits = asyncio.Event()
        self.changed = 0
        self.stake = Stake()
        self.differing: list[FileChange] = []  # between any two states
        self.patched = b""  # what a patch holds; made up when empty and files differ
        self.standing = Work((), (), (), BASE)  # of every branch; committing and pushing change it
        self.commits: list[tuple[Path, str]] = []  # with their messages
        self.pushes: list[tuple[Path, str, str]] = []  # with branch and remote
        self.rewound: list[tuple[Path, str]] = []
        self.branch_moves = True  # what `rewind` answers
        self.ignoring: set[Path] = set()
        self.files: dict[Path, str] = {}  # what a worktree holds, as one text; snapshots keep it
        self._kept: dict[str, str] = {}

    async def inspect(self, project: Project) -> Checkout:
        self._pass("inspect")
        return Checkout(BASE, "main", dirty=False)

    async def locate(self, directory: Path) -> Located | None:
        return None

    async def add_worktree(self, project: Project, directory: Path, branch: str, start: str = "") -> None:
        self._pass("add_worktree")
        if self.worktrees.get(directory) == branch:
            return
        if directory in self.worktrees or branch in self.worktrees.values():
            raise WorkspaceError(f"{directory} or {branch} exists already")
        self.worktrees[directory] = branch
        self.added.append(directory)

    async def open_worktree(self, project: Project, directory: Path, branch: str) -> None:
        self._pass("open_worktree")
        self.worktrees[directory] = branch
        self.opened.append(directory)

    async def at_stake(self, project: Project, directory: Path, branch: str) -> Stake:
        self._pass("at_stake")
        return self.stake

    async def remove_worktree(
        self, project: Project, directory: Path, branch: str, *, force: bool = False, keep_branch: bool = False
    ) -> None:
        self._pass("remove_worktree")
        self.worktrees.pop(directory, None)

    async def traces(self, project: Project, worktrees: Path) -> list[Trace]:
        self._pass("traces")
        below = [directory for directory in self.worktrees if directory.is_relative_to(worktrees)]
        return [Trace(directory, self.worktrees[directory], registered=True, present=True) for directory in below]

    async def bundle(self, directory: Path, branch: str, base: str, target: Path) -> None:
        self._pass("bundle")
        target.write_text(f"{branch} from {base}\n")

    async def unbundle(self, project: Project, directory: Path, branch: str, bundle: Path) -> None:
        self._pass("unbundle")
        await self.add_worktree(project, directory, branch)

    async def set_up(self, project: Project, directory: Path, output: Callable[[str], None]) -> None:
        self._pass("set_up")
        self.set_ups += 1
        output("one")
        output("two")

    async def snapshot(self, directory: Path, name: str) -> str:
        if "snapshot" in self.hanging:
            self._waits.set()
            await self.hanging["snapshot"].wait()
        self._pass("snapshot")
        made = f"{next(self._count):040x}"
        self.snapshots[made] = (directory, name)
        self._kept[made] = self.files.get(directory, "")
        return made

    async def restore(self, directory: Path, snapshot: str) -> None:
        self._pass("restore")
        self.restored.append((directory, snapshot))

    async def snapshot_head(self, directory: Path, snapshot: str) -> str:
        assert snapshot in self.snapshots
        return BASE

    async def changed_files(self, directory: Path, before: str, after: str) -> int:
        self._pass("changed_files")
        return self.changed or len(self.differing)

    async def changes(self, directory: Path, before: str, after: str) -> list[FileChange]:
        self._pass("changes")
        return list(self.differing)

    async def patch(self, directory: Path, before: str, after: str, target: Path) -> int:
        self._pass("patch")
        differs = self.changed or self.differing
        content = self.patched or (f"{before}..{after}\n".encode() if differs else b"")
        if content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return len(content)

    async def base_of(self, project: Project, directory: Path) -> str:
        self._pass("base_of")
        return BASE

    async def rewind(self, directory: Path, snapshot: str) -> bool:
        self._pass("rewind")
        self.rewound.append((directory, snapshot))
        self.files[directory] = self._kept[snapshot]
        self._pass("rewind's end")
        return self.branch_moves

    async def work(self, project: Project, directory: Path, branch: str) -> Work:
        self._pass("work")
        return self.standing

    async def commit(self, directory: Path, message: str) -> str:
        self._pass("commit")
        if not self.standing.uncommitted:
            raise NothingToCommit(f"There is nothing to commit in {directory}.")
        head = f"{next(self._count):040x}"
        line = f"{head[-7:]} {message.partition(chr(10))[0]}"
        self.standing = replace(
            self.standing,
            uncommitted=(),
            commits=(*self.standing.commits, line),
            unpushed=(*self.standing.unpushed, line),
            head=head,
        )
        self.commits.append((directory, message))
        return head

    async def push(self, directory: Path, branch: str, remote: str) -> None:
        self._pass("push")
        if not remote:
            raise WorkspaceError(f"{directory} has no remote to push to.", "git remote add origin URL")
        self.standing = replace(self.standing, unpushed=())
        self.pushes.append((directory, branch, remote))

    async def ignored(self, directory: Path, file: Path) -> bool:
        self._pass("ignored")
        return file in self.ignoring

    async def reached(self, method: str) -> None:
        """For tests: until a call hangs, next to those waited for before."""
        assert method in self.hanging
        await self._waits.wait()
        self._waits.clear()

    def held(self, snapshot: str) -> str:
        """For tests: the files as they were."""
        return self._kept[snapshot]

    async def drop_snapshots(self, directory: Path, name: str) -> None: ...

    def _pass(self, method: str) -> None:
        if method in self.raising:
            raise self.raising.pop(method)
