"""`AgentPort` over `opencode run`: a process for each prompt, and a server only for as long as sessions are managed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

import msgspec

from adapters.opencode import command_process, command_rules
from adapters.opencode.checks import check_model_name
from adapters.opencode.command_run import LiveRun, Questions, Teller
from adapters.opencode.command_start import Start, prepared
from adapters.opencode.command_store import stored_of, whose_answer, with_sub_agents
from adapters.opencode.command_wire import Prompted
from adapters.opencode.http import at_work
from adapters.opencode.manage import ManagedSessions, server_settings
from adapters.opencode.pulse import Pulse
from adapters.opencode.run import CLOSED, DELETED, NOT_TAKEN, STOPPED
from adapters.opencode.sessions import Sessions
from adapters.opencode.settings import OpencodeServerSettings, Trace
from adapters.opencode.stored import find_prompts, the_prompt
from adapters.opencode.supervisor import Supervisor
from adapters.opencode.vigil import Patience
from core.errors import AgentError, AgentSessionGone
from core.events import AgentEvent, Finished
from core.model import Decision, MessageId, PermissionRule, SessionId
from core.ports import AgentRun, AgentSession, Capabilities, Clock, Known

IDLE = 20.0  # seconds the server outlives its last use: a prompt needs it before, at its first line and after its end


class OpencodeCommand(ManagedSessions):
    """Nothing runs between prompts. `notice` is told what people should know; `trace` gets traffic for debug logs."""

    _source: Supervisor

    def __init__(
        self,
        settings: OpencodeServerSettings,
        clock: Clock,
        notice: Callable[[str], None] = lambda _: None,
        trace: Trace | None = None,
        *,
        patience: Patience | None = None,
        idle: float = IDLE,
    ) -> None:
        super().__init__(settings, clock)
        self._trace = trace
        self._patience = patience or Patience()
        self._home = settings.state_file.parent / "opencode"
        self._source = Supervisor(server_settings(settings, idle), clock, self._importing.locked, lambda: None, notice)
        self._pulse = Pulse()
        self._live: dict[SessionId, LiveRun] = {}  # one for each session: two would not know of each other
        self._waiting: list[LiveRun] = []
        self._driving: set[asyncio.Task[None]] = set()
        self._cleaning = asyncio.Lock()
        self._clean = False

    async def capabilities(self) -> Capabilities:
        """See AgentPort."""
        endpoint = await self._source.running()
        return Capabilities(endpoint.version, token_deltas=False, asks=False, message_ids=False)

    async def warm(self, directory: Path) -> None:
        """The server that looks at the session first, and opencode's files read once."""
        try:
            await (await self._sessions()).agents(directory)
        except AgentError:
            return  # a cold start is only slow, and the prompt itself tells what is wrong

    async def create_session(self, directory: Path, title: str, rules: Sequence[PermissionRule] = ()) -> AgentSession:
        """See AgentPort. What `rules` would ask is denied."""
        return await super().create_session(directory, title, command_rules.without_asking(rules))

    async def delete_session(self, session: SessionId) -> None:
        """See AgentPort. Its run is ended first, which would not notice."""
        await self.stop(session, self._home)
        await super().delete_session(session)

    async def close(self) -> None:
        """See AgentPort. Runs end as cut."""
        for waiting in self._waiting:
            waiting.ending = CLOSED
        self._pulse.beat()
        await asyncio.gather(*(live.end(CLOSED) for live in list(self._live.values())))
        await asyncio.gather(*self._driving, return_exceptions=True)
        await self._source.close()

    async def _sessions(self) -> Sessions:
        async with self._cleaning:
            if not self._clean:
                self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
                await command_process.end_left_over(self._home)
                self._clean = True
        return await super()._sessions()

    # ── runs ───────────────────────────────────────────────────────────────────────────────────

    async def run(self, run: AgentRun) -> AsyncGenerator[AgentEvent, None]:
        """See AgentPort. Waits while another run of the session goes on."""
        check_model_name(run)
        live = LiveRun(run, self._pulse)
        end = await self._turn(live) or await self._begin(live)
        if end is not None:
            yield end
            return
        async with aclosing(self._follow(live, run)) as events:
            async for event in events:
                yield event

    async def attach(self, run: AgentRun) -> AsyncGenerator[AgentEvent, None]:
        """See AgentPort. Raises AgentInDoubt when opencode may have it under several ids."""
        sessions = await self._sessions()
        await sessions.existing(run.session)
        live = self._live.get(run.session)
        if live is not None and live.is_for(run):
            async with aclosing(self._follow(live, run)) as events:
                async for event in events:
                    yield event
            return
        stored = await sessions.messages(run.session, run.message_id)
        prompt = the_prompt(stored, run, self._clock.now())
        if prompt is None:
            yield NOT_TAKEN
            return
        store = await with_sub_agents(sessions, run, prompt.info.id, stored)
        for event in Teller(run, self._clock).conclude(store, None):
            yield event

    async def lookup(self, run: AgentRun) -> Known:
        """See AgentPort. Raises AgentSessionGone, AgentInDoubt."""
        sessions = await self._sessions()
        await sessions.existing(run.session)
        live = self._live.get(run.session)
        if live is not None and live.process is not None and live.is_for(run):
            return Known.RUNNING
        stored = await sessions.messages(run.session, run.message_id)
        return Known.OVER if the_prompt(stored, run, self._clock.now()) else Known.ABSENT

    async def stop(self, session: SessionId, directory: Path) -> None:
        """See AgentPort. Also ends what waits behind the run."""
        for waiting in self._waiting:
            if waiting.run.session == session:
                waiting.ending = STOPPED
        self._pulse.beat()
        if live := self._live.get(session):
            await live.end(STOPPED)
        if session in self._compacting:  # which a server does
            await (await self._sessions()).abort(session, directory)

    async def compact(self, session: SessionId, directory: Path, model: str) -> None:
        """See AgentPort."""
        self._must_rest(session)
        await super().compact(session, directory, model)

    async def revert(self, session: SessionId, directory: Path, since: MessageId | None) -> None:
        """See AgentPort. The next `opencode run` makes it final, like a prompt to a server."""
        self._must_rest(session)
        await super().revert(session, directory, since)

    def _must_rest(self, session: SessionId) -> None:
        """The server does not know what a process does in the session."""
        if session in self._live:
            raise at_work()

    async def decide(self, session: SessionId, directory: Path, request_id: str, decision: Decision) -> bool:
        """See AgentPort. Nothing is ever asked."""
        return False

    # ── one run ────────────────────────────────────────────────────────────────────────────────

    async def _turn(self, live: LiveRun) -> Finished | None:
        """Wait until the session is free, and take it. Otherwise how the run ended while it waited."""
        self._waiting.append(live)
        try:
            while live.run.session in self._live and live.ending is None:
                await self._pulse.wait()
        finally:
            self._waiting.remove(live)
        if live.ending is None:
            self._live[live.run.session] = live
        return live.ending

    def _leave(self, live: LiveRun) -> None:
        """The session is free again."""
        if self._live.get(live.run.session) is live:
            del self._live[live.run.session]
        live.over = True
        self._pulse.beat()

    async def _begin(self, live: LiveRun) -> Finished | None:
        """Start the process. Otherwise how the run ended without one. Raises AgentSessionGone, AgentUnavailable."""
        try:
            sessions = await self._sessions()
            start = await prepared(live.run, sessions, await self._source.program(), self._home)
        except BaseException:
            self._leave(live)
            raise
        if isinstance(start, Finished) or live.ending is not None:
            self._leave(live)
            return start if isinstance(start, Finished) else live.ending
        # Once it is begun, who listens may leave: the process goes on, and with it what follows it.
        starting = asyncio.create_task(self._start(live, start), name=f"opencode run {live.run.session}")
        self._driving.add(starting)
        starting.add_done_callback(self._driving.discard)
        await asyncio.shield(starting)
        return None

    async def _start(self, live: LiveRun, start: Start) -> None:
        if self._trace is not None:
            sent = {"options": start.options, "prompt": start.run.prompt}
            self._trace(start.run.session, "sent", msgspec.json.encode(sent))
        try:
            live.process = process = await start.process(self._home)
        except BaseException:
            start.clean_up()
            self._leave(live)
            raise
        ask = Questions(partial(self._who, start.run), partial(self._is_stored, start.run))
        drive = live.drive(process, self._clock, self._patience, ask, self._trace)
        driving = asyncio.create_task(drive, name=f"opencode run {start.run.session}")
        self._driving.add(driving)

        def ended(_: asyncio.Task[None]) -> None:
            self._driving.discard(driving)
            start.clean_up()
            self._leave(live)

        driving.add_done_callback(ended)

    async def _who(self, run: AgentRun, message: str) -> Prompted | None:
        try:
            return await whose_answer(await self._sessions(), run, message, self._clock.now())
        except AgentError:
            return None  # then the run is told without it

    async def _is_stored(self, run: AgentRun) -> bool:
        try:
            stored = await (await self._sessions()).messages(run.session, run.message_id)
        except AgentError:
            return False
        return bool(find_prompts(stored, run, self._clock.now()))

    async def _follow(self, live: LiveRun, run: AgentRun) -> AsyncGenerator[AgentEvent, None]:
        teller = Teller(run, self._clock)
        index = 0
        while True:
            while index < len(live.items):
                for event in teller.tell(live.items[index], live.prompted):
                    yield event
                index += 1
            if live.over:
                break
            await self._pulse.wait()
        if live.ending is CLOSED:
            yield CLOSED
            return
        try:
            store = await stored_of(await self._sessions(), run, live.prompted, self._clock.now())
        except AgentSessionGone:
            yield live.ending or DELETED
            return
        except AgentError:
            store = None  # then what was heard must do
        for event in teller.conclude(store, live):
            yield event
