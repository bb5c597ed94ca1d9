"""The JSON files beside the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_examples import BASE, KEY, ManualClock, session

from adapters.store.mirror import Mirror
from adapters.store.sql import SqlStore
from core.model import Place, SessionKey, SessionState

INDEX = "index.json"
SESSION = "sessions/github.com-shoko-kugetsu-14.json"


class Bench:
    """A store with its mirror, and what the mirror said."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = ManualClock()
        self.said: list[str] = []
        self.store = SqlStore(root, self.clock, changed=self.changed)
        self.mirror = Mirror(root, self.store, self.clock, self.said.append)

    def changed(self) -> None:
        self.mirror.changed()

    def read(self, name: str) -> Any:
        return json.loads((self.root / name).read_bytes())

    def names(self) -> set[str]:
        return {
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.startswith("kugetsu.db")
        }

    async def restart(self) -> Bench:
        await self.store.close()
        new = Bench(self.root)
        await new.store.open()
        return new


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "state")
    await bench.store.open()
    yield bench
    await bench.store.close()


async def test_an_empty_state_has_its_files(bench: Bench) -> None:
    await bench.mirror.flush()
    assert bench.read(INDEX) == {"base": {}, "issues": {}}
    assert bench.names() == {INDEX, "sessions/base.json"}
    assert bench.said == []


async def test_the_layout_is_the_documented_one(bench: Bench) -> None:
    await bench.store.save_base(BASE)
    await bench.store.add_session(session())
    fork = SessionKey(KEY.ref, "other")
    await bench.store.add_session(replace(session(fork), parent=KEY))
    await bench.store.attach(Place("telegram", "-100", "7"), KEY)
    await bench.store.attach(Place("console", "local"), KEY)
    await bench.mirror.flush()
    assert bench.read(INDEX) == {
        "base": {"github.com/shoko/kugetsu": "ses_base"},
        "issues": {
            "github.com/shoko/kugetsu#14": "github.com-shoko-kugetsu-14.json",
            "github.com/shoko/kugetsu#14~other": "github.com-shoko-kugetsu-14-other.json",
        },
    }
    assert bench.read("sessions/base.json") == {
        "github.com/shoko/kugetsu": {
            "session": "ses_base",
            "directory": "/src",
            "title": "Base of kugetsu",
            "created": "2026-03-01T12:00:00+00:00",
            "ready": True,
        }
    }
    assert bench.read(SESSION) == {
        "ref": "github.com/shoko/kugetsu#14",
        "name": "",
        "session": "ses_14",
        "parent": "ses_base",
        "directory": "/state/worktrees/github.com-shoko-kugetsu-14",
        "branch": "kugetsu/14",
        "title": "Login form – ü",
        "state": "idle",
        "created": "2026-03-01T12:00:00+00:00",
        "updated": "2026-03-01T12:00:00+00:00",
        "places": ["telegram:-100/7", "console:local"],
    }
    forked = bench.read("sessions/github.com-shoko-kugetsu-14-other.json")
    assert (forked["ref"], forked["name"]) == ("github.com/shoko/kugetsu#14", "other")
    assert (bench.root / SESSION).stat().st_mode & 0o777 == 0o600


async def test_only_what_changed_is_written_and_nothing_half(bench: Bench) -> None:
    await bench.store.add_session(session())
    await bench.mirror.flush()
    before = {name: (bench.root / name).stat().st_ino for name in bench.names()}
    await bench.store.save_session(session(state=SessionState.RUNNING))
    await bench.mirror.flush()
    after = {name: (bench.root / name).stat().st_ino for name in bench.names()}
    assert {name for name in after if after[name] != before[name]} == {SESSION}
    again = await bench.restart()
    await again.mirror.flush()
    assert {name: (bench.root / name).stat().st_ino for name in bench.names()} == after
    await again.store.close()


async def test_files_of_removed_sessions_go_and_others_stay(bench: Bench) -> None:
    await bench.store.add_session(session())
    await bench.mirror.flush()
    (bench.root / "sessions/notes.json").write_text("{}")
    await bench.store.remove_session(KEY)
    again = await bench.restart()  # before the mirror came to it
    await again.mirror.flush()
    assert again.names() == {INDEX, "sessions/base.json", "sessions/notes.json"}
    assert again.said == []
    await again.store.close()


async def test_a_new_database_does_not_take_the_old_list_away(bench: Bench) -> None:
    await bench.store.add_session(session())
    await bench.mirror.flush()
    old_index, old_session = bench.read(INDEX), bench.read(SESSION)
    await bench.store.close()
    (bench.root / "kugetsu.db").rename(bench.root / "damaged")
    again = await bench.restart()
    await again.mirror.flush()
    assert again.read(SESSION) == old_session
    assert again.read(INDEX) == {"base": {}, "issues": {}}
    assert again.read(f"{INDEX}.kept-20260301T120000Z") == old_index
    assert len(again.said) == 1
    await again.store.add_session(replace(session(), title="Made anew"))
    await again.mirror.flush()
    assert again.read(SESSION)["title"] == "Made anew"
    assert again.read(f"{SESSION}.kept-20260301T120000Z") == old_session
    await again.store.close()


@pytest.mark.parametrize("content", [b"", b'{"base": ', b"\xff\xfe\x00", b"[" * 100_000])
async def test_what_is_not_json_is_kept_aside_and_written_anew(bench: Bench, content: bytes) -> None:
    await bench.store.add_session(session())
    await bench.mirror.flush()
    for name in (INDEX, SESSION):
        (bench.root / name).write_bytes(content)
    again = await bench.restart()
    (again.root / f"{INDEX}.corrupt-20260301T120000Z").write_text("an earlier one")
    await again.mirror.flush()
    assert again.read(INDEX)["issues"] == {str(KEY): Path(SESSION).name}
    assert again.read(SESSION)["session"] == "ses_14"
    assert (again.root / f"{INDEX}.corrupt-20260301T120000Z-2").read_bytes() == content
    assert (again.root / f"{SESSION}.corrupt-20260301T120000Z").read_bytes() == content
    assert len(again.said) == 2
    assert all("not valid JSON" in said for said in again.said)
    await again.store.close()


async def test_trouble_is_told_once_and_made_good_at_the_next_change(bench: Bench) -> None:
    (bench.root / "sessions").write_text("in the way")
    for state in (SessionState.IDLE, SessionState.RUNNING):
        if state is SessionState.IDLE:
            await bench.store.add_session(session(state=state))
        await bench.store.save_session(session(state=state))
        await bench.mirror.flush()
    assert len(bench.said) == 1
    assert await bench.store.session(KEY) is not None
    (bench.root / "sessions").unlink()
    await bench.mirror.flush()  # at shutdown, without another change
    assert bench.read(SESSION)["state"] == "running"
    assert len(bench.said) == 1


async def test_a_temporary_file_left_by_a_killed_process_is_no_hindrance(bench: Bench) -> None:
    (bench.root / f".{INDEX}.tmp").write_text("half")
    await bench.mirror.flush()
    assert bench.names() == {INDEX, "sessions/base.json"}


async def test_it_follows_in_the_background_and_gathers_changes(bench: Bench) -> None:
    passes = 0
    shown = bench.store.shown

    async def counted() -> Any:
        nonlocal passes
        passes += 1
        return await shown()

    bench.store.shown = counted  # type: ignore[method-assign]
    task = asyncio.create_task(bench.mirror.run())
    await bench.clock.slept.wait()
    bench.clock.slept.clear()
    assert passes == 1
    await bench.store.add_session(session())
    for _ in range(3):
        bench.mirror.changed()
    await bench.clock.slept.wait()
    assert bench.read(INDEX)["issues"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert passes <= 3
    await bench.store.save_session(session(state=SessionState.STOPPED))
    await bench.mirror.flush()
    assert bench.read(SESSION)["state"] == "stopped"


async def test_a_pass_that_is_cancelled_is_seen_out(bench: Bench) -> None:
    await bench.store.add_session(session())
    for steps in range(6):
        bench.mirror.changed()
        task = asyncio.create_task(bench.mirror.flush())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await bench.mirror.flush()
    assert bench.read(INDEX)["issues"] == {str(KEY): Path(SESSION).name}
    assert bench.said == []
