"""The server backend's own promises: its process, its password, its death and its return."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from adapters.opencode.binary import find_binary
from adapters.opencode.processes import end_family, processes
from adapters.opencode.server import OpencodeServer
from adapters.opencode.supervisor import Pace
from core.errors import AgentDenied, AgentUnavailable, AgentUnsupported
from core.events import Finished, Outcome
from core.model import Decision, MessageId, SessionId
from core.ports import AgentRun, Known
from tests.contract.agent.conftest import VERSIONS
from tests.simulators.agent_lab import CONFIG, Lab, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import REPOSITORY, git_project, opencode_home

pytestmark = pytest.mark.asyncio(loop_scope="session")
NEWEST = pytest.mark.parametrize("place", ["newest"], indirect=True)  # what no version does differently
DONE = Finished(Outcome.DONE)


HIDDEN = frozenset({"KUGETSU_TEST_TOKEN"})
SOON = Pace(first_pause=0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=VERSIONS)
async def place(request, model, tmp_path_factory) -> Lab:
    """Everything for servers of one's own, but no server yet."""
    root = tmp_path_factory.mktemp("own")
    (root / "state").mkdir()
    home = opencode_home(root / "home", model.url, CONFIG, catalogue=False)
    return Lab(None, model, git_project(root / "project"), root, home, binary=VERSIONS[request.param]())


@asynccontextmanager
async def server(place: Lab, name: str = "state", **more) -> AsyncIterator[Lab]:
    """A backend of one's own; `name` is its state directory."""
    notices: list[str] = []
    state_file = place.root / name / "opencode-server.json"
    settings = server_settings(place.root, place.home, place.binary, state_file=state_file, **more)
    port = OpencodeServer(settings, WallClock(), notices.append)
    try:
        yield replace(place, port=port, notices=notices)
    finally:
        await port.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(place) -> AsyncIterator[Lab]:
    """A server that tests may kill: it comes back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUGETSU_TEST_TOKEN", "123:secret")
        patch.setenv("KUGETSU_TEST_HARMLESS", "kept")
        async with server(place, hidden_env=HIDDEN, password="hunter2", pace=SOON) as lab:
            yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theirs(place) -> AsyncIterator[str]:
    """The address of a server that somebody else runs, with the password `theirs`."""
    async with foreign_server(place, "theirs") as url:
        yield url


def state_file(lab: Lab, name: str = "state") -> Path:
    return lab.root / name / "opencode-server.json"


def note(lab: Lab, name: str = "state") -> dict:
    return json.loads(state_file(lab, name).read_text())


def alive(group: int) -> bool:
    return any(process.group == group for process in processes())


async def gone(group: int) -> None:
    async with asyncio.timeout(10):
        while alive(group):
            await asyncio.sleep(0.02)


async def test_it_starts_once_for_all(own):
    versions = await asyncio.gather(*(own.port.capabilities() for _ in range(5)))
    assert len(set(versions)) == 1
    servers = [process for process in processes() if f"--port {note(own)['port']}" in process.command]
    assert {process.group for process in servers} == {note(own)["group"]}
    assert stat.S_IMODE(state_file(own).stat().st_mode) == 0o600


async def test_without_the_password_nobody_gets_in(own):
    await own.port.capabilities()
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{note(own)['port']}/session"
        async with client.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
            assert response.status == 401


async def test_the_agents_shell_does_not_see_the_password_nor_what_is_hidden(own, text):
    session = await own.session()
    own.model.on(text).call("bash", {"command": "env; echo $SHELL", "description": "x"}).then_say("ok")
    output = (await own.say(session.id, text)).progress.steps[0].output
    assert "KUGETSU_TEST_HARMLESS=kept" in output
    assert "secret" not in output
    assert "hunter2" not in output
    assert "OPENCODE_SERVER_PASSWORD" not in output
    assert str(own.root / "state" / "opencode") not in output.splitlines()[-1]  # the user's shell, not ours


async def test_killed_while_it_works_the_run_is_cut_and_the_server_comes_back(own, text):
    session = await own.session()
    own.model.on(f"{text} long").say("Received before the end.").hang()
    own.model.on(f"{text} next").say("Back again.")
    listener = own.start(own.prompt(session.id, f"{text} long"))
    await listener.until(lambda listener: listener.progress.text)
    os.killpg(note(own)["group"], signal.SIGKILL)
    end = await listener.finished()
    assert (end.outcome, end.error_code) == (Outcome.CUT, "agent_died")
    assert listener.progress.text == "Received before the end."
    assert own.notices
    # The prompt is stored: never to be sent again, and nothing works on it any more.
    assert await own.port.lookup(listener.run) is Known.OVER
    assert (await own.attach(listener.run).finished()).outcome is Outcome.CUT
    assert (await own.say(session.id, f"{text} next")).progress.text == "Back again."
    assert len(own.model.asked(f"{text} long")) == 1


async def test_killed_while_it_asks(own, text):
    session = await own.session()
    own.model.on(text).call("bash", {"command": f"touch ask-{text}", "description": "x"}).then_say("never")
    listener = own.start(own.prompt(session.id, text))
    request = await listener.asked()
    os.killpg(note(own)["group"], signal.SIGKILL)
    assert (await listener.finished()).outcome is Outcome.CUT
    assert not await own.port.decide(session.id, own.project, request.id, Decision("once"))
    assert (await own.say(session.id, "Something else")).events[-1] == DONE


async def test_killed_between_runs_it_is_started_when_needed(own):
    await own.port.capabilities()
    own.notices.clear()
    os.killpg(note(own)["group"], signal.SIGKILL)
    async with asyncio.timeout(10):
        while not own.notices:
            await asyncio.sleep(0.01)
    assert (await own.port.capabilities()).message_ids


async def test_it_ends_with_everything_it_started(place, text):
    async with server(place, "ended") as lab:
        session = await lab.session()
        group = note(lab, "ended")["group"]
        late = lab.project / f"{text}.late"
        command = f"sleep 3; touch {late}"
        lab.model.on(text).call("bash", {"command": command, "description": "x"}).then_say("never")
        listener = lab.start(lab.prompt(session.id, text))
        async with asyncio.timeout(10):
            while not (tools := [process for process in processes() if process.command.endswith(command)]):
                await asyncio.sleep(0.02)
        assert tools[0].group != group  # opencode gives tools a group of their own
    end = await listener.finished()
    assert (end.outcome, end.error_code) == (Outcome.CUT, "closed")
    with pytest.raises(AgentUnavailable):
        await lab.port.capabilities()
    assert not alive(group)
    assert not alive(tools[0].group)
    assert not state_file(lab, "ended").exists()


async def test_a_server_that_hangs_is_ended_and_the_run_cut(place, text):
    async with server(place, "hung", pace=Pace(probe_every=0.3, probe_timeout=1.0, probes=2, first_pause=0.05)) as lab:
        await lab.port.warm(lab.project)
        session = await lab.session()
        lab.model.on(text).say("Half.").hang()
        listener = lab.start(lab.prompt(session.id, text))
        await listener.until(lambda listener: listener.progress.text)
        group = note(lab, "hung")["group"]
        os.killpg(group, signal.SIGSTOP)
        assert (await listener.finished()).outcome is Outcome.CUT
        assert not alive(group)
        assert listener.progress.text == "Half."


@NEWEST
async def test_it_is_recycled_when_idle_and_heavy(place, text):
    async with server(place, "heavy", max_rss_mb=10, pace=Pace(weigh_every=1.0)) as lab:
        session = await lab.session()
        lab.model.on(text).say("Busy.").hang()
        listener = lab.start(lab.prompt(session.id, text))
        await listener.until(lambda listener: listener.progress.text)
        group = note(lab, "heavy")["group"]
        await asyncio.sleep(1.5)
        assert alive(group)  # not while a run is open
        await lab.port.stop(session.id, lab.project)
        await listener.finished()
        await gone(group)
        assert any("while idle" in notice for notice in lab.notices)
        assert await lab.port.find_session(session.id) is not None


BOT = """
import asyncio, sys
from pathlib import Path
from adapters.opencode.server import OpencodeServer, OpencodeServerSettings
from core.events import Asked, Said
from core.ports import AgentRun
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import OpencodeHome

async def main(state_file, command, home, project, prompt):
    env = OpencodeHome(Path(home), "", catalogue=False).env
    settings = OpencodeServerSettings(state_file=Path(state_file), command=command, env=env, password="kept")
    port = OpencodeServer(settings, WallClock())
    await port.capabilities()
    if not prompt:
        print("up", flush=True)
        await asyncio.sleep(60)
    session = await port.create_session(Path(project), "Going on")
    run = AgentRun(session.id, Path(project), port.new_message_id(), prompt)
    async for event in port.run(run):
        if isinstance(event, (Said, Asked)):
            print(session.id, run.message_id, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_bot(place: Lab, name: str, prompt: str = "") -> list[str]:
    """A bot with a server of its own, killed when it had said something. Returns the words it said."""
    (place.root / name).mkdir()
    arguments = (str(state_file(place, name)), str(place.binary), str(place.home.root), str(place.project), prompt)
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BOT, *arguments, stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    try:
        async with asyncio.timeout(20):
            said = (await bot.stdout.readline()).decode().split()
    finally:
        bot.kill()
        await bot.wait()
    assert said
    assert alive(note(place, name)["group"])
    return said


async def test_what_a_killed_bot_left_behind_is_ended(place):
    await killed_bot(place, "left")
    left = note(place, "left")["group"]
    async with server(place, "left", password="kept") as lab:
        await lab.port.capabilities()
        assert not alive(left)
        assert note(lab, "left")["group"] != left


async def test_a_bot_goes_on_with_the_server_of_one_that_was_killed(place, text):
    rule = place.model.on(text).say("Half.").hang()
    session, message = await killed_bot(place, "goes-on", text)
    left = note(place, "goes-on")["group"]
    async with server(place, "goes-on", password="kept", take_over=True) as lab:
        run = AgentRun(SessionId(session), lab.project, MessageId(message), text)
        assert await lab.port.lookup(run) is Known.RUNNING
        listener = lab.attach(run)
        rule.release()
        assert await listener.finished() == DONE
        assert listener.progress.text == "Half."
        assert note(lab, "goes-on")["group"] == left
        assert len(place.model.asked(text)) == 1
    await gone(left)


async def test_a_permission_asked_of_a_killed_bot_can_still_be_given(place, text):
    rule = place.model.on(text)
    rule.call("bash", {"command": f"touch ask-{text}", "description": "x"}).then_say("Done.")
    session, message = await killed_bot(place, "asks-on", text)
    async with server(place, "asks-on", password="kept", take_over=True) as lab:
        listener = lab.attach(AgentRun(SessionId(session), lab.project, MessageId(message), text))
        request = await listener.asked()
        assert await lab.port.decide(SessionId(session), lab.project, request.id, Decision("once"))
        assert await listener.finished() == DONE
        assert (lab.project / f"ask-{text}").exists()


async def test_a_left_server_that_would_be_started_otherwise_now_is_ended(place):
    await killed_bot(place, "otherwise")
    left = note(place, "otherwise")["group"]
    env = {**place.home.env, "OTHER": "1"}
    async with server(place, "otherwise", password="kept", take_over=True, env=env) as lab:
        await lab.port.capabilities()
        assert not alive(left)


async def test_a_left_server_that_dies_later_is_started_again(place):
    await killed_bot(place, "dies-later")
    left = note(place, "dies-later")["group"]
    async with server(place, "dies-later", password="kept", take_over=True) as lab:
        await lab.port.capabilities()
        os.killpg(left, signal.SIGKILL)
        await gone(left)
        async with asyncio.timeout(20):
            while note(lab, "dies-later")["group"] == left:
                await asyncio.sleep(0.2)
                with suppress(AgentUnavailable):
                    await lab.port.capabilities()


# ── a server somebody else runs ────────────────────────────────────────────────────────────────


@asynccontextmanager
async def foreign_server(place: Lab, password: str) -> AsyncIterator[str]:
    env = {**os.environ, **place.home.env, "OPENCODE_SERVER_PASSWORD": password}
    process = await asyncio.create_subprocess_exec(
        place.binary,
        *("serve", "--hostname", "127.0.0.1", "--port", "0"),
        env=env,
        cwd=place.root,
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(20):
            async for line in process.stdout:
                if b"listening on " in line:
                    break
        yield line.decode().split("listening on ")[1].strip()
    finally:
        await end_family(process.pid)
        await process.wait()
        await process.stdout.read()


@NEWEST
async def test_attached_it_is_used_and_left_running(place, theirs, text):
    async with server(place, url=theirs, password="theirs") as lab:
        session = await lab.session()
        lab.model.on(text).say("Hello.")
        assert (await lab.say(session.id, text)).progress.text == "Hello."
    async with server(place, url=theirs, password="theirs") as lab:
        assert await lab.port.find_session(session.id) is not None


@NEWEST
async def test_attached_with_the_wrong_password(place, theirs, text):
    async with server(place, url=theirs, password="wrong") as lab:
        with pytest.raises(AgentDenied) as denied:
            await lab.port.capabilities()
        assert "opencode.password" in denied.value.hint
        with pytest.raises(AgentDenied):
            await lab.say("ses_any", text)


@NEWEST
async def test_another_client_answers_and_the_run_hears_of_it(place, theirs, text):
    async with server(place, url=theirs, password="theirs") as lab:
        session = await lab.session()
        lab.model.on(text).call("bash", {"command": f"touch ask-{text}", "description": "x"}).then_say("Done.")
        listener = lab.start(lab.prompt(session.id, text))
        request = await listener.asked()
        async with server(place, url=theirs, password="theirs") as other:
            assert await other.port.decide(session.id, lab.project, request.id, Decision("once"))
        assert await listener.finished() == DONE
        assert not listener.progress.asking


@NEWEST
async def test_attached_to_nothing(place):
    async with server(place, url="http://127.0.0.1:1") as lab:
        with pytest.raises(AgentUnavailable) as refused:
            await lab.port.capabilities()
        assert refused.value.hint
        await lab.port.warm(place.project)


@NEWEST
async def test_attached_to_what_never_answers(place):
    async def mute(_reader, writer):
        await asyncio.sleep(30)
        writer.close()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        async with server(place, url=url, pace=Pace(probe_timeout=0.5)) as lab:
            began = asyncio.get_running_loop().time()
            with pytest.raises(AgentUnavailable):
                await lab.port.capabilities()
            assert asyncio.get_running_loop().time() - began < 3
    finally:
        listener.close()


# ── a dropped stream ───────────────────────────────────────────────────────────────────────────


class Cable:
    """A TCP proxy whose connections can be cut."""

    def __init__(self, url: str) -> None:
        self._target = url.rsplit(":", 1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self.plugged = asyncio.Event()
        self.plugged.set()

    async def __aenter__(self) -> Cable:
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connect(self, reader, writer) -> None:
        await self.plugged.wait()
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", int(self._target[1]))
        self._writers |= {writer, there_writer}
        await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))

    async def _pump(self, reader, writer) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()


@NEWEST
async def test_a_dropped_stream_loses_and_doubles_nothing(place, theirs, text):
    async with Cable(theirs) as cable, server(place, url=cable.url, password="theirs") as lab:
        session = await lab.session()
        rule = lab.model.on(text).say("First part.").call("bash", {"command": "echo a", "description": "x"})
        rule.then().say("Before the cut, ").hang().say("after the cut.")
        listener = lab.start(lab.prompt(session.id, text))
        await listener.until(lambda listener: "Before" in listener.progress.text)
        cable.cut()
        rule.release()
        assert await listener.finished() == DONE
        assert listener.progress.text == "First part.\n\nBefore the cut, after the cut."
        assert listener.progress.tokens.input == 200


@NEWEST
async def test_the_end_and_a_question_that_fell_into_the_gap(place, theirs, text):
    async with Cable(theirs) as cable, server(place, url=cable.url, password="theirs") as lab:
        session = await lab.session()
        call = {"command": f"touch ask-{text}", "description": "x"}
        rule = lab.model.on(text).say("Wait.").hang().call("bash", call).then().say("In the gap.")
        listener = lab.start(lab.prompt(session.id, text))
        await listener.until(lambda listener: listener.progress.text)
        cable.plugged.clear()
        cable.cut()
        rule.release()
        async with server(place, url=theirs, password="theirs") as other:
            waiting = other.attach(listener.run)
            request = await waiting.asked()
            cable.plugged.set()
            assert await listener.asked() == request
            cable.plugged.clear()
            cable.cut()
            assert await other.port.decide(session.id, lab.project, request.id, Decision("once"))
            assert await waiting.finished() == DONE
            cable.plugged.set()
        assert await listener.finished() == DONE
        assert listener.progress.text == "Wait.\n\nIn the gap."
        assert not listener.progress.asking


# ── which opencode ─────────────────────────────────────────────────────────────────────────────


def fake_opencode(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


async def test_the_configured_binary_wins_if_it_is_supported(tmp_path):
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    old = fake_opencode(tmp_path / "opencode", "echo 1.1.58")
    good = fake_opencode(tmp_path / "good", "echo 1.3.0")
    found = await find_binary("opencode", [tmp_path / "missing", good], env)
    assert (found.path, found.version) == (good, "1.3.0")
    with pytest.raises(AgentUnsupported) as refused:
        await find_binary("opencode", [fake_opencode(tmp_path / "two", "echo 2.0.0")], env)
    assert "1.1.58" in str(refused.value)
    assert "2.0.0" in str(refused.value)
    assert "npm install" in refused.value.hint
    fake_opencode(old, "echo opencode v1.18.33")
    assert (await find_binary("opencode", [good], env)).version == "1.18.33"
    with pytest.raises(AgentUnsupported, match="not on PATH"):
        await find_binary("no-such-opencode", [], env)


@pytest.mark.parametrize(
    ("said", "driven"),
    [
        ("1.2.27", False),
        ("1.3.0", True),
        ("1.3.0-beta.1", True),  # by its number; a probe of what it serves follows
        ("opencode 1.9.99 (linux)", True),
        ("1.18.33", True),
        ("2.0.0", False),
        ("2.0.0-rc.1", False),
        ("0.15.31", False),
        ("local", False),
        ("", False),
    ],
)
async def test_versions_that_are_driven(tmp_path, said, driven):
    binary = fake_opencode(tmp_path / "opencode", f"echo '{said}'")
    if driven:
        assert (await find_binary(str(binary), [], dict(os.environ))).path == binary
        return
    with pytest.raises(AgentUnsupported) as refused:
        await find_binary(str(binary), [], dict(os.environ))
    assert "1.3.0 up to 2 is" in str(refused.value)
    assert str(binary) in str(refused.value)
    assert "npm install -g opencode-ai@1.18.33" in refused.value.hint


@NEWEST
async def test_a_binary_that_does_not_start_is_told_with_its_own_words(place, tmp_path):
    broken = fake_opencode(tmp_path / "opencode", 'case "$1" in --version) echo 1.18.33;; *) echo no disk left; esac')
    async with server(place, "broken", command=str(broken), pace=SOON) as lab:
        with pytest.raises(AgentUnavailable, match="no disk left"):
            await lab.port.capabilities()
