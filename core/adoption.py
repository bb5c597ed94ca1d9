"""Takes up what people wrote into index.json and sessions/*.json, as far as opencode and git bear it out.

On a first start that is the research's index, or that of a database that was lost; later it is what was edited by hand.
Nothing is believed: an opencode session becomes an issue's only if opencode has it and it works in the project's own
repository, on no worktree that another session has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core import view_life
from core.bases import base_title
from core.edits import Edit, EditedFiles, FoundBase, FoundSession, Missing, Retitled, Untaken
from core.errors import (
    AgentDenied,
    AgentError,
    AgentSessionGone,
    AgentUnavailable,
    AgentUnsupported,
    Busy,
    KugetsuError,
    NotFound,
    SessionExists,
    UsageError,
    WorkspaceError,
)
from core.model import BaseSession, Project, RunState, Session, SessionId, SessionKey, SessionState
from core.ports import AgentPort, AgentSession, Clock, Store, Workspace
from core.projects import Projects
from core.sessions import Sessions, session_title, title_of


class Adoption:
    """Compares the files with what was written there. `tell` gets each sentence of the report as it comes."""

    def __init__(
        self,
        files: EditedFiles,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        projects: Projects,
        sessions: Sessions,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self._files = files
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._projects = projects
        self._sessions = sessions
        self._clock = clock
        self._tell = tell
        self._report: list[str] = []
        self._down: AgentError | None = None

    def report(self) -> list[str]:
        """What the last `pick_up` did and could not do, a sentence each."""
        return list(self._report)

    async def pick_up(self) -> list[str]:
        """Look at all files once; the report. To be called before the mirror first writes; may be repeated any time.

        opencode is started only when a session's id is to be checked. While it cannot be reached, what needs it stays
        in its file for the next time.
        """
        self._report, self._down = [], None
        untaken: set[str] = set()
        held: set[str] = set()
        # Forks last: what they were forked from may be in the same files.
        for edit in sorted(await self._files.look(), key=_is_fork):
            try:
                await self._take(edit)
            except (AgentUnavailable, AgentUnsupported, AgentDenied) as error:
                held.add(edit.file)
                if self._down is None:  # once, not for each session
                    self._down = error
                    self._say(view_life.edits_held(edit, error))
            except KugetsuError as error:
                untaken.add(edit.file)
                self._say(view_life.edit_untaken(edit, error))
        await self._files.settle(untaken, held)
        return self.report()

    async def _take(self, edit: Edit) -> None:
        match edit:
            case FoundSession():
                await self._session(edit)
            case FoundBase():
                await self._base(edit)
            case Retitled(_, key, title):
                if await self._store.change_session(key, lambda now: replace(now, title=title_of(title))):
                    self._say(view_life.retitled(key, title_of(title)))
            case Missing():
                await self._missing(edit)
            case Untaken(_, why):
                raise UsageError(why)

    def _say(self, sentence: str) -> None:
        self._report.append(sentence)
        self._tell(sentence)

    async def _missing(self, edit: Missing) -> None:
        if isinstance(edit.subject, SessionKey):
            wanted: object = await self._store.session(edit.subject)
        else:
            wanted = edit.subject is None or await self._store.base(edit.subject)
        if wanted:
            self._say(view_life.written_again(edit.file, edit.subject, entry=edit.entry))

    # ── sessions ───────────────────────────────────────────────────────────────────────────────

    async def _session(self, found: FoundSession) -> None:
        record = await self._store.session(found.key)
        if record is None:
            await self._adopt(found)
        elif record.agent_id == found.agent_id:
            return
        elif found.edited:
            await self._exchange(record, found.agent_id)
        else:
            raise SessionExists(f"It has the session `{record.agent_id or 'not made yet'}` already.")

    async def _adopt(self, found: FoundSession) -> None:
        project = await self._projects.get(found.key.ref.project)
        key = SessionKey(replace(found.key.ref, project=project.ref), found.key.name)  # as the configuration spells it
        known = await self._unused(found.agent_id)
        directory, branch = await self._checkout(project, known.directory)
        if directory != known.directory.resolve():
            raise UsageError(
                f"`{known.id}` works in {known.directory}, a folder inside the checkout {directory}.",
                f"`/start {key.ref} …` makes a session at its top.",
            )
        others = await self._store.sessions()
        if taken := next((s for s in others if branch and s.branch and s.directory == directory), None):
            raise UsageError(f"`{known.id}` works in {directory}, which is the worktree of {taken.key}.")
        parent = next((other for other in others if found.parent and other.agent_id == found.parent), None)
        if parent is None and key.name:
            parent = next((other for other in others if other.key == SessionKey(key.ref)), None)
        session = await self._sessions.named(key, project, "", parent)
        session = replace(
            session,
            title=title_of(found.title or known.title.removeprefix(f"{session_title(session)}: ")),
            directory=directory,
            branch=branch,
            state=SessionState.IDLE,
            created=known.created,
            agent_id=known.id,
            parent_id=found.parent or SessionId(""),
        )
        if branch:
            self._sessions.mark(session)
        await self._store.add_session(session)
        self._say(view_life.adopted(session))

    async def _exchange(self, record: Session, agent_id: SessionId) -> None:
        """Another opencode session for an issue that has one: it comes into the issue's worktree, which stays."""
        if record.state in {SessionState.NEW, SessionState.ARCHIVED}:
            raise Busy(f"{record.key} is {record.state} and cannot get another session now.", "`/continue` it first.")
        if any(run.state is not RunState.QUEUED for run in await self._store.unfinished_runs(record.key)):
            raise Busy(f"{record.key} is at work and cannot get another session now.", f"`/stop {record.key}` first.")
        project = await self._projects.get(record.key.ref.project)
        known = await self._unused(agent_id)
        await self._checkout(project, known.directory)
        await self._agent.settle_directory(agent_id, record.directory)
        updated = self._clock.now()

        def change(now: Session) -> Session:
            none = SessionId("")  # nobody knows what it was forked from
            return replace(now, agent_id=agent_id, parent_id=none, state=SessionState.IDLE, updated=updated)

        await self._store.change_session(record.key, change)
        self._say(view_life.exchanged(record, agent_id))

    # ── bases ──────────────────────────────────────────────────────────────────────────────────

    async def _base(self, found: FoundBase) -> None:
        bases = await self._store.bases()
        if any(base.agent_id == found.agent_id for base in bases):
            return
        if found.project:
            project = await self._projects.get(found.project)
            known = await self._unused(found.agent_id)
            await self._checkout(project, known.directory)
        else:
            known = await self._unused(found.agent_id)
            project = await self._project_around(known)
        present = next((base for base in bases if base.project.key == project.ref.key), None)
        if present and not found.edited:
            raise SessionExists(
                f"{project.ref} has the base session `{present.agent_id}` already.",
                f"`/destroy --base {project.ref}` first, if it is to be replaced.",
            )
        base = BaseSession(
            project.ref, known.id, project.path, known.title or base_title(project), known.created, found.ready
        )
        await self._store.save_base(base)
        self._say(view_life.base_adopted(base))

    async def _project_around(self, known: AgentSession) -> Project:
        for project in await self._projects.all():
            try:
                await self._checkout(project, known.directory)
            except WorkspaceError:
                continue  # another project's, perhaps
            return project
        raise NotFound(
            f"The base session `{known.id}` works in {known.directory}, which belongs to no project.",
            "Add that checkout to `projects:` in config.yaml, and start again.",
        )

    # ── what opencode and git say ──────────────────────────────────────────────────────────────

    async def _unused(self, agent_id: SessionId) -> AgentSession:
        """The opencode session, when it can become somebody's."""
        if self._down:
            raise self._down
        known = await self._agent.find_session(agent_id)
        if known is None:
            raise AgentSessionGone(f"opencode has no session `{agent_id}`.")
        if known.parent_id:
            raise UsageError(f"`{agent_id}` is the session of a sub-agent.")
        owners: list[object] = [s.key for s in await self._store.sessions() if s.agent_id == agent_id]
        owners += [f"the base of {base.project}" for base in await self._store.bases() if base.agent_id == agent_id]
        if owners:
            raise UsageError(f"`{agent_id}` is the session of {owners[0]} already.")
        return known

    async def _checkout(self, project: Project, directory: Path) -> tuple[Path, str]:
        """The checkout around `directory`, one of the project's repository, and its branch.

        No branch where kugetsu must never remove it: for the project's own checkout, and for its base branch.
        """
        located = await self._workspace.locate(directory)
        if located is None:
            raise WorkspaceError(f"{directory} is in no git checkout.")
        top = located.top.resolve()
        if top == project.path.resolve():
            return top, ""
        for trace in await self._workspace.traces(project, top.parent):
            if trace.registered and trace.directory and trace.directory.resolve() == top:
                return top, "" if trace.branch == project.base_branch else trace.branch
        raise WorkspaceError(f"{directory} is not in the repository of {project.ref}, which is {project.path}.")


def _is_fork(edit: Edit) -> bool:
    return isinstance(edit, FoundSession) and bool(edit.key.name)
