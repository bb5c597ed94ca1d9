"""Data that a newer opencode would change for good: not unasked, and said by everything that would have to start it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.e2e.harness import PATIENCE, REF, VERSIONS, Kind, Machine, make_machine
from tests.simulators.model import ScriptedModel

QUESTION = "Change it? [y/N]"


async def with_older_data(root: Path, model: ScriptedModel) -> Machine:
    """A session made with the oldest opencode, and the newest one configured now."""
    machine = await make_machine(root, model, Kind("server", "oldest"))
    await machine.ok("start", REF, "first")
    machine.write(opencode=machine.settings["opencode"] | {"command": str(VERSIONS["newest"]())})
    return machine


def migrated(machine: Machine) -> bool:
    file = machine.home.root / ".local/share/opencode/opencode.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone())


async def test_it_is_not_changed_unasked(tmp_path: Path, model: ScriptedModel) -> None:
    machine = await with_older_data(tmp_path / "m", model)
    for words, given in ((["run"], ""), (["chat"], "/list\n"), (["continue", REF, "on"], "")):
        refused = await machine.run(*words, stdin=given)
        assert refused.code == 1, refused
        said = refused.err + refused.out
        assert "would change the database" in said, refused
        assert "opencode.allow_migration" in said
        assert "Traceback" not in said
    assert "first" in json.dumps((await machine.ok("status", REF, "--json")).json)  # what needs no opencode works
    report = await machine.run("doctor", "--json")
    assert report.code == 1
    opencode = next(check for check in report.json if check["check"] == "opencode")
    assert "would change the database" in opencode["said"]
    assert "allow_migration" in opencode["hint"]

    code, shown = await in_terminal(machine, "n")
    assert code == 1
    assert QUESTION in shown
    assert not migrated(machine)

    code, shown = await in_terminal(machine, "y")
    assert code == 0, shown
    assert "Type   /start" in shown
    model.on("which").say("still here")
    assert (await machine.ok("continue", REF, "which one?", "--json")).finished["text"] == "still here"
    assert migrated(machine)
    assert "first" in json.dumps(model.asked("which")[-1].messages)


async def in_terminal(machine: Machine, answer: str) -> tuple[int, str]:
    """`kugetsu chat` with somebody at it, who answers the question and goes when there is a prompt; what they saw."""
    ours, theirs = pty.openpty()
    env = machine.env | {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "--config", str(machine.config), "chat",
        cwd=machine.root, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            shown.extend(os.read(ours, 65536))
        except OSError:  # its end
            loop.remove_reader(ours)

    loop.add_reader(ours, read)
    try:
        async with asyncio.timeout(PATIENCE):
            await seen(shown, QUESTION)
            os.write(ours, f"{answer}\r".encode())
            if answer == "y":
                await seen(shown, "Ctrl-D leaves")
                await migration(machine)
                os.write(ours, b"\x04")
            code = await process.wait()
    finally:
        loop.remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
    return code, shown.decode(errors="replace")


async def seen(shown: bytearray, text: str) -> None:
    while text.encode() not in shown:
        await asyncio.sleep(0.05)


async def migration(machine: Machine) -> None:
    """opencode is started in the background, to be warm for the first prompt."""
    while not migrated(machine):
        await asyncio.sleep(0.1)
