"""Ending what we started, and nothing else."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.opencode.processes import end_family, family, processes
from adapters.opencode.record import Record
from adapters.opencode.shell import without_password


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, start_new_session=True, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        await end_family(process.pid)
        await process.wait()
        await process.stdout.read()


def find(pid: int):
    return next((process for process in processes() if process.pid == pid), None)


async def test_what_is_known_of_a_process():
    async with program("sh", "-c", "echo up; sleep 30; : a b") as process:
        await process.stdout.readline()
        found = find(process.pid)
        assert found is not None
        assert (found.parent, found.group) == (os.getpid(), process.pid)
        assert found.command.endswith("sleep 30; : a b")
        assert found.rss > 100_000
        assert found.started == find(process.pid).started


async def test_a_family_ends_whole_also_what_left_the_group_or_ignores_being_asked():
    script = "trap '' TERM; setsid sh -c 'echo $$; sleep 30; :' & echo $!; sleep 30; :"
    async with program("sh", "-c", script) as process:
        grandchild = int(await process.stdout.readline())
        await process.stdout.readline()
        members = {member.pid for member in family(process.pid, processes())}
        assert {process.pid, grandchild} <= members
        assert os.getpid() not in members
        await end_family(process.pid, grace=0.3)
        assert find(process.pid) is None
        assert find(grandchild) is None
    await end_family(process.pid)


async def test_a_left_over_server_is_ended_and_only_that(tmp_path):
    path = tmp_path / "server.json"
    serve = "exec sleep 30 # serve --hostname 127.0.0.1 --port 4711"
    async with program("sh", "-c", f"echo up; {serve}\n:") as process:
        await process.stdout.readline()
        # `exec sleep` hides the arguments from the list of processes, so this one is somebody else's.
        Record(path).write(process.pid, 4711)
        await Record(path).end_left_over()
        assert find(process.pid) is not None
    async with program("sh", "-c", "echo up; sleep 30; : serve --hostname 127.0.0.1 --port 4711") as process:
        await process.stdout.readline()
        record = Record(path)
        record.write(process.pid, 4712)
        await record.end_left_over()
        assert find(process.pid) is not None  # another port
        record.write(process.pid, 4711)
        path.write_text(path.read_text().replace(find(process.pid).started, "1"))
        await record.end_left_over()
        assert find(process.pid) is not None  # another process with the same pid
        record.write(process.pid, 4711)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        await record.end_left_over()
        assert find(process.pid) is None


async def test_a_note_is_cleared_by_whom_it_is_about(tmp_path):
    path = tmp_path / "server.json"
    record = Record(path)
    await record.end_left_over()
    record.clear(1)
    path.write_text("{broken")
    await record.end_left_over()
    record.write(os.getpgrp(), 4711)
    record.clear(1)
    assert path.exists()
    record.clear(os.getpgrp())
    assert not path.exists()


async def test_the_shell_drops_the_password_and_is_the_users_again(tmp_path):
    for shell in ("/bin/sh", "/usr/bin/fish", "", "no-such-shell"):
        env = {"PATH": os.environ["PATH"], "SHELL": shell, "OPENCODE_SERVER_PASSWORD": "hunter2", "OTHER": "kept"}
        changed = without_password(env, tmp_path)
        assert changed["SHELL"].startswith(str(tmp_path))
        process = await asyncio.create_subprocess_exec(
            changed["SHELL"], "-c", 'echo "$SHELL $OTHER [$OPENCODE_SERVER_PASSWORD] $1"', "x", "an argument",
            env=changed, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        real, _, rest = output.decode().strip().partition(" ")
        assert rest == "kept [] an argument"
        assert Path(real).exists()
        assert not real.startswith(str(tmp_path))
