"""Moving a session to another machine: kugetsu's record, opencode's session and the branch, in one file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import refs
from core.errors import Busy, SessionExists, UsageError
from core.model import Project, Run, Session, SessionKey, SessionState
from core.ports import AgentPort, Archives, Clock, Parcel, Store, Workspace
from core.projects import Projects
from core.sessions import Sessions

SUFFIX = ".kugetsu.tar.gz"


class Transfer:
    """`export` and `import`."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        archives: Archives,
        projects: Projects,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._archives = archives
        self._projects = projects
        self._sessions = sessions
        self._clock = clock

    async def export(self, session: Session, folder: Path) -> Path:
        """Write the archive into `folder`. Raises Busy while a run is under way or waits."""
        if await self._store.unfinished_runs(session.key):
            raise Busy(f"{session.key} is at work.", f"Wait for the end, or `/stop {session.key}`, then export it.")
        if not session.agent_id or not session.branch or session.state in {SessionState.GONE, SessionState.ARCHIVED}:
            raise UsageError(
                f"{session.key} is {session.state}: there is no worktree and opencode session to export.",
                f"`/continue {session.key} …` brings an archived one back.",
            )
        project = await self._projects.get(session.key.ref.project)
        base = project.base_branch or (await self._workspace.inspect(project)).branch
        manifest = self._manifest(session, base, await self._store.runs(session.key))
        exported = await self._agent.export_session(session.agent_id)
        target = folder / f"{session.slug}{SUFFIX}"
        with tempfile.TemporaryDirectory(prefix="kugetsu-export-") as scratch:
            bundle = Path(scratch) / "branch.bundle"
            await self._workspace.bundle(session.directory, session.branch, base, bundle)
            await asyncio.to_thread(self._archives.pack, target, Parcel(manifest, exported, bundle))
        return target

    async def bring_in(self, file: Path) -> Session:
        """Make the archive's session one of ours.

        Raises UsageError for what is no archive, NotFound for an unknown project, SessionExists when the ref has a
        session here. What was made before a failure is taken back.
        """
        with tempfile.TemporaryDirectory(prefix="kugetsu-import-") as scratch:
            parcel = await asyncio.to_thread(self._archives.unpack, file, Path(scratch))
            name = _text(parcel.manifest, "name")
            key = SessionKey(refs.parse_issue(_text(parcel.manifest, "ref")), refs.parse_name(name) if name else "")
            project = await self._projects.get(key.ref.project)
            if not project.worktrees:
                raise UsageError(f"{project.ref} has worktrees switched off.", "Set `worktrees: true` to import there.")
            if await self._store.session(key):
                raise SessionExists(f"{key} has a session here already.", f"`/destroy {key}` it first.")
            session = await self._sessions.named(key, project, _text(parcel.manifest, "title"))
            return await self._settle(session, project, parcel)

    async def _settle(self, session: Session, project: Project, parcel: Parcel) -> Session:
        await self._workspace.unbundle(project, session.directory, session.branch, parcel.bundle)
        try:
            imported = await self._agent.import_session(parcel.session, session.directory)
        except BaseException:
            # All of it is in the archive still.
            await self._workspace.remove_worktree(project, session.directory, session.branch, force=True)
            raise
        session = replace(session, agent_id=imported.id, state=SessionState.IDLE)
        await self._store.add_session(session)
        self._sessions.mark(session)
        return session

    def _manifest(self, session: Session, base: str, runs: list[Run]) -> dict[str, Any]:
        return {
            "ref": str(session.key.ref),
            "name": session.key.name,
            "title": session.title,
            "branch": session.branch,
            "base": base,
            "session": session.agent_id,
            "created": session.created.isoformat(),
            "exported": self._clock.now().isoformat(),
            "runs": [
                {"prompt": run.prompt, "state": run.state.value, "text": run.text, "created": run.created.isoformat()}
                for run in runs
            ],
        }


def _text(manifest: Mapping[str, Any], key: str) -> str:
    value = manifest.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"The archive's `{key}` is no text.", "Export it again.")
    return value
