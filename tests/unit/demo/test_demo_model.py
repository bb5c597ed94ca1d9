from __future__ import annotations

from typing import Any

import pytest

from bot.demo.endpoint import Piece, ToolCall
from bot.demo.model import GREETINGS, NOTICE, DemoModel
from bot.demo.project import FILES, MODULE

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("bash", "edit", "read", "question", "write")]
SYSTEM = {
    "role": "system",
    "content": "You are an agent.\n<env>\n  Working directory: /w/demo 1\n  Platform: linux\n</env>",
}


async def no_sleep(seconds: float) -> None:
    assert seconds > 0


async def play(*messages: dict[str, Any], tools: list[Any] | None = None) -> tuple[str, list[ToolCall]]:
    body = {"messages": [SYSTEM, *messages], "tools": TOOLS if tools is None else tools}
    pieces: list[Piece] = [piece async for piece in DemoModel(no_sleep).respond(body)]
    calls = [piece for piece in pieces if isinstance(piece, ToolCall)]
    return "".join(piece for piece in pieces if isinstance(piece, str)), calls


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def turn(result: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": "…"}, {"role": "tool", "content": result}]


def read(content: str) -> str:
    lines = "\n".join(f"{n}: {line}" for n, line in enumerate(content.splitlines(), 1))
    return f"<path>/w/demo 1/{MODULE}</path>\n<content>\n{lines}\n\n(End of file)\n</content>"


async def test_words_come_one_by_one() -> None:
    pieces = [piece async for piece in DemoModel(no_sleep).respond({"messages": [SYSTEM, user("hi")], "tools": TOOLS})]
    assert len(pieces) > 60
    assert all(isinstance(piece, str) and len(piece.split()) <= 1 for piece in pieces)
    assert "".join(map(str, pieces)).startswith(NOTICE)


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("read the README", "read", {"filePath": "/w/demo 1/README.md"}),
        ("add a greeting", "read", {"filePath": "/w/demo 1/greeting.py"}),
        ("implement the login form", "read", {"filePath": "/w/demo 1/greeting.py"}),
        ("run the tests", "bash", {"command": "python3 -m unittest", "description": "Runs the tests"}),
        ("git status?", "bash", {"command": "git status --short && ls", "description": "Shows the worktree"}),
    ],
)
async def test_words_choose_the_tool(text: str, tool: str, arguments: dict[str, Any]) -> None:
    said, calls = await play(user(text))
    assert said.startswith(NOTICE)
    assert calls == [ToolCall(tool, arguments)]


async def test_a_question_has_choices_and_its_answer_is_repeated() -> None:
    said, [call] = await play(user("ask me something"))
    assert call.name == "question"
    [question] = call.arguments["questions"]
    assert len(question["options"]) == 3
    said, calls = await play(user("ask me something"), *turn('"Which colour"="Blue"'))
    assert ('"Blue"' in said, calls) == (True, [])


async def test_edits_add_a_greeting_each_until_all_are_there() -> None:
    content = FILES[MODULE]
    for code in GREETINGS:
        messages = [user("add a greeting"), *turn(read(content))]
        _, [call] = await play(*messages)
        assert call.name == "edit"
        assert content.count(call.arguments["oldString"]) == 1
        content = content.replace(call.arguments["oldString"], call.arguments["newString"])
        assert f'"{code}"' in content
        said, calls = await play(*messages, *turn("Edit applied successfully."))
        assert (calls, f"`{MODULE}`" in said) == ([], True)
    space: dict[str, Any] = {}
    exec(compile(content, MODULE, "exec"), space)
    assert space["greet"]("Ada", "pt") == "Olá, Ada!"
    said, calls = await play(user("add a greeting"), *turn(read(content)))
    assert (calls, "Nothing changed" in said) == ([], True)


@pytest.mark.parametrize("results", [["no such file"], [read(FILES[MODULE]), "the file changed since"]])
async def test_what_fails_is_said(results: list[str]) -> None:
    said, calls = await play(user("add a greeting"), *(message for result in results for message in turn(result)))
    assert (calls, "Nothing changed" in said) == ([], True)


async def test_only_the_last_message_counts() -> None:
    _, calls = await play(user("run the tests"), *turn("OK"), {"role": "assistant", "content": "."}, user("read it"))
    assert [call.name for call in calls] == ["read"]


async def test_titles_come_from_the_message() -> None:
    said, calls = await play(user("Generate a title for this conversation:\n"), user("add a\n greeting"), tools=[])
    assert (said, calls) == ("Demo: greeting", [])


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": [{"role": "user"}], "tools": TOOLS}])
async def test_any_request_is_answered(body: dict[str, Any]) -> None:
    assert [piece async for piece in DemoModel(no_sleep).respond(body)]


async def test_a_tool_that_is_not_offered_is_not_called() -> None:
    said, calls = await play(user("ask me something"), tools=[TOOLS[0]])
    assert (said[:4], calls) == (NOTICE[:4], [])
