"""Who said something, where they stand, and which session or project they mean by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core import commands, refs
from core.access import Role
from core.commands import Command
from core.errors import NotFound, UsageError
from core.model import Attachment, Document, Inbound, Person, Project, Run, Session
from core.people import People
from core.ports import Store
from core.projects import Projects
from core.refs import RefContext
from core.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Caller:
    """Who said something where, and what is understood from that."""

    inbound: Inbound
    role: Role
    here: Session | None  # the place's session, or that of the worktree a terminal stands in
    context: RefContext
    row: int | None = None  # of the inbox: names what this message makes, so that it is made once
    attachments: tuple[Attachment, ...] = ()


async def _nobody(_said: Document) -> None:
    """A worktree that is brought back for a look says nothing about it."""


def numbered(session: Session, runs: Sequence[Run], number: str) -> Run:
    """The run a person named. Raises NotFound."""
    run = next((run for run in runs if str(run.number) == number.lstrip("#")), None)
    if run is None:
        raise NotFound(
            f"{session.key} has no run `{number[:20]}`.", f"It has {len(runs)}; see `/status {session.key}`."
        )
    return run


class Callers:
    """Understands what people leave out."""

    def __init__(
        self, store: Store, projects: Projects, sessions: Sessions, people: People, default_instance: str
    ) -> None:
        self._store = store
        self._projects = projects
        self._sessions = sessions
        self._people = people
        self._default_instance = default_instance

    async def of(self, inbound: Inbound, row: int | None = None, attachments: tuple[Attachment, ...] = ()) -> Caller:
        """What is known about who wrote this, and where they stand."""
        key = await self._store.session_at(inbound.place)
        here = await self._store.session(key) if key else await self._sessions.at_directory(inbound.directory)
        project = here.key.ref.project if here else None
        if project is None:
            found = await self._projects.at(inbound.directory)
            project = found.ref if found else None
        context = RefContext(self._default_instance, project)
        return Caller(inbound, self.role(inbound.person), here, context, row, attachments)

    def role(self, person: Person) -> Role:
        """What was given to them."""
        return self._people.role(person.id)

    async def meant(self, command: Command, caller: Caller) -> Session:
        """The session a command is about: its ref's, else the one shown here. Raises NotFound, UsageError."""
        if command.ref is None:
            if caller.here is None:
                raise UsageError(
                    f"`{command.spec.name}` needs to know the issue: no session is shown here.",
                    f"For example: `/{command.spec.name} {commands.REF}`.",
                )
            return caller.here
        session = await self._store.session(command.ref)
        if session is None:
            raise NotFound(f"{command.ref} has no session.", f"`/start {command.ref.ref} …` makes one; see `/list`.")
        return session

    async def audit(self, caller: Caller, action: str, subject: str, detail: str = "") -> None:
        """Record what a command did. Raises StoreError."""
        by = caller.inbound
        await self._store.audit(by.person.id, action, subject, by.place, detail)

    async def at_work(self, command: Command, caller: Caller) -> Session:
        """The same, begun and with its worktree there: that of an archived one is brought back.

        Raises NotFound, UsageError, WorkspaceError.
        """
        session = await self.meant(command, caller)
        if not session.agent_id:
            raise UsageError(f"{session.key} has not begun yet.", f"See `/status {session.key}`.")
        project = await self._projects.get(session.key.ref.project)
        return await self._sessions.prepare(session.key, project, _nobody)

    async def project_meant(self, text: str, caller: Caller) -> Project:
        """The project named, else the one stood in, else the only one. Raises NotFound, UsageError, RefError."""
        if text.strip():
            return await self._projects.get(refs.parse_project(text.strip(), self._default_instance))
        if caller.context.project:
            return await self._projects.get(caller.context.project)
        projects = await self._projects.all()
        if len(projects) == 1:
            return projects[0]
        known = ", ".join(f"`{project.ref}`" for project in projects) or "none yet"
        raise UsageError(f"Which project? Known: {known}.", "For example: `/init github.com/shoko/kugetsu`.")
