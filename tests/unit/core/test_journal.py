"""Received text: many runs share a commit, order is kept, a full disk loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StoreError
from core.journal import Journal
from core.model import RunId
from core.ports import Chunk
from tests.fakes.clock import LoopClock

pytestmark = pytest.mark.looptime


class Disk:
    """The one method of the store this needs. A write that has begun is done, whatever becomes of its caller."""

    def __init__(self) -> None:
        self.commits: list[list[Chunk]] = []
        self.full = False
        self.broken = False
        self.takes = 0.005
        self.complaints: list[str] = []
        self.journal = Journal(self, LoopClock(), lambda what, _error: self.complaints.append(what))  # type: ignore[arg-type]
        self._writing: set[asyncio.Task[None]] = set()

    async def append_text(self, chunks: Sequence[Chunk]) -> None:
        task = asyncio.create_task(self._write(list(chunks)))
        self._writing.add(task)
        await asyncio.shield(task)

    async def _write(self, chunks: list[Chunk]) -> None:
        await asyncio.sleep(self.takes)
        if self.full:
            raise StoreError("full")
        if self.broken:
            raise RuntimeError("broken")
        self.commits.append(chunks)

    def texts(self) -> list[str]:
        return [chunk.text for commit in self.commits for chunk in commit]

    def add(self, number: int) -> None:
        self.journal.add(Chunk(RunId(number % 3), "p", str(number)))


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def test_many_chunks_share_few_commits_in_order(disk: Disk) -> None:
    writer = asyncio.create_task(disk.journal.run())
    for number in range(1000):
        disk.add(number)
        if number % 20 == 0:
            await asyncio.sleep(0.005)
    await asyncio.sleep(1)
    writer.cancel()
    assert disk.texts() == [str(number) for number in range(1000)]
    assert len(disk.commits) < 20


async def test_flush_returns_when_all_added_before_is_committed(disk: Disk) -> None:
    disk.add(1)
    first = asyncio.create_task(disk.journal.flush())
    await asyncio.sleep(0)
    disk.add(2)
    await disk.journal.flush()
    assert disk.texts() == ["1", "2"]
    assert first.done()
    await disk.journal.flush()
    assert len(disk.commits) == 2, "nothing to do: no commit"


async def test_a_full_disk_is_complained_of_once_and_loses_nothing(disk: Disk) -> None:
    writer = asyncio.create_task(disk.journal.run())
    disk.full = True
    for number in range(10):
        disk.add(number)
        await asyncio.sleep(1)
    assert disk.commits == []
    assert len(disk.complaints) == 1
    disk.full = False
    await asyncio.sleep(2)
    assert disk.texts() == [str(number) for number in range(10)]
    disk.full = True
    disk.add(11)
    await asyncio.sleep(2)
    assert len(disk.complaints) == 2, "a new trouble is a new complaint"
    writer.cancel()


async def test_what_is_no_disk_trouble_is_raised_and_loses_nothing(disk: Disk) -> None:
    disk.add(1)
    disk.broken = True
    with pytest.raises(RuntimeError):
        await disk.journal.flush()
    disk.broken = False
    await disk.journal.flush()
    assert disk.texts() == ["1"]


async def test_a_cancelled_flush_writes_nothing_twice(disk: Disk) -> None:
    disk.takes = 1.0
    disk.add(1)
    flushing = asyncio.create_task(disk.journal.flush())
    await asyncio.sleep(0.5)
    flushing.cancel()
    with suppress(asyncio.CancelledError):
        await flushing
    disk.add(2)
    await disk.journal.flush()
    assert disk.texts() == ["1", "2"]


@given(st.lists(st.sampled_from(["add", "flush", "full", "free", "wait", "cancel"]), max_size=40))
def test_whatever_happens_each_chunk_is_written_once_and_in_order(steps: list[str]) -> None:
    async def play() -> None:
        disk = Disk()
        disk.takes = 0.0
        added = 0
        flushes: list[asyncio.Task[None]] = []
        for step in steps:
            match step:
                case "add":
                    disk.add(added)
                    added += 1
                case "flush":
                    flushes.append(asyncio.create_task(disk.journal.flush()))
                case "full" | "free":
                    disk.full = step == "full"
                case "wait":
                    await asyncio.sleep(0)
                case "cancel":
                    if flushes:
                        flushes[-1].cancel()
        disk.full = False
        await asyncio.gather(*flushes, return_exceptions=True)
        await disk.journal.flush()
        assert disk.texts() == [str(number) for number in range(added)]

    asyncio.run(play())
