"""One worker a session: order and isolation, no wake-up lost, a failure stays where it happened."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mailbox import Mailboxes
from core.model import SessionKey
from tests.fakes.world import key

pytestmark = pytest.mark.looptime


class Work:
    """Queues of things to do, each done in one step of `takes` seconds."""

    def __init__(self) -> None:
        self.waiting: defaultdict[str, list[int]] = defaultdict(list)
        self.done: defaultdict[str, list[int]] = defaultdict(list)
        self.going: defaultdict[str, int] = defaultdict(int)
        self.takes = 1.0
        self.failures = 0
        self.complaints: list[str] = []
        self.mailboxes = Mailboxes(self.next, lambda what, _error: self.complaints.append(what))

    async def next(self, of: SessionKey) -> bool:
        await asyncio.sleep(0)  # as looking into the store does
        if not self.waiting[of.key]:
            return False
        self.going[of.key] += 1
        assert self.going[of.key] == 1, "two workers for one session"
        try:
            item = self.waiting[of.key].pop(0)
            if item < 0:
                self.failures += 1
                raise RuntimeError("broken")
            await asyncio.sleep(self.takes)
            self.done[of.key].append(item)
        finally:
            self.going[of.key] -= 1
        return True

    def put(self, of: SessionKey, item: int) -> None:
        self.waiting[of.key].append(item)
        self.mailboxes.wake(of)


async def test_one_session_in_order_different_ones_at_once() -> None:
    work = Work()
    began = asyncio.get_running_loop().time()
    for item in range(3):
        for number in range(1, 51):
            work.put(key(number), item)
    await work.mailboxes.quiet()
    assert all(work.done[key(number).key] == [0, 1, 2] for number in range(1, 51))
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0, abs=0.1)


async def test_two_spellings_of_a_key_share_a_worker() -> None:
    work = Work()
    other = SessionKey(type(key().ref)(type(key().ref.project)("github.com", "SHOKO", "Kugetsu"), 14))
    work.put(key(), 1)
    work.put(other, 2)
    await work.mailboxes.idle(key())
    assert work.done[key().key] == [1, 2]


async def test_a_wake_up_while_the_worker_looks_for_the_last_time_is_not_lost() -> None:
    work = Work()
    work.put(key(), 1)
    for _ in range(20):
        await asyncio.sleep(0)
        work.put(key(), 1)
        await asyncio.sleep(work.takes)
    await work.mailboxes.idle(key())
    assert len(work.done[key().key]) == 21


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.booleans()), max_size=25))
def test_every_item_is_done_however_they_come(steps: list[tuple[int, int, bool]]) -> None:
    async def play() -> None:
        work = Work()
        work.takes = 0.0
        expected: defaultdict[str, list[int]] = defaultdict(list)
        broken = 0
        for item, (number, pauses, fails) in enumerate(steps):
            work.put(key(number), -1 if fails else item)
            broken += fails
            if not fails:
                expected[key(number).key].append(item)
            for _ in range(pauses):
                await asyncio.sleep(0)
        await work.mailboxes.quiet()
        while any(work.waiting.values()):  # what a failed worker left is found by the next wake-up
            for number in range(1, 4):
                work.mailboxes.wake(key(number))
            await work.mailboxes.quiet()
        assert {k: v for k, v in work.done.items() if v} == expected
        assert work.failures == len(work.complaints) == broken

    asyncio.run(play())


async def test_a_failure_neither_ends_the_worker_nor_touches_others() -> None:
    work = Work()
    work.put(key(1), -1)
    work.put(key(1), 7)
    work.put(key(2), 8)
    await work.mailboxes.quiet()
    work.put(key(1), 9)
    await work.mailboxes.quiet()
    assert work.done[key(1).key] == [7, 9]
    assert work.done[key(2).key] == [8]
    assert len(work.complaints) == 1


async def test_closing_cancels_and_starts_nothing_more() -> None:
    work = Work()
    work.put(key(1), 1)
    work.put(key(1), 2)
    await asyncio.sleep(0.5)
    await work.mailboxes.close()
    work.put(key(1), 3)
    work.put(key(2), 4)
    await asyncio.sleep(10)
    assert not any(work.done.values())
    assert work.going[key(1).key] == 0
    await work.mailboxes.quiet()
    await work.mailboxes.close()


async def test_workers_are_gone_when_idle() -> None:
    work = Work()
    before = len(asyncio.all_tasks())
    for number in range(1, 201):
        work.put(key(number), 1)
    await work.mailboxes.quiet()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
