"""Who may call a platform now. Limits belong to accounts and chats, so what is live in them shares them here.

A limit counts in any window of time, as platforms do it: a call occupies its place from its start until `seconds` after
its end, so that the platform sees the distance kept however long either call was on its way.
"""

from __future__ import annotations

import asyncio
import enum
import math
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import ChatLimited
from core.messages import Limit, Messenger
from core.model import Place

RESERVED = 4  # a limit of 20 keeps a 4th of its calls for what is more urgent than progress
RECEIPTS = 10  # a second in one chat: nobody sends more for long, and no platform has refused as many
LONG = 5.0  # seconds: what a limit counts in less is over before another process can be there
LATER = 2.0  # seconds a call may have taken whose end nobody noted
KEPT = 1000  # limits remembered before those nobody calls under any more are looked for


class NotNow(Exception):
    """Raised in the block of a turn by who makes no call after all: it ends the block and goes no further."""


class Priority(enum.IntEnum):
    """The most urgent first."""

    RECEIPT = 0  # marks on people's messages
    ANSWER = 1
    ASK = 2
    NOTICE = 3
    PROGRESS = 4


class Ledger(Protocol):
    """Calls under long limits, kept beyond the death of a process: the platform does not forget them either."""

    def note(self, name: str) -> None:
        """A call begins that counts against this limit. Does not raise, and takes no time worth waiting for."""

    def ages(self, name: str, within: float) -> Sequence[float]:
        """Seconds since those that earlier processes noted, oldest first, and only those `within` so many."""


@dataclass(slots=True, eq=False)
class _Gauge:
    """One limit and the calls that count against it. Times are the event loop's."""

    limit: Limit
    ended: deque[float] = field(default_factory=deque)  # when calls ended, oldest first
    flying: int = 0
    held_until: float = 0.0  # the platform asked for a pause
    progress_until: float = 0.0  # progress is spread evenly, or a burst of it would leave nothing for a minute

    def free_at(self, now: float, priority: Priority) -> float:
        """When a call may begin; infinite while only the end of one under way can tell."""
        self._forget(now)
        at = max(now, self.held_until)
        calls = self.limit.calls
        if priority is Priority.PROGRESS:
            at = max(at, self.progress_until)
            calls -= calls // RESERVED
        too_many = self.flying + len(self.ended) - calls + 1
        if too_many > len(self.ended):
            return math.inf
        return max(at, self.ended[too_many - 1] + self.limit.seconds) if too_many > 0 else at

    def begin(self, now: float, priority: Priority) -> None:
        self.flying += 1
        if priority is Priority.PROGRESS:
            self.progress_until = now + self.limit.seconds / (self.limit.calls - self.limit.calls // RESERVED)

    def end(self, now: float, *, called: bool) -> None:
        self.flying -= 1
        if called:
            self.ended.append(now)
        else:
            self.progress_until = min(self.progress_until, now)

    def in_use(self, now: float) -> bool:
        self._forget(now)
        return bool(self.ended or self.flying) or max(self.held_until, self.progress_until) > now

    def _forget(self, now: float) -> None:
        while self.ended and self.ended[0] + self.limit.seconds <= now:
            self.ended.popleft()


@dataclass(slots=True, eq=False)
class _Waiter:
    priority: Priority
    turn: int  # lower goes first among equals
    key: str
    gauges: list[_Gauge]
    granted: asyncio.Future[None]


class Budget:
    """The calls of one account, whatever it calls for."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._gauges: dict[str, _Gauge] = {}
        self._waiting: list[_Waiter] = []
        self._served: dict[str, int] = {}  # progress: when each key last had its turn
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, limits: Sequence[Limit], priority: Priority, key: str = "") -> AsyncGenerator[None]:
        """Wait until a call may begin; the block is the call. Those with the same `key` take turns with the others.

        A ChatLimited that leaves the block holds the narrowest (the first) limit for as long as the platform said.
        """
        gauges = self._of(limits)
        await self._grant(_Waiter(priority, self._turn(priority, key), key, gauges, self._loop.create_future()))
        if self._ledger:
            for gauge in gauges:
                if gauge.limit.seconds >= LONG:
                    self._ledger.note(gauge.limit.name)
        called = True
        try:
            yield
        except NotNow:
            called = False
        except ChatLimited as limited:
            if gauges:
                gauges[0].held_until = max(gauges[0].held_until, self._loop.time() + limited.retry_after)
            raise
        finally:
            now = self._loop.time()
            for gauge in gauges:
                gauge.end(now, called=called)
            self._look()

    async def _grant(self, waiter: _Waiter) -> None:
        self._waiting.append(waiter)
        self._look()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:  # granted in the moment it was cancelled
                for gauge in waiter.gauges:
                    gauge.flying -= 1
            self._look()
            raise

    def _look(self) -> None:
        """Let everybody begin who may, the most urgent first; what they wait for is kept from those behind them."""
        now = self._loop.time()
        spoken_for: set[int] = set()
        soonest = math.inf
        for waiter in sorted(self._waiting, key=lambda waiter: (waiter.priority, waiter.turn)):
            times = [gauge.free_at(now, waiter.priority) for gauge in waiter.gauges]
            late = {id(gauge) for gauge, at in zip(waiter.gauges, times, strict=True) if at > now}
            if late:
                spoken_for |= late
                soonest = min(soonest, max(times))
            elif not any(id(gauge) in spoken_for for gauge in waiter.gauges):
                self._begin(waiter, now)
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(soonest, self._look) if soonest < math.inf else None

    def _begin(self, waiter: _Waiter, now: float) -> None:
        self._waiting.remove(waiter)
        for gauge in waiter.gauges:
            gauge.begin(now, waiter.priority)
        if waiter.priority is Priority.PROGRESS:
            self._turns += 1
            self._served[waiter.key] = self._turns
        if not waiter.granted.done():
            waiter.granted.set_result(None)

    def forget(self, key: str) -> None:
        """What had its turns under `key` is over."""
        self._served.pop(key, None)

    def _turn(self, priority: Priority, key: str) -> int:
        if priority is Priority.PROGRESS:
            return self._served.get(key, 0)
        self._turns += 1
        return self._turns

    def _of(self, limits: Sequence[Limit]) -> list[_Gauge]:
        if max(len(self._gauges), len(self._served)) > KEPT:
            self._forget_unused()
        return [self._gauges.get(limit.name) or self._made(limit) for limit in limits]

    def _made(self, limit: Limit) -> _Gauge:
        gauge = self._gauges[limit.name] = _Gauge(limit)
        if self._ledger and limit.seconds >= LONG:
            now = self._loop.time()
            ages = self._ledger.ages(limit.name, limit.seconds + LATER)
            gauge.ended.extend(now - max(age - LATER, 0.0) for age in ages)  # noted at its start, it ended later
        return gauge

    def _forget_unused(self) -> None:
        now = self._loop.time()
        waited_for = {id(gauge) for waiter in self._waiting for gauge in waiter.gauges}
        self._gauges = {
            name: gauge for name, gauge in self._gauges.items() if id(gauge) in waited_for or gauge.in_use(now)
        }
        self._served = {key: turn for key, turn in self._served.items() if turn > self._turns - KEPT}

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


class Account:
    """A messenger with its budget: everybody who calls it waits for a turn here."""

    def __init__(self, messenger: Messenger, ledger: Ledger | None = None) -> None:
        self.messenger = messenger
        self.budget = Budget(ledger)

    def turn(self, place: Place, priority: Priority, key: str = "") -> AbstractAsyncContextManager[None]:
        """For a call that shows something in `place`."""
        limits = (*self.messenger.limits(place), *self.messenger.account_limits())
        return self.budget.turn(limits, priority, key or str(place))

    def receipt(self, place: Place, priority: Priority = Priority.RECEIPT) -> AbstractAsyncContextManager[None]:
        """For a call that shows nothing of its own, and so never waits for a chat's limit.

        A pause that the platform wants after it is one of that chat's receipts alone.
        """
        here = Limit(f"receipts {place.platform}:{place.chat}", RECEIPTS, 1.0)
        return self.budget.turn((here, *self.messenger.account_limits()), priority)
