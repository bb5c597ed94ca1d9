"""The end of a session's life: destroyed, archived, woken. Work that exists nowhere else is never lost unasked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from core import view_life
from core.errors import UsageError, WorkspaceError
from core.model import BaseSession, Project, Session, SessionKey, SessionState
from core.ports import AgentPort, Clock, Operation, Stake, Store, Workspace
from core.projects import Projects, names

DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class Keeping:
    """The configuration's `sessions`."""

    max_per_project: int = 50
    archive_after: timedelta = timedelta(days=30)


class Ending:
    """Takes sessions apart, in the order in which nothing is ever left without an owner."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        projects: Projects,
        clock: Clock,
        keeping: Keeping,
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._projects = projects
        self._clock = clock
        self._keeping = keeping

    async def stake(self, session: Session) -> Stake:
        """What destroying it would lose."""
        if not session.branch:
            return Stake()  # it works in the project's own checkout, which stays
        project = await self._projects.get(session.key.ref.project)
        return await self._workspace.at_stake(project, session.directory, session.branch)

    async def destroy(self, session: Session, *, force: bool) -> None:
        """Worktree, branch, snapshots, opencode session and record. Raises WorkspaceError when work would be lost."""
        stake = await self.stake(session)
        if stake.locked or (stake and not force):
            raise WorkspaceError(view_life.at_stake(session, stake), f"`/destroy {session.key} --force` loses it.")
        operation = await self._intent(session.key, {"force": force})
        await self.finish(operation)

    async def finish(self, operation: Operation) -> None:
        """The steps of a destroy; each can be repeated, so a restart begins with the first."""
        session = next((s for s in await self._store.sessions() if s.key.key == operation.subject), None)
        if session:
            project = await self._projects.get(session.key.ref.project)
            if session.branch:
                force = bool(operation.data.get("force"))
                await self._workspace.remove_worktree(project, session.directory, session.branch, force=force)
            await self._workspace.drop_snapshots(project.path, session.slug)
            if session.agent_id:
                await self._agent.delete_session(session.agent_id)
            for started in await self._store.open_operations(subject=session.key.key):
                if started.id != operation.id:
                    await self._store.end(started)
            await self._store.remove_session(session.key)
        await self._store.end(operation)

    async def destroy_base(self, project: Project) -> BaseSession:
        """Delete the project's base session; its forks stay. Raises UsageError when there is none."""
        base = await self._store.base(project.ref)
        if base is None:
            raise UsageError(f"{project.ref} has no base session.", "The next `/start` makes one.")
        await self._agent.delete_session(base.agent_id)
        await self._store.remove_base(project.ref)
        return base

    # ── archive ────────────────────────────────────────────────────────────────────────────────

    async def archive(self, session: Session) -> Session:
        """Remove the worktree, keep session, record and branch. Raises WorkspaceError when work is not committed."""
        if not session.branch:
            raise UsageError(f"{session.key} has no worktree of its own.", "There is nothing to archive.")
        project = await self._projects.get(session.key.ref.project)
        await self._workspace.remove_worktree(project, session.directory, session.branch, keep_branch=True)
        at = self._clock.now()
        archived = await self._store.change_session(
            session.key, lambda now: replace(now, state=SessionState.ARCHIVED, updated=at)
        )
        return archived or session

    async def room(self, project: Project) -> Session | None:
        """None while the project may have one more session; else the one to archive first, if one is clean.

        Raises UsageError when the maximum is reached and none is.
        """
        open_ones = [
            session
            for session in await self._store.sessions()
            if session.key.ref.project.key in names(project) and session.state is not SessionState.ARCHIVED
        ]
        if len(open_ones) < self._keeping.max_per_project:
            return None
        for session in sorted(open_ones, key=lambda session: session.updated):
            if session.branch and session.state not in _AT_WORK and not await self.stake(session):
                return session
        raise UsageError(
            f"{project.ref} has {len(open_ones)} sessions, the limit of `sessions.max_per_project`, and all have work "
            "that is not committed and pushed.",
            "Commit and push, or `/destroy` one.",
        )

    async def unused(self) -> list[Session]:
        """What was not used for `sessions.archive_after`, is at rest and has a worktree to archive."""
        now = self._clock.now()
        return [
            session
            for session in await self._store.sessions()
            if now - session.updated > self._keeping.archive_after
            and session.branch
            and session.state not in {*_AT_WORK, SessionState.ARCHIVED, SessionState.NEW}
        ]

    async def _intent(self, key: SessionKey, data: dict[str, bool]) -> Operation:
        left = await self._store.open_operations(kind=DESTROY, subject=key.key)
        return left[0] if left else await self._store.begin(DESTROY, key.key, data)


_AT_WORK = {SessionState.RUNNING, SessionState.ASKING}
