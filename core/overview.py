"""Commands that look, and those that set up: status, list, watch, unwatch, init, whoami, doctor, help."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from core import commands, view
from core.audience import Audience
from core.bases import Bases
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import UsageError
from core.model import Document, Place, Project, RunState, Session
from core.offers import Offers
from core.ports import Clock, Reply, Store, Workspace
from core.projects import Projects
from core.prompts import Prompts
from core.records import run_data, session_data

Doctor = Callable[[], Awaitable[Reply]]


class Overview:
    """One method a command."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        projects: Projects,
        bases: Bases,
        callers: Callers,
        prompts: Prompts,
        audience: Audience,
        offers: Offers,
        clock: Clock,
        doctor: Doctor,
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._projects = projects
        self._bases = bases
        self._callers = callers
        self._prompts = prompts
        self._audience = audience
        self._offers = offers
        self._clock = clock
        self._doctor = doctor
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "status": self._status,
            "list": self._list,
            "watch": self._watch,
            "unwatch": self._unwatch,
            "init": self._init,
            "whoami": self._whoami,
            "doctor": self._check,
            "help": self._help,
        }

    async def _status(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        runs = await self._store.runs(session.key)
        places = await self._store.places(session.key)
        waiting = sum(run.state is RunState.QUEUED for run in runs)
        data = session_data(session, places) | {"runs": [run_data(run) for run in runs], "waiting": waiting}
        links = await self._links(session, places)
        spent = await self._store.spent_in(session.key)
        data |= {"model": session.model, "agent": session.agent, "cost": spent, "budget": session.budget}
        return Reply(view.status(session, runs, waiting, places, links, spent, self._clock.now()), data=data)

    async def _links(self, session: Session, places: Sequence[Place]) -> list[str]:
        token = self._offers.token()
        links = self._audience.links(places, token)
        if any(token in link for link in links):
            await self._offers.keep(token, f"/watch {session.key}")
        return links

    async def _list(self, command: Command, caller: Caller) -> Reply:
        del command, caller
        found = await self._store.sessions()
        data = [session_data(session, await self._store.places(session.key)) for session in found]
        return Reply(view.sessions(found, self._clock.now()), data=data)

    async def _watch(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        return Reply(view.attached(session), place=await self._prompts.show(caller, session))

    async def _unwatch(self, command: Command, caller: Caller) -> Reply:
        del command
        await self._audience.detach(caller.inbound.place)
        return Reply(view.detached())

    async def _init(self, command: Command, caller: Caller) -> Reply:
        if command.option("here"):
            project = await self._adopted(caller)
        else:
            project = await self._callers.project_meant(command.message, caller)
        anew = bool(command.option("force"))
        notes: list[str] = []

        async def tell(document: Document) -> None:
            notes.append(document.markdown)

        base = await self._bases.ready(project, tell, anew=anew)
        done = view.base_ready(project, base.agent_id, anew=anew)
        data = {"project": str(project.ref), "session": base.agent_id, "directory": str(base.directory)}
        return Reply(Document("\n".join([*notes, done.markdown])), data=data)

    async def _whoami(self, command: Command, caller: Caller) -> Reply:
        del command
        person = caller.inbound.person
        data = {"person": person.id, "name": person.name, "role": caller.role.name.lower()}
        return Reply(view.whoami(person, caller.role), data=data)

    async def _check(self, command: Command, caller: Caller) -> Reply:
        del command, caller
        return await self._doctor()

    async def _help(self, command: Command, caller: Caller) -> Reply:
        name = command.message.lstrip("/!").split(maxsplit=1)
        if not name:
            return Reply(view.help_all(caller.role))
        spec = commands.find(name[0])
        if spec is None:
            raise UsageError(f"There is no command `{name[0][:40]}`.", commands.near_miss(name[0]))
        return Reply(view.help_one(spec))

    async def _adopted(self, caller: Caller) -> Project:
        directory = caller.inbound.directory
        located = await self._workspace.locate(directory) if directory else None
        if located is None:
            raise UsageError(
                "You stand in no git checkout.", "Go to one first, or add it to `projects:` in config.yaml."
            )
        await self._store.adopt_project(located.ref, located.top)
        return await self._projects.get(located.ref)
