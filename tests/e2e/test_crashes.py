"""SIGKILL at every step of a start and of a fork, then the same again: continued, nothing doubled, nothing orphaned."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.e2e.harness import REF, Machine, finish, git, left_over_servers, until

START_POINTS = [
    "intent",
    "worktree made",
    "worktree",
    "forking",
    "fork made",
    "fork",
    "directory",
    "ready",
    "prompt recorded",
]
FORK_POINTS = ["intent", "snapshot", "worktree made", "worktree", "files", "fork made", "fork", "ready"]


def opencode_sessions(machine: Machine) -> int:
    """How many sessions opencode itself has stored: what nobody knows of any more would still be there."""
    with closing(sqlite3.connect(machine.home.root / ".local/share/opencode/opencode.db", timeout=10)) as database:
        return int(database.execute("SELECT count(*) FROM session").fetchone()[0])


@pytest.mark.parametrize("point", START_POINTS)
async def test_killed_while_starting(machine: Machine, point: str) -> None:
    await start_killed_at(machine, point)


@pytest.mark.also(instead=True)
@pytest.mark.parametrize("point", ["fork made", "prompt recorded"])
async def test_killed_while_starting_on_other_transports_and_versions(machine: Machine, point: str) -> None:
    await start_killed_at(machine, point)


async def start_killed_at(machine: Machine, point: str) -> None:
    machine.model.on("go").say("done")
    killed = await machine.run("start", REF, "go", module="tests.e2e.killed", env={"KUGETSU_TEST_KILL": point})
    assert killed.code == -signal.SIGKILL

    again = await machine.run("start", REF, "go", "--json")
    if again.code:  # it was through already: then it says so, and the prompt that was accepted is still answered
        assert point in {"ready", "prompt recorded"}, again
        assert "continue" in again.finished["error"]
        async with machine.bot():
            await until(lambda: machine.model.asked("go"), "the accepted prompt is sent")
    else:
        assert again.finished["text"] == "done"

    assert len(machine.model.asked("go")) == 1
    assert len((await machine.ok("list", "--json")).json) == 1
    worktrees = git(machine.project, "worktree", "list", "--porcelain").count("worktree ")
    assert worktrees == 2  # the project's own and the session's
    assert git(machine.project, "branch", "--list", "kugetsu/*").split() == ["+", "kugetsu/14"]
    assert opencode_sessions(machine) == 2  # the base and one fork


@pytest.mark.parametrize("point", FORK_POINTS)
async def test_killed_while_forking(machine: Machine, point: str) -> None:
    machine.model.on("go").call("bash", {"command": "echo work > new.txt", "description": "w"}).then_say("done")
    await machine.ok("start", REF, "go")
    words = ("fork", REF, "--name", "idea", "other way")
    killed = await machine.run(*words, module="tests.e2e.killed", env={"KUGETSU_TEST_KILL": point})
    assert killed.code == -signal.SIGKILL

    async with machine.bot():
        # It was not accepted as a prompt before the kill, or was: either way `continue` on the fork works.
        result = await machine.run("continue", f"{REF}~idea", "and on", "--json")
        assert result.code == 0, result
    fork = machine.worktree.with_name(f"{machine.worktree.name}~idea")
    assert (fork / "new.txt").read_text() == "work\n"
    assert len((await machine.ok("list", "--json")).json) == 2
    assert opencode_sessions(machine) == 3  # base, session, fork


async def test_killed_during_a_run_keeps_session_and_received_text(machine: Machine) -> None:
    machine.model.on("long").say("received ", "words ", "so far").hang()
    process = await machine.start_process("--config", str(machine.config), "start", REF, "long work", "--json")
    await read_until(process, "so far")
    process.send_signal(signal.SIGKILL)
    await finish(process)

    status = (await machine.ok("status", REF, "--json")).json
    assert status["state"] == "stopped"
    assert "received words so far" in status["runs"][-1]["text"]
    machine.model.on("more").say("went on")
    assert (await machine.ok("continue", REF, "more", "--json")).finished["text"] == "went on"
    await until(lambda: not left_over_servers(machine), "the killed bot's server is ended")


async def test_sigterm_during_a_run_says_so_and_keeps_the_text(machine: Machine) -> None:
    machine.model.on("long").say("received ", "words").hang()
    process = await machine.start_process("--config", str(machine.config), "start", REF, "long work", "--json")
    await read_until(process, "words")
    process.send_signal(signal.SIGTERM)
    result = await finish(process)
    assert result.code == 1, result
    assert result.finished["ok"] is False
    assert result.finished["text"] == "received words"
    assert not left_over_servers(machine)


async def read_until(process: asyncio.subprocess.Process, end: str) -> None:
    """Read a command's JSON until the agent's text ends so."""
    assert process.stdout
    seen = ""
    async with asyncio.timeout(60):
        while not seen.endswith(end):
            event = json.loads(await process.stdout.readline())
            seen += event["text"] if event["type"] == "text" else ""
