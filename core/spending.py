"""What may be spent: a budget for a session, and one for a person and day. Warned at 80 %, stopped at 100 %."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from core import money, view_steer
from core.access import Role
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import NotAllowed, OverBudget, UsageError
from core.model import Document, PersonId, Run, RunId, Session
from core.people import People
from core.ports import Clock, DayBudget, Reply, Store

WARN = 0.8  # of a budget
TINY = 1e-9  # USD: less than any step costs, more than what sums of them are off


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget and how far it is used, in USD."""

    whose: str  # for people: `#14`, `Anna today`
    amount: float
    spent: float
    raise_with: str  # the command

    @property
    def used_up(self) -> bool:
        """Nothing more may be begun."""
        return self.spent > self.amount - TINY

    @property
    def nearly_used_up(self) -> bool:
        """Time for a warning."""
        return self.spent > WARN * self.amount - TINY


@dataclass(slots=True)
class _Cost:
    run: Run
    amount: float


class Spending:
    """Adds up what is over, from the store, and what is still going on, from memory."""

    def __init__(self, store: Store, callers: Callers, people: People, clock: Clock) -> None:
        self._store = store
        self._callers = callers
        self._people = people
        self._clock = clock
        self._live: dict[RunId, _Cost] = {}
        self._warned: set[tuple[str, float, datetime]] = set()
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"budget": self._budget}

    async def check(self, session: Session, person: PersonId) -> None:
        """Before a prompt is taken. Raises OverBudget."""
        for limit in await self._limits(session, person):
            if limit.used_up:
                raise OverBudget(view_steer.used_up(limit), f"`{limit.raise_with}` raises it.")

    async def metered(self, run: Run, cost: float) -> tuple[Document | None, bool]:
        """A run has cost `cost` USD so far. What is to be said, and whether it must stop."""
        self._live[run.id] = _Cost(run, cost)
        session = await self._store.session(run.session)
        limits = await self._limits(session, run.person) if session else []
        if over := next((limit for limit in limits if limit.used_up), None):
            return Document(view_steer.used_up(over)), True
        near = next((limit for limit in limits if limit.nearly_used_up and self._is_new(limit)), None)
        return (Document(view_steer.nearly_used_up(near)) if near else None), False

    def _is_new(self, limit: Limit) -> bool:
        """Whether it is warned of for the first time today, with this amount."""
        about = (limit.raise_with, limit.amount, self._midnight())
        new = about not in self._warned
        self._warned.add(about)
        return new

    def over(self, run: RunId) -> None:
        """Its cost is in the store from now on."""
        self._live.pop(run, None)

    async def _limits(self, session: Session, person: PersonId) -> list[Limit]:
        found = []
        if session.budget:
            spent = await self._store.spent_in(session.key)
            spent += sum(live.amount for live in self._live.values() if live.run.session.key == session.key.key)
            found.append(Limit(session.key.tag, session.budget, spent, f"/budget {session.key} {money.MORE}"))
        if day := await self._store.day_budget(person):
            found.append(await self._day(person, day))
        return found

    async def _day(self, person: PersonId, day: DayBudget) -> Limit:
        spent = await self._store.spent_by(person, self._midnight())
        spent += sum(live.amount for live in self._live.values() if live.run.person == person)
        return Limit(f"{person} today", day.amount, spent, f"/budget --person {person} {money.MORE}")

    def _midnight(self) -> datetime:
        return self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)

    # ── the command ────────────────────────────────────────────────────────────────────────────

    async def _budget(self, command: Command, caller: Caller) -> Reply:
        person = self._whose(command, caller)
        if person is not None:
            return await self._person_budget(person, command, caller)
        session = await self._callers.meant(command, caller)
        if command.message:
            amount = money.parse(command.message)
            changed = await self._store.change_session(session.key, lambda now: replace(now, budget=amount))
            session = changed or session
            await self._callers.audit(caller, "budget", session.key.key, _said(amount))
        limits = await self._limits(session, caller.inbound.person.id)
        spent = await self._store.spent_in(session.key)
        data = {"ref": str(session.key), "budget": session.budget, "spent": spent}
        return Reply(view_steer.budget(session, spent, limits), data=data)

    def _whose(self, command: Command, caller: Caller) -> PersonId | None:
        """None: the session's."""
        if named := command.option("person"):
            if caller.role < Role.ADMIN and named != caller.inbound.person.id:
                raise NotAllowed("Only an admin sets what others may spend.", "`/budget --day 5$` is your own.")
            return PersonId(named)
        return caller.inbound.person.id if command.option("day") else None

    async def _person_budget(self, person: PersonId, command: Command, caller: Caller) -> Reply:
        before = await self._store.day_budget(person)
        if command.message:
            by = caller.inbound.person.id
            if before and before.set_by != by and caller.role < Role.ADMIN:
                raise NotAllowed("An admin has set this.", "Ask one to change it.")
            if self._people.role(person) is Role.NONE:
                raise UsageError(f"Nobody known is `{person}`.", "`/whoami` tells people their id.")
            amount = money.parse(command.message)
            before = DayBudget(amount, by) if amount else None
            await self._store.save_day_budget(person, before)
            await self._callers.audit(caller, "budget", person, _said(amount))
        limit = await self._day(person, before or DayBudget(0.0, person))
        data = {"person": person, "budget": limit.amount, "spent": limit.spent}
        return Reply(view_steer.day_budget(limit), data=data)


def _said(amount: float) -> str:
    return money.text_of(amount) if amount else "off"
