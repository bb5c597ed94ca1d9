"""A whole core on a real store: what one process of kugetsu is, with everything outside it scripted."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.access import Roster
from core.arrivals import Arrivals
from core.asides import Asides
from core.asks import Asks
from core.audience import Audience
from core.bases import Bases
from core.callers import Callers
from core.changes import Changes
from core.conduct import Conductor
from core.delivery import BacklogPolicy
from core.ending import Ending, Keeping
from core.finish import Finish
from core.inbox import Inbox
from core.intake import Reception
from core.issues import Issues
from core.journal import Journal
from core.mailbox import Mailboxes
from core.model import (
    Document,
    Inbound,
    IssueRef,
    Person,
    PersonId,
    Place,
    Project,
    ProjectRef,
    Run,
    Session,
    SessionKey,
)
from core.offers import Offers
from core.overview import Overview
from core.people import People
from core.permissions import Permissions
from core.placing import Placing
from core.ports import Ask, Forge, Press, Reply
from core.projects import Projects
from core.prompts import Prompts
from core.pulls import Pulls
from core.recovery import Recovery
from core.relay import Relay
from core.run import Runs
from core.run_state import Choices
from core.sessions import Sessions
from core.spending import Spending
from core.stalls import Stalls
from core.strangers import Strangers
from core.tuning import Tuning
from core.turns import Turns
from core.undo import Undo
from core.upkeep import Upkeep
from core.waiting import Waiting
from core.why import Why
from tests.fakes.agent import ScriptedAgent
from tests.fakes.chat import PATIENCE, FakeChat
from tests.fakes.clock import ManualClock
from tests.fakes.messenger import FakeMessenger
from tests.fakes.store import WatchedStore
from tests.fakes.workspace import FakeWorkspace

PROJECT = ProjectRef("github.com", "shoko", "kugetsu")
ANN = Person(PersonId("fake:ann"), "Ann")
BOB = Person(PersonId("fake:bob"), "Bob")
VIEWER = Person(PersonId("fake:viewer"), "Vi")
LOBBY = Place("fake", "lobby")


def key(number: int = 14, name: str = "") -> SessionKey:
    return SessionKey(IssueRef(PROJECT, number), name)


@dataclass(slots=True)
class Outside:
    """What outlives a process: the agent, git, the chats, the disk, time."""

    folder: Path
    project: Project
    clock: ManualClock = field(default_factory=ManualClock)
    workspace: FakeWorkspace = field(default_factory=FakeWorkspace)
    chats: dict[str, FakeChat] = field(default_factory=lambda: {"fake": FakeChat()})
    agent: ScriptedAgent = field(init=False)
    choices: Choices = field(default_factory=Choices)
    forge: Forge | None = None
    default_instance: str = "github.com"
    queue_depth: int = 10
    question_timeout: timedelta = timedelta(hours=24)
    stall_after: timedelta = timedelta(days=1000)
    backlog: BacklogPolicy = field(default_factory=BacklogPolicy)
    messengers: dict[str, FakeMessenger] = field(default_factory=dict)
    events: int = 0  # counts what chats delivered

    def __post_init__(self) -> None:
        self.agent = ScriptedAgent(self.clock)


READS = {
    "session sessions base bases places verbosity verbosities session_at open_operations unfinished_runs runs run",
    "received_text open_asks",
    "pending_deliveries adopted_projects capabilities find_session list_sessions lookup inspect locate snapshot_head",
    "changed_files offer open close",
}


class Tap:
    """A port whose every call that changes something is reported when it is done: where a process may die."""

    def __init__(self, target: Any, name: str, passed: Callable[[str], None]) -> None:
        self._target = target
        self._name = name
        self._passed = passed

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._target, method)
        point = f"{self._name}.{method}"
        reads = " ".join(READS).split()
        if inspect.iscoroutinefunction(found):

            async def call(*args: Any, **kwargs: Any) -> Any:
                self._passed("")
                result = await found(*args, **kwargs)
                self._passed("" if method in reads else point)
                return result

            return call
        if inspect.isasyncgenfunction(found):

            async def generate(*args: Any, **kwargs: Any) -> Any:
                self._passed(f"before {point}")
                async for event in found(*args, **kwargs):
                    self._passed(f"{point} {type(event).__name__}")
                    yield event

            return generate
        return found


class World:
    """One process. `await World(outside).open()`."""

    def __init__(self, outside: Outside, passed: Callable[[str], None] | None = None) -> None:
        self.outside = outside
        self.complaints: list[tuple[str, BaseException]] = []
        self.debugged: list[str] = []
        self.faults: list[str] = []
        chats: Any = outside.chats
        self.store: Any = WatchedStore(outside.folder / "state", outside.clock)
        agent: Any = outside.agent
        workspace: Any = outside.workspace
        if passed:
            self.store = Tap(self.store, "store", passed)
            agent = Tap(agent, "agent", passed)
            workspace = Tap(workspace, "workspace", passed)
            chats = {name: Tap(chat, "chat", passed) for name, chat in chats.items()}

        def fault(point: str) -> None:
            self.faults.append(point)
            if passed:
                passed(f"fault {point}")

        clock = outside.clock
        self.projects = Projects({outside.project.ref.key: outside.project}, self.store)
        self.journal = Journal(self.store, clock, self._complain)
        self.relays = {
            platform: Relay(self.store, messenger, clock, fault, self._complain)
            for platform, messenger in outside.messengers.items()
        }
        chats = {**chats, **self.relays}
        self.audience = Audience(self.store, chats, self.journal, clock, self._complain)
        self.asks = Asks(self.store, agent, self.audience, clock, outside.question_timeout)
        offers = Offers(self.store)
        self.bases = Bases(self.store, agent, workspace, clock, "", "")
        self.sessions = Sessions(
            self.store,
            agent,
            workspace,
            self.bases,
            clock,
            outside.folder / "state",
            lambda _directory, _key: None,
            fault,
        )
        roster = Roster(admins=frozenset({ANN.id}), drivers=frozenset({BOB.id}), viewers=frozenset({VIEWER.id}))
        self.people = People(self.store, roster, clock)
        callers = Callers(self.store, self.projects, self.sessions, self.people, outside.default_instance)
        spending = Spending(self.store, callers, self.people, clock)
        turns = Turns(self.store)
        self.runs = Runs(
            self.store,
            agent,
            workspace,
            self.projects,
            self.sessions,
            self.audience,
            self.asks,
            offers,
            Stalls(self.audience, clock, outside.stall_after),
            spending,
            turns,
            self.journal,
            clock,
            outside.choices,
            fault,
            self._complain,
        )
        self.mailboxes = Mailboxes(self.runs.next, self._complain)
        strangers = Strangers(self.store, self.people)
        prompts = Prompts(
            self.store, self.mailboxes, self.audience, spending, offers, outside.queue_depth, self.debugged.append
        )
        self.ending = Ending(self.store, agent, workspace, self.projects, clock, Keeping())
        issues = Issues(self.store, self.projects, self.audience, lambda _project: outside.forge, self._complain)
        conductor = Conductor(
            self.store,
            self.projects,
            self.sessions,
            self.runs,
            self.ending,
            issues,
            callers,
            prompts,
            self.audience,
            offers,
        )
        overview = Overview(
            self.store,
            workspace,
            self.projects,
            self.bases,
            callers,
            prompts,
            self.audience,
            offers,
            clock,
            self._doctor,
        )
        changes = Changes(
            self.store, agent, workspace, self.projects, callers, self.audience, outside.folder / "outgoing"
        )
        choices, said = outside.choices, self._complain
        self.pulls = Pulls(self.store, self.audience, offers, lambda _project: outside.forge, clock, said)
        self.asides = Asides(
            self.store, agent, self.projects, self.sessions, self.audience, callers, spending, choices, said
        )
        steering: Any = (
            spending,
            self.asides,
            Waiting(self.store, callers, self.runs, offers, clock),
            Undo(self.store, agent, workspace, turns, callers, offers),
            Tuning(self.store, agent, turns, callers, self.audience, offers, choices, conductor.retry_last),
            Permissions(self.store, self.projects, callers, offers),
            Finish(self.store, workspace, self.projects, callers, turns, self.audience, offers, self.pulls, said),
        )
        nobody: Any = None  # what looks after foreign sessions and other machines is tested by itself
        upkeep = Upkeep(
            self.store, callers, self.runs, self.ending, nobody, nobody, nobody, self.audience, offers, clock
        )
        parts: Any = (conductor, overview, strangers, changes, upkeep, Why(self.store), *steering)
        handlers = {name: handler for part in parts for name, handler in part.commands.items()}
        self.reception = Reception(
            self.store, callers, handlers, conductor.say, self.runs.stop_run, self.asks, offers, clock, self._complain
        )
        self.inbox = Inbox(
            self.store,
            self.reception,
            self.relays,
            Placing(self.store, offers),
            Arrivals(outside.folder / "incoming", None),
            self.people,
            strangers,
            outside.backlog,
            clock,
            fault,
            self._complain,
        )
        self.recovery = Recovery(self.store, self.audience, offers, self.relays, self.inbox, clock)

    @property
    def agent(self) -> ScriptedAgent:
        return self.outside.agent

    @property
    def chat(self) -> FakeChat:
        return self.outside.chats["fake"]

    async def open(self) -> World:
        await self.store.open()
        return self

    async def resume(self) -> None:
        """What a process does first."""
        await self.people.load()
        for waiting in await self.recovery.go_on():
            self.mailboxes.wake(waiting)

    async def close(self) -> None:
        """Leave in good order."""
        await self.mailboxes.close()
        await self.store.close()

    async def say(
        self, text: str, person: Person = ANN, place: Place = LOBBY, event: str = "", *, debug: bool = False
    ) -> Reply:
        self.outside.events += 1
        inbound = Inbound(
            place.platform,
            event or f"e{self.outside.events}",
            place,
            person,
            text,
            self.outside.clock.now(),
            debug=debug,
        )
        return await self.reception.receive(inbound)

    async def press(self, ask: Ask, reply: str, text: str = "", person: Person = ANN) -> Reply:
        return await self.press_button(f"{ask.id}:{reply}", person, text)

    async def press_button(self, button: str, person: Person = ANN, text: str = "", place: Place = LOBBY) -> Reply:
        self.outside.events += 1
        return await self.reception.press(Press(f"p{self.outside.events}", button, person, place, text))

    async def quiet(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.mailboxes.quiet()

    async def session(self, of: SessionKey | None = None) -> Session:
        found: Session | None = await self.store.session(of or key())
        assert found is not None
        return found

    async def run_list(self, of: SessionKey | None = None) -> list[Run]:
        found: list[Run] = await self.store.runs(of or key())
        return found

    async def _doctor(self) -> Reply:
        return Reply(Document("fit"))

    def _complain(self, what: str, error: BaseException) -> None:
        self.complaints.append((what, error))
