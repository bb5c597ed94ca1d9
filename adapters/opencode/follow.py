"""Keeps one run's machine supplied: with events as they come, and with what is stored whenever it asks for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from adapters.opencode.run import CLOSED, DIED, RunMachine
from adapters.opencode.sessions import Sessions
from adapters.opencode.stream import Hub, Signal, Subscription
from core.errors import AgentError, AgentUnavailable
from core.events import AgentEvent, Finished, Outcome, Said, Started, Step
from core.ports import AgentRun

TASK = "task"  # the tool that hands work to a sub-agent
PATIENCE = 20  # looks without an answer, a grace apart, after which the agent counts as dead
RESTARTS = 2  # the same, when each look has tried to start it again


class Follower:
    """One run from the moment its events are subscribed to."""

    def __init__(
        self,
        run: AgentRun,
        machine: RunMachine,
        subscription: Subscription,
        hub: Hub,
        sessions: Callable[[], Awaitable[Sessions]],
        grace: float,
    ) -> None:
        """`sessions` gives the server as it is now, started again if need be."""
        self._run = run
        self._machine = machine
        self._subscription = subscription
        self._hub = hub
        self._sessions = sessions
        self._grace = grace
        self._unanswered = 0
        self._behind = False
        self._restarted = False

    async def events(self, *, from_store: bool) -> AsyncGenerator[AgentEvent, None]:
        """Up to and including `Finished`; with `from_store`, beginning with what opencode has already."""
        loop = asyncio.get_running_loop()
        if from_store:
            for event in await self._from_store():
                yield event
        wanted: float | None = None
        deadline: float | None = None
        while not self._machine.over:
            if self._machine.check_in != wanted:
                wanted = self._machine.check_in
                deadline = None if wanted is None else loop.time() + wanted
            try:
                async with asyncio.timeout_at(deadline):
                    item = await self._subscription.next()
            except TimeoutError:
                settled = bool(wanted)
                wanted = deadline = None
                found = await self._catch_up() if self._behind else await self._look(settled=settled)
            else:
                found = await self._signalled(item) if isinstance(item, Signal) else self._machine.feed(item)
            for event in found:
                yield event
            if self._machine.abort_again:
                await self._abort_again()

    async def _from_store(self) -> list[AgentEvent]:
        """All that is stored of the run and its sub-agents, in the order in which it came to be."""
        found = await self._catch_up()
        if not any(isinstance(event, Step) and event.tool == TASK for event in found):
            return found
        try:
            sessions = await self._sessions()
            theirs = await sessions.messages_of(self._subscription.children)
        except AgentError:  # what the run itself did is more than nothing
            return found
        return sorted([*found, *self._machine.recall(theirs)], key=_order)

    async def _signalled(self, signal: Signal) -> list[AgentEvent]:
        if signal is Signal.CLOSED:
            self._machine.over = True
            return [CLOSED]
        if signal is Signal.RESTARTED:
            self._restarted = True
        return await self._catch_up()

    async def _catch_up(self) -> list[AgentEvent]:
        """After a gap: sub-agents, requests and messages that were missed."""
        self._behind = True
        try:
            sessions = await self._sessions()
            for child in await sessions.descendants(self._run.session, self._run.directory):
                self._hub.adopt(self._subscription, child)
            ours = {self._run.session, *self._subscription.children}
            waiting = [asked for asked in await sessions.requests(self._run.directory) if asked.session in ours]
        except AgentError as error:
            return self._silent(error)
        self._behind = False
        events: list[AgentEvent] = []
        for closed in self._machine.asked - {asked.id for asked in waiting}:
            events += self._machine.settles(closed)
        for asked in waiting:
            events += self._machine.asks(asked)
        return events + await self._look(settled=False)

    async def _look(self, *, settled: bool) -> list[AgentEvent]:
        """Let the machine see what is stored, and whether opencode is at work in this session."""
        try:
            sessions = await self._sessions()
            busy = await sessions.busy(self._run.session, self._run.directory)
            stored = await sessions.messages(self._run.session, self._run.message_id)
        except AgentError as error:
            return self._silent(error)
        self._unanswered = 0
        return self._machine.reconcile(stored, busy=busy, settled=settled, restarted=self._restarted)

    def _silent(self, error: AgentError) -> list[AgentEvent]:
        """No answer: again after a grace, but not for ever. An answer that says no is the end."""
        if not isinstance(error, AgentUnavailable):
            self._machine.over = True
            return [Finished(Outcome.CUT, error.code, str(error))]
        self._unanswered += 1
        if self._unanswered >= (RESTARTS if self._restarted else PATIENCE):
            self._machine.over = True
            return [DIED]
        self._machine.check_in = self._grace
        return []

    async def _abort_again(self) -> None:
        """An abort that came before opencode had begun stops nothing."""
        self._machine.abort_again = False
        try:
            await (await self._sessions()).abort(self._run.session, self._run.directory)
        except AgentUnavailable:
            self._machine.check_in = self._grace


def _order(event: AgentEvent) -> tuple[int, str]:
    """opencode's ids of parts sort by time; what has none comes behind what it belongs to."""
    match event:
        case Started():
            return (0, "")
        case Said():
            return (1, event.part)
        case Step():
            return (1, event.id)
        case Finished():
            return (3, "")
    return (2, "")
