"""The command backend's own promises: what cannot be asked, the process of each prompt, its death, and its silence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.opencode.command import OpencodeCommand
from adapters.opencode.processes import Process, processes
from adapters.opencode.sessions import Sessions
from adapters.opencode.vigil import Patience
from core.errors import AgentUnavailable
from core.events import Finished, Outcome, Refused, StepState
from core.model import Decision, PermissionRule
from core.ports import Known
from tests.contract.agent.conftest import VERSIONS
from tests.simulators.agent_lab import Lab, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import REPOSITORY, git_project, opencode_home

pytestmark = pytest.mark.asyncio(loop_scope="session")
# What is about processes alone is tried where it is harder: 1.3 runs behind a launcher, which can die alone.
LAUNCHED = pytest.mark.parametrize("place", ["oldest"], indirect=True)
DONE = Finished(Outcome.DONE)
STOPPED = Finished(Outcome.STOPPED)
CONFIG = {
    "permission": {"bash": {"*": "allow", "touch ask*": "ask", "touch never*": "deny"}},
    "agent": {"build": {"permission": {"webfetch": "ask", "bash": {"touch asked-by-agent*": "ask"}}}},
    "snapshot": False,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=VERSIONS)
async def place(request, model, tmp_path_factory) -> Lab:
    root = tmp_path_factory.mktemp("command")
    (root / "theirs.md").write_text("Their own instructions.")
    home = opencode_home(root / "home", model.url, CONFIG, catalogue=False)
    return Lab(None, model, git_project(root / "project"), root, home, binary=VERSIONS[request.param]())


@asynccontextmanager
async def command(place: Lab, name: str, patience: Patience | None = None, **more) -> AsyncIterator[Lab]:
    """A backend of one's own; `name` is its state directory."""
    notices: list[str] = []
    state_file(place, name).parent.mkdir(exist_ok=True)
    env = {
        **place.home.env,
        "PWD": str(place.root),  # of somebody who stands elsewhere
        "OPENCODE_CONFIG_CONTENT": json.dumps({"instructions": [str(place.root / "theirs.md")]}),
    }
    settings = server_settings(place.root, place.home, place.binary, state_file=state_file(place, name))
    port = OpencodeCommand(replace(settings, env=env), WallClock(), notices.append, patience=patience, **more)
    try:
        yield replace(place, port=port, notices=notices)
    finally:
        await port.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(place) -> AsyncIterator[Lab]:
    async with command(place, "state") as lab:
        yield lab


def state_file(place: Lab, name: str) -> Path:
    return place.root / name / "opencode-server.json"


def refused(listener) -> list[tuple[str, tuple[str, ...]]]:
    return [(e.request.permission, e.request.patterns) for e in listener.events if isinstance(e, Refused)]


def bash(line: str) -> dict[str, str]:
    return {"command": line, "description": "x"}


def running(words: str) -> list[Process]:
    return [process for process in processes() if words in process.command]


async def started(words: str) -> Process:
    """The last process whose command line ends so: a tool, not the shell line that started it."""
    async with asyncio.timeout(20):
        while not (found := [process for process in processes() if process.command.endswith(words)]):
            await asyncio.sleep(0.02)
    return found[-1]


async def test_what_cannot_be_asked_is_refused_and_said_and_what_was_granted_is_not(own, text):
    session = await own.session()
    await own.port.decide(session.id, own.project, "per_1", Decision("once"))
    (
        own.model.on(text)
        .call("bash", bash(f"cd . && touch ask-{text}"))
        .call("bash", bash(f"touch ask-granted-{text}"))
        .call("bash", bash(f"touch asked-by-agent-{text}"))
        .call("bash", bash(f"touch never-{text}"))
        .call("bash", bash(f"echo free > free-{text}"))
        .then_say("As far as I was let.")
    )
    rules = (PermissionRule("bash", "touch ask-granted*", "allow"), PermissionRule("bash", "touch never*", "allow"))
    listener = await own.say(session.id, text, rules=rules, system="Ours.")
    assert listener.events[-1] == DONE
    assert listener.progress.text == "As far as I was let."
    assert sorted(refused(listener)) == [
        ("bash", (f"touch ask-{text}",)),
        ("bash", (f"touch asked-by-agent-{text}",)),
    ]
    made = {path.name for path in own.project.glob(f"*{text}")}
    assert made == {f"ask-granted-{text}", f"free-{text}"}
    steps = {step.title: step for step in listener.progress.steps}
    assert "nobody can be asked" in steps[f"cd . && touch ask-{text}"].error
    assert "rule" in steps[f"touch never-{text}"].error  # opencode's own words: it was the user's
    asked = own.model.asked(text)[0]
    assert "Their own instructions." in asked.system
    assert "Ours." in asked.system
    tools = {tool["function"]["name"] for tool in asked.body["tools"]}
    assert {"bash", "webfetch"} <= tools
    assert "question" not in tools  # nobody would answer, and the run would wait for ever
    assert not list((own.root / "state" / "opencode").glob("system-*"))


async def test_what_a_sub_agent_may_not_do(own, text):
    session = await own.session()
    task = {"description": "Look", "prompt": f"child-{text}", "subagent_type": "general"}
    own.model.on(f"child-{text}").call("bash", bash(f"touch ask-{text}")).then_say("Child.")
    own.model.on(f"root-{text}").call("task", task).then_say("Root.")
    listener = await own.say(session.id, f"root-{text}")
    assert listener.events[-1] == DONE
    assert refused(listener) == [("bash", (f"touch ask-{text}",))]
    assert listener.progress.steps[-1].sub_agent


async def test_a_sessions_own_rules_end_the_run(own, text):
    """They come after all we can say. `create_session` denies instead; these are of another backend."""
    made = Sessions((await own.port._source.running()).http)
    session = await made.create(own.project, "Theirs", [PermissionRule("bash", "*", "ask")])
    own.model.on(text).call("bash", bash(f"touch x-{text}")).then_say("never")
    listener = await own.say(session.id, text)
    assert refused(listener) == [("bash", (f"touch x-{text}",))]
    assert (listener.events[-1].outcome, listener.events[-1].error_code) == (Outcome.STOPPED, "rejected")


async def test_a_read_only_session(own, text):
    session = await own.port.create_session(own.project, "Base", [PermissionRule("bash", "*", "ask")])
    own.model.on(text).call("bash", bash(f"touch x-{text}")).then_say("Read.")
    listener = await own.say(session.id, text)
    assert refused(listener) == [("bash", (f"touch x-{text}",))]
    assert listener.progress.text == "Read."


async def test_left_and_attached_to_while_it_works_and_after(own, text):
    session = await own.session()
    own.model.on(text).say("First.").call("bash", bash(f"sleep 1; echo {text}")).then_say("Last.")
    first = own.start(own.prompt(session.id, text))
    await started(f"sleep 1; echo {text}")
    await first.leave()
    assert await own.port.lookup(first.run) is Known.RUNNING
    again = own.attach(first.run)
    assert await again.finished() == DONE
    assert again.progress.text == "First.\n\nLast."
    assert await own.port.lookup(first.run) is Known.OVER
    real = replace(first.run, message_id=again.events[0].message_id)
    assert await own.port.lookup(real) is Known.OVER
    for run in (first.run, real):
        later = own.attach(run)
        assert await later.finished() == DONE
        assert later.progress == again.progress
    assert len(own.model.asked(text)) == 2


async def test_stopped_with_its_tool_and_what_waits_behind_it(own, text):
    session = await own.session()
    line = f"sleep 2; touch late-{text}"
    own.model.on(f"{text} first").call("bash", bash(line)).then_say("never")
    first = own.start(own.prompt(session.id, f"{text} first"))
    tool = await started(line)
    second = own.start(own.prompt(session.id, f"{text} second"))
    await asyncio.sleep(0)
    assert await own.port.lookup(second.run) is Known.ABSENT
    await own.port.stop(session.id, own.project)
    assert not [process for process in processes() if process.pid == tool.pid]
    assert await first.finished() == STOPPED
    assert await second.finished() == STOPPED
    assert [step.state for step in first.progress.steps] == [StepState.ERROR]
    assert not own.model.asked(f"{text} second")
    assert not (own.project / f"late-{text}").exists()
    own.model.on(f"{text} third").say("Goes on.")
    assert (await own.say(session.id, f"{text} third")).progress.text == "Goes on."


@LAUNCHED
async def test_killed_from_outside_it_is_cut_and_the_one_behind_gets_its_turn(own, text):
    session = await own.session()
    own.model.on(f"{text} first").call("bash", bash(f"sleep 30; echo {text}")).then_say("never")
    own.model.on(f"{text} second").say("My turn.")
    first = own.start(own.prompt(session.id, f"{text} first"))
    await started(f"sleep 30; echo {text}")
    second = own.start(own.prompt(session.id, f"{text} second"))
    await asyncio.sleep(0)
    for group in {process.group for process in running(session.id)}:
        os.killpg(group, signal.SIGKILL)
    assert (await first.finished()).outcome is Outcome.CUT
    assert await own.port.lookup(first.run) is Known.OVER
    assert (await own.attach(first.run).finished()).outcome is Outcome.CUT
    assert await second.finished() == DONE
    assert second.progress.text == "My turn."


@LAUNCHED
async def test_a_session_deleted_under_its_run(own, text):
    session = await own.session()
    rule = own.model.on(text).say("x").hang()
    listener = own.start(own.prompt(session.id, text))
    await rule.seen.wait()
    await own.port.delete_session(session.id)
    assert (await listener.finished()).outcome is Outcome.STOPPED
    assert not running(session.id)


@LAUNCHED
async def test_a_hang_is_told_from_work(place, text):
    patience = Patience(first=30, silence=1.2, look_every=0.3)
    async with command(place, "hung", patience) as lab:
        session = await lab.session()
        rule = lab.model.on(text).call("bash", bash(f"sleep 2.5; echo {text}"))
        rule.then().say("Half").hang()
        listener = await lab.say(session.id, text)
        end = listener.events[-1]
        assert (end.outcome, end.error_code) == (Outcome.FAILED, "hung")
        assert listener.progress.steps[0].output.strip() == text  # silent for longer than that, and left alone
        assert not running(session.id)


@LAUNCHED
async def test_its_server_is_there_only_when_it_is_needed(place):
    async with command(place, "idle", idle=0.3) as lab:
        session = await lab.session()
        note = json.loads(state_file(place, "idle").read_text())
        server = f"serve --hostname 127.0.0.1 --port {note['port']}"
        assert running(server)
        async with asyncio.timeout(10):
            while running(server):
                await asyncio.sleep(0.05)
            while state_file(place, "idle").exists():
                await asyncio.sleep(0.01)
        assert await lab.port.find_session(session.id) is not None
        assert not lab.notices


BOT = """
import asyncio, sys
from pathlib import Path
from adapters.opencode.command import OpencodeCommand
from adapters.opencode.settings import OpencodeServerSettings
from core.ports import AgentRun
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import OpencodeHome

async def main(state_file, command, home, project, text):
    env = OpencodeHome(Path(home), "", catalogue=False).env
    settings = OpencodeServerSettings(state_file=Path(state_file), command=command, env=env)
    port = OpencodeCommand(settings, WallClock())
    session = await port.create_session(Path(project), "Left behind")
    run = AgentRun(session.id, Path(project), port.new_message_id(), text)
    print(session.id, run.message_id, flush=True)
    async for _ in port.run(run):
        pass

asyncio.run(main(*sys.argv[1:]))
"""


@LAUNCHED
async def test_what_a_killed_bot_left_behind_is_ended_and_looked_up(place, text):
    line = f"sleep 30; echo {text}"
    place.model.on(text).say("Before.").call("bash", bash(line)).then_say("never")
    state_file(place, "left").parent.mkdir()
    arguments = (str(state_file(place, "left")), str(place.binary), str(place.home.root), str(place.project), text)
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BOT, *arguments, stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    try:
        async with asyncio.timeout(20):
            session, message = (await bot.stdout.readline()).decode().split()
        await started(line)
    finally:
        bot.kill()
        await bot.wait()
    assert running(session)
    async with command(place, "left") as lab:
        run = replace(lab.prompt(session, text), message_id=message)
        assert await lab.port.lookup(replace(run, prompt="Another")) is Known.ABSENT
        assert not running(session)
        assert not running(line)
        assert await lab.port.lookup(run) is Known.OVER
        listener = lab.attach(run)
        assert (await listener.finished()).outcome is Outcome.CUT
        assert listener.progress.text == "Before."


@LAUNCHED
async def test_ended_with_kugetsu(place, text):
    line = f"sleep 30; echo {text}"
    async with command(place, "ended") as lab:
        session = await lab.session()
        lab.model.on(text).call("bash", bash(line)).then_say("never")
        listener = lab.start(lab.prompt(session.id, text))
        waiting = lab.start(lab.prompt(session.id, f"{text} waits"))
        await started(line)
    assert (await listener.finished()).error_code == "closed"
    assert (await waiting.finished()).error_code == "closed"
    assert not running(session.id)
    assert not running(line)
    with pytest.raises(AgentUnavailable):
        await lab.port.capabilities()
