"""What people and programs do to a session's things behind kugetsu's back: said with what to do, nothing lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import PROJECT, REF, Machine, Result, finish, git

DATABASE = ".local/share/opencode/opencode.db"
READ_ONLY_FORMAT = 3  # SQLite opens a file of a newer write version for reading only, also for root


async def refused(machine: Machine, *words: str) -> Result:
    """A command that fails with a sentence."""
    result = await machine.run(*words)
    assert result.code == 1, result
    assert "Traceback" not in result.err
    return result


# ── worktrees ──────────────────────────────────────────────────────────────────────────────────


async def test_a_worktree_deleted_by_hand(machine: Machine) -> None:
    await machine.ok("start", REF, "go")
    shutil.rmtree(machine.worktree)
    told = await machine.ok("continue", REF, "on")
    assert "made again" in told.out
    assert (machine.worktree / "README.md").exists()


async def test_a_branch_checked_out_elsewhere(machine: Machine, tmp_path: Path) -> None:
    await machine.ok("start", REF, "go")
    await machine.ok("archive", REF)
    git(machine.project, "worktree", "add", "-q", str(tmp_path / "mine"), "kugetsu/14")
    told = await refused(machine, "continue", REF, "on")
    assert str(tmp_path / "mine") in told.err + told.out
    git(machine.project, "worktree", "remove", str(tmp_path / "mine"))
    await machine.ok("continue", REF, "on")


async def test_a_locked_worktree(machine: Machine) -> None:
    await machine.ok("start", REF, "go")
    git(machine.project, "worktree", "lock", "--reason", "on a stick", str(machine.worktree))
    for words in (["destroy", REF, "-y"], ["destroy", REF, "--force"], ["archive", REF]):
        assert "on a stick" in (await refused(machine, *words)).err
    assert machine.worktree.exists()
    await machine.ok("continue", REF, "on")  # it can still be worked in
    git(machine.project, "worktree", "unlock", str(machine.worktree))
    await machine.ok("destroy", REF, "-y")


# ── moving ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_running_session_is_not_exported(machine: Machine) -> None:
    slow = machine.model.on("slow").say("begun").hang()
    async with machine.bot():
        running = await machine.start_process("--config", str(machine.config), "start", REF, "slow work", "--json")
        await slow.seen.wait()
        assert "at work" in (await refused(machine, "export", REF)).err
        assert not list(machine.root.glob("*.tar.gz"))
        slow.release()
        assert (await finish(running)).code == 0
        await machine.ok("export", REF)


# ── opencode's database ────────────────────────────────────────────────────────────────────────


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """As a backup, or somebody's sqlite3, would."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def read_only(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    with database.open("r+b") as file:
        file.seek(18)
        before = file.read(1)
        file.seek(18)
        file.write(bytes([READ_ONLY_FORMAT]))
    yield
    with database.open("r+b") as file:
        file.seek(18)
        file.write(before)


@pytest.mark.parametrize("spoil", [locked, read_only])
async def test_a_database_of_opencodes_that_cannot_be_written(machine: Machine, spoil) -> None:
    await machine.ok("start", REF, "first")
    with spoil(machine.home.root / DATABASE):
        failed = await machine.run("continue", REF, "second", "--json")
        assert failed.code == 1
        assert failed.finished["error"]
        assert "Traceback" not in failed.err
    machine.model.on("third").say("works")
    assert (await machine.ok("continue", REF, "third", "--json")).finished["text"] == "works"


async def test_a_database_of_opencodes_that_was_deleted(machine: Machine) -> None:
    await machine.ok("start", REF, "first")
    (machine.worktree / "work.txt").write_text("kept")
    for file in (machine.home.root / DATABASE).parent.glob("opencode.db*"):
        file.unlink()
    failed = await machine.run("continue", REF, "second", "--json")
    assert failed.code == 1
    assert f"/start {REF}" in failed.finished["error"]
    again = (await machine.ok("start", REF, "again", "--json")).finished
    assert again["directory"] == str(machine.worktree.resolve())
    assert (machine.worktree / "work.txt").read_text() == "kept"
    base = json.loads((machine.state / "index.json").read_text())["base"][PROJECT]
    assert base == (await machine.ok("status", REF, "--json")).json["parent"]
