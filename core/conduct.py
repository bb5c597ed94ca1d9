"""Carries out commands: one method a command, each ending in the Reply its sender reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from core import commands, refs, view
from core.access import Role, Roster
from core.audience import Audience
from core.bases import Bases
from core.commands import Command
from core.errors import KugetsuError, NotFound, QueueFull, RefError, SessionExists, UsageError
from core.mailbox import Mailboxes
from core.model import (
    Document,
    Inbound,
    Person,
    Place,
    Project,
    Run,
    RunState,
    Session,
    SessionKey,
    SessionState,
    Tokens,
)
from core.offers import Offers
from core.ports import Clock, Reply, Store, Workspace
from core.projects import Projects
from core.refs import RefContext
from core.run import Runs
from core.sessions import Sessions

MAX_PROMPT_BYTES = 2 * 1024 * 1024  # above what any model's context holds; a message's size must not hurt the store

Doctor = Callable[[], Awaitable[Reply]]
DebugLog = Callable[[str], None]  # switches the debug log of a session's slug on


@dataclass(frozen=True, slots=True)
class Limits:
    """The configuration's `runs`, as far as commands need it."""

    queue_depth: int = 10


@dataclass(frozen=True, slots=True)
class Caller:
    """Who said something where, and what is understood from that."""

    inbound: Inbound
    role: Role
    here: Session | None  # the place's session, or that of the worktree a terminal stands in
    context: RefContext


class Conductor:
    """Knows the sessions' state machine from outside: what a command means, not how it is done."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        projects: Projects,
        sessions: Sessions,
        bases: Bases,
        runs: Runs,
        mailboxes: Mailboxes,
        audience: Audience,
        clock: Clock,
        roster: Roster,
        limits: Limits,
        default_instance: str,
        doctor: Doctor,
        debug_log: DebugLog,
        offers: Offers,
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._projects = projects
        self._sessions = sessions
        self._bases = bases
        self._runs = runs
        self._mailboxes = mailboxes
        self._audience = audience
        self._clock = clock
        self._roster = roster
        self._limits = limits
        self._default_instance = default_instance
        self._doctor = doctor
        self._debug_log = debug_log
        self._offers = offers
        self._queueing = asyncio.Lock()  # a place in the queue is counted and taken in one go
        self._commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "start": self._start,
            "continue": self._continue,
            "fork": self._fork,
            "stop": self._stop,
            "retry": self._retry,
            "status": self._status,
            "list": self._list,
            "watch": self._watch,
            "unwatch": self._unwatch,
            "init": self._init,
            "whoami": self._whoami,
            "doctor": self._check,
            "help": self._help,
        }

    async def caller(self, inbound: Inbound) -> Caller:
        """What is known about who wrote this, and where they stand."""
        key = await self._store.session_at(inbound.place)
        here = await self._store.session(key) if key else await self._sessions.at_directory(inbound.directory)
        project = here.key.ref.project if here else None
        if project is None:
            found = await self._projects.at(inbound.directory)
            project = found.ref if found else None
        return Caller(inbound, self._roster.role(inbound.person.id), here, RefContext(self._default_instance, project))

    def role(self, person: Person) -> Role:
        """What the roster says."""
        return self._roster.role(person.id)

    async def perform(self, command: Command, caller: Caller) -> Reply:
        """Raises KugetsuError for what the person must be told instead of a result."""
        if caller.role < command.spec.role:
            raise view.not_allowed(caller.inbound.person, command.spec.role)
        return await self._commands[command.spec.name](command, caller)

    async def say(self, caller: Caller) -> Reply:
        """A plain message: the next prompt to the session shown here."""
        if caller.here is None:
            raise UsageError("No session is shown here.", f"Begin with `/start {commands.REF} …`; `/help` lists more.")
        driver = Role.DRIVER
        if caller.role < driver:
            raise view.not_allowed(caller.inbound.person, driver)
        return await self._prompt(caller.here, caller.inbound.text, caller)

    async def _start(self, command: Command, caller: Caller) -> Reply:
        assert command.ref is not None
        if command.ref.name:
            raise RefError(
                f"{command.ref} names a fork.", f"`/fork {command.ref.ref} --name {command.ref.name}` makes it."
            )
        project = await self._projects.get(command.ref.ref.project)
        key = SessionKey(replace(command.ref.ref, project=project.ref))  # as the configuration spells it
        message = checked(command.message)
        try:
            session = await self._sessions.plan_start(key, project, message)
        except SessionExists as error:
            return await self._exists(key, error, message)
        waiting = await self._unfinished(key)
        if waiting and all(run.prompt != message for run in waiting):
            return await self._exists(key, SessionExists(f"{session.key} is being started."), message)
        try:
            place = await self._open(caller, session)
            return await self._prompt(session, message, caller, place, view.starting(session), once=True)
        except KugetsuError:
            await self._sessions.abandon(key)
            raise

    async def _continue(self, command: Command, caller: Caller) -> Reply:
        session = await self._meant(command, caller)
        message = checked(command.message)
        place = await self._open(caller, session)
        return await self._prompt(session, message, caller, place)

    async def _fork(self, command: Command, caller: Caller) -> Reply:
        name = refs.parse_name(command.option("name")) if command.option("name") else ""
        parent = await self._meant(command, caller)
        project = await self._projects.get(parent.key.ref.project)
        at = await self._run_numbered(parent, command.option("at")) if command.option("at") else None
        message = checked(command.message) if command.message else ""
        session = await self._sessions.plan_fork(parent, name, project, at, message)
        place = await self._open(caller, session)
        if message:
            return await self._prompt(session, message, caller, place, view.starting(session), once=True)
        key = session.key
        try:
            session = await self._sessions.prepare(key, project, lambda said: self._audience.tell(key, said))
        except KugetsuError:
            await self._sessions.abandon(key)
            raise
        return Reply(view.starting(session), data=forked_data(session), place=place)

    async def _stop(self, command: Command, caller: Caller) -> Reply:
        session = await self._meant(command, caller)
        if await self._runs.stop(session.key):
            return Reply(view.stopped(session))
        return Reply(view.nothing_to_stop(session))

    async def _retry(self, command: Command, caller: Caller) -> Reply:
        session = await self._meant(command, caller)
        runs = await self._store.runs(session.key)
        if not runs:
            raise NotFound(f"{session.key} has had no prompt yet.", f"Give it one: `/continue {session.key} …`.")
        if not runs[-1].state.over:
            raise UsageError(f"Run {runs[-1].number} of {session.key.tag} is not over yet.", "`/stop` ends it.")
        if runs[-1].state is RunState.DONE:
            raise UsageError(
                f"Run {runs[-1].number} of {session.key.tag} was answered.", "Say what to do next instead."
            )
        place = await self._open(caller, session)
        return await self._prompt(session, runs[-1].prompt, caller, place)

    async def _status(self, command: Command, caller: Caller) -> Reply:
        session = await self._current(await self._meant(command, caller))
        runs = await self._store.runs(session.key)
        places = await self._store.places(session.key)
        waiting = sum(run.state is RunState.QUEUED for run in runs)
        data = session_data(session, places) | {"runs": [run_data(run) for run in runs], "waiting": waiting}
        return Reply(view.status(session, runs, waiting, places, self._clock.now()), data=data)

    async def _list(self, command: Command, caller: Caller) -> Reply:
        del command, caller
        found = [await self._current(session) for session in await self._store.sessions()]
        data = [session_data(session, await self._store.places(session.key)) for session in found]
        return Reply(view.sessions(found, self._clock.now()), data=data)

    async def _watch(self, command: Command, caller: Caller) -> Reply:
        session = await self._meant(command, caller)
        return Reply(view.attached(await self._current(session)), place=await self._open(caller, session))

    async def _unwatch(self, command: Command, caller: Caller) -> Reply:
        del command
        await self._audience.detach(caller.inbound.place)
        return Reply(view.detached())

    async def _init(self, command: Command, caller: Caller) -> Reply:
        adopting = bool(command.option("here"))
        project = await self._adopted(caller) if adopting else await self._project_meant(command.message, caller)
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

    async def _prompt(
        self,
        session: Session,
        text: str,
        caller: Caller,
        place: Place | None = None,
        receipt: Document | None = None,
        *,
        once: bool = False,
    ) -> Reply:
        """Accept a prompt: from here on it is on disk and will be answered. `once`: a repeated start adds no second."""
        text = checked(text)
        if session.state is SessionState.GONE:
            raise NotFound(
                f"opencode no longer has the session of {session.key}; worktree `{session.directory}` is untouched.",
                f"`/fork {session.key.ref} …` makes another one."
                if session.key.name
                else f"`/start {session.key.ref} …` makes a new session on the same worktree.",
            )
        async with self._queueing:
            waiting = await self._unfinished(session.key)
            run = next((run for run in waiting if once and run.prompt == text), None)
            if run is None:
                queued = sum(run.state is RunState.QUEUED for run in waiting)
                if queued >= self._limits.queue_depth:
                    raise QueueFull(
                        f"{queued} prompts wait in {session.key.tag} already, the limit of `runs.queue_depth`.",
                        "Wait for one to end, or `/stop` the run under way.",
                    )
                asked_in = place or caller.inbound.place
                run = await self._store.add_run(session.key, text, caller.inbound.person.id, asked_in)
        if caller.inbound.debug:
            self._debug_log(session.slug)
        self._mailboxes.wake(session.key)
        position = len(waiting) if run not in waiting else 0
        document = receipt or Document("")
        return Reply(view.queued(position, run) if position else document, place=place, run=run.id)

    async def _unfinished(self, key: SessionKey) -> list[Run]:
        return await self._store.unfinished_runs(key)

    async def _open(self, caller: Caller, session: Session) -> Place:
        """Where the session is to be shown for this caller; attached from now on."""
        place = await self._audience.open_thread(caller.inbound.place, session)
        await self._audience.attach(place, session.key)
        return place

    async def _meant(self, command: Command, caller: Caller) -> Session:
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

    async def _current(self, session: Session) -> Session:
        """As it is this moment; the stored state may be a commit behind."""
        return await self._store.session(session.key) or session

    async def _exists(self, key: SessionKey, error: SessionExists, message: str) -> Reply:
        session = await self._store.session(key)
        if session is None:
            raise error
        places = await self._store.places(key)
        offers = (
            self._offers.make("Continue here", f"/continue {session.key} -- {message}"),
            self._offers.make("Fork", f"/fork {session.key} -- {message}"),
            self._offers.make("Watch", f"/watch {session.key}"),
        )
        data = session_data(session, places)
        return Reply(view.exists(session, places, offers), ok=False, code=error.code, data=data)

    async def _run_numbered(self, session: Session, number: str) -> Run:
        runs = await self._store.runs(session.key)
        run = next((run for run in runs if str(run.number) == number.lstrip("#")), None)
        if run is None:
            raise NotFound(
                f"{session.key} has no run `{number[:20]}`.", f"It has {len(runs)}; see `/status {session.key}`."
            )
        if not run.snapshot_after:
            raise UsageError(f"The files after run {run.number} were not recorded.", "Fork at its end, without `--at`.")
        return run

    async def _adopted(self, caller: Caller) -> Project:
        directory = caller.inbound.directory
        located = await self._workspace.locate(directory) if directory else None
        if located is None:
            raise UsageError(
                "You stand in no git checkout.", "Go to one first, or add it to `projects:` in config.yaml."
            )
        await self._store.adopt_project(located.ref, located.top)
        return await self._projects.get(located.ref)

    async def _project_meant(self, text: str, caller: Caller) -> Project:
        if text:
            return await self._projects.get(refs.parse_project(text.strip(), self._default_instance))
        if caller.context.project:
            return await self._projects.get(caller.context.project)
        projects = await self._projects.all()
        if len(projects) == 1:
            return projects[0]
        known = ", ".join(f"`{project.ref}`" for project in projects) or "none yet"
        raise UsageError(f"Which project? Known: {known}.", "For example: `/init github.com/shoko/kugetsu`.")


def checked(text: str) -> str:
    """A prompt as it goes to the agent. Raises UsageError when it is empty, too large or has NUL characters."""
    if not text.strip():
        raise UsageError("The message is empty.", "Say what to do.")
    if "\0" in text:
        raise UsageError("The message contains a NUL character.", "Send it as plain text.")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_PROMPT_BYTES:
        raise UsageError(
            f"The message has {size / 1024**2:.1f} MB; {MAX_PROMPT_BYTES // 1024**2} MB are the limit.",
            "Put it into a file of the worktree and name the file.",
        )
    return text.strip()


def session_data(session: Session, places: list[Place]) -> dict[str, Any]:
    """As `list --json` prints it."""
    return {
        "ref": str(session.key.ref),
        "name": session.key.name,
        "session": session.agent_id,
        "parent": session.parent_id,
        "directory": str(session.directory),
        "branch": session.branch,
        "state": session.state.value,
        "places": [str(place) for place in places],
        "created": session.created.isoformat(),
        "updated": session.updated.isoformat(),
    }


def forked_data(session: Session) -> dict[str, Any]:
    """A fork without a prompt, in the form in which every `fork --json` ends."""
    return session_data(session, []) | {
        "type": "finished",
        "ok": True,
        "text": "",
        "error": "",
        "cost": 0.0,
        "tokens": asdict(Tokens()),
        "duration": 0.0,
    }


def run_data(run: Run) -> dict[str, Any]:
    """One run, for scripts."""
    return {
        "number": run.number,
        "prompt": run.prompt,
        "person": run.person,
        "state": run.state.value,
        "text": run.text,
        "error": run.error,
        "cost": run.cost,
        "duration": run.duration,
        "created": run.created.isoformat(),
        "refused": list(run.refused),
    }
