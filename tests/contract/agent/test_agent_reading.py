"""Runs that look and change nothing, and forks of a session that is at work."""

from __future__ import annotations

import asyncio
import sys

import pytest

from core.events import Finished, Outcome, StepState
from core.model import PermissionRule

pytestmark = pytest.mark.asyncio(loop_scope="session")
DONE = Finished(Outcome.DONE)
ALLOWED = {"permission": {"*": "allow", "edit": "allow", "bash": {"*": "allow"}}}
# A server of the Model Context Protocol with one tool, which writes a file into the folder it is started in.
MCP = """
import json, pathlib, sys

for line in sys.stdin:
    asked = json.loads(line)
    match asked["method"]:
        case "initialize":
            version = asked["params"]["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}}
            result["serverInfo"] = {"name": "x", "version": "1"}
        case "tools/list":
            result = {"tools": [{"name": "mark", "description": "Marks", "inputSchema": {"type": "object"}}]}
        case "tools/call":
            pathlib.Path(sys.argv[1]).write_text("marked")
            result = {"content": [{"type": "text", "text": "marked"}]}
        case _:
            continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


def bash(line: str) -> dict[str, str]:
    return {"command": line, "description": "x"}


def files(directory) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


async def test_a_read_only_run_changes_nothing_whatever_is_allowed(lab, text):
    mark = lab.root / f"mark-{text}"
    server = lab.root / f"{text}.py"
    server.write_text(MCP)
    command = {"type": "local", "command": [sys.executable, str(server), str(mark)], "enabled": True}
    directory = lab.configured(ALLOWED | {"mcp": {"my server": command}})
    before = files(directory)
    session = await lab.session(directory)
    task = {"description": "Look", "prompt": f"child-{text}", "subagent_type": "general"}
    lab.model.on(f"child-{text}").call("bash", bash("touch child")).then_say("Child.")
    (
        lab.model.on(f"root-{text}")
        .call("read", {"filePath": str(directory / "README.md")})
        .call("write", {"filePath": str(directory / "new"), "content": "x"})
        .call("edit", {"filePath": str(directory / "README.md"), "oldString": "#", "newString": "!"})
        .call("bash", bash("touch new"))
        .call("my_server_mark", {})
        .call("task", task)
        .call("todowrite", {"todos": []})
        .then_say("I have looked.")
    )
    rules = (PermissionRule("*", "*", "allow"),)
    listener = await lab.say(session.id, f"root-{text}", directory, read_only=True, rules=rules)
    assert listener.events[-1] == DONE
    assert listener.progress.text == "I have looked."
    looked = [step for step in listener.progress.steps if step.tool == "read"]
    assert [step.state for step in looked] == [StepState.COMPLETED]
    assert files(directory) == before
    assert not mark.exists()
    asked = lab.model.asked(f"root-{text}")
    offered = {tool["function"]["name"] for tool in asked[0].body["tools"]}
    assert {"read", "glob", "grep"} <= offered
    assert not offered & {"edit", "write", "bash", "task", "todowrite", "question", "my_server_mark"}
    assert not lab.model.asked(f"child-{text}")
    assert not listener.progress.asking

    other = await lab.session(directory)
    lab.model.on(text).call("my_server_mark", {}).then_say("Marked.")
    await lab.say(other.id, text, directory)
    assert mark.exists()


async def test_what_the_user_keeps_from_being_read_stays_so(lab, text):
    directory = lab.configured({"permission": {"read": {"*": "allow", "*secret*": "deny"}}})
    (directory / "secret.txt").write_text("the moon is hollow")
    session = await lab.session(directory)
    lab.model.on(text).call("read", {"filePath": str(directory / "secret.txt")}).then_say("Not for me.")
    listener = await lab.say(session.id, text, directory, read_only=True)
    assert listener.progress.text == "Not for me."
    assert "hollow" not in str(lab.model.asked(text)[-1].tool_results)


async def test_a_session_at_work_is_forked_and_the_fork_answers_meanwhile(lab, text):
    session = await lab.session()
    wait, begun = lab.project / f"go-{text}", lab.project / f"begun-{text}"
    line = f"touch {begun.name}; until [ -e {wait.name} ]; do sleep 0.05; done; echo waited"
    rule = lab.model.on(f"{text} long").say("I begin.").call("bash", bash(line))
    rule.then_say("All done.")
    long = lab.start(lab.prompt(session.id, f"{text} long"))
    async with asyncio.timeout(20):
        while not begun.exists():
            await asyncio.sleep(0.02)
    fork = await lab.port.fork_session(session.id, lab.project)
    await lab.port.settle_directory(fork.id, lab.project)
    lab.model.on(f"{text} aside").say("It waits for a file.")
    aside = await lab.say(fork.id, f"{text} aside", read_only=True)
    assert aside.events[-1] == DONE
    assert aside.progress.text == "It waits for a file."
    said = str(lab.model.asked(f"{text} aside")[0].messages)
    assert "I begin." in said
    assert wait.name in said  # the call under way, as one that was interrupted
    wait.touch()
    assert await long.finished() == DONE
    assert long.progress.text == "I begin.\n\nAll done."
    assert long.progress.steps[-1].output.strip() == "waited"
    assert f"{text} aside" not in str(lab.model.asked(f"{text} long")[-1].messages)
