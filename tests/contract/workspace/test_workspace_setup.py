"""The project's set-up command, its output line by line."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.git import GitWorkspace
from core.errors import WorkspaceError


@pytest.fixture
def lines():
    return []


@pytest.fixture
def run(workspace, project, tmp_path, lines):
    async def run(command, workspace=workspace):
        await workspace.set_up(replace(project, setup=command), tmp_path, lines.append)

    return run


async def test_nothing_to_do(run, lines):
    await run("")
    assert lines == []


async def test_lines_of_both_streams_in_order(run, lines):
    await run("echo one; echo two >&2; echo; printf three")
    assert lines == ["one", "two", "", "three"]


async def test_lines_come_as_they_are_written(workspace, project, tmp_path):
    os.mkfifo(tmp_path / "gate")
    seen = asyncio.Event()
    command = replace(project, setup="echo first; read line < gate; echo $line")
    lines = []

    def output(line):
        lines.append(line)
        seen.set()

    running = asyncio.create_task(workspace.set_up(command, tmp_path, output))
    async with asyncio.timeout(10):
        await seen.wait()
        assert lines == ["first"]
        (tmp_path / "gate").write_text("second\n")
        await running
    assert lines == ["first", "second"]


async def test_it_runs_in_the_directory_and_says_so_in_pwd(run, lines, tmp_path):
    await run('pwd; printenv PWD; [ "$(cat)" = "" ] && echo no input')
    assert lines == [str(tmp_path), str(tmp_path), "no input"]


async def test_it_gets_the_given_environment_and_no_other(run, lines, env, monkeypatch):
    monkeypatch.setenv("TELEGRAM_TOKEN", "secret")
    await run("env", GitWorkspace(env | {"MINE": "1", "GIT_DIR": "/elsewhere"}, print))
    assert "MINE=1" in lines
    assert not any(line.startswith(("TELEGRAM_TOKEN", "GIT_DIR", "LC_ALL")) for line in lines)


async def test_long_lines_broken_bytes_and_progress_bars(run, lines):
    await run(r"head -c 200000 /dev/zero | tr '\0' x; echo; printf 'caf\303\251 \377\r\n'; printf '10%%\r100%%\n'")
    assert "".join(lines[:-2]) == "x" * 200000
    assert lines[-2:] == ["café �", "100%"]


async def test_a_failure_says_status_and_last_lines(run):
    with pytest.raises(WorkspaceError) as failure:
        await run("seq 1 50; echo no such package >&2; exit 3")
    text = str(failure.value)
    assert "exit status 3" in text
    assert "no such package" in text
    assert "\n32\n" in text
    assert "\n31\n" not in text
    assert "by hand" in failure.value.hint


async def test_a_failure_without_words(run):
    with pytest.raises(WorkspaceError, match="said nothing"):
        await run("exit 1")


async def test_a_killed_command(run):
    with pytest.raises(WorkspaceError, match="signal 9"):
        await run("kill -9 $$")


async def test_a_missing_directory(workspace, project, tmp_path, lines):
    with pytest.raises(WorkspaceError, match="could not be started"):
        await workspace.set_up(replace(project, setup="true"), tmp_path / "gone", lines.append)


async def test_what_it_leaves_running_holds_nothing_up(run, lines):
    async with asyncio.timeout(10):
        await run("sleep 600 & echo $!")
    os.kill(int(lines[0]), signal.SIGKILL)  # still there: it was left alone


async def test_cancelling_ends_it_and_its_children(workspace, project, tmp_path):
    started = asyncio.get_running_loop().create_future()
    # `wait` fails on the signal, so that a shell that lived on would say so.
    command = replace(project, setup="sleep 600 & echo $!; wait; echo alive > alive")
    running = asyncio.create_task(workspace.set_up(command, tmp_path, started.set_result))
    async with asyncio.timeout(10):
        child = int(await started)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        while _alive(child):
            await asyncio.sleep(0.01)
    assert not (tmp_path / "alive").exists()


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
