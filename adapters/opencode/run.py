"""One run, decided from what opencode says: which messages are ours, what is told on, and when it is over. Pure.

opencode has no event that says "your prompt is answered". `session.idle` comes twice after an abort and may belong to
the prompt before; so a run follows the assistant messages whose parent is its own message id, and takes an idle
session only as an occasion to look at them. Where that does not decide, `check_in` asks for a look at what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import dropwhile
from math import inf
from types import MappingProxyType

from adapters.opencode import translate, troubles
from adapters.opencode.parts import Texts
from adapters.opencode.wire import (
    ABORTED,
    FILTERED,
    LENGTH,
    TOOL_CALLS,
    Message,
    MessageUpdated,
    Part,
    PartDelta,
    PartUpdated,
    PermissionAsked,
    QuestionAsked,
    RequestSettled,
    SessionDeleted,
    SessionErrored,
    SessionIdle,
    Status,
    StatusChanged,
    StoredMessage,
    TodoUpdated,
    WireError,
    WireEvent,
)
from core.events import (
    AgentEvent,
    Asked,
    Finished,
    Metered,
    Outcome,
    Retrying,
    Settled,
    Started,
    Step,
    Trouble,
)
from core.model import SessionId
from core.ports import AgentRun

FIRST_CHECK = 15.0  # a prompt is stored within 0.4 s of being accepted, on a cold server too

DIED = Finished(Outcome.CUT, "agent_died", "opencode ended while it worked on this; what it wrote until then is kept")
CLOSED = Finished(Outcome.CUT, "closed", "kugetsu was ended while the agent worked on this")
DELETED = Finished(Outcome.CUT, "session_gone", "The session was deleted while the agent worked in it")
NO_ANSWER = Finished(Outcome.FAILED, "no_answer", "The agent ended without an answer")
NOT_TAKEN = Finished(Outcome.FAILED, "not_taken", "opencode took the prompt and dropped it: check agent and model")
REJECTED = Finished(Outcome.STOPPED, "rejected", "The agent stopped because its request was rejected")
OVERTAKEN = Finished(Outcome.FAILED, "overtaken", "Another prompt to this session took over; its answer covers both")
STOPPED = Finished(Outcome.STOPPED)
# What opencode itself takes for an answer like any other, and 1.18 only what was filtered for an error.
_CUT_OFF = MappingProxyType(
    {
        LENGTH: Finished(Outcome.FAILED, Trouble.OUTPUT_FULL, "The model reached the most it may write in one answer"),
        FILTERED: Finished(Outcome.FAILED, Trouble.DECLINED, "The provider's content filter held the answer back"),
    }
)


class RunMachine:
    """Fed with wire events of the session and its sub-agents, and with stored messages; gives agent events."""

    def __init__(self, run: AgentRun, grace: float, now: Callable[[], datetime]) -> None:
        """`grace`: seconds an idle session may stay without a word about this run before that counts."""
        self._run = run
        self._now = now
        self._grace = grace
        self._prompts = {str(run.message_id)}  # user messages whose answers are ours: the prompt, and after a
        self._others: set[str] = set()  # compaction what opencode puts in its place; all other prompts
        self._answers: dict[str, Message] = {}  # assistant messages of ours, in order
        self._compacted = False  # the next new prompt is opencode's own, to carry on with ours
        self._texts = Texts()
        self._steps: dict[str, Step] = {}
        self._metered: set[str] = set()
        self._asked: set[str] = set()
        self._taken = False  # our message is stored
        self._error: WireError | None = None
        self._aborted = False
        self._rejected = False
        self.stopping = False  # somebody asked us to stop it
        self.abort_again = False  # it went on after that: the abort came before opencode had begun
        self._overran = False  # what it said in the meantime is no answer
        self.over = False
        # Seconds after which `reconcile` should be called, unless more happens. At first: whether the prompt got there.
        self.check_in: float | None = FIRST_CHECK

    @property
    def begun(self) -> bool:
        """opencode has begun to answer."""
        return bool(self._answers)

    @property
    def asked(self) -> frozenset[str]:
        """Ids of the requests that wait for an answer."""
        return frozenset(self._asked)

    # ── what happens ───────────────────────────────────────────────────────────────────────────

    def feed(self, event: WireEvent) -> list[AgentEvent]:
        """What this event of the session, or of one of its sub-agents, means for the run."""
        if self.over:
            return []
        root = event.session == self._run.session
        match event:
            case PartDelta() if root and event.field == "text":
                return list(self._texts.delta(event.part, event.delta))
            case PartUpdated():
                return self._part(event.part, stored=False) if root else self._foreign_part(event.part)
            case MessageUpdated() if root:
                return self._message(event.info)
            case StatusChanged(status=Status(type="retry")):
                return [self._retrying(event.status)]
            case StatusChanged(status=Status(type="idle")) if root:
                return self._idle()
            case SessionIdle() if root:
                return self._idle()
            case SessionErrored() if root:
                self._errored(event.error)
            case SessionDeleted() if root:
                return self._finish(DELETED)
            case PermissionAsked() | QuestionAsked():
                return self.asks(event)
            case RequestSettled() if event.request in self._asked:
                self._rejected = self._rejected or event.rejected
                return self.settles(event.request)
            case TodoUpdated() if root:
                return [translate.planned(event.todos)]
        return []

    def asks(self, event: PermissionAsked | QuestionAsked) -> list[AgentEvent]:
        """A request, told once however often it is seen."""
        if event.id in self._asked:
            return []
        self._asked.add(event.id)
        if isinstance(event, PermissionAsked):
            return [Asked(translate.permission_request(event))]
        return [Asked(translate.question_request(event))]

    def refuses(self) -> None:
        """Something was asked and at once rejected, where nobody can be asked: the run ends for that."""
        self._rejected = True

    def settles(self, request_id: str) -> list[AgentEvent]:
        """A request that is no longer open."""
        self._asked.discard(request_id)
        return [Settled(request_id)]

    def reconcile(
        self, stored: Sequence[StoredMessage], *, busy: bool, settled: bool, restarted: bool = False
    ) -> list[AgentEvent]:
        """Catch up with what opencode has stored, and decide what only that can decide.

        `busy`: opencode works in this session now. `settled`: the grace is over, so what is not there will not come.
        `restarted`: opencode was restarted since the prompt was sent; it resumes nothing by itself.
        """
        if self.over:
            return []
        events: list[AgentEvent] = []
        for message in dropwhile(lambda message: message.info.id != self._run.message_id, stored):
            events += self._message(message.info)
            if events and isinstance(events[-1], Finished):
                return events
            for part in message.parts:
                events += self._part(part, stored=True)
        order = {message.info.id: place for place, message in enumerate(stored)}
        self._answers = dict(sorted(self._answers.items(), key=lambda answer: order.get(answer[0], len(order))))
        self.check_in = self._grace if busy and self._ended_step() else None
        if not busy:
            events += self._decide(settled=settled or restarted, restarted=restarted)
        return events

    # ── messages and parts ─────────────────────────────────────────────────────────────────────

    def _message(self, info: Message) -> list[AgentEvent]:
        if info.role == "user":
            if info.id == self._run.message_id:
                if not self._taken:
                    self._error = None  # what failed before was not ours
                    self.check_in = None
                self._taken = True
            elif self._compacted and info.id not in self._others | self._prompts:
                self._prompts.add(info.id)
                self._compacted = False
            elif info.id not in self._prompts:
                self._others.add(info.id)
            return []
        if info.parent not in self._prompts:
            return self._other_answer(info)
        return self._answer(info)

    def _answer(self, info: Message) -> list[AgentEvent]:
        events: list[AgentEvent] = []
        if not self._answers:
            model = f"{info.provider}/{info.model}" if info.provider else info.model
            events.append(Started(self._run.session, self._run.message_id, model))
        known = self._answers.get(info.id)
        self._answers[info.id] = info
        if known is None:
            self.check_in = None
            self.abort_again = self._overran = self.stopping
        # That a message is a summary may come to light only when it is read back.
        news = known is None or not known.completed or known.is_summary is not info.is_summary
        if info.completed and news:
            self._compacted = info.is_summary
            self.check_in = self._grace  # an idle event or the next step follows at once; this is for when it is lost
        return events

    def _other_answer(self, info: Message) -> list[AgentEvent]:
        """opencode has begun to answer another prompt: what ours got is all it will get."""
        last = self._last
        if last is None or not last.completed or info.id <= last.id:
            return []
        verdict = self._verdict(last)
        return self._finish(OVERTAKEN if last.finish == TOOL_CALLS and verdict is NO_ANSWER else verdict)

    def _part(self, part: Part, *, stored: bool) -> list[AgentEvent]:
        if part.type == "compaction" and part.auto and self._taken:
            self._others.discard(part.message)
            self._prompts.add(part.message)
        message = self._answers.get(part.message)
        if message is None:
            return []
        if part.type in {"text", "reasoning"}:
            if message.is_summary:
                return list(self._texts.withdrawn(part.id))
            return list(self._texts.updated(part, stored=stored))
        if part.type == "tool":
            return self._step(translate.step(part, self._run.directory))
        return self._meter(part, message)

    def _foreign_part(self, part: Part) -> list[AgentEvent]:
        if part.type == "tool":
            return self._step(translate.step(part, self._run.directory, SessionId(part.session)))
        return self._meter(part, None)

    def recall(self, stored: Sequence[StoredMessage]) -> list[AgentEvent]:
        """What sub-agents did while this run went on, of all that is stored of them. Also when it is over."""
        first, last = next(iter(self._answers.values()), None), self._last
        if first is None or last is None:
            return []
        end = inf if last.time.completed is None else last.time.completed
        during = (message for message in stored if first.time.created <= message.info.time.created <= end)
        return [event for message in during for part in message.parts for event in self._foreign_part(part)]

    def _step(self, step: Step | None) -> list[AgentEvent]:
        if step is None or self._steps.get(step.id) == step:
            return []
        self._steps[step.id] = step
        return [step]

    def _meter(self, part: Part, message: Message | None) -> list[AgentEvent]:
        """`message` is None for a sub-agent's, whose conversation is another one."""
        if part.type != "step-finish" or part.tokens is None or part.id in self._metered:
            return []
        self._metered.add(part.id)
        used = translate.tokens(part.tokens)
        context = translate.context(used, summary=message.is_summary) if message is not None else 0
        return [Metered(used, part.cost, context)]

    def _retrying(self, status: Status) -> Retrying:
        wait = status.next / 1000 - self._now().timestamp()
        reason = troubles.readable(status.message)
        return Retrying(status.attempt, reason, max(0.0, wait), troubles.trouble_in(status.message) or "")

    # ── the end ────────────────────────────────────────────────────────────────────────────────

    @property
    def _last(self) -> Message | None:
        return next(reversed(self._answers.values()), None)

    def _ended_step(self) -> bool:
        return self._last is not None and self._last.completed

    def _errored(self, error: WireError) -> None:
        """Remembered, not believed: a full context is an error too, and opencode goes on after it.

        Before our message was seen it may be the prompt before's, or the reason ours never gets there.
        """
        if error.name == ABORTED:
            self._aborted = self._aborted or self._taken
        elif self._error is None:
            self._error = error  # the second one repeats it with a stack trace
        if not self._taken:
            self.check_in = self._grace

    def _idle(self) -> list[AgentEvent]:
        last = self._last
        if last is not None and last.completed and last.finish != TOOL_CALLS:
            return self._finish(self._verdict(last))
        if last is None and self._taken and self._error is not None:
            return self._finish(self._failed(self._error))
        # An idle of the prompt before, an abort that still cleans up, or a rejected tool: ask.
        self.check_in = 0.0 if last is not None and last.completed else self._grace
        return []

    def _decide(self, *, settled: bool, restarted: bool) -> list[AgentEvent]:
        last = self._last
        if last is not None and last.completed:
            if restarted and last.error is None and (last.is_summary or last.finish in {None, TOOL_CALLS}):
                return self._finish(DIED)  # there was to be more
            return self._finish(self._verdict(last))
        if not settled:
            self.check_in = self._grace
            return []
        if self.stopping or self._aborted:
            return self._finish(STOPPED)
        if restarted or last is not None:
            return self._finish(DIED)
        if self._error is not None:
            return self._finish(self._failed(self._error))
        return self._finish(NO_ANSWER if self._taken else NOT_TAKEN)

    def _verdict(self, last: Message) -> Finished:
        """What a completed last message says about the run."""
        if last.error is not None:
            return STOPPED if last.error.name == ABORTED else self._failed(last.error)
        if self._overran:
            return STOPPED
        if last.finish is None:  # aborted while it waited to ask the provider again, or a compaction that failed
            if self._error is None or self.stopping or self._aborted:
                return STOPPED
            return self._failed(self._error)
        if last.finish in _CUT_OFF:
            return _CUT_OFF[last.finish]
        if last.finish == TOOL_CALLS and self._rejected:
            return REJECTED
        if last.finish == TOOL_CALLS or not self._texts.spoke:
            return STOPPED if self.stopping else NO_ANSWER
        return Finished(Outcome.DONE)

    @staticmethod
    def _failed(error: WireError) -> Finished:
        return Finished(Outcome.FAILED, troubles.trouble_of(error) or error.name, troubles.words(error))

    def _finish(self, finished: Finished) -> list[AgentEvent]:
        self.over = True
        self.check_in = None
        return [finished]
