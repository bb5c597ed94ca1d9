"""An agent that plays scripts. It outlives the processes that drive it, as a server does."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import AgentError, AgentSessionGone, WrongDirectory
from core.events import AgentEvent, Asked, Finished, Outcome, Said, Settled, Started
from core.model import AgentRequest, Decision, MessageId, PermissionRule, SessionId
from core.ports import AgentModel, AgentProfile, AgentRun, AgentSession, Capabilities, Clock, Known


@dataclass(frozen=True, slots=True)
class Ask:
    """In a script: ask, and go on when it is decided."""

    request: AgentRequest


Item = AgentEvent | Exception | asyncio.Event | Ask
Script = list[Item]


def says(text: str) -> Script:
    """The plainest run there is."""
    return [Started(SessionId(""), MessageId(""), "mock/m1"), Said("prt_1", text), Finished(Outcome.DONE)]


@dataclass(slots=True)
class Message:
    """A prompt that reached the agent, and how far its script is."""

    run: AgentRun
    script: Script
    position: int = 0
    over: bool = False
    played: list[AgentEvent] = field(default_factory=list)

    def stored(self) -> list[AgentEvent]:
        """As it is read back later: the texts whole."""
        texts: dict[str, str] = {}
        events: list[AgentEvent] = []
        for event in self.played:
            if isinstance(event, Said):
                before = "" if event.whole else texts.get(event.part, "")
                texts[event.part] = before + event.text
                event = replace(event, text=texts[event.part], whole=True)  # noqa: PLW2901
            events.append(event)
        return events


class ScriptedAgent:
    """A `core.ports.AgentPort`. Without scripts left, it answers `answer to <prompt>`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = itertools.count(1)
        self._stopping: defaultdict[SessionId, asyncio.Event] = defaultdict(asyncio.Event)
        self._playing: set[SessionId] = set()
        self._open: dict[str, asyncio.Future[Decision]] = {}
        self.sessions: dict[SessionId, AgentSession] = {}
        self.origins: dict[SessionId, tuple[SessionId, MessageId | None]] = {}  # of forks
        self.messages: dict[MessageId, Message] = {}
        self.scripts: deque[Script] = deque()
        self.decisions: list[tuple[str, Decision]] = []
        self.stops: list[SessionId] = []
        self.asks = True  # as a capability: scripts that ask go on to do so
        self.deaf = False  # `stop` does nothing
        self.raising: dict[str, Exception] = {}  # by method; taken out when raised
        self.hanging: dict[str, asyncio.Event] = {}
        self.calls: list[str] = []
        self.known_models = [AgentModel("mock/m1", "M1", 1000), AgentModel("mock/m2", "M2", 2000, ("low", "high"))]
        self.compacted: list[tuple[SessionId, str]] = []
        self.reverted: dict[SessionId, MessageId | None] = {}  # since which prompt the conversation is taken back
        self.forgotten: set[MessageId] = set()  # taken back, and a prompt came after it
        self.working: Callable[[AgentRun], None] = lambda _run: None  # what a run does to files

    @property
    def prompts(self) -> list[str]:
        return [message.run.prompt for message in self.messages.values()]

    async def capabilities(self) -> Capabilities:
        await self._pass("capabilities")
        return Capabilities("1.0", token_deltas=True, asks=self.asks, message_ids=True)

    async def warm(self, directory: Path) -> None:
        await self._pass("warm")

    async def default_model(self, directory: Path) -> str:
        return "mock/m1"

    async def models(self, directory: Path) -> list[AgentModel]:
        await self._pass("models")
        return self.known_models

    async def agents(self, directory: Path) -> list[AgentProfile]:
        await self._pass("agents")
        return [AgentProfile("build", "does"), AgentProfile("plan", "thinks")]

    def new_message_id(self) -> MessageId:
        return MessageId(f"msg_{next(self._count):06}")

    async def create_session(self, directory: Path, title: str, rules: Sequence[PermissionRule] = ()) -> AgentSession:
        await self._pass("create_session")
        return self._add(directory, title)

    async def find_session(self, session: SessionId) -> AgentSession | None:
        await self._pass("find_session")
        return self.sessions.get(session)

    async def list_sessions(self, directory: Path) -> list[AgentSession]:
        await self._pass("list_sessions")
        return list(self.sessions.values())

    async def fork_session(self, session: SessionId, directory: Path, before: MessageId | None = None) -> AgentSession:
        await self._pass("fork_session")
        origin = self._session(session)
        number = sum(1 for source, _ in self.origins.values() if source == session) + 1
        stem = re.sub(r" \(fork #\d+\)$", "", origin.title)
        fork = self._add(origin.directory, f"{stem} (fork #{number})")  # where its origin is, as 1.18 does it
        self.origins[fork.id] = (session, before)
        return fork

    async def settle_directory(self, session: SessionId, directory: Path) -> None:
        await self._pass("settle_directory")
        self.sessions[session] = replace(self._session(session), directory=directory)

    async def rename_session(self, session: SessionId, title: str) -> None:
        await self._pass("rename_session")
        self.sessions[session] = replace(self._session(session), title=title)

    async def delete_session(self, session: SessionId) -> None:
        self.sessions.pop(session, None)

    async def run(self, run: AgentRun) -> AsyncGenerator[AgentEvent]:
        await self._pass("run")
        if self._session(run.session).directory != run.directory:
            raise WrongDirectory(f"{run.session} is elsewhere")
        assert run.message_id not in self.messages, "a prompt is never sent twice"
        script = self.scripts.popleft() if self.scripts else says(f"answer to {run.prompt}")
        standing = self._conversation(run.session)
        self.forgotten |= {each for each in self._of(run.session) if each not in standing}
        self.reverted.pop(run.session, None)
        message = self.messages[run.message_id] = Message(run, script)
        self.working(run)
        async for event in self._play(message):
            yield event

    async def attach(self, run: AgentRun) -> AsyncGenerator[AgentEvent]:
        await self._pass("attach")
        message = self.messages[run.message_id]
        for event in message.stored():
            yield event
        if not message.over:
            async for event in self._play(message):
                yield event

    async def lookup(self, run: AgentRun) -> Known:
        await self._pass("lookup")
        message = self.messages.get(run.message_id)
        if message is None or run.message_id in self.forgotten:
            return Known.ABSENT
        return Known.OVER if message.over else Known.RUNNING

    async def stop(self, session: SessionId, directory: Path) -> None:
        self.stops.append(session)
        await self._pass("stop")
        if not self.deaf and session in self._playing:
            self._stopping[session].set()

    async def compact(self, session: SessionId, directory: Path, model: str) -> None:
        self.compacted.append((session, model))
        await self._pass("compact")

    async def revert(self, session: SessionId, directory: Path, since: MessageId | None) -> None:
        await self._pass("revert")
        if since is not None and since not in self._of(session):
            raise AgentError("opencode does not have this prompt in the session")
        self.reverted[session] = since

    async def decide(self, session: SessionId, directory: Path, request_id: str, decision: Decision) -> bool:
        await self._pass("decide")
        waiting = self._open.get(request_id)
        if waiting is None or waiting.done():
            return False
        self.decisions.append((request_id, decision))
        waiting.set_result(decision)
        return True

    async def close(self) -> None: ...

    # ── for tests ──────────────────────────────────────────────────────────────────────────────

    def conversation(self, session: SessionId) -> list[str]:
        """The prompts the agent remembers there."""
        return [self.messages[each].run.prompt for each in self._conversation(session)]

    def _conversation(self, session: SessionId) -> list[MessageId]:
        since = self.reverted.get(session)
        return [each for each in self._of(session) if since is None or each < since]

    def _of(self, session: SessionId) -> list[MessageId]:
        of = (each for each, message in self.messages.items() if message.run.session == session)
        return [each for each in of if each not in self.forgotten]

    def forks_of_issues(self) -> list[SessionId]:
        return list(self.origins)

    def die(self) -> None:
        """As a server does that is killed: what it was at is over, and text it had not finished is gone."""
        for message in self.messages.values():
            if not message.over:
                lost = [replace(e, text="", whole=True) if isinstance(e, Said) else e for e in message.played]
                message.played = [*lost, Finished(Outcome.CUT, "cut", "opencode ended")]
                message.position = len(message.script)
                message.over = True

    def answer_elsewhere(self, request_id: str) -> None:
        """Another client of the agent decides."""
        self._open[request_id].set_result(Decision("once"))

    async def _play(self, message: Message) -> AsyncGenerator[AgentEvent]:
        self._playing.add(message.run.session)
        try:
            async for event in self._events(message):
                yield event
        finally:
            self._playing.discard(message.run.session)

    async def _events(self, message: Message) -> AsyncGenerator[AgentEvent]:
        stopping = self._stopping[message.run.session]
        while message.position < len(message.script):
            item = message.script[message.position]
            message.position += 1
            if isinstance(item, Exception):
                raise item
            if isinstance(item, asyncio.Event):
                await _first(stopping.wait(), item.wait())
            elif isinstance(item, Ask):
                decided = self._open[item.request.id] = asyncio.get_running_loop().create_future()
                yield self._played(message, Asked(item.request))
                await _first(stopping.wait(), asyncio.wait([decided]))
                del self._open[item.request.id]
                yield self._played(message, Settled(item.request.id))
            if stopping.is_set():
                stopping.clear()
                item = Finished(Outcome.STOPPED)
                message.position = len(message.script)
            if not isinstance(item, asyncio.Event | Ask):
                yield self._played(message, item)

    def _played(self, message: Message, event: AgentEvent) -> AgentEvent:
        message.over = isinstance(event, Finished)
        message.played.append(event)
        return event

    def _add(self, directory: Path, title: str) -> AgentSession:
        session = AgentSession(SessionId(f"ses_{next(self._count):06}"), title, directory, self._clock.now())
        self.sessions[session.id] = session
        return session

    def _session(self, session: SessionId) -> AgentSession:
        if session not in self.sessions:
            raise AgentSessionGone(f"no session {session!r}")
        return self.sessions[session]

    async def _pass(self, method: str) -> None:
        self.calls.append(method)
        if method in self.hanging:
            await self.hanging[method].wait()
        if method in self.raising:
            raise self.raising.pop(method)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
