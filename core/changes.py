"""`diff`: what a session changed, as a summary in the thread and the patch as a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from core import view_life
from core.audience import Audience
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import UsageError
from core.ports import Reply, Store, Workspace


class Changes:
    """`folder` is below the state directory: patches are kept there until they are sent."""

    def __init__(self, store: Store, workspace: Workspace, callers: Callers, audience: Audience, folder: Path) -> None:
        self._store = store
        self._workspace = workspace
        self._callers = callers
        self._audience = audience
        self._folder = folder
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"diff": self._diff}

    async def _diff(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        runs = [run for run in await self._store.runs(session.key) if run.snapshot_before]
        if not runs:
            raise UsageError(f"{session.key} has not worked yet.", f"`/continue {session.key} …` gives it a prompt.")
        now = await self._workspace.snapshot(session.directory, f"{session.slug}/diff")
        target = self._folder / f"{session.slug}.patch"
        stat = await self._workspace.patch(session.directory, runs[0].snapshot_before, now, target)
        data = {"ref": str(session.key), "patch": str(target) if stat else "", "stat": stat}
        if stat:
            await self._audience.show_file(caller.inbound.place, session.key, target, target.name)
        return Reply(view_life.changes(session, stat), data=data)
