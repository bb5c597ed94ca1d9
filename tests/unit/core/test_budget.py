"""Who may call a platform when: no limit is ever passed by our own doing, the urgent go first, the others share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import budget as budget_module
from core.budget import Account, Budget, NotNow, Priority
from core.errors import ChatLimited
from core.messages import Limit
from core.model import Place
from tests.fakes.messenger import FakeMessenger

pytestmark = pytest.mark.looptime

SLACK = 1e-5  # the loop's clock counts in steps of 1e-6 seconds


@dataclass(frozen=True)
class Call:
    chat: int
    priority: Priority
    starts: float  # when somebody wants to make it
    takes: float
    patience: float  # it is given up after that


@dataclass
class Log:
    """(start, end) of calls, by limit."""

    calls: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, limits: Sequence[Limit], start: float, end: float) -> None:
        for limit in limits:
            self.calls.setdefault(limit.name, []).append((start, end))

    def check(self, limits: Sequence[Limit]) -> None:
        """However long each was on its way, the platform saw no more than `calls` in any window: the call after the
        next `calls` begins a whole window after the first has ended.
        """
        for limit in limits:
            calls = sorted(self.calls.get(limit.name, []))
            for (_, ended), (began, _) in zip(
                sorted(calls, key=lambda call: call[1]), calls[limit.calls :], strict=False
            ):
                assert began >= ended + limit.seconds - SLACK, f"{limit} is passed: {calls}"


def now() -> float:
    return asyncio.get_running_loop().time()


def limits_of(chat: int, chat_limit: Limit, account: Limit) -> tuple[Limit, Limit]:
    return (Limit(f"chat {chat}", chat_limit.calls, chat_limit.seconds), account)


calls = st.builds(
    Call,
    chat=st.integers(0, 3),
    priority=st.sampled_from(Priority),
    starts=st.floats(0, 20).map(lambda at: round(at, 2)),
    takes=st.sampled_from([0.0, 0.01, 0.3, 2.5]),
    patience=st.sampled_from([0.0, 0.5, 7.0, 1000.0, 1000.0, 1000.0]),
)
limits = st.builds(Limit, st.just("any"), st.integers(1, 8), st.sampled_from([0.5, 1.0, 7.0]))


@settings(max_examples=150, deadline=None)
@given(st.lists(calls, max_size=30), limits, limits)
def test_no_limit_is_passed_whatever_comes(todo: list[Call], chat_limit: Limit, account: Limit) -> None:
    account = Limit("account", account.calls, account.seconds)

    async def run() -> None:
        budget, log, given_up = Budget(), Log(), 0

        async def caller(call: Call) -> None:
            nonlocal given_up
            await asyncio.sleep(call.starts)
            mine = limits_of(call.chat, chat_limit, account)
            try:
                async with asyncio.timeout(call.patience):
                    async with budget.turn(mine, call.priority, str(call.chat)):
                        start = now()
                        try:
                            await asyncio.sleep(call.takes)
                        finally:
                            log.add(mine, start, now())
            except TimeoutError:
                given_up += 1

        await asyncio.gather(*(caller(call) for call in todo))
        for chat in range(4):
            log.check(limits_of(chat, chat_limit, account))
        # Nothing is left behind: no slot is lost by those that gave up.
        assert budget._waiting == []
        assert all(gauge.flying == 0 for gauge in budget._gauges.values())

    loop = looptime.new_event_loop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


ONE = (Limit("chat", 1, 1.0),)
TEN = (Limit("chat", 10, 10.0),)


async def order_of(budget: Budget, limits: Sequence[Limit], wanted: Sequence[tuple[str, Priority]]) -> list[str]:
    done: list[str] = []

    async def caller(name: str, priority: Priority) -> None:
        async with budget.turn(limits, priority, name):
            done.append(name)

    await asyncio.gather(*(caller(name, priority) for name, priority in wanted))
    return done


async def test_the_most_urgent_goes_first_and_equals_in_the_order_they_came() -> None:
    budget = Budget()
    async with budget.turn(ONE, Priority.NOTICE):
        waiting = asyncio.create_task(
            order_of(
                budget,
                ONE,
                [
                    ("progress", Priority.PROGRESS),
                    ("notice 1", Priority.NOTICE),
                    ("notice 2", Priority.NOTICE),
                    ("ask", Priority.ASK),
                    ("answer", Priority.ANSWER),
                    ("receipt", Priority.RECEIPT),
                ],
            )
        )
        await asyncio.sleep(0.1)
    assert await waiting == ["receipt", "answer", "ask", "notice 1", "notice 2", "progress"]


async def test_what_the_urgent_wait_for_is_kept_from_those_behind_them() -> None:
    """A chat's answer waits for the account; progress elsewhere must not take the account's next call."""
    budget, account = Budget(), Limit("account", 1, 1.0)
    done: list[str] = []

    async def caller(name: str, priority: Priority) -> None:
        async with budget.turn((Limit(name, 1, 1.0), account), priority, name):
            done.append(name)

    await caller("before", Priority.NOTICE)
    others = [asyncio.create_task(caller(f"progress {n}", Priority.PROGRESS)) for n in range(3)]
    await asyncio.sleep(0.5)
    await caller("answer", Priority.ANSWER)
    assert done == ["before", "answer"]
    await asyncio.gather(*others)


async def test_a_held_chat_keeps_nobody_else_waiting() -> None:
    budget, account = Budget(), Limit("account", 30, 1.0)
    with pytest.raises(ChatLimited):
        async with budget.turn((Limit("held", 1, 1.0), account), Priority.ANSWER):
            raise ChatLimited("slow down", 300.0)
    held = asyncio.create_task(order_of(budget, (Limit("held", 1, 1.0), account), [("held", Priority.RECEIPT)]))
    began = now()
    await order_of(budget, (Limit("other", 1, 1.0), account), [("other", Priority.PROGRESS)])
    assert now() - began < 0.1
    await held
    assert 299.9 < now() - began < 301.5


async def test_a_shorter_pause_does_not_cut_a_longer_one() -> None:
    budget, limits = Budget(), (Limit("chat", 5, 1.0),)

    async def limited(takes: float, pause: float) -> None:
        async with budget.turn(limits, Priority.ANSWER):
            await asyncio.sleep(takes)
            raise ChatLimited("slow down", pause)

    began = now()
    await asyncio.gather(limited(0.1, 60.0), limited(0.2, 1.0), return_exceptions=True)
    await order_of(budget, limits, [("late", Priority.ANSWER)])
    assert now() - began > 60


async def test_progress_leaves_a_reserve_for_what_is_urgent() -> None:
    budget = Budget()
    stop = now() + 60

    async def live(name: str) -> None:
        while now() < stop:
            async with budget.turn(TEN, Priority.PROGRESS, name):
                pass

    streams = [asyncio.create_task(live(str(n))) for n in range(5)]
    waits = []
    for _ in range(5):
        await asyncio.sleep(9)
        asked = now()
        async with budget.turn(TEN, Priority.ANSWER):
            waits.append(now() - asked)
    for stream in streams:
        stream.cancel()
    assert max(waits) < 0.1


async def test_progress_is_shared_fairly_and_evenly() -> None:
    budget, served = Budget(), {str(n): list[float]() for n in range(4)}
    stop = now() + 200

    async def live(name: str, pause: float) -> None:
        while now() < stop:
            async with budget.turn(TEN, Priority.PROGRESS, name):
                served[name].append(now())
            await asyncio.sleep(pause)

    await asyncio.gather(*(live(name, 0.01 if name == "0" else 1.0) for name in served))
    counts = [len(times) for times in served.values()]
    assert max(counts) - min(counts) <= 2, "an eager stream gets no more than the others"
    every = sorted(at for times in served.values() for at in times)
    assert max(later - earlier for earlier, later in pairwise(every)) < 1.5, "no burst, and then nothing for long"


async def test_a_turn_that_is_not_used_keeps_nobody_waiting() -> None:
    budget, began = Budget(), now()
    async with budget.turn(ONE, Priority.PROGRESS, "a"):
        raise NotNow
    assert await order_of(budget, ONE, [("answer", Priority.ANSWER)]) == ["answer"]
    assert now() - began < 0.1
    async with budget.turn(ONE, Priority.PROGRESS, "a"):
        assert now() - began > 0.9


async def test_a_newcomer_does_not_wait_behind_streams() -> None:
    budget = Budget()

    async def live(name: str) -> None:
        while True:
            await order_of(budget, ONE, [(name, Priority.PROGRESS)])

    streams = [asyncio.create_task(live(str(n))) for n in range(5)]
    await asyncio.sleep(6.5)
    asked = now()
    await order_of(budget, ONE, [("new", Priority.PROGRESS)])
    assert now() - asked < 1.1
    for stream in streams:
        stream.cancel()


@pytest.mark.parametrize("moment", ["waiting", "granted", "under way"])
async def test_who_gives_up_frees_the_slot(moment: str) -> None:
    budget = Budget()
    entered = asyncio.Event()

    async def caller() -> None:
        async with budget.turn(ONE, Priority.ANSWER):
            entered.set()
            await asyncio.sleep(100)

    if moment == "waiting":
        async with budget.turn(ONE, Priority.ANSWER):
            task = asyncio.create_task(caller())
            await asyncio.sleep(0.1)
            task.cancel()
    elif moment == "granted":
        async with budget.turn(ONE, Priority.ANSWER):
            task = asyncio.create_task(caller())
            await asyncio.sleep(0.1)
        budget._gauges["chat"].ended.clear()
        budget._look()  # granted, and cancelled before it noticed
        task.cancel()
    else:
        task = asyncio.create_task(caller())
        await entered.wait()
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    began = now()
    await order_of(budget, ONE, [("next", Priority.PROGRESS)])
    assert now() - began < 1.1


async def test_who_is_cancelled_and_then_granted_frees_the_slot() -> None:
    budget = Budget()
    async with budget.turn(ONE, Priority.ANSWER):
        task = asyncio.create_task(order_of(budget, ONE, [("gone", Priority.ANSWER)]))
        await asyncio.sleep(0.1)
        budget._gauges["chat"].limit = Limit("chat", 2, 1.0)
        task.cancel()
        budget._look()
    await asyncio.gather(task, return_exceptions=True)
    assert budget._gauges["chat"].flying == 0


async def test_limits_nobody_calls_under_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "KEPT", 10)
    budget, account = Budget(), Limit("account", 30, 1.0)
    log = Log()
    for n in range(100):
        mine = (Limit(f"chat {n}", 1, 1.0), account)
        async with budget.turn(mine, Priority.PROGRESS, str(n)):
            log.add(mine, now(), now())
        if n % 10 == 0:
            await asyncio.sleep(1.0)
    log.check((account,))
    assert len(budget._gauges) <= 40
    assert len(budget._served) <= 25
    budget.forget("99")
    assert "99" not in budget._served


async def test_a_limit_made_while_others_are_forgotten_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "KEPT", 1)
    budget, log = Budget(), Log()
    limits = [Limit(f"limit {n}", 1, 1.0) for n in range(3)]

    async def caller() -> None:
        async with budget.turn(limits, Priority.ANSWER):
            log.add(limits, now(), now())

    await asyncio.gather(*(caller() for _ in range(5)))
    log.check(limits)


class Telegram(FakeMessenger):
    """Its limits."""

    def limits(self, place: Place) -> tuple[Limit, ...]:
        return (Limit(place.chat, *((1, 1.0) if self.is_direct(place) else (20, 60.0))),)

    def account_limits(self) -> tuple[Limit, ...]:
        return (Limit("account", 30, 1.0),)


async def test_a_hundred_places_under_the_limits_of_telegram() -> None:
    """100 live runs, each with news all the time; answers among them, receipts before all."""
    account, log = Account(Telegram()), Log()
    shown: dict[Place, list[float]] = {}
    waited: dict[Priority, list[float]] = {Priority.ANSWER: [], Priority.RECEIPT: []}
    stop = now() + 60

    async def live(place: Place) -> None:
        while now() < stop:
            async with account.turn(place, Priority.PROGRESS, str(place)):
                began = now()
                await asyncio.sleep(0.05)
                shown.setdefault(place, []).append(began)
                log.add((*account.messenger.limits(place), *account.messenger.account_limits()), began, now())

    async def answer(place: Place, at: float) -> None:
        await asyncio.sleep(at)
        asked = now()
        async with account.receipt(place):
            waited[Priority.RECEIPT].append(now() - asked)
            log.add(account.messenger.account_limits(), now(), now())
        asked = now()
        async with account.turn(place, Priority.ANSWER):
            waited[Priority.ANSWER].append(now() - asked)
            log.add((*account.messenger.limits(place), *account.messenger.account_limits()), now(), now())

    places = [Place("fake", str(n)) for n in range(90)]
    places += [Place("fake", f"group {n % 2}", str(n)) for n in range(10)]
    await asyncio.gather(
        *(live(place) for place in places), *(answer(place, 1.0 + n / 2) for n, place in enumerate(places))
    )
    for place in places:
        log.check((*account.messenger.limits(place), *account.messenger.account_limits()))
    direct = [times for place, times in shown.items() if account.messenger.is_direct(place)]
    assert min(map(len, direct)) >= 10, "everybody gets a turn in every 6 seconds"
    assert max(map(len, direct)) - min(map(len, direct)) <= 3
    assert sum(map(len, shown.values())) > 60 * 20, "what may be sent is sent"
    assert max(waited[Priority.RECEIPT]) < 0.3
    assert sorted(waited[Priority.ANSWER])[-10] < 1.3, "a second after the chat's last, as the limit wants it"


async def test_a_refused_receipt_holds_back_receipts_of_that_chat_alone() -> None:
    account, place = Account(Telegram()), Place("fake", "1")
    with pytest.raises(ChatLimited):
        async with account.receipt(place):
            raise ChatLimited("slow down", 300.0)
    began = now()
    async with account.turn(place, Priority.ANSWER):
        pass
    async with account.receipt(Place("fake", "2")):
        pass
    assert now() - began < 0.1
    async with account.receipt(place):
        assert now() - began > 299


class Ledger:
    """A `core.budget.Ledger` on the loop's time; `next` is what the process after this one has."""

    def __init__(self, earlier: Sequence[tuple[str, float]] = ()) -> None:
        self.earlier = list(earlier)
        self.noted: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        self.noted.append((name, now()))

    def ages(self, name: str, within: float) -> list[float]:
        return [now() - at for each, at in self.earlier if each == name and now() - at < within]

    def next(self) -> Ledger:
        return Ledger(self.noted)


async def test_what_a_dead_process_called_counts_for_the_next() -> None:
    minute, second = Limit("group", 3, 60.0), Limit("account", 30, 1.0)
    ledger, log = Ledger(), Log()

    async def calls(budget: Budget, number: int) -> None:
        for _ in range(number):
            async with budget.turn([minute, second], Priority.ANSWER):
                start = now()
                await asyncio.sleep(0.5)
            log.add([minute], start, now())

    await calls(Budget(ledger), 2)
    assert {name for name, _ in ledger.noted} == {"group"}  # the others are over before anybody can be there
    await asyncio.sleep(3)
    await calls(Budget(ledger.next()), 2)
    assert now() > 60.0
    log.check([minute])
