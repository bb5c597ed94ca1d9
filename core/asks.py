"""What the agent asks: answered by rule, by people, or rejected when nobody can be asked or nobody answers in time."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from core import rules, view
from core.audience import Audience
from core.errors import KugetsuError, NotFound, UsageError
from core.model import (
    AgentRequest,
    AskId,
    Decision,
    PermissionRequest,
    PermissionRule,
    Person,
    Place,
    Question,
    QuestionRequest,
    Refusal,
    Run,
    RunId,
    Session,
)
from core.ports import AgentPort, Ask, Clock, Operation, Store
from core.view_ask import is_form, is_sent, open_questions

# Always a reason: opencode ends a run whose request was rejected without one, instead of telling the agent.
REJECTED = "The person rejected this. Go on without it, or say what you would need it for."
NOBODY = "Nobody can be asked here. Go on without it, or say what you would need it for."
TOO_LATE = "Nobody answered within {hours:g} h. Go on without it, or say what you would need it for."


Grant = Callable[[Sequence[PermissionRule]], Awaitable[None]]

WITHDRAWN = Decision("withdrawn")
ANSWERS = "answers"  # kind of operation: those that some questions of a request have had
COMING = 30.0  # seconds in which a run that was going is found again after a restart
WHY = "why"  # a reply: the person wants to say why not
_CHOICE = re.compile(r"q(\d{1,3})c(\d{1,3})")  # question from 0, choice from 1
_ONE_OF_THEM = re.compile(r"\s*(\d{1,3})\s*[:.)]\s*(\S.*)", re.DOTALL)  # `2: my own words`


@dataclass(slots=True)
class _Open:
    """A request from the moment it was heard of until it is over."""

    ask: Ask
    session: Session
    grant: Grant
    shown: bool = False  # recorded and on its way to people: its end must be recorded and shown too
    noted: Operation | None = None  # the answers of a form so far, on disk
    noting: asyncio.Lock = field(default_factory=asyncio.Lock)
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while a decision is on its way to the agent
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Asks:
    """Open requests of all runs; one `Ask` a request, decided exactly once."""

    def __init__(
        self, store: Store, agent: AgentPort, audience: Audience, clock: Clock, question_timeout: timedelta
    ) -> None:
        self._store = store
        self._agent = agent
        self._audience = audience
        self._clock = clock
        self._timeout = question_timeout
        self._open: dict[AskId, _Open] = {}
        self._expected: dict[AskId, asyncio.Event] = {}  # pressed before their run was found again

    async def restore(self, run: Run, session: Session, grant: Grant) -> None:
        """Take up what a process that died had shown and nobody decided: its buttons work on."""
        noted = {operation.subject: operation for operation in await self._store.open_operations(kind=ANSWERS)}
        for ask in await self._store.open_asks():
            if ask.run == run.id and ask.id not in self._open:
                entry = self._open[ask.id] = _Open(ask, session, grant, shown=True)
                entry.noted = noted.get(ask.id)
                if entry.noted:
                    answers = {int(number): tuple(answer) for number, answer in entry.noted.data.items()}
                    entry.ask = replace(ask, answers=answers)
                if expected := self._expected.pop(ask.id, None):
                    expected.set()

    def take(self, run: Run, session: Session, request: AgentRequest, grant: Grant) -> AskId:
        """Note a request at once, so that its end cannot be missed. `grant` makes rules of an "Always"."""
        for entry in self._open.values():
            if (entry.ask.run, entry.ask.request.id) == (run.id, request.id):
                return entry.ask.id
        ask = Ask(AskId(secrets.token_urlsafe(9)), run.id, session.key, request, self._clock.now())
        self._open[ask.id] = _Open(ask, session, grant)
        return ask.id

    def is_open(self, ask: AskId) -> bool:
        """Whether it still waits for an answer."""
        return ask in self._open

    async def by_rule(self, ask: AskId, standing: Sequence[PermissionRule]) -> str | None:
        """Answer without people if the rules say so. Returns what was answered (`allow`, `deny`), or None."""
        entry = self._open.get(ask)
        request = entry.ask.request if entry else None
        if entry is None or not isinstance(request, PermissionRequest):
            return None
        verdict = rules.verdict(request, standing)
        if verdict == rules.ASK:
            return None
        decision = (
            Decision("once") if verdict == rules.ALLOW else Decision("reject", message=view.denied_by_rule(request))
        )
        await self._tell_agent(entry, decision)
        self._over(entry)
        return verdict

    async def by_people(self, ask: AskId) -> Refusal | None:
        """Show the request everywhere and wait for its end. Returns what was refused because nobody answered."""
        entry = self._open.get(ask)
        if entry is None:
            return None
        refused = refusal(entry.ask.request)
        if not await self._audience.can_ask(entry.session.key):
            await self._tell_agent(entry, Decision("reject", message=NOBODY))
            self._over(entry)
            return refused
        if not entry.shown:
            await self._store.add_ask(entry.ask)
        entry.shown = True
        if entry.over.is_set():
            await self._settle(entry, WITHDRAWN, None)
            return None
        await self._audience.ask(entry.ask)
        seconds = self._timeout.total_seconds()
        timer = asyncio.create_task(self._clock.sleep(seconds))
        waiting = asyncio.create_task(entry.over.wait())
        try:
            await asyncio.wait([timer, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            waiting.cancel()
        if entry.over.is_set():
            return None
        async with entry.deciding:  # somebody may be deciding in the last moment
            if entry.over.is_set():
                return None
            await self._decide(entry, Decision("reject", message=TOO_LATE.format(hours=seconds / 3600)), None)
        return refused

    async def withdraw(self, run: RunId, request_id: str = "") -> bool:
        """The request was answered elsewhere; without `request_id`: the run has ended. Whether people saw it open."""
        seen = False
        for entry in list(self._open.values()):
            if entry.ask.run == run and request_id in {"", entry.ask.request.id}:
                self._over(entry)
                if entry.shown and not entry.deciding.locked():  # else whoever decides settles it
                    seen = True
                    await self._settle(entry, WITHDRAWN, None)
        return seen

    async def press(self, ask: AskId, reply: str, text: str, person: Person, place: Place) -> Ask:
        """A person's decision. Raises NotFound when it is not open any more, UsageError when it makes no sense."""
        entry = self._open.get(ask) or await self._coming(ask)
        if entry is None:
            raise NotFound("This is not open any more.", "It was decided already, or its run has ended.")
        if reply == WHY and isinstance(entry.ask.request, PermissionRequest):
            await self._audience.ask_why(entry.ask, place)
            return entry.ask
        decision = await self._filled_in(entry, reply, text)
        if decision is None:
            return entry.ask
        if entry.deciding.locked():
            raise NotFound("Somebody else decided this a moment ago.")
        async with entry.deciding:
            settled = await self._decide(entry, decision, person)
        if settled.decision == WITHDRAWN:
            raise NotFound("This was not open any more.", "It was decided in another client of opencode.")
        detail = view.request_line(entry.ask.request)
        await self._store.audit(person.id, f"decide {reply}", entry.session.key.key, place, detail)
        return settled

    async def _coming(self, ask: AskId) -> _Open | None:
        """What a process that died has shown is open again as soon as its run is found; who presses earlier waits."""
        stored = await self._store.ask(ask)
        if stored is None or stored.decision is not None:
            return None
        expected = self._expected.setdefault(ask, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(COMING):
                await expected.wait()
        return self._open.get(ask)

    async def _filled_in(self, entry: _Open, reply: str, text: str) -> Decision | None:
        """The decision that was pressed or typed; None: an answer of a form, which waits for the others.

        Raises UsageError.
        """
        request = entry.ask.request
        choice = _CHOICE.fullmatch(reply)
        if not isinstance(request, QuestionRequest) or not (choice or reply in {"text", "send"}):
            return to_decision(request, reply, text)
        if not is_form(request):
            return to_decision(request, "answer", _chosen(request.questions[0], choice) if choice else text)
        async with entry.noting:
            if reply == "send":
                return _form(entry.ask)
            if choice:
                answers = _toggled(request, entry.ask.answers, int(choice[1]), int(choice[2]))
            else:
                answers = _typed(request, entry.ask.answers, text)
            filled = replace(entry.ask, answers=answers)
            if not is_sent(request) and not open_questions(filled):
                return _form(filled)
            await self._note(entry, answers)
        return None

    async def _note(self, entry: _Open, answers: Mapping[int, tuple[str, ...]]) -> None:
        if entry.noted is None:
            entry.noted = await self._store.begin(ANSWERS, entry.ask.id, {})
        data = {str(number): answer for number, answer in answers.items()}
        entry.noted = await self._store.step_done(entry.noted, "answered", data)
        entry.ask = replace(entry.ask, answers=answers)
        await self._audience.revised(entry.ask)

    async def _decide(self, entry: _Open, decision: Decision, person: Person | None) -> Ask:
        """Tell the agent, then everybody. When the agent cannot be told, the request stays open."""
        request = entry.ask.request
        if decision.reply == "always" and isinstance(request, PermissionRequest):
            # Before the agent goes on: it may ask the same again at once.
            await entry.grant(rules.allowing([refusal(request)]))
        try:
            told = await self._tell_agent(entry, decision)
        except (KugetsuError, asyncio.CancelledError):
            if entry.over.is_set():
                await self._settle(entry, WITHDRAWN, None)
            raise
        self._over(entry)
        return await self._settle(entry, decision if told else WITHDRAWN, person if told else None)

    async def _settle(self, entry: _Open, decision: Decision, person: Person | None) -> Ask:
        by = person.id if person else None
        settled = replace(entry.ask, decision=decision, decided_by=by, decided_at=self._clock.now())
        await self._store.save_ask(settled)
        if entry.noted:
            await self._store.end(entry.noted)
        await self._audience.settle_ask(settled, person.name if person else "")
        return settled

    def _over(self, entry: _Open) -> None:
        entry.over.set()
        self._open.pop(entry.ask.id, None)

    async def _tell_agent(self, entry: _Open, decision: Decision) -> bool:
        session = entry.session
        return await self._agent.decide(session.agent_id, session.directory, entry.ask.request.id, decision)


def refusal(request: AgentRequest, *, denied: bool = False) -> Refusal:
    """For the run's list. `denied`: by the project's rules, which only the configuration changes."""
    line = view.request_line(request)
    if denied or not isinstance(request, PermissionRequest):
        return Refusal(line)
    return Refusal(line, request.permission, request.always or request.patterns)


def to_decision(request: AgentRequest, reply: str, text: str) -> Decision:
    """What was pressed or typed, as a decision. Raises UsageError."""
    if reply == "reject":
        return Decision("reject", message=text or REJECTED)
    if isinstance(request, PermissionRequest) and reply in {"once", "always"}:
        return Decision(reply)
    if isinstance(request, QuestionRequest) and reply == "answer":
        return Decision("answer", answers=_answers(request, text))
    raise UsageError("That is no answer to this request.", "Use the choices shown with it.")


def _answers(request: QuestionRequest, text: str) -> tuple[tuple[str, ...], ...]:
    questions = request.questions
    lines = [text.strip()] if len(questions) == 1 else [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != len(questions) or not all(lines):
        wanted = "an answer" if len(questions) == 1 else f"{len(questions)} answers, one a line"
        raise UsageError(f"The agent waits for {wanted}.", "Answer with a choice's number, or in your own words.")
    return tuple(_answer(question, line) for question, line in zip(questions, lines, strict=True))


def _answer(question: Question, text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",")]
    if all(part.isdecimal() and 1 <= int(part) <= len(question.choices) for part in parts):
        if len(parts) > 1 and not question.multiple:
            raise UsageError(f"“{question.text}” takes one choice.", "Answer with one number, or in your own words.")
        return tuple(question.choices[int(part) - 1].label for part in parts)
    return (text,)


def _chosen(question: Question, choice: re.Match[str]) -> str:
    if not 1 <= int(choice[2]) <= len(question.choices):
        raise UsageError("That is no answer to this request.", "Use the choices shown with it.")
    return choice[2]


def _toggled(
    request: QuestionRequest, answers: Mapping[int, tuple[str, ...]], number: int, choice: int
) -> dict[int, tuple[str, ...]]:
    """One choice of a form pressed."""
    if number >= len(request.questions) or not 1 <= choice <= len(request.questions[number].choices):
        raise UsageError("That is no answer to this request.", "Use the choices shown with it.")
    question, before = request.questions[number], answers.get(number, ())
    label = question.choices[choice - 1].label
    if not question.multiple:
        return {**answers, number: (label,)}
    kept = {*before, label} if label not in before else {*before} - {label}
    shown = [each.label for each in question.choices]
    own = [answer for answer in before if answer not in shown]
    return {**answers, number: (*(each for each in shown if each in kept), *own)}


def _typed(request: QuestionRequest, answers: Mapping[int, tuple[str, ...]], text: str) -> dict[int, tuple[str, ...]]:
    """Words for a form: `2: …` for one of its questions, a line for each, or for the first that is open."""
    questions = request.questions
    if len(questions) > 1 and (one := _ONE_OF_THEM.fullmatch(text)) and 1 <= int(one[1]) <= len(questions):
        number = int(one[1]) - 1
        return {**answers, number: _answer(questions[number], one[2].strip())}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(questions) > 1 and len(lines) == len(questions):
        return {number: _answer(questions[number], line) for number, line in enumerate(lines)}
    if not text.strip():
        raise UsageError("That is no answer to this request.", "Use the choices shown with it.")
    number = next((number for number in range(len(questions)) if not answers.get(number)), 0)
    return {**answers, number: _answer(questions[number], text.strip())}


def _form(ask: Ask) -> Decision:
    still = open_questions(ask)
    if still:
        asked = " · ".join(f"“{question.text}”" for question in still)
        raise UsageError(f"Still open: {asked}", "Choose, or reply in your own words; then send.")
    return Decision("answer", answers=tuple(ask.answers[number] for number in range(len(ask.request.questions))))
