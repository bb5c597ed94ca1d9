"""What the agent asks: answered by rule, by people, or rejected when nobody can be asked or nobody answers in time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from core import rules, view
from core.audience import Audience
from core.errors import NotFound, UsageError
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
    Run,
    RunId,
    Session,
)
from core.ports import AgentPort, Ask, Clock, Store

NOBODY = "Nobody can be asked here. Go on without it, or say what you would need it for."
TOO_LATE = "Nobody answered within {hours:g} h. Go on without it, or say what you would need it for."


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
        self._open: dict[AskId, tuple[Ask, Session, asyncio.Event]] = {}

    async def by_rule(self, session: Session, standing: Sequence[PermissionRule], request: AgentRequest) -> str | None:
        """Answer without people if the rules say so. Returns what was answered (`allow`, `deny`), or None."""
        if not isinstance(request, PermissionRequest):
            return None
        verdict = rules.verdict(request, standing)
        if verdict == rules.ASK:
            return None
        decision = (
            Decision("once") if verdict == rules.ALLOW else Decision("reject", message=view.denied_by_rule(request))
        )
        await self._tell_agent(session, request, decision)
        return verdict

    async def by_people(self, run: Run, session: Session, request: AgentRequest) -> str:
        """Show the request everywhere and wait for its end. Returns the line for the run's list of refusals, or ""."""
        if not await self._audience.can_ask(session.key):
            await self._tell_agent(session, request, Decision("reject", message=NOBODY))
            return view.request_line(request)
        ask = Ask(AskId(secrets.token_urlsafe(9)), run.id, session.key, request, self._clock.now())
        decided = asyncio.Event()
        self._open[ask.id] = (ask, session, decided)
        try:
            await self._store.add_ask(ask)
            await self._audience.ask(ask)
            seconds = self._timeout.total_seconds()
            timer = asyncio.create_task(self._clock.sleep(seconds))
            waiting = asyncio.create_task(decided.wait())
            try:
                await asyncio.wait([timer, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                waiting.cancel()
            if decided.is_set():
                return ""
            await self._close(ask, session, Decision("reject", message=TOO_LATE.format(hours=seconds / 3600)), None)
            return view.request_line(request)
        finally:
            self._open.pop(ask.id, None)

    async def withdraw(self, run: RunId, request_id: str = "") -> None:
        """The request was answered elsewhere; without `request_id`: the run has ended."""
        for ask, _, decided in list(self._open.values()):
            if ask.run == run and request_id in {"", ask.request.id} and not decided.is_set():
                decided.set()
                await self._settle(replace(ask, decision=Decision("withdrawn"), decided_at=self._clock.now()))

    async def press(self, ask_id: AskId, reply: str, text: str, person: Person, place: Place) -> Ask:
        """A person's decision. Raises NotFound when it is not open any more, UsageError when it makes no sense."""
        if ask_id not in self._open:
            raise NotFound("This is not open any more.", "It was decided already, or its run has ended.")
        ask, session, decided = self._open[ask_id]
        decision = to_decision(ask.request, reply, text)
        if decided.is_set():
            raise NotFound("Somebody else decided this a moment ago.")
        decided.set()  # before anything is awaited: of two people pressing at once, one decides
        settled = await self._close(ask, session, decision, person)
        await self._store.audit(person.id, f"decide {reply}", str(session.key), place, view.request_line(ask.request))
        return settled

    async def _close(self, ask: Ask, session: Session, decision: Decision, person: Person | None) -> Ask:
        if decision.reply == "always" and isinstance(ask.request, PermissionRequest):
            await self._remember(session, ask.request)
        await self._tell_agent(session, ask.request, decision)
        settled = replace(
            ask, decision=decision, decided_by=person.id if person else None, decided_at=self._clock.now()
        )
        await self._settle(settled)
        return settled

    async def _settle(self, ask: Ask) -> None:
        await self._store.save_ask(ask)
        await self._audience.settle_ask(ask)

    async def _remember(self, session: Session, request: PermissionRequest) -> None:
        current = await self._store.session(session.key)
        if current:
            patterns = request.always or request.patterns or ("*",)
            granted = tuple(PermissionRule(request.permission, pattern, rules.ALLOW) for pattern in patterns)
            await self._store.save_session(replace(current, rules=(*current.rules, *granted)))

    async def _tell_agent(self, session: Session, request: AgentRequest, decision: Decision) -> None:
        await self._agent.decide(session.agent_id, session.directory, request.id, decision)


def to_decision(request: AgentRequest, reply: str, text: str) -> Decision:
    """What was pressed or typed, as a decision. Raises UsageError."""
    if reply == "reject":
        return Decision("reject", message=text)
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
