"""Wire values → what core understands: one line that tells a tool call, what a person needs to decide. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapters.opencode.wire import Part, PermissionAsked, QuestionAsked, StepTokens, TodoItem
from core.events import Planned, Step, StepState, Todo
from core.model import Choice, PermissionRequest, Question, QuestionRequest, SessionId, Tokens

MAX_OUTPUT = 20_000  # characters of a tool's output that are passed on; opencode keeps the whole
MAX_TITLE = 200
# The input fields that tell most about a call, best first; tools of plugins fall back to their first text.
_TELLING = ("filePath", "command", "pattern", "url", "query", "description", "path", "name", "header")
_DECIDING = ("command", "filepath", "filePath", "url", "pattern", "query", "path")


def step(part: Part, directory: Path, sub_agent: SessionId | None = None) -> Step | None:
    """A tool part as a Step; None while its state is one we do not know."""
    state = part.state
    if state is None or state.status not in set(StepState):
        return None
    title = _title(arguments(part), directory) or one_line(state.title or "")
    return Step(
        id=part.id,
        tool=part.tool,
        state=StepState(state.status),
        title=title,
        output=clipped(state.output or ""),
        error=state.error or "",
        sub_agent=sub_agent,
    )


def permission_request(asked: PermissionAsked) -> PermissionRequest:
    """What is shown when the agent asks to be allowed something."""
    detail = next((str(asked.metadata[key]) for key in _DECIDING if asked.metadata.get(key)), "")
    return PermissionRequest(
        id=asked.id,
        session=SessionId(asked.session),
        permission=asked.permission,
        patterns=tuple(asked.patterns),
        detail=detail or ", ".join(asked.patterns),
        always=tuple(asked.always),
    )


def question_request(asked: QuestionAsked) -> QuestionRequest:
    """What is shown when the agent asks people."""
    questions = tuple(
        Question(
            header=item.header,
            text=item.question,
            choices=tuple(Choice(option.label, option.description) for option in item.options),
            multiple=item.multiple,
        )
        for item in asked.questions
    )
    return QuestionRequest(asked.id, SessionId(asked.session), questions)


def planned(todos: Sequence[TodoItem]) -> Planned:
    """The agent's plan."""
    return Planned(tuple(Todo(item.content, item.status) for item in todos))


def tokens(used: StepTokens) -> Tokens:
    """Counts of one model step."""
    return Tokens(
        input=int(used.input),
        output=int(used.output),
        reasoning=int(used.reasoning),
        cache_read=int(used.cache.read),
        cache_write=int(used.cache.write),
    )


def context(used: Tokens, *, summary: bool) -> int:
    """Tokens of the conversation after a step: all that was read and written, or what a summary leaves of it."""
    if summary:
        return used.output
    return used.input + used.cache_read + used.cache_write + used.output + used.reasoning


def clipped(text: str) -> str:
    """At most MAX_OUTPUT characters: both ends, for files tell most at the top and commands at the bottom."""
    if len(text) <= MAX_OUTPUT:
        return text
    half = MAX_OUTPUT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def one_line(text: str) -> str:
    """The first line that says something, not too long."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= MAX_TITLE else f"{line[: MAX_TITLE - 1]}…"


def arguments(part: Part) -> dict[str, Any]:
    """What a tool is called with; empty while the call is still being written."""
    if part.state is None:
        return {}
    try:
        value = msgspec.json.decode(part.state.input)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}  # a call still being written has its raw text here


def relative(path: str, directory: Path) -> str:
    """Inside the session's directory, the path as people know it."""
    if not path.startswith(f"{directory}{os.sep}"):
        return path
    return path[len(str(directory)) + 1 :]


def _title(given: dict[str, Any], directory: Path) -> str:
    for key in _TELLING:
        value = given.get(key)
        if isinstance(value, str) and value.strip():
            return one_line(relative(value, directory) if key in {"filePath", "path"} else value)
    return next((one_line(value) for value in given.values() if isinstance(value, str) and value.strip()), "")
