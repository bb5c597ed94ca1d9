"""Files out of a worktree into its thread: `kugetsu send PATH`, meant for the agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from core import view_life
from core.audience import Audience
from core.callers import Caller
from core.commands import Command
from core.errors import NotAllowed, NotFound, UsageError
from core.ports import Reply, Store, Workspace
from core.sessions import Sessions

MAX_BYTES = 50 * 1024 * 1024  # what Telegram takes from bots, the smallest limit of the platforms


class Files:
    """Only what is in the worktree and not ignored there: the agent must not publish secrets by accident."""

    def __init__(self, store: Store, workspace: Workspace, sessions: Sessions, audience: Audience) -> None:
        self._store = store
        self._workspace = workspace
        self._sessions = sessions
        self._audience = audience
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"send": self._send}

    async def _send(self, command: Command, caller: Caller) -> Reply:
        directory = caller.inbound.directory
        session = await self._sessions.at_directory(directory)
        if directory is None or session is None:
            raise UsageError(
                "`send` works inside a session's worktree.", "Go there first; `/status` tells where it is."
            )
        file = _real(directory, command.message)
        if not file.is_relative_to(session.directory):
            raise NotAllowed(f"{command.message} is outside the worktree.", "Copy it into the worktree first.")
        if not file.is_file():
            raise NotFound(f"{command.message} is no file.", "Name a file of the worktree.")
        if file.is_relative_to(session.directory / ".git") or await self._workspace.ignored(session.directory, file):
            raise NotAllowed(
                f"{command.message} is ignored by git, so it may be private.", "Send a copy of what is not."
            )
        if (size := file.stat().st_size) > MAX_BYTES:
            limit = MAX_BYTES // 1024**2
            raise UsageError(
                f"{command.message} has {size / 1024**2:.0f} MB; {limit} MB are the limit.", "Compress it."
            )
        name = str(file.relative_to(session.directory))
        await self._audience.send_file(session.key, file, name)
        await self._store.audit(caller.inbound.person.id, "send", str(session.key), None, name)
        return Reply(view_life.sent_file(name, size), data={"ref": str(session.key), "file": name, "size": size})


def _real(directory: Path, name: str) -> Path:
    """Where `name` leads in the end. Raises NotFound for a loop of links, and for names that no file can have."""
    try:
        file = (directory / name).resolve()
        file.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise NotFound(f"{name[:200]!r} is no file.", "Name a file of the worktree.") from error
    return file
