"""Compares kugetsu's records with what opencode and git have, finds what nobody owns any more, and repairs."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core import view_life
from core.bases import base_title
from core.ending import DESTROY, Ending
from core.errors import KugetsuError
from core.model import Project, Session, SessionState
from core.ports import AgentPort, AgentSession, Clock, Store, Trace, Workspace
from core.projects import Projects, names
from core.sessions import MARK


class Remedy(enum.Enum):
    """What is done about a finding."""

    REPAIR = "repair"  # loses nothing: done at once
    REMOVE = "remove"  # provably ours and without work in it: done on request
    REPORT = "report"  # a person has to look


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit together, and what can be done about it."""

    text: str
    remedy: Remedy
    apply: Callable[[], Awaitable[None]] | None = None


class Census:
    """Looks at every project; one that cannot be looked at is a finding of its own."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        projects: Projects,
        ending: Ending,
        clock: Clock,
        state_dir: Path,
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._projects = projects
        self._ending = ending
        self._clock = clock
        self._worktrees = (state_dir / "worktrees").resolve()

    async def take(self) -> list[Finding]:
        """All findings, repairs first."""
        found: list[Finding] = []
        for project in await self._projects.all():
            try:
                found += await self._project(project)
            except KugetsuError as error:
                found.append(Finding(f"{project.ref}: {error}", Remedy.REPORT))
        for operation in await self._store.open_operations(kind=DESTROY):
            text = f"{operation.subject}: destroying it was interrupted; it is finished now"
            found.append(Finding(text, Remedy.REPAIR, partial(self._ending.finish, operation)))
        order = list(Remedy)
        return sorted(found, key=lambda finding: order.index(finding.remedy))

    async def settle(self, *, remove: bool) -> list[Finding]:
        """Repair, and with `remove` delete what is provably ours; returns what was found."""
        found = await self.take()
        wanted = {Remedy.REPAIR, Remedy.REMOVE} if remove else {Remedy.REPAIR}
        settled = []
        for finding in found:
            outcome = finding
            if finding.apply and finding.remedy in wanted:
                try:
                    await finding.apply()
                except KugetsuError as error:
                    outcome = replace(finding, text=f"{finding.text}: {error}", remedy=Remedy.REPORT)
            settled.append(outcome)
        return settled

    async def _project(self, project: Project) -> list[Finding]:
        records = [s for s in await self._store.sessions() if s.key.ref.project.key in names(project)]
        listed = await self._agent.list_sessions(project.path)
        traces = await self._workspace.traces(project, self._worktrees)
        found: list[Finding] = []
        for session in records:
            found += await self._record(project, session, traces)
        found += [f for trace in traces if (f := await self._trace(project, trace, records))]
        found += await self._agent_sessions(project, listed)
        return found

    async def _record(self, project: Project, session: Session, traces: list[Trace]) -> list[Finding]:
        found = []
        gone = session.agent_id and session.state is not SessionState.GONE
        if gone and await self._agent.find_session(session.agent_id) is None:
            lost = replace(session, state=SessionState.GONE, updated=self._clock.now())
            found.append(
                Finding(view_life.session_gone(session), Remedy.REPAIR, partial(self._store.save_session, lost))
            )
        if not session.branch or session.state in {SessionState.ARCHIVED, SessionState.NEW}:
            return found
        trace = next((t for t in traces if t.directory == session.directory), None)
        if trace and trace.present:
            return found
        if any(t.branch == session.branch for t in traces):
            text = f"{session.key}: its worktree {session.directory} is gone; it is made again from {session.branch}"

            reopen = partial(self._workspace.open_worktree, project, session.directory, session.branch)
            found.append(Finding(text, Remedy.REPAIR, reopen))
        else:
            text = f"{session.key}: its worktree and its branch {session.branch} are gone; `/destroy {session.key}`"
            found.append(Finding(text, Remedy.REPORT))
        return found

    async def _trace(self, project: Project, trace: Trace, records: list[Session]) -> Finding | None:
        everyone = await self._store.sessions()
        if any(trace.directory == s.directory or trace.branch == s.branch for s in (*records, *everyone) if s.branch):
            return None
        if trace.directory is None:
            return Finding(f"{project.ref}: branch {trace.branch} belongs to no session", Remedy.REPORT)
        directory = trace.directory
        stake = await self._workspace.at_stake(project, directory, trace.branch)
        if stake:
            return Finding(
                f"{directory} belongs to no session and has work in it: {view_life.stake(stake)}", Remedy.REPORT
            )
        remove = partial(self._workspace.remove_worktree, project, directory, trace.branch)
        return Finding(f"{directory} belongs to no session", Remedy.REMOVE, remove)

    async def _agent_sessions(self, project: Project, listed: list[AgentSession]) -> list[Finding]:
        known = {session.agent_id for session in await self._store.sessions()}
        base = await self._store.base(project.ref)
        known |= {base.agent_id} if base else set()
        found = []
        if base and await self._agent.find_session(base.agent_id) is None:
            text = f"{project.ref}: opencode no longer has its base session; the next start makes it again"
            found.append(Finding(text, Remedy.REPAIR, partial(self._store.remove_base, project.ref)))
        for session in listed:
            if session.id in known:
                continue
            text = f"opencode session {session.id} “{session.title}” belongs to no record"
            # The mark alone could be another kugetsu's on the same opencode; a directory of ours is proof.
            marked = session.title.startswith(MARK) and session.title != base_title(project)
            if marked and session.directory.is_relative_to(self._worktrees):
                found.append(Finding(text, Remedy.REMOVE, partial(self._agent.delete_session, session.id)))
            elif session.title == base_title(project):
                found.append(Finding(text, Remedy.REPORT))
        return found
