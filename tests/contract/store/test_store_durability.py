"""What is acknowledged is there: under cancellation, contention, a full disk and SIGKILL."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection
from store_values import ANNA, HERE, KEY, SteppedClock, inbound, session

from adapters.store.sql import SqlStore
from core.errors import StoreError
from core.model import RunId
from core.ports import Chunk

ROOT = Path(__file__).parents[3]


async def child(script: str, state_dir: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name(script)),
        str(state_dir),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def test_a_killed_process_loses_nothing_that_was_acknowledged(state_dir: Path) -> None:
    process = await child("child_appends.py", state_dir)
    assert process.stdout is not None
    acknowledged = -1
    async with asyncio.timeout(20):
        async for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= 200:
                process.send_signal(signal.SIGKILL)
        await process.wait()
    store = SqlStore(state_dir, SteppedClock())
    await store.open()
    text = await store.received_text(RunId(1))
    numbers = [int(word) for word in text.split()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in {acknowledged + 1, acknowledged + 2}, "at most the one on its way is there besides"
    (run,) = await store.unfinished_runs()
    assert run.number == 1
    await store.close()


async def test_a_quota_that_is_reached_is_said_and_work_goes_on_once_there_is_room(state_dir: Path) -> None:
    process = await child("child_quota.py", state_dir)
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert output.decode().split() == ["refused", "before", "refused", "written", "before+after"]


async def test_a_full_disk_leaves_nothing_half_written(store: SqlStore) -> None:
    run = await store.add_run(KEY, "go", ANNA, HERE)
    await store.append_text([Chunk(run.id, "p", "before")])

    def fill(db: Connection) -> None:
        db.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the present size where that is more

    await store._database.write(fill)
    with pytest.raises(StoreError, match="no room left") as caught:
        await store.append_text([Chunk(run.id, "p", "x" * 3000) for _ in range(100)])
    assert "Free space" in caught.value.hint
    assert await store.received_text(run.id) == "before"
    await store.append_text([Chunk(run.id, "p", " after")])
    assert await store.received_text(run.id) == "before after"


async def test_a_read_only_database_is_said(store: SqlStore) -> None:
    def protect(db: Connection) -> None:
        db.exec_driver_sql("PRAGMA query_only = ON")

    await store._database.write(protect)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        await store.receive(inbound("1"))
    assert "writable" in caught.value.hint
    assert await store.receive(inbound("1")) is not None


async def test_reads_do_not_wait_for_a_write_that_waits(store: SqlStore, state_dir: Path) -> None:
    await store.add_session(session())
    await store.attach(HERE, KEY)
    other = sqlite3.connect(state_dir / "kugetsu.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.detach(HERE))
    assert await store.session_at(HERE) == KEY
    assert not waiting.done()
    other.execute("ROLLBACK")
    other.close()
    await waiting
    assert await store.session_at(HERE) is None


async def test_a_cancelled_call_is_whole_and_the_next_ones_work(store: SqlStore) -> None:
    for delay in range(12):  # cancelled at each point of its way
        before = len(await store.runs(KEY))
        call = asyncio.create_task(store.add_run(KEY, "go", ANNA, HERE))
        for _ in range(delay):
            await asyncio.sleep(0)
        if call.cancel():  # False: it was through by then
            with pytest.raises(asyncio.CancelledError):
                await call
        added = await store.add_run(KEY, "next", ANNA, HERE)
        assert added.number in {before + 1, before + 2}
    assert [run.number for run in await store.runs(KEY)] == list(range(1, added.number + 1))


async def test_closing_waits_for_what_is_under_way(state_dir: Path) -> None:
    store = SqlStore(state_dir, SteppedClock())
    await store.open()
    calls = [asyncio.create_task(store.add_run(KEY, str(n), ANNA, HERE)) for n in range(5)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert [run.number for run in await asyncio.gather(*calls)] == [1, 2, 3, 4, 5]
    with pytest.raises(StoreError, match="not open"):
        await store.runs(KEY)
    await store.open()
    assert len(await store.runs(KEY)) == 5
    await store.close()


async def test_the_mirror_hears_of_what_it_shows_after_the_commit(state_dir: Path) -> None:
    heard: list[int] = []

    def look() -> None:
        with sqlite3.connect(state_dir / "kugetsu.db") as db:
            heard.append(db.execute("SELECT count(*) FROM sessions").fetchone()[0])

    store = SqlStore(state_dir, SteppedClock(), changed=look)
    await store.open()
    await store.add_session(session())
    await store.add_run(KEY, "go", ANNA, HERE)
    assert heard == [1]
    await store.attach(HERE, KEY)
    await store.detach(HERE)
    await store.save_session(session())
    await store.remove_session(KEY)
    assert heard == [1, 1, 1, 1, 0]
    await store.close()
