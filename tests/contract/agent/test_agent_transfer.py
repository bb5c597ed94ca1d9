"""Sessions taken out of one opencode and brought into another."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.opencode.server import OpencodeServer
from core.errors import AgentError, AgentSessionGone, WrongDirectory
from core.model import SessionId
from tests.contract.agent.conftest import BACKENDS
from tests.simulators.agent_lab import CONFIG, Lab, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import git_project, opencode_home

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("sessions")]


@pytest_asyncio.fixture(loop_scope="session")
async def there(lab: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    """Another machine: a home of its own, and a clone of the project."""
    home = opencode_home(tmp_path / "home", lab.model.url, CONFIG, catalogue=False)
    port = BACKENDS[request.node.callspec.params["lab"]](tmp_path, home)
    subprocess.run(["git", "clone", "-q", lab.project, tmp_path / "clone"], check=True, timeout=20)
    yield Lab(port, lab.model, tmp_path / "clone", tmp_path, home)
    await port.close()


def forged(title: str = "Forged", size: int = 3, **info: Any) -> dict[str, Any]:
    """An export with one question and its answer of `size` characters, as both versions know them."""
    tail = uuid.uuid4().hex[:14]
    session, question, answer = f"ses_df80fd865ffe{tail}", f"msg_207f027a0001{tail}", f"msg_207f027a0002{tail}"
    tokens = {"input": 1, "output": 1, "reasoning": 0, "cache": {"read": 0, "write": 0}}

    def text(message: str, number: int, said: str) -> dict[str, Any]:
        return {
            "id": f"prt_207f027a000{number}{tail}",
            "sessionID": session,
            "messageID": message,
            "type": "text",
            "text": said,
        }

    asked = {
        "id": question,
        "sessionID": session,
        "role": "user",
        "time": {"created": 1795429509072},
        "agent": "build",
        "model": {"providerID": "mock", "modelID": "m1"},
    }
    answered = {
        "id": answer,
        "sessionID": session,
        "role": "assistant",
        "parentID": question,
        "time": {"created": 1795429509080, "completed": 1795429509090},
        "mode": "build",
        "agent": "build",
        "path": {"cwd": "/elsewhere", "root": "/elsewhere"},
        "cost": 0,
        "tokens": tokens,
        "modelID": "m1",
        "providerID": "mock",
        "finish": "stop",
    }
    return {
        "info": {
            "id": session,
            "slug": "tidy-pixel",
            "projectID": "0" * 40,
            "directory": "/elsewhere",
            "title": title,
            "version": "1.3.0",
            "time": {"created": 1795429509018, "updated": 1795429509090},
            **info,
        },
        "messages": [
            {"info": asked, "parts": [text(question, 1, "Remember the moon")]},
            {"info": answered, "parts": [text(answer, 2, "ä" * size)]},
        ],
    }


def encoded(export: Any) -> bytes:
    return json.dumps(export).encode()


async def exported(lab: Lab, session: str) -> dict[str, Any]:
    return json.loads(await lab.port.export_session(SessionId(session)))


def delegating(lab: Lab, text: str) -> None:
    """The agent runs a command and has a sub-agent do something."""
    task = {"description": "Help", "prompt": f"{text} sub", "subagent_type": "general"}
    command = {"command": "true", "description": "Nothing"}
    lab.model.on(f"{text} sub").say("Helped.")
    lab.model.on(f"{text} go").call("bash", command).call("task", task).then_say("Done.")


async def test_a_session_goes_to_another_machine_and_goes_on_there(lab, there, text):
    base = await lab.session()
    await lab.say(base.id, f"{text} remember the moon")
    worktree = lab.worktree()
    fork = await lab.port.fork_session(base.id, worktree)
    await lab.port.settle_directory(fork.id, worktree)
    delegating(lab, text)
    await lab.say(fork.id, f"{text} go", worktree)
    await lab.port.rename_session(fork.id, "Übersetzung 🌕")

    home = there.worktree()
    export = await lab.port.export_session(fork.id)
    imported = await there.port.import_session(export, home)

    assert (imported.id, imported.title, imported.directory) == (fork.id, "Übersetzung 🌕", home)
    assert imported.parent_id is None
    assert imported == await there.port.find_session(fork.id)
    assert fork.id in {session.id for session in await there.port.list_sessions(there.project)}
    before, after = json.loads(export), await exported(there, fork.id)
    assert after["messages"] == before["messages"]

    (sub,) = before["children"]
    assert [(child["info"]["id"], child["info"]["directory"]) for child in after["children"]] == [
        (sub["info"]["id"], str(home))
    ]
    assert after["children"][0]["messages"] == sub["messages"]

    here = {"command": "pwd > here.txt", "description": "Where"}
    more = {"description": "More", "prompt": f"{text} more", "subagent_type": "general", "task_id": sub["info"]["id"]}
    there.model.on(f"{text} on").call("bash", here).call("task", more).then_say("There.")
    listener = await there.say(fork.id, f"{text} on", home)
    assert listener.progress.text == "There."
    assert (home / "here.txt").read_text().strip() == str(home)
    said = str(there.model.asked(f"{text} on")[0].messages)
    assert "remember the moon" in said
    assert "Helped." in said
    assert "Helped." in str(there.model.asked(f"{text} more")[-1].messages)  # the sub-agent goes on where it was


async def test_it_comes_back_where_it_was_deleted(lab, text):
    session = await lab.session()
    delegating(lab, text)
    await lab.say(session.id, f"{text} go")
    export = await lab.port.export_session(session.id)
    await lab.port.delete_session(session.id)
    await lab.port.import_session(export, lab.project)
    before, after = json.loads(export), await exported(lab, session.id)
    assert after["messages"] == before["messages"]
    assert [child["messages"] for child in after["children"]] == [child["messages"] for child in before["children"]]


async def test_an_export_is_opencodes_own_without_what_is_of_this_machine(lab, text):
    session = await lab.session()
    listener = await lab.say(session.id, text)
    export = await exported(lab, session.id)
    assert set(export) == {"info", "messages"}
    assert export["info"]["id"] == session.id
    assert "share" not in export["info"]
    assert [message["info"]["role"] for message in export["messages"]] == ["user", "assistant"]
    assert export["messages"][0]["info"]["id"] == listener.events[0].message_id


async def test_a_long_session_comes_through_whole(lab, tmp_path):
    export = forged(size=6_000_000)  # 12 MB; opencode's own command would cut it off
    session = await lab.port.import_session(encoded(export), lab.project)
    back = await exported(lab, session.id)
    assert back["messages"] == export["messages"]


@pytest.mark.parametrize("session", ["ses_df85a4eb2ffefJpqu0TR1hhhHx", "../x", "-x", "ses_/../../x", "nonsense", ""])
async def test_exporting_what_does_not_exist(lab, session):
    with pytest.raises(AgentSessionGone) as gone:
        await lab.port.export_session(SessionId(session))
    assert gone.value.hint


async def test_a_session_that_is_here_is_not_touched(lab):
    export = encoded(forged())
    places = [lab.worktree(), lab.project]
    session, late = await asyncio.gather(
        *(lab.port.import_session(export, place) for place in places), return_exceptions=True
    )
    assert isinstance(late, AgentError)
    assert session.id in str(late)
    assert late.hint
    assert session.directory == places[0]
    assert await lab.port.find_session(session.id) == session

    # Under another name opencode takes it too, and drops its messages.
    other = f"ses_{uuid.uuid4().hex}"
    with pytest.raises(AgentError) as refused:
        await lab.port.import_session(export.replace(session.id.encode(), other.encode()), lab.project)
    assert "did not arrive" in str(refused.value)
    assert await lab.port.find_session(SessionId(other)) is None
    assert (await exported(lab, session.id))["messages"] == json.loads(export)["messages"]


async def test_what_opencode_refuses_half_way_leaves_nothing(lab):
    export = forged()
    export["messages"][1]["parts"][0]["type"] = "nonsense"
    with pytest.raises(AgentError) as refused:
        await lab.port.import_session(encoded(export), lab.project)
    assert "\x1b" not in str(refused.value)
    assert refused.value.hint
    assert await lab.port.find_session(SessionId(export["info"]["id"])) is None


@pytest.mark.parametrize("export", [b"", b"hello", b"[]", b"{}", b"\xff\xfe", b"[" * 50_000_000])
async def test_what_is_no_export(lab, export):
    with pytest.raises(AgentError) as refused:
        await lab.port.import_session(export, lab.project)
    assert "no export" in str(refused.value)
    assert refused.value.hint


async def test_nothing_of_the_other_machine_comes_along(lab):
    export = forged(
        parentID="ses_df80fd865ffeElsewhere",
        workspaceID="wrk_elsewhere",
        share={"url": "https://opncd.ai/s/elsewhere"},
        permission=[
            {"permission": "*", "pattern": "*", "action": "allow"},
            {"permission": "bash", "pattern": "rm *", "action": "deny"},
        ],
    )
    session = await lab.port.import_session(encoded(export), lab.project)
    assert session.parent_id is None
    info = (await exported(lab, session.id))["info"]
    assert info["permission"] == [{"permission": "bash", "pattern": "rm *", "action": "deny"}]
    assert not {"share", "workspaceID", "parentID"} & set(info)
    assert info["projectID"] != export["info"]["projectID"]


async def test_no_session_into_a_directory_that_does_not_exist(lab):
    export = forged()
    with pytest.raises(WrongDirectory):
        await lab.port.import_session(encoded(export), lab.root / "nowhere")
    assert await lab.port.find_session(SessionId(export["info"]["id"])) is None


async def test_into_another_project_and_through_a_link(lab):
    other = git_project(lab.root / uuid.uuid4().hex)
    link = lab.root / f"link-{other.name}"
    link.symlink_to(other)
    session = await lab.port.import_session(encoded(forged()), link)
    assert session.directory == other
    assert session.id in {each.id for each in await lab.port.list_sessions(other)}
    assert session.id not in {each.id for each in await lab.port.list_sessions(lab.project)}


async def test_a_server_of_somebody_else(model, tmp_path):
    """No command of ours would reach its data, so it has to take the session over HTTP, which 1.3 cannot."""
    home = opencode_home(tmp_path / "home", model.url, CONFIG)
    (tmp_path / "state").mkdir()
    project = git_project(tmp_path / "project")
    theirs = OpencodeServer(server_settings(tmp_path, home, password="theirs"), WallClock())
    try:
        version = (await theirs.capabilities()).version
        url = (await theirs._source.running()).http.url
        ours = OpencodeServer(server_settings(tmp_path, home, url=url, password="theirs"), WallClock())
        lab = Lab(ours, model, project, tmp_path, home)
        export = forged()
        if version.startswith("1.3."):
            with pytest.raises(AgentError) as refused:
                await ours.import_session(encoded(export), project)
            assert refused.value.hint
            assert await ours.find_session(SessionId(export["info"]["id"])) is None
        else:
            session = await ours.import_session(encoded(export), project)
            assert session.directory == project
            assert (await exported(lab, session.id))["messages"] == export["messages"]
            assert (await lab.say(session.id, "Go on")).progress.text == "ok"
            assert "Remember the moon" in str(model.asked("Go on")[-1].messages)
            with pytest.raises(AgentError):
                await ours.import_session(encoded(export), project)
            broken = forged()
            del broken["messages"][1]["info"]["role"]
            with pytest.raises(AgentError):
                await ours.import_session(encoded(broken), project)
            assert await ours.find_session(SessionId(broken["info"]["id"])) is None
        await ours.close()
    finally:
        await theirs.close()
