"""`AgentPort` over `opencode serve`: one server for all sessions, one event stream, any number of runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path

import msgspec

from adapters.opencode.attached import Attached
from adapters.opencode.checks import check_model_name, missing_agent, missing_variant
from adapters.opencode.follow import Follower
from adapters.opencode.manage import ManagedSessions, server_settings
from adapters.opencode.pulse import Pulse
from adapters.opencode.run import RunMachine
from adapters.opencode.sessions import Sessions, prompt_body
from adapters.opencode.settings import OpencodeServerSettings, Trace
from adapters.opencode.stream import EventStream, Hub, Signal
from adapters.opencode.supervisor import Supervisor
from core.errors import AgentError, AgentUnavailable
from core.events import AgentEvent, Finished
from core.model import Decision, SessionId
from core.ports import AgentRun, Capabilities, Clock, Known

__all__ = ["OpencodeServer", "OpencodeServerSettings"]

STREAM_TIMEOUT = 20.0  # seconds until the first event, which opencode sends at once
STOPPING = 5.0  # seconds; an abort takes well under one
YOUNG = 3.0  # seconds; before that age, a message nobody works on may be about to be taken up


class OpencodeServer(ManagedSessions):
    """Starts opencode on first use. `notice` is told what people should know; `trace` gets traffic for debug logs."""

    def __init__(
        self,
        settings: OpencodeServerSettings,
        clock: Clock,
        notice: Callable[[str], None] = lambda _: None,
        trace: Trace | None = None,
    ) -> None:
        super().__init__(settings, clock)
        self._trace = trace
        self._hub = Hub()
        self._left = Pulse()  # beats when a run is not listened to any more
        self._machines: dict[RunMachine, SessionId] = {}
        self._stream: EventStream | None = None
        self._reading: asyncio.Task[None] | None = None
        self._generation = 0
        self._source: Attached | Supervisor = (
            Attached(settings.url, settings.password, settings.pace.probe_timeout)
            if settings.url
            else Supervisor(server_settings(settings), clock, self._needed, self._down, notice)
        )

    def _needed(self) -> bool:
        """Also by an import, which a command does beside it."""
        return self._hub.listening or self._importing.locked()

    # ── the server ─────────────────────────────────────────────────────────────────────────────

    async def capabilities(self) -> Capabilities:
        """See AgentPort."""
        endpoint = await self._source.running()
        return Capabilities(endpoint.version, token_deltas=True, asks=True, message_ids=True)

    async def warm(self, directory: Path) -> None:
        """Listing providers loads what the first prompt would wait for: 0.65 s to its first word instead of 1.7 s."""
        try:
            sessions = await self._listening()
            await sessions.http.get("/config/providers", msgspec.Raw, directory=directory)
        except AgentError:
            return  # a cold start is only slow, and the prompt itself tells what is wrong

    async def close(self) -> None:
        """See AgentPort. Runs still listened to end as cut."""
        self._stop_reading()
        self._hub.signal(Signal.CLOSED)
        await self._source.close()

    async def _sessions(self) -> Sessions:
        endpoint = await self._source.running()
        if endpoint.generation != self._generation:
            self._generation = endpoint.generation
            self._stop_reading()
            self._stream = EventStream(endpoint.http, self._hub, self._clock, self._received if self._trace else None)
            self._reading = asyncio.create_task(self._stream.run(), name="opencode events")
        return Sessions(endpoint.http)

    async def _listening(self) -> Sessions:
        """The server, with its events coming in: what is prompted from now on is heard from its first word."""
        sessions = await self._sessions()
        assert self._stream is not None
        await self._stream.connected(STREAM_TIMEOUT)
        return sessions

    def _down(self) -> None:
        self._stop_reading()
        self._hub.signal(Signal.RESTARTED)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _received(self, session: str, payload: bytes) -> None:
        if self._trace is not None:
            self._trace(SessionId(session), "received", payload)

    # ── runs ───────────────────────────────────────────────────────────────────────────────────

    async def run(self, run: AgentRun) -> AsyncGenerator[AgentEvent, None]:
        """See AgentPort."""
        check_model_name(run)
        sessions = await self._listening()
        await sessions.existing(run.session)  # 1.3 takes a prompt to an unknown session, and nothing happens
        if missing := await self._missing(run, sessions):
            yield missing
            return
        body = prompt_body(run, await sessions.closed_tools(run.directory) if run.read_only else ())
        await self._stopped(run.session)
        with self._opened(run) as follower:
            if self._trace is not None:
                self._trace(run.session, "sent", msgspec.json.encode(body))
            try:
                await sessions.prompt(run, body)
            except AgentUnavailable:
                # It died, or is too slow: only what is stored tells whether the prompt got there.
                if await self._known_absent(run):
                    raise
            async with aclosing(follower.events(from_store=False)) as events:
                async for event in events:
                    yield event

    async def attach(self, run: AgentRun) -> AsyncGenerator[AgentEvent, None]:
        """See AgentPort."""
        await (await self._listening()).existing(run.session)
        with self._opened(run) as follower:
            async with aclosing(follower.events(from_store=True)) as events:
                async for event in events:
                    yield event

    async def lookup(self, run: AgentRun) -> Known:
        """See AgentPort. Raises AgentSessionGone."""
        sessions = await self._sessions()
        await sessions.existing(run.session)
        busy = await sessions.busy(run.session, run.directory)
        stored = await sessions.messages(run.session, run.message_id)
        prompt = next((message for message in stored if message.info.id == run.message_id), None)
        if prompt is None:
            return Known.ABSENT
        machine = self._machine(run)
        machine.reconcile(stored, busy=busy, settled=False)
        age = self._clock.now().timestamp() - prompt.info.time.created / 1000
        about_to_begin = not machine.begun and age < YOUNG
        return Known.RUNNING if not machine.over and (busy or about_to_begin) else Known.OVER

    async def stop(self, session: SessionId, directory: Path) -> None:
        """See AgentPort."""
        for machine, owner in self._machines.items():
            if owner == session:
                machine.stopping = True
        sessions = await self._sessions()
        await sessions.abort(session, directory)
        # opencode keeps what an aborted run asked in its list for ever.
        waiting = await sessions.requests(directory)
        if waiting:
            family = {session, *await sessions.descendants(session, directory)}
            for asked in waiting:
                if asked.session in family:
                    await sessions.answer(asked, directory, Decision("reject"))

    async def decide(self, session: SessionId, directory: Path, request_id: str, decision: Decision) -> bool:
        """See AgentPort."""
        sessions = await self._sessions()
        # 1.3 answers a reply to an unknown request with success, so the list is asked.
        waiting = await sessions.requests(directory)
        asked = next((asked for asked in waiting if asked.id == request_id), None)
        return asked is not None and await sessions.answer(asked, directory, decision)

    async def _missing(self, run: AgentRun, sessions: Sessions) -> Finished | None:
        if run.agent and (missing := missing_agent(run, await sessions.agents(run.directory))):
            return missing
        return missing_variant(run, await self.models(run.directory)) if run.variant else None

    async def _stopped(self, session: SessionId) -> None:
        """Wait for the end of what is being stopped: on 1.3 it would abort a prompt that came before that, too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOPPING):
                while any(machine.stopping for machine, owner in self._machines.items() if owner == session):
                    await self._left.wait()

    @contextmanager
    def _opened(self, run: AgentRun) -> Iterator[Follower]:
        """Listening from here to the end of the block."""
        machine = self._machine(run)
        self._machines[machine] = run.session
        subscription = self._hub.subscribe(run.session)
        grace = self._settings.grace
        try:
            yield Follower(run, machine, subscription, self._hub, self._listening, grace)
        finally:
            self._hub.unsubscribe(subscription)
            del self._machines[machine]
            self._left.beat()

    def _machine(self, run: AgentRun) -> RunMachine:
        return RunMachine(run, self._settings.grace, self._clock.now)

    async def _known_absent(self, run: AgentRun) -> bool:
        try:
            return await self.lookup(run) is Known.ABSENT
        except AgentUnavailable:
            return False
