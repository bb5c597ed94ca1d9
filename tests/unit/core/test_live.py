"""Pacing of a live message: the newest state wins, and the message itself says when it may be shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from core.events import Said
from core.live import LiveSlot
from core.model import PersonId, Place, Run, RunId, RunState, Session, SessionState
from core.ports import RunReport
from core.progress import Progress, fold
from core.tasks import to_the_end
from tests.fakes.clock import LoopClock
from tests.fakes.world import key

pytestmark = pytest.mark.looptime

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REPORT = RunReport(
    Run(RunId(1), key(), 1, "do", PersonId("fake:ann"), Place("fake", "c"), RunState.DONE, NOW),
    Session(key(), Path("/w"), "b", "s", "t", SessionState.IDLE, NOW, NOW),
)


class Message:
    def __init__(self, interval: float = 1.5, takes: float = 0.0) -> None:
        self.interval = interval
        self.takes = takes
        self.refresh = 0.0
        self.waits = 0.0  # what `patience` says, at first
        self._allowed = 0.0
        self.failing = 0
        self.not_now = 0  # so often nothing is shown
        self.calls: list[tuple[str, float, Progress]] = []
        self.going = 0

    def patience(self, progress: Progress) -> float:
        return 0.0 if self.calls else max(self.waits - asyncio.get_running_loop().time(), 0.0)

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress | None:
        await asyncio.sleep(max(self._allowed - asyncio.get_running_loop().time(), 0.0))
        progress = await newest()
        if self.not_now:
            self.not_now -= 1
            return None
        await to_the_end(self._call("update", progress))
        self._allowed = asyncio.get_running_loop().time() + self.interval
        return progress

    async def settle(self, progress: Progress, report: RunReport) -> None:
        await self._call("settle", progress)

    async def _call(self, kind: str, progress: Progress) -> None:
        assert not self.going, "calls never overlap"
        self.going += 1
        try:
            await asyncio.sleep(self.takes)
            if self.failing:
                self.failing -= 1
                raise OSError("down")
            self.calls.append((kind, asyncio.get_running_loop().time(), progress))
        finally:
            self.going -= 1


class Surroundings:
    def __init__(self, message: Message) -> None:
        self.message = message
        self.complaints: list[str] = []
        self.persisted = 0
        self.disk_failing = False
        self.slot = LiveSlot(message, LoopClock(), self.persist, lambda what, _error: self.complaints.append(what))

    async def persist(self) -> None:
        await asyncio.sleep(0.01)
        if self.disk_failing:
            raise RuntimeError("no disk")
        self.persisted += 1


def said(length: int) -> Progress:
    return fold(Progress(), Said("p", "x" * length))


async def test_many_states_become_few_updates_and_the_newest_is_among_them() -> None:
    around = Surroundings(Message())
    for length in range(1, 1201):
        around.slot.show(said(length))
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    updates = [progress.text for _, _, progress in around.message.calls]
    assert 35 <= len(updates) <= 42
    assert len(updates[-1]) == 1200
    assert updates == sorted(updates, key=len)


async def test_the_interval_lies_between_updates_and_not_before_the_first() -> None:
    around = Surroundings(Message(takes=0.3))
    began = asyncio.get_running_loop().time()
    for length in range(1, 200):
        around.slot.show(said(length))
        await asyncio.sleep(0.05)
    times = [at - began for _, at, _ in around.message.calls]
    assert times[0] < 0.5
    assert all(later - earlier >= 1.5 for earlier, later in pairwise(times))


async def test_an_unchanged_state_is_not_sent() -> None:
    around = Surroundings(Message())
    state = said(3)
    for _ in range(100):
        around.slot.show(state)
        await asyncio.sleep(0.5)
    assert len(around.message.calls) == 1


async def test_nothing_is_shown_before_it_is_on_disk() -> None:
    message = Message(interval=0)
    newest = on_disk = said(0)

    async def persist() -> None:
        nonlocal on_disk
        taken = newest
        await asyncio.sleep(0.07)
        on_disk = taken

    original = message._call

    async def call(kind: str, progress: Progress) -> None:
        assert on_disk.text.startswith(progress.text)
        await original(kind, progress)

    message._call = call  # type: ignore[method-assign]
    complaints: list[BaseException] = []
    slot = LiveSlot(message, LoopClock(), persist, lambda _what, error: complaints.append(error))
    for length in range(1, 50):
        newest = said(length)
        slot.show(newest)
        await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    assert complaints == []
    assert len(message.calls[-1][2].text) == 49


async def test_a_failing_update_is_complained_of_and_the_next_state_is_tried() -> None:
    around = Surroundings(Message())
    around.message.failing = 1
    around.slot.show(said(1))
    await asyncio.sleep(0.5)
    around.slot.show(said(2))
    await asyncio.sleep(2)
    assert [len(progress.text) for _, _, progress in around.message.calls] == [2]
    assert len(around.complaints) == 1


async def test_what_failed_is_tried_again_without_news() -> None:
    around = Surroundings(Message())
    around.message.failing = 3
    around.slot.show(said(1))
    await asyncio.sleep(10)
    assert [len(progress.text) for _, _, progress in around.message.calls] == [1]


async def test_a_first_state_may_wait_for_newer_ones() -> None:
    around = Surroundings(Message())
    around.message.waits = asyncio.get_running_loop().time() + 0.5
    for length in range(1, 11):
        around.slot.show(said(length))
        await asyncio.sleep(0.1)
    await asyncio.sleep(5)
    shown = [len(progress.text) for _, _, progress in around.message.calls]
    assert shown[0] in {5, 6}
    assert shown[-1] == 10


async def test_what_was_not_shown_after_all_is_shown_later() -> None:
    around = Surroundings(Message())
    around.message.not_now = 3
    around.slot.show(said(1))
    await asyncio.sleep(5)
    assert [len(progress.text) for _, _, progress in around.message.calls] == [1]


async def test_what_fades_is_shown_again() -> None:
    around = Surroundings(Message())
    around.message.refresh = 20.0
    around.slot.show(said(1))
    await asyncio.sleep(50)
    assert len(around.message.calls) == 3


async def test_a_failing_disk_does_not_end_the_updates() -> None:
    around = Surroundings(Message())
    around.disk_failing = True
    around.slot.show(said(1))
    await asyncio.sleep(0.5)
    around.disk_failing = False
    around.slot.show(said(2))
    await asyncio.sleep(2)
    assert [len(progress.text) for _, _, progress in around.message.calls] == [2]
    assert around.complaints


async def test_it_settles_once_and_last_with_the_newest_state() -> None:
    around = Surroundings(Message(takes=0.2))
    around.slot.show(said(1))
    await asyncio.sleep(0.1)  # an update is under way
    around.slot.show(said(2))
    await around.slot.settle(REPORT)
    around.slot.show(said(3))
    await asyncio.sleep(10)
    # The update comes to its end first: whether it was shown must be known.
    assert [(k, len(progress.text)) for k, _, progress in around.message.calls] == [("update", 1), ("settle", 2)]


async def test_settling_fails_quietly() -> None:
    around = Surroundings(Message())
    around.message.failing = 1
    await around.slot.settle(REPORT)
    assert len(around.complaints) == 1


async def test_a_dropped_message_stays_as_it_is() -> None:
    around = Surroundings(Message())
    around.slot.show(said(1))
    await asyncio.sleep(0.1)
    around.slot.drop()
    around.slot.show(said(2))
    await asyncio.sleep(10)
    assert len(around.message.calls) == 1
