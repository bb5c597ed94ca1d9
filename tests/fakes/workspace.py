"""Worktrees as entries of a dictionary."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from core.errors import WorkspaceError
from core.model import Project
from core.ports import Checkout, Located, Stake


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
        self.changed = 0
        self.stake = Stake()

    async def inspect(self, project: Project) -> Checkout:
        self._pass("inspect")
        return Checkout("c0ffee", "main", dirty=False)

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

    async def remove_worktree(self, project: Project, directory: Path, branch: str, *, force: bool = False) -> None:
        self._pass("remove_worktree")
        self.worktrees.pop(directory, None)

    async def set_up(self, project: Project, directory: Path, output: Callable[[str], None]) -> None:
        self._pass("set_up")
        self.set_ups += 1
        output("one")
        output("two")

    async def snapshot(self, directory: Path, name: str) -> str:
        self._pass("snapshot")
        made = f"{next(self._count):040x}"
        self.snapshots[made] = (directory, name)
        return made

    async def restore(self, directory: Path, snapshot: str) -> None:
        self._pass("restore")
        self.restored.append((directory, snapshot))

    async def snapshot_head(self, directory: Path, snapshot: str) -> str:
        assert snapshot in self.snapshots
        return "c0ffee"

    async def changed_files(self, directory: Path, before: str, after: str) -> int:
        self._pass("changed_files")
        return self.changed

    async def patch(self, directory: Path, before: str, after: str, target: Path) -> str:
        self._pass("patch")
        if not self.changed:
            return ""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{before}..{after}\n")
        return f" file | {self.changed} +\n {self.changed} files changed"

    async def drop_snapshots(self, directory: Path, name: str) -> None: ...

    def _pass(self, method: str) -> None:
        if method in self.raising:
            raise self.raising.pop(method)
