"""A state folder as the research left it, and people editing the files of a newer one, on real opencode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.opencode.server import OpencodeServer
from core.model import SessionId
from tests.e2e.harness import PROJECT, REF, VERSIONS, Machine
from tests.simulators.agent_lab import Lab, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import git_project, git_worktree


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(read(file) | changes))


async def sessions_by_hand(machine: Machine, *directories: Path) -> list[SessionId]:
    """As somebody made them in opencode's own interfaces; the first one has been talked to."""
    agent = OpencodeServer(server_settings(machine.root, machine.home, VERSIONS[machine.kind.version]()), WallClock())
    try:
        lab = Lab(agent, machine.model, machine.project, machine.root, machine.home)
        made = [(await lab.session(directory)).id for directory in directories]
        await lab.say(made[0], "the password is swordfish", directories[0])
        return made
    finally:
        await agent.close()


@pytest.mark.also("server-oldest")
async def test_the_researchs_sessions_go_on_and_hand_edits_are_heard(machine: Machine) -> None:
    tree = git_worktree(machine.project, machine.root / "old-tree", "issue-14").resolve()
    elsewhere = git_project(machine.root / "elsewhere")
    talked, plain, base, foreign = await sessions_by_hand(machine, tree, machine.project, machine.project, elsewhere)
    sessions = machine.state / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    (sessions / "fourteen.json").write_text(json.dumps({"opencode_session_id": talked, "worktree": str(tree)}))
    issues = {REF: "fourteen.json", f"{PROJECT}#15": plain, f"{PROJECT}#16": foreign, f"{PROJECT}#17": "../x.json"}
    index = machine.state / "index.json"
    index.write_text(json.dumps({"base": base, "issues": issues}))

    listed = await machine.ok("list", "--json")
    found = {session["ref"]: session for session in listed.json}
    assert found.keys() == {REF, f"{PROJECT}#15"}
    old = found[REF]
    assert (old["session"], old["directory"], old["branch"]) == (talked, str(tree), "issue-14")
    assert (found[f"{PROJECT}#15"]["directory"], found[f"{PROJECT}#15"]["branch"]) == (str(machine.project), "")
    assert "not in the repository" in listed.err
    assert "../x.json" in next(machine.state.glob("index.json.kept-*")).read_text()
    assert read(index)["base"] == {PROJECT: base}

    machine.model.on("which").say("It is swordfish.")
    went_on = await machine.ok("continue", REF, "which was it?", "--json")
    assert (went_on.finished["session"], went_on.finished["text"]) == (talked, "It is swordfish.")
    assert any("swordfish" in str(message) for message in machine.model.asked("which")[-1].messages[:-1])

    file = sessions / read(index)["issues"][REF]
    edit(file, title="Mine", branch="main")
    (sessions / read(index)["issues"][f"{PROJECT}#15"]).unlink()
    edited = await machine.ok("list", "--json")
    assert {session["ref"] for session in edited.json} == found.keys()
    assert "Mine" in edited.err
    assert "`branch`" in edited.err
    assert "missing" in edited.err
    assert (read(file)["title"], read(file)["branch"]) == ("Mine", "issue-14")
    assert (sessions / read(index)["issues"][f"{PROJECT}#15"]).exists()

    edit(file, session=foreign)
    index.write_text('{"issues": 7}')
    nonsense = await machine.ok("status", REF, "--json")
    assert nonsense.json["session"] == talked
    assert "Traceback" not in nonsense.err
    assert read(file)["session"] == talked
    assert read(index)["issues"].keys() == found.keys()
