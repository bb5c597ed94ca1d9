"""`AgentPort` over `opencode serve`: one server for all sessions, one event stream, any number of runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from adapters.opencode.attached import Attached
from adapters.opencode.follow import Follower
from adapters.opencode.ids import MessageIds
from adapters.opencode.replay import put_by_replay
from adapters.opencode.run import RunMachine
from adapters.opencode.sessions import Sessions, prompt_body
from adapters.opencode.stream import EventStream, Hub, Signal
from adapters.opencode.supervisor import Pace, ServerSettings, Supervisor
from adapters.opencode.transfer import export_session, import_session, put_by_command
from core.errors import AgentError, AgentUnavailable, UsageError, WrongDirectory
from core.events import AgentEvent
from core.model import Decision, MessageId, PermissionRule, SessionId
from core.ports import AgentRun, AgentSession, Capabilities, Clock, Known

STREAM_TIMEOUT = 20.0  # seconds until the first event, which opencode sends at once
GRACE = 3.0  # seconds; a prompt's first sign of life takes up to 2 s on a cold server
YOUNG = 3.0  # seconds; before that age, a message nobody works on may be about to be taken up

Trace = Callable[[SessionId, str, bytes], None]  # session, "sent" or "received", JSON


@dataclass(frozen=True, slots=True)
class OpencodeServerSettings:
    """The `opencode:` section, and what only the composition root knows."""

    state_file: Path  # opencode-server.json in the state directory
    command: str = "opencode"
    candidates: Sequence[Path] = ()  # tried when `command` is missing or of another version
    url: str = ""  # attach to this server; it is never started nor ended
    password: str = ""
    env: dict[str, str] = field(default_factory=dict)
    hidden_env: frozenset[str] = frozenset()  # names of secrets in our own environment
    max_rss_mb: int = 2000
    grace: float = GRACE
    pace: Pace = field(default_factory=Pace)


class OpencodeServer:
    """Starts opencode on first use. `notice` is told what people should know; `trace` gets traffic for debug logs."""

    def __init__(
        self,
        settings: OpencodeServerSettings,
        clock: Clock,
        notice: Callable[[str], None] = lambda _: None,
        trace: Trace | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._trace = trace
        self._ids = MessageIds(clock)
        self._hub = Hub()
        self._machines: dict[RunMachine, SessionId] = {}
        self._stream: EventStream | None = None
        self._reading: asyncio.Task[None] | None = None
        self._generation = 0
        self._importing = asyncio.Lock()
        self._source: Attached | Supervisor = (
            Attached(settings.url, settings.password, settings.pace.probe_timeout)
            if settings.url
            else self._supervisor(notice)
        )

    def _supervisor(self, notice: Callable[[str], None]) -> Supervisor:
        settings = ServerSettings(
            command=self._settings.command,
            candidates=self._settings.candidates,
            env=self._settings.env,
            hidden=self._settings.hidden_env,
            password=self._settings.password,
            max_rss_mb=self._settings.max_rss_mb,
            state_file=self._settings.state_file,
            pace=self._settings.pace,
        )
        return Supervisor(settings, self._clock, self._needed, self._down, notice)

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
            await sessions.http.get("/config/providers", _Providers, directory=directory)
        except AgentError:
            return  # a cold start is only slow, and the prompt itself tells what is wrong

    async def default_model(self, directory: Path) -> str:
        """See AgentPort."""
        http = (await self._sessions()).http
        config = await http.get("/config", _Config, directory=directory)
        if config.model:
            return config.model
        offered = await http.get("/config/providers", _Providers, directory=directory)
        # As opencode itself chooses: the first provider, of the configured ones if there are any.
        names = [provider.id for provider in offered.providers if not config.provider or provider.id in config.provider]
        return next((f"{name}/{offered.default[name]}" for name in names if name in offered.default), "")

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

    # ── sessions ───────────────────────────────────────────────────────────────────────────────

    def new_message_id(self) -> MessageId:
        """See AgentPort."""
        return self._ids.new()

    async def create_session(self, directory: Path, title: str, rules: Sequence[PermissionRule] = ()) -> AgentSession:
        """See AgentPort. Raises WrongDirectory for one that does not exist: opencode would take it."""
        self._must_exist(directory)
        return await (await self._sessions()).create(directory, title, rules)

    async def find_session(self, session: SessionId) -> AgentSession | None:
        """See AgentPort."""
        return await (await self._sessions()).find(session)

    async def list_sessions(self, directory: Path) -> list[AgentSession]:
        """See AgentPort."""
        return await (await self._sessions()).roots(directory)

    async def fork_session(self, session: SessionId, directory: Path, before: MessageId | None = None) -> AgentSession:
        """See AgentPort."""
        return await (await self._sessions()).fork(session, directory, before)

    async def settle_directory(self, session: SessionId, directory: Path) -> None:
        """See AgentPort."""
        await (await self._sessions()).settle(session, directory)

    async def rename_session(self, session: SessionId, title: str) -> None:
        """See AgentPort."""
        await (await self._sessions()).rename(session, title)

    async def delete_session(self, session: SessionId) -> None:
        """See AgentPort."""
        await (await self._sessions()).delete(session)

    async def export_session(self, session: SessionId) -> bytes:
        """See AgentPort. With the sessions of its sub-agents."""
        return await export_session(await self._sessions(), session)

    async def import_session(self, exported: bytes, directory: Path) -> AgentSession:
        """See AgentPort. Raises WrongDirectory."""
        self._must_exist(directory)
        sessions = await self._sessions()
        put = (
            partial(put_by_command, await self._source.program())
            if isinstance(self._source, Supervisor)
            else partial(put_by_replay, sessions.http)
        )
        async with self._importing:
            return await import_session(sessions, put, exported, directory)

    def _must_exist(self, directory: Path) -> None:
        """Only of use where the server is our own, on this machine."""
        if not self._settings.url and not directory.is_dir():
            raise WrongDirectory(f"There is no directory {directory}", "Check the project's path in the configuration")

    # ── runs ───────────────────────────────────────────────────────────────────────────────────

    async def run(self, run: AgentRun) -> AsyncGenerator[AgentEvent, None]:
        """See AgentPort."""
        if run.model and "/" not in run.model:
            raise UsageError(
                f"`{run.model}` is no model", "Write it as provider/model, like anthropic/claude-sonnet-4-5"
            )
        sessions = await self._listening()
        await sessions.existing(run.session)  # 1.3 takes a prompt to an unknown session, and nothing happens
        with self._opened(run) as follower:
            if self._trace is not None:
                self._trace(run.session, "sent", msgspec.json.encode(prompt_body(run)))
            try:
                await sessions.prompt(run)
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

    def _machine(self, run: AgentRun) -> RunMachine:
        return RunMachine(run, self._settings.grace, self._clock.now)

    async def _known_absent(self, run: AgentRun) -> bool:
        try:
            return await self.lookup(run) is Known.ABSENT
        except AgentUnavailable:
            return False


class _Config(msgspec.Struct):
    model: str = ""
    provider: dict[str, msgspec.Raw] = {}


class _Provider(msgspec.Struct):
    id: str


class _Providers(msgspec.Struct):
    providers: list[_Provider] = []
    default: dict[str, str] = {}  # provider → model
