"""Commands that put the agent to work: start, new, continue, fork, stop, retry, and plain messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core import commands, refs, rules, view, view_life
from core.access import Role
from core.audience import Audience
from core.callers import Caller, Callers, numbered
from core.commands import Command
from core.ending import Ending
from core.errors import KugetsuError, NotFound, RefError, SessionExists, UsageError
from core.issues import Issues
from core.model import IssueRef, Project, Run, RunState, Session, SessionKey, SessionState
from core.offers import Offers
from core.ports import MADE, Reply, Store, source_of
from core.projects import Projects
from core.prompts import Prompts, checked
from core.records import forked_data, session_data
from core.run import Runs
from core.sessions import Sessions, title_of


class Conductor:
    """Knows the sessions' state machine from outside: what a command means, not how it is done."""

    def __init__(
        self,
        store: Store,
        projects: Projects,
        sessions: Sessions,
        runs: Runs,
        ending: Ending,
        issues: Issues,
        callers: Callers,
        prompts: Prompts,
        audience: Audience,
        offers: Offers,
    ) -> None:
        self._store = store
        self._projects = projects
        self._sessions = sessions
        self._runs = runs
        self._ending = ending
        self._issues = issues
        self._callers = callers
        self._prompts = prompts
        self._audience = audience
        self._offers = offers
        self._naming = asyncio.Lock()  # a name is chosen and noted in one go
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "start": self._start,
            "new": self._new,
            "continue": self._continue,
            "fork": self._fork,
            "stop": self._stop,
            "retry": self._retry,
        }

    async def say(self, caller: Caller) -> Reply:
        """A plain message: the next prompt to the session shown here."""
        if caller.here is None and (shared := refs.shared_link(caller.inbound.text)):
            return await self._offered(*shared, caller)
        if caller.here is None:
            raise UsageError("No session is shown here.", f"Begin with `/start {commands.REF} …`; `/help` lists more.")
        if caller.role < Role.DRIVER:
            raise view.not_allowed(caller.inbound.person, Role.DRIVER)
        return await self._prompts.accept(caller.here, caller.inbound.text, caller)

    async def _offered(self, ref: IssueRef, words: str, caller: Caller) -> Reply:
        """A link to an issue was shared: it is offered, not started; nobody asked for that yet."""
        existing = await self._store.session(SessionKey(ref))
        offers = [await self._offers.make(f"Watch {ref.tag}", f"/watch {ref}")] if existing else []
        if existing is None and caller.role >= Role.DRIVER:
            offers.append(await self._offers.make(f"Start {ref.tag}", f"/start {ref} {words}".strip()))
        return Reply(view.shared(ref, existing, offers), ok=False, code=UsageError.code)

    async def _start(self, command: Command, caller: Caller) -> Reply:
        if command.ref is None:
            return await self._suggest()
        if command.ref.name:
            raise RefError(
                f"{command.ref} names a fork.", f"`/fork {command.ref.ref} --name {command.ref.name}` makes it."
            )
        project = await self._projects.get(command.ref.ref.project)
        key = SessionKey(replace(command.ref.ref, project=project.ref))  # as the configuration spells it
        message = checked(command.message) if command.message else ""
        if not message:
            existing = await self._store.session(key)
            if existing and not await self._store.unfinished_runs(key) and existing.agent_id:
                return await self._exists(key, SessionExists(f"{key} has a session already."), message)
            issue = await self._issues.read(key.ref)
            return await self._begin(key, project, issue.title, self._issues.prompt(issue), caller)
        reply = await self._begin(key, project, title_of(message), message, caller)
        if reply.ok:
            self._issues.name_later(key)
        return reply

    async def _new(self, command: Command, caller: Caller) -> Reply:
        title = checked(command.message)
        project = await self._callers.project_meant("", caller)
        local = refs.local_project(project.path.name)

        def free(taken: Sequence[SessionKey]) -> SessionKey:
            numbers = [key.ref.number for key in taken if key.ref.project.key == local.key]
            return SessionKey(IssueRef(local, max(numbers, default=0) + 1))

        key, _ = await self._named(caller, free)
        return await self._begin(key, project, title_of(title), title, caller)

    async def _named(
        self, caller: Caller, free: Callable[[Sequence[SessionKey]], SessionKey]
    ) -> tuple[SessionKey, bool]:
        """What a message's session is called, and whether it was called that before a crash: the same message must not
        make two.
        """
        async with self._naming:
            made = await self._store.open_operations(kind=MADE)
            names = {
                operation.subject: refs.parse_session(str(operation.data["session"]))
                for operation in made
                if "session" in operation.data  # not what an `undo` has noted
            }
            source = source_of(caller.row)
            if source in names:
                return names[source], True
            key = free([*(session.key for session in await self._store.sessions()), *names.values()])
            if source:
                await self._store.begin(MADE, source, {"session": str(key)})
            return key, False

    async def _begin(self, key: SessionKey, project: Project, title: str, prompt: str, caller: Caller) -> Reply:
        """Start `key`, or say what there is already."""
        if not await self._store.session(key) and (oldest := await self._ending.room(project)):
            offers = (await self._offers.make(f"Archive {oldest.key.tag}", f"/archive {oldest.key}"),)
            return Reply(view_life.full(project, oldest, offers), ok=False, code="full", data=session_data(oldest, []))
        try:
            session = await self._sessions.plan_start(key, project, title)
        except SessionExists as error:
            return await self._exists(key, error, prompt)
        waiting = await self._store.unfinished_runs(key)
        if waiting and all(run.prompt != prompt for run in waiting):
            return await self._exists(key, SessionExists(f"{session.key} is being started."), prompt)
        try:
            place = await self._prompts.show(caller, session)
            return await self._prompts.accept(session, prompt, caller, place, view.starting(session), once=True)
        except KugetsuError:
            await self._sessions.abandon(key)
            raise

    async def _suggest(self) -> Reply:
        """`start` alone: what one could start or go on with."""
        sessions = sorted(await self._store.sessions(), key=lambda session: session.updated, reverse=True)[:5]
        issues, complaints = await self._issues.recent()
        known = {session.key.ref.key for session in sessions}
        fresh = [issue for issue in issues if issue.ref.key not in known]
        offers = [await self._offers.make(f"{s.key.tag} {s.title}".strip(), f"/watch {s.key}") for s in sessions]
        offers += [await self._offers.make(f"Start {i.ref.tag} {i.title}", f"/start {i.ref}") for i in fresh]
        data = [session_data(session, []) for session in sessions]
        data += [{"ref": str(issue.ref), "title": issue.title, "url": issue.url, "state": "new"} for issue in fresh]
        document = view.suggestions(sessions, fresh, complaints, offers)
        return Reply(document, ok=False, code=UsageError.code, data=data)

    async def _continue(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        message = checked(command.message)
        place = await self._prompts.show(caller, session)
        return await self._prompts.accept(session, message, caller, place)

    async def _fork(self, command: Command, caller: Caller) -> Reply:
        name = refs.parse_name(command.option("name")) if command.option("name") else ""
        parent = await self._callers.meant(command, caller)
        project = await self._projects.get(parent.key.ref.project)
        at = await self._runnumbered(parent, command.option("at")) if command.option("at") else None
        message = checked(command.message) if command.message else ""

        def free(taken: Sequence[SessionKey]) -> SessionKey:
            return SessionKey(parent.key.ref, name or refs.free_name(parent.key.ref, taken))

        key, again = await self._named(caller, free)
        session = await self._store.session(key) if again else None
        if session is None or not session.agent_id:  # else a process died that had just made it
            session = await self._sessions.plan_fork(parent, key.name, project, at, message)
        place = await self._prompts.show(caller, session)
        if message:
            return await self._prompts.accept(session, message, caller, place, view.starting(session), once=True)
        try:
            session = await self._sessions.prepare(key, project, lambda said: self._audience.tell(key, said))
        except KugetsuError:
            await self._sessions.abandon(key)
            raise
        return Reply(view.starting(session), data=forked_data(session), place=place)

    async def _stop(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        if await self._runs.stop(session.key):
            return Reply(view.stopped(session))
        return Reply(view.nothing_to_stop(session))

    async def _retry(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        run = await self._to_retry(session, command.option("run"))
        if command.option("leave"):
            return await self._leave(session, run, caller)
        if command.option("allow"):
            await self._allow(session, run, caller)
        else:
            self._must_want_retry(session, run)
        return await self._again(run, session, caller)

    async def retry_last(self, caller: Caller, session: Session) -> Reply:
        """Its last prompt once more. Raises NotFound, UsageError."""
        run = await self._to_retry(session, "")
        self._must_want_retry(session, run)
        return await self._again(run, session, caller)

    def _must_want_retry(self, session: Session, run: Run) -> None:
        if run.state is RunState.DONE and not run.undone:
            raise UsageError(f"Run {run.number} of {session.key.tag} was answered.", "Say what to do next instead.")

    async def _again(self, run: Run, session: Session, caller: Caller) -> Reply:
        place = await self._prompts.show(caller, session)
        return await self._prompts.accept(session, run.prompt, caller, place, attachments=run.attachments)

    async def _to_retry(self, session: Session, number: str) -> Run:
        """The last run, or the one that is named (by a button below it): unless it was tried again already."""
        runs = await self._store.runs(session.key)
        if not runs:
            raise NotFound(f"{session.key} has had no prompt yet.", f"Give it one: `/continue {session.key} …`.")
        run = numbered(session, runs, number) if number else runs[-1]
        if not run.state.over:
            raise UsageError(f"Run {run.number} of {session.key.tag} is not over yet.", "`/stop` ends it.")
        again = next((later for later in runs if later.number > run.number and later.prompt == run.prompt), None)
        if again:
            raise UsageError(
                f"Run {run.number} of {session.key.tag} was tried again already: run {again.number}.",
                f"See `/status {session.key}`.",
            )
        return run

    async def _allow(self, session: Session, run: Run, caller: Caller) -> None:
        granted = rules.allowing(run.refused)
        if not granted:
            raise UsageError(
                f"Run {run.number} of {session.key.tag} was refused nothing that could be allowed here.",
                "What the project's rules deny is changed in config.yaml.",
            )
        await self._store.change_session(session.key, lambda now: rules.granted(now, granted))
        detail = "; ".join(f"{rule.permission} {rule.pattern}" for rule in granted)
        await self._callers.audit(caller, "allow", session.key.key, detail)

    async def _leave(self, session: Session, run: Run, caller: Caller) -> Reply:
        if (await self._store.runs(session.key))[-1].id == run.id:
            await self._store.change_session(session.key, _no_longer_failed)
        await self._callers.audit(caller, "leave", session.key.key, f"run {run.number}")
        return Reply(view.left(run))

    async def _exists(self, key: SessionKey, error: SessionExists, message: str) -> Reply:
        session = await self._store.session(key)
        if session is None:
            raise error
        places = await self._store.places(key)
        offers = (
            await self._offers.make("Continue here", f"/continue {session.key} -- {message}"),
            await self._offers.make("Fork", f"/fork {session.key} -- {message}"),
            await self._offers.make("Watch", f"/watch {session.key}"),
        )
        data = session_data(session, places)
        return Reply(view.exists(session, places, offers), ok=False, code=error.code, data=data)

    async def _runnumbered(self, session: Session, number: str) -> Run:
        run = numbered(session, await self._store.runs(session.key), number)
        if not run.snapshot_after:
            raise UsageError(f"The files after run {run.number} were not recorded.", "Fork at its end, without `--at`.")
        return run


def _no_longer_failed(session: Session) -> Session:
    return replace(session, state=SessionState.IDLE) if session.state is SessionState.FAILED else session
