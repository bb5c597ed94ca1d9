"""kugetsu as `bot.wiring` puts it together, with a chat and a git of the bench's."""

from __future__ import annotations

import os
import time
from pathlib import Path

from adapters.git.workspace import GitWorkspace
from bot import wiring
from bot.logs import Redactor
from bot.settings import Settings
from bot.wiring import Parts, Surroundings
from core.model import Project
from core.ports import ChatPort, Checkout, Workspace

PROJECT = "bench.example/o/r"
COMMIT = "0" * 40


def settings(state_dir: Path, url: str, project: Path, runs: int) -> Settings:
    """Attached to the server at `url`, with room for `runs` at once."""
    return Settings.model_validate(
        {
            "state_dir": str(state_dir),
            "opencode": {"url": url},
            "projects": {PROJECT: {"path": str(project)}},
            "runs": {"max_concurrent": runs},
            "sessions": {"max_per_project": 1_000},
        }
    )


def compose(chosen: Settings, chat: ChatPort, workspace: Workspace) -> Parts:
    """All that runs, not started."""
    return wiring.build(chosen, Surroundings(None, chats={chat.platform: chat}, workspace=workspace), Redactor())


class NoGit(GitWorkspace):
    """What runs need of git, taking no time: the synthetic server does not look at the files."""

    def __init__(self) -> None:
        super().__init__({}, lambda _warning: None)

    async def inspect(self, project: Project) -> Checkout:
        """A sound one."""
        return Checkout(COMMIT, "main", dirty=False)

    async def add_worktree(self, project: Project, directory: Path, branch: str, start: str = "") -> None:
        """Just what `bot.worktree_mark` needs."""
        (directory / ".git").mkdir(parents=True, exist_ok=True)

    async def snapshot(self, directory: Path, name: str) -> str:
        """Always the same: nothing changes."""
        return COMMIT


class TimedGit(GitWorkspace):
    """Real git, with the time of every snapshot noted."""

    def __init__(self) -> None:
        super().__init__(os.environ, lambda _warning: None)
        self.snapshots: list[int] = []  # ns

    async def snapshot(self, directory: Path, name: str) -> str:
        """See Workspace."""
        began = time.monotonic_ns()
        try:
            return await super().snapshot(directory, name)
        finally:
            self.snapshots.append(time.monotonic_ns() - began)
