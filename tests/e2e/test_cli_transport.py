"""`transport: cli` under SIGKILL of kugetsu: what became of the prompt is looked up, and it is never sent twice."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.e2e.harness import PATIENCE, REF, Machine, finish, until
from tests.e2e.test_crashes import read_until

pytestmark = pytest.mark.also("cli-newest", instead=True)


async def last_run(machine: Machine) -> dict[str, object]:
    run: dict[str, object] = (await machine.ok("status", REF, "--json")).json["runs"][-1]
    return run


def state_of_runs(machine: Machine) -> list[str]:
    """As a process that was killed now would leave them."""
    with closing(sqlite3.connect(f"file:{machine.state}/kugetsu.db?mode=ro", uri=True)) as database:
        return [state for (state,) in database.execute("SELECT state FROM runs ORDER BY id")]


async def over(machine: Machine) -> bool:
    return (await last_run(machine))["state"] in {"done", "failed", "stopped", "cut"}


async def goes_on(machine: Machine) -> None:
    """The next prompt is answered, whatever became of the one before."""
    machine.model.on("more").say("went on")
    assert (await machine.ok("continue", REF, "more", "--json")).finished["text"] == "went on"


async def test_killed_when_the_process_has_been_started(machine: Machine) -> None:
    machine.model.on("long").say("received").hang()
    process = await machine.start_process("--config", str(machine.config), "start", REF, "long work", "--json")
    await until(lambda: list((machine.state / "opencode").glob("run-ses*.json")), "the process is there", PATIENCE)
    process.send_signal(signal.SIGKILL)
    await finish(process)
    before = len(machine.model.asked("long"))

    async with machine.bot():
        await until(lambda: looked_up(machine), "it was looked up", PATIENCE)
        asked = machine.model.asked("long")
        assert len(asked) <= 1, "a prompt that opencode had stored was sent again"
        assert before <= len(asked)
        await machine.ok("stop", REF)
    await goes_on(machine)


async def looked_up(machine: Machine) -> bool:
    """It is over, as opencode had it; or opencode had not, and it was sent: then the model has it now."""
    return await over(machine) or bool(machine.model.asked("long"))


async def test_killed_in_the_middle_of_a_run(machine: Machine) -> None:
    work = {"command": "sleep 300", "description": "w"}
    machine.model.on("long").say("received so far").call("bash", work).then_say("never")
    process = await machine.start_process("--config", str(machine.config), "start", REF, "long work", "--json")
    await read_until(process, "so far")
    await until(lambda: state_of_runs(machine) == ["running"], "that it is under way is on disk", PATIENCE)
    process.send_signal(signal.SIGKILL)
    await finish(process)

    status = (await machine.ok("status", REF, "--json")).json
    assert (status["state"], status["runs"][-1]["state"]) == ("stopped", "cut")
    assert "received so far" in status["runs"][-1]["text"]
    await goes_on(machine)
    assert len(machine.model.asked("long")) == 1


async def test_killed_after_its_end_and_before_that_was_recorded(machine: Machine) -> None:
    machine.model.on("go").say("done")
    env = {"KUGETSU_TEST_KILL": "agent finished"}
    killed = await machine.run("start", REF, "go", module="tests.e2e.killed", env=env)
    assert killed.code == -signal.SIGKILL
    run = await last_run(machine)
    assert (run["state"], run["text"]) == ("cut", "done")
    await goes_on(machine)
    assert len(machine.model.asked("go")) == 1


async def test_in_doubt_a_person_is_asked(machine: Machine) -> None:
    machine.model.on("first").say("one")
    machine.model.on("go on").say("done")
    session = (await machine.ok("start", REF, "first", "--json")).finished["session"]
    env = {"KUGETSU_TEST_KILL": "prompt recorded"}
    killed = await machine.run("continue", REF, "go on", module="tests.e2e.killed", env=env)
    assert killed.code == -signal.SIGKILL
    for _ in range(2):  # somebody types the same in opencode itself
        await opencode_run(machine, session, "go on")
    assert len(machine.model.asked("go on")) == 2

    async with machine.bot():
        await until(lambda: over(machine), "it was looked up", PATIENCE)
    run = await last_run(machine)
    assert run["state"] == "failed"
    assert "cannot be told" in str(run["error"])
    assert len(machine.model.asked("go on")) == 2

    again = (await machine.ok("retry", REF, "--json")).finished
    assert again["text"] == "done"
    assert len(machine.model.asked("go on")) == 3


async def opencode_run(machine: Machine, session: str, prompt: str) -> None:
    process = await asyncio.create_subprocess_exec(
        machine.settings["opencode"]["command"], "run", "-s", session, cwd=machine.worktree,
        env=machine.env | {"PWD": str(machine.worktree)}, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    result = await finish(process, prompt)
    assert result.code == 0, result
