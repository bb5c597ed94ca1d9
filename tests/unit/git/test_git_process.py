"""How git is started and ended, on a stand-in program."""

import asyncio
import os
from pathlib import Path

import pytest

from adapters.git.process import MAX_WORDS, TIMEOUT, Git, in_thread, without_passwords
from core.errors import WorkspaceError


@pytest.fixture
def git(tmp_path):
    def make(script, **env):
        program = tmp_path / "git"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Git({"PATH": os.environ["PATH"], **env}, str(program))

    return make


async def test_the_environment_is_the_given_one_cleaned(git, tmp_path, monkeypatch):
    monkeypatch.setenv("TELEGRAM_TOKEN", "secret")
    misleading = {"GIT_DIR": "x", "GIT_INDEX_FILE": "x", "GIT_TRACE2_EVENT": "1", "LC_ALL": "de_DE.UTF-8"}
    meant = {"GIT_CONFIG_COUNT": "0", "GIT_SSH_COMMAND": "ssh -i key"}
    seen = (await git("env", **misleading, **meant).run(tmp_path, "x")).text.splitlines()
    assert {"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", f"PWD={tmp_path}", "GIT_SSH_COMMAND=ssh -i key"} <= set(seen)
    assert not any(line.startswith(("TELEGRAM", "GIT_DIR", "GIT_INDEX_FILE", "GIT_TRACE")) for line in seen)


async def test_arguments_arrive_as_they_are(git, tmp_path):
    words = ["$(touch x)", "a b", "*", "'\"", "", "new\nline", "é"]
    seen = (await git("for word; do printf '%s\\0' \"$word\"; done").run(tmp_path, *words)).names
    assert seen[-len(words) :] == words


async def test_names_that_are_no_utf_8_survive(git, tmp_path):
    assert os.fsencode((await git(r"printf '\377\0'").run(tmp_path, "x")).names[0]) == b"\xff"


async def test_it_reads_what_it_is_given_and_else_nothing(git, tmp_path):
    assert (await git("cat").run(tmp_path, "x", stdin=b"given")).text == "given"
    assert (await git("cat").run(tmp_path, "x")).text == ""


async def test_it_reads_an_open_file_from_where_that_stands(git, tmp_path):
    (tmp_path / "file").write_text("header body")
    with (tmp_path / "file").open("rb", buffering=0) as opened:
        opened.seek(7)
        assert (await git("cat").run(tmp_path, "x", stdin=opened)).text == "body"


async def test_hooks_only_where_wanted(git, tmp_path):
    program = git('echo "$@"')
    assert "core.hooksPath=/dev/null" in (await program.run(tmp_path, "x")).text
    assert "core.hooksPath" not in (await program.run(tmp_path, "x", hooks=True)).text


async def test_a_failure_carries_its_words(git, tmp_path):
    with pytest.raises(WorkspaceError, match=r"git push in .* failed \(exit status 3\): fatal: no") as failure:
        await git("echo out; echo fatal: no >&2; exit 3").run(tmp_path, "push")
    assert "out" not in str(failure.value).partition("exit status")[2]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("fatal: 'https://ada:s3cret@host/x': no", "fatal: 'https://host/x': no"),
        ("HTTPS://TOKEN@host and http://a:b@c@host:80/", "HTTPS://host and http://host:80/"),
        ("ssh://git:s3cret@host/x", "ssh://git@host/x"),
        ("ssh://git@host/x git@host:x a@b https://host/a@b", "ssh://git@host/x git@host:x a@b https://host/a@b"),
    ],
)
def test_passwords_in_addresses(said, told):
    assert without_passwords(said) == told


async def test_a_failure_carries_no_password(git, tmp_path):
    with pytest.raises(WorkspaceError, match="no https://host/x"):
        await git("echo no https://ada:s3cret@host/x >&2; exit 1").run(tmp_path, "x")


async def test_it_writes_into_an_open_file(git, tmp_path):
    with (tmp_path / "file").open("wb") as file:
        assert (await git("echo out").run(tmp_path, "x", stdout=file)).raw == b""
    assert (tmp_path / "file").read_text() == "out\n"


async def test_many_words_are_cut_to_the_last(git, tmp_path):
    with pytest.raises(WorkspaceError) as failure:
        await git("seq 1 100000 >&2; exit 1").run(tmp_path, "x")
    assert str(failure.value).endswith("100000")
    assert len(str(failure.value)) < MAX_WORDS + 200


async def test_a_silent_death(git, tmp_path):
    with pytest.raises(WorkspaceError, match="ended by signal 9: it said nothing"):
        await git("kill -9 $$").run(tmp_path, "x")


async def test_an_expected_status_is_no_failure(git, tmp_path):
    assert (await git("exit 1").run(tmp_path, "x", expect=(0, 1))).status == 1


async def test_a_nul_byte_is_refused(git, tmp_path):
    with pytest.raises(WorkspaceError, match="could not be started"):
        await git("").run(tmp_path, "a\0b")


@pytest.mark.looptime  # the time-out passes as soon as everything waits
async def test_one_that_hangs_is_ended_with_its_children(git, tmp_path):
    started = asyncio.get_running_loop().time()
    with pytest.raises(WorkspaceError, match="took longer than 120 s"):
        await git("trap '' TERM; sleep 600 & sleep 600; echo survived > survived").run(tmp_path, "x")
    assert asyncio.get_running_loop().time() - started >= TIMEOUT
    assert not (tmp_path / "survived").exists()


async def test_cancelled_twice_it_is_ended_at_once(git, tmp_path):
    program = git("trap '' TERM; echo $$ > pid.new; mv pid.new pid; while :; do sleep 600; done")
    running = asyncio.create_task(program.run(tmp_path, "x"))
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.01)
        pid = int((tmp_path / "pid").read_text())
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


async def test_a_cancelled_thread_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "gate")
    done = []

    def work():
        done.append((tmp_path / "gate").read_text())

    running = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.to_thread((tmp_path / "gate").write_text, "open")
    with pytest.raises(asyncio.CancelledError):
        await running
    assert done == ["open"]
