"""What a session, or one run of it, has changed and done: `diff` and `details`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from core import view_steer
from core.audience import Audience
from core.callers import Caller, Callers, numbered
from core.commands import Command
from core.errors import AgentUnavailable, UsageError
from core.model import Document, Run, RunState, Session
from core.ports import AgentPort, AgentRun, Reply, Store, Workspace
from core.progress import Progress, fold
from core.projects import Projects

READING = 30.0  # seconds for opencode to tell what it has stored of a run
STORED = 0.5  # seconds after the first event in which all that is stored of a run under way has come
MAX_MESSAGE = 12_000  # characters; details longer than that come as a file
LAST = "last"


class Changes:
    """`folder` is below the state directory: patches are kept there until they are sent."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        projects: Projects,
        callers: Callers,
        audience: Audience,
        folder: Path,
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._projects = projects
        self._callers = callers
        self._audience = audience
        self._folder = folder
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "diff": self._diff,
            "details": self._details,
        }

    async def _diff(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)
        if wanted := command.option("run"):
            return await self._diff_of_run(session, await self._run(session, wanted), caller)
        before = await self._beginning(session)
        now = await self._workspace.snapshot(session.directory, f"{session.slug}/diff")
        return await self._shown(session, view_steer.whole_session(session), before, now, session.slug, caller)

    async def _diff_of_run(self, session: Session, run: Run, caller: Caller) -> Reply:
        if not run.snapshot_before:
            raise UsageError(
                f"The files before run {run.number} were not recorded.", "`/diff` shows the whole session."
            )
        after = run.snapshot_after
        if not after and not run.state.over:
            after = await self._workspace.snapshot(session.directory, f"{session.slug}/diff")
        if not after:
            raise UsageError(f"The files after run {run.number} were not recorded.", "`/diff` shows the whole session.")
        name = f"{session.slug}-run-{run.number}"
        return await self._shown(session, view_steer.one_run(session, run), run.snapshot_before, after, name, caller)

    async def _shown(self, session: Session, what: str, before: str, after: str, name: str, caller: Caller) -> Reply:
        target = self._folder / f"{name}.patch"
        size, changes = await asyncio.gather(
            self._workspace.patch(session.directory, before, after, target),
            self._workspace.changes(session.directory, before, after),
        )
        if size:
            await self._audience.show_file(caller.inbound.place, session.key, target, target.name)
        data = {
            "ref": str(session.key),
            "patch": str(target) if size else "",
            "files": [
                {"path": c.path, "before": c.before, "added": c.added, "removed": c.removed, "binary": c.binary}
                for c in changes
            ],
        }
        return Reply(view_steer.changes(what, changes), data=data)

    async def _beginning(self, session: Session) -> str:
        """Where the session's branch left its base; in a shared checkout, before its first run. Raises UsageError."""
        project = await self._projects.get(session.key.ref.project)
        if session.branch:
            return await self._workspace.base_of(project, session.directory)
        runs = [run for run in await self._store.runs(session.key) if run.snapshot_before]
        if not runs:
            raise UsageError(f"{session.key} has not worked yet.", f"`/continue {session.key} …` gives it a prompt.")
        return runs[0].snapshot_before

    async def _details(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        run = await self._run(session, command.option("run") or LAST)
        progress = await self._told(session, run)
        whole = view_steer.details(session, run, progress)
        data = {
            "ref": str(session.key),
            "run": run.number,
            "steps": [
                {"tool": s.tool, "title": s.title, "state": s.state.value, "output": s.output, "error": s.error}
                for s in progress.steps
            ],
        }
        if len(whole) <= MAX_MESSAGE:
            return Reply(Document(whole), data=data)
        target = self._folder / f"{session.slug}-run-{run.number}-details.md"
        await asyncio.to_thread(_write, target, whole)
        await self._audience.show_file(caller.inbound.place, session.key, target, target.name)
        return Reply(view_steer.details_as_file(session, run, progress), data=data)

    async def _told(self, session: Session, run: Run) -> Progress:
        """The run as the agent has stored it; of one under way, what it is so far. Raises UsageError, AgentError."""
        if not session.agent_id or not run.message_id:
            raise UsageError(f"Run {run.number} never reached opencode.", f"See `/status {session.key}`.")
        sent = AgentRun(session.agent_id, session.directory, run.message_id, run.prompt)
        progress, heard = Progress(), False
        try:
            async with asyncio.timeout(READING) as limit, aclosing(self._agent.attach(sent)) as events:
                async for event in events:
                    if not run.state.over and not heard:
                        limit.reschedule(asyncio.get_running_loop().time() + STORED)
                    heard = True
                    progress = fold(progress, event)
        except TimeoutError as error:
            if heard and not run.state.over:
                return progress
            raise AgentUnavailable("opencode did not tell in time what the run did.", "Try again.") from error
        return progress

    async def _run(self, session: Session, number: str) -> Run:
        """Raises NotFound, UsageError."""
        runs = [run for run in await self._store.runs(session.key) if run.state is not RunState.QUEUED]
        if not runs:
            raise UsageError(f"{session.key} has not worked yet.", f"`/continue {session.key} …` gives it a prompt.")
        return runs[-1] if number.lower() == LAST else numbered(session, runs, number)


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8", errors="replace")
