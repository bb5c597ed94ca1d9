"""One prompt given to `opencode run`: its process followed to the end, and what listeners are told of it."""

from __future__ import annotations

import asyncio
import subprocess
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import msgspec

from adapters.opencode import command_rules
from adapters.opencode.command_process import CommandProcess
from adapters.opencode.command_store import Store
from adapters.opencode.command_wire import Prompted, RunDecoder, RunLine, auto_rejected, events, plain
from adapters.opencode.pulse import Pulse
from adapters.opencode.run import NO_ANSWER, NOT_TAKEN, RunMachine
from adapters.opencode.settings import Trace
from adapters.opencode.vigil import Patience, Vigil
from adapters.opencode.wire import Message, MessageUpdated, Part, PartUpdated, StoredMessage
from core.events import AgentEvent, Finished, Outcome, Refused, StepState
from core.model import MessageId, PermissionRequest
from core.ports import AgentRun, Clock

HUNG = Finished(Outcome.FAILED, "hung", "opencode hung: it did nothing more, and was ended")
_SILENT_ENDS = frozenset({NO_ANSWER.error_code, NOT_TAKEN.error_code})


@dataclass(frozen=True, slots=True)
class Questions:
    """What only the stored messages answer; never raise."""

    whose_answer: Callable[[str], Awaitable[Prompted | None]]  # the prompt that a message answers
    is_stored: Callable[[], Awaitable[bool]]  # whether opencode has taken the prompt up


class LiveRun:
    """A run from its turn in the session to the end of its process. Items are kept for listeners who come later."""

    def __init__(self, run: AgentRun, pulse: Pulse) -> None:
        """`pulse` beats whenever something here has changed."""
        self.run = run
        self.prompted: Prompted | None = None
        self.items: list[RunLine | PermissionRequest] = []
        self.words: deque[str] = deque(maxlen=5)  # of standard error
        self.process: CommandProcess | None = None
        self.ending: Finished | None = None  # we end it, and why
        self.hung = False
        self.over = False
        self.pulse = pulse
        self._decoder = RunDecoder()

    def is_for(self, run: AgentRun) -> bool:
        """Whether `run` is this one; its message id may be ours or, once it is known, opencode's."""
        return run.message_id in {self.run.message_id, self.prompted.id if self.prompted else ""}

    @property
    def killed(self) -> bool:
        """Ended neither by itself nor by us."""
        code = self.process.code if self.process else None
        return not self.ending and not self.hung and code not in {0, 1}

    async def end(self, why: Finished) -> None:
        """Returns when nothing of it runs any more."""
        self.ending = self.ending or why
        self.pulse.beat()
        if self.process:
            await self.process.end()

    async def drive(
        self, process: CommandProcess, clock: Clock, patience: Patience, ask: Questions, trace: Trace | None
    ) -> None:
        """Until the process has ended and all is read."""
        self.process = process
        watching = asyncio.create_task(self._watch(process, clock, patience, ask), name="opencode run watch")
        try:
            if self.ending:
                await process.end()
            async for problems, lines in process.lines():
                for raw in lines:
                    if problems:
                        self._heard(raw)
                    elif line := self._decoder.decode(raw):
                        if trace is not None:
                            trace(self.run.session, "received", raw)
                        if line.part is not None and self.prompted is None:
                            self.prompted = await ask.whose_answer(line.part.message) or Prompted(self.run.message_id)
                        self.items.append(line)
                self.pulse.beat()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await process.end()
            process.close()
            self.over = True
            self.pulse.beat()

    def _heard(self, raw: bytes) -> None:
        text = plain(raw.decode(errors="replace"))
        rejected = auto_rejected(text, self.run.session)
        if rejected:
            self.items.append(rejected)
        elif text:
            self.words.append(text)

    async def _watch(self, process: CommandProcess, clock: Clock, patience: Patience, ask: Questions) -> None:
        vigil = Vigil(patience, clock.now().timestamp())
        while True:
            await clock.sleep(patience.look_every)
            try:
                seen = await process.sight()
            except (OSError, subprocess.SubprocessError):
                continue  # where nothing can be seen, nothing is ended
            vigil.taken = vigil.taken or self.prompted is not None
            if not vigil.hangs(clock.now().timestamp(), process.said, seen):
                continue
            if not vigil.taken and await ask.is_stored():
                vigil.taken = True
                continue
            self.hung = True
            await process.end()
            return


class Teller:
    """What one listener is told: items as they come, and at the end what only the stored messages say."""

    def __init__(self, run: AgentRun, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._machine: RunMachine | None = None
        self._early: list[RunLine | PermissionRequest] = []  # before a part tells which prompt they are about
        self._refused: set[str] = set()

    def tell(self, item: RunLine | PermissionRequest, prompted: Prompted | None) -> list[AgentEvent]:
        """Of a line of output, or a rejection it reported."""
        told: list[AgentEvent] = []
        request = item if isinstance(item, PermissionRequest) else None
        if isinstance(item, RunLine) and item.part is not None:
            request = command_rules.refusal(item.part, self._run.directory)
            item = msgspec.structs.replace(item, part=command_rules.plainly(item.part)) if request else item
        if request:
            told += self._refuse(request)
        if prompted is None:
            self._early.append(item)
            return told
        return told + self._feed(self._begun(prompted.id), item, prompted)

    def conclude(self, store: Store | None, live: LiveRun | None) -> list[AgentEvent]:
        """The rest, `Finished` last. Without `store` what was told must do; without `live` nothing was told before."""
        machine = self._begun(store.prompt if store else self._run.message_id, taken=store is not None)
        told: list[AgentEvent] = []
        messages = [self._settled(message, told) for message in (store.messages if store else ())]
        for message in store.sub_agents if store else ():
            for part in self._settled(message, told).parts:
                told += machine.feed(PartUpdated(part))
        machine.stopping = live is not None and live.ending is not None
        restarted = live is None or live.killed
        told += machine.reconcile(messages, busy=False, settled=True, restarted=restarted)
        end = told[-1]
        assert isinstance(end, Finished)
        told[-1] = _explained(end, live) if live else end
        return told

    def _begun(self, prompt: MessageId, *, taken: bool = True) -> RunMachine:
        if self._machine is None:
            run = replace(self._run, message_id=prompt)
            self._machine = RunMachine(run, 0.0, self._clock.now)
            if taken:
                self._machine.feed(MessageUpdated(Message(prompt, "user", run.session)))
            for item in self._early:
                self._feed(self._machine, item, Prompted(prompt))
        return self._machine

    @staticmethod
    def _feed(machine: RunMachine, item: RunLine | PermissionRequest, prompted: Prompted) -> list[AgentEvent]:
        if isinstance(item, PermissionRequest):
            machine.refuses()
            return []
        return [told for event in events(item, prompted) for told in machine.feed(event)]

    def _refuse(self, request: PermissionRequest) -> list[AgentEvent]:
        if request.id in self._refused:
            return []
        self._refused.add(request.id)
        return [Refused(request)]

    def _settled(self, message: StoredMessage, told: list[AgentEvent]) -> StoredMessage:
        """A message as it stays: what was refused is said so, and a call under way has ended with the process."""
        parts: list[Part] = []
        for part in message.parts:
            settled = part
            if request := command_rules.refusal(part, self._run.directory):
                told += self._refuse(request)
                settled = command_rules.plainly(part)
            elif part.state and part.state.status in {StepState.PENDING, StepState.RUNNING}:
                state = msgspec.structs.replace(part.state, status="error", error="Ended with the run")
                settled = msgspec.structs.replace(part, state=state)
            parts.append(settled)
        return msgspec.structs.replace(message, parts=parts)


def _explained(end: Finished, live: LiveRun) -> Finished:
    """With the reason that only the process knows."""
    silent = end.error_code in _SILENT_ENDS
    if live.hung and (silent or end.outcome is Outcome.CUT):
        return HUNG
    if silent and live.words and not live.ending:
        return replace(end, error=f"{end.error}. It said: {' '.join(live.words)}")
    return end
