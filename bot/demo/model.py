"""The demo's model: canned answers and real tool calls, so that everything but the intelligence can be tried.

opencode sends the whole conversation with every request. Which scene is played is read off the last user message,
how far it has got off the number of times the assistant has spoken since.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bot.demo.endpoint import Piece, ToolCall
from bot.demo.project import MODULE, README, TEST_COMMAND

PAUSE = 0.025  # seconds a word: about as fast as one reads
NOTICE = "I am kugetsu's demo model: what I say is canned, what the tools do is real."
GREETINGS = {
    "de": "Hallo",
    "eo": "Saluton",
    "es": "Hola",
    "fi": "Hei",
    "fr": "Bonjour",
    "id": "Halo",
    "it": "Ciao",
    "nl": "Hallo",
    "pl": "Cześć",
    "pt": "Olá",
    "sv": "Hej",
    "tr": "Merhaba",
}

_WORDS = re.compile(r"\S+\s*|\s+")
_DIRECTORY = re.compile(r"^\s*Working directory: (.+)$", re.MULTILINE)
_NUMBERED = re.compile(r"^\s*\d+[:|] ?(.*)$")  # how the read tool prints a file's lines

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Request:
    """What the demo looks at in a request."""

    text: str  # the last user message
    directory: str  # where the agent works; empty when the prompt does not say
    turn: int  # how often the assistant has spoken since
    results: tuple[str, ...]  # what its tools gave, oldest first
    tools: frozenset[str]
    title: bool  # only a title is wanted

    @classmethod
    def of(cls, body: dict[str, Any]) -> Request:
        """From an OpenAI chat completion request."""
        messages = body.get("messages", [])
        last = max((n for n, message in enumerate(messages) if message.get("role") == "user"), default=-1)
        since = messages[last + 1 :]
        system = "\n".join(_text(message) for message in messages if message.get("role") == "system")
        directory = _DIRECTORY.search(system)
        asked = [_text(message) for message in messages if message.get("role") == "user"]
        return cls(
            text=_text(messages[last]) if last >= 0 else "",
            directory=directory[1].strip() if directory else "",
            turn=sum(message.get("role") == "assistant" for message in since),
            results=tuple(_text(message) for message in since if message.get("role") == "tool"),
            tools=frozenset(tool.get("function", {}).get("name", "") for tool in body.get("tools") or ()),
            title=not body.get("tools") and any(text.startswith("Generate a title") for text in asked),
        )

    @property
    def last(self) -> str:
        """The newest tool result."""
        return self.results[-1] if self.results else ""


class DemoModel:
    """The `Responder` of the demo's endpoint."""

    def __init__(self, sleep: Sleep = asyncio.sleep, pause: float = PAUSE) -> None:
        self._sleep = sleep
        self._pause = pause

    async def respond(self, body: dict[str, Any]) -> AsyncIterator[Piece]:
        """Text word by word, then tool calls."""
        request = Request.of(body)
        for piece in _scene(request):
            if not isinstance(piece, str):
                yield piece
                continue
            for word in _WORDS.findall(piece):
                yield word
                await self._sleep(self._pause)


def _scene(request: Request) -> list[Piece]:
    if not request.tools:
        return [_title(request.text) if request.title else NOTICE]
    if not request.directory:
        return [_HELLO]
    for words, tool, scene in _SCENES:
        if tool in request.tools and re.search(rf"\b(?:{words})\b", request.text, re.IGNORECASE):
            return scene(request)
    return [_HELLO]


def _title(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Demo: {' '.join(lines[-1].split()[:8])[:60]}" if lines else "Demo"


def _question(request: Request) -> list[Piece]:
    if request.turn == 0:
        options = [
            {"label": "Green", "description": "The colour of leaves"},
            {"label": "Blue", "description": "The colour of the sea"},
            {"label": "No colour", "description": "Plain is fine"},
        ]
        asked = {"question": "Which colour should the greeting have?", "header": "Colour", "options": options}
        return [f"{NOTICE} Here is a question, as an agent may ask one:", ToolCall("question", {"questions": [asked]})]
    return [
        f"Thank you. This is what reached me:\n\n> {_quoted(request.last)}\n\nA real model would now go on with it."
    ]


def _edit(request: Request) -> list[Piece]:
    path = f"{request.directory}/{MODULE}"
    if request.turn == 0:
        return [f"{NOTICE} I read `{MODULE}` first.", ToolCall("read", {"filePath": path})]
    content = "\n".join(match[1] for line in request.results[0].splitlines() if (match := _NUMBERED.match(line)))
    new = next(((code, word) for code, word in GREETINGS.items() if f'"{code}"' not in content), None)
    opening = "GREETINGS = {\n"
    if opening not in content:
        return [
            f"There is no list of greetings in `{MODULE}` for me to extend, and that is all I can do. Nothing changed."
        ]
    if new is None:
        return [f"`{MODULE}` has every greeting I know already. Nothing changed."]
    code, word = new
    line = f'    "{code}": "{word}",\n'
    if request.turn == 1:
        edit = {"filePath": path, "oldString": opening, "newString": opening + line}
        return [f"It has no greeting for `{code}` yet; I add one.", ToolCall("edit", edit)]
    if "applied" not in request.last.lower() and "success" not in request.last.lower():
        return [f"The edit did not work:\n\n> {_quoted(request.last)}\n\nNothing changed."]
    return [
        f"Done. I changed one file, `{MODULE}`, in this session's own worktree:\n\n```diff\n+{line}```\n\n"
        "The checkout you started from is untouched. Try `run the tests` next, or `/status`."
    ]


def _run(request: Request) -> list[Piece]:
    if request.turn == 0:
        tests = re.search(r"\btests?\b", request.text, re.IGNORECASE)
        command = TEST_COMMAND if tests else "git status --short && ls"
        call = ToolCall(
            "bash", {"command": command, "description": "Runs the tests" if tests else "Shows the worktree"}
        )
        return [f"{NOTICE} I run `{command}`.", call]
    return [f"This is what it printed:\n\n```\n{request.last.strip()[:2000] or '(nothing)'}\n```\n"]


def _read(request: Request) -> list[Piece]:
    if request.turn == 0:
        return [f"{NOTICE} I read `{README}`.", ToolCall("read", {"filePath": f"{request.directory}/{README}"})]
    lines = [match[1] for line in request.last.splitlines() if (match := _NUMBERED.match(line)) and match[1].strip()]
    if not lines:
        return [f"I could not read it:\n\n> {_quoted(request.last)}"]
    said = "\n".join(f"> {line}" for line in lines[:4])
    return [f"`{README}` begins like this:\n\n{said}\n\nI understand none of it, being a demo, but I did read it."]


def _quoted(text: str) -> str:
    return text.strip().replace("\n", "\n> ")[:1000]


_HELLO = f"""{NOTICE}

You can see how kugetsu works without a key and without cost. Say, for example:

- `read the README`: I use a tool, and you see it
- `add a greeting`: I edit a file in this session's worktree
- `run the tests`: I need your permission first
- `ask me something`: I ask, you answer

Type while I talk; your message waits its turn. `/stop` stops me, `/list` shows all sessions."""

# Words, the tool the scene needs, the scene; the first that fits is played.
_SCENES: tuple[tuple[str, str, Callable[[Request], list[Piece]]], ...] = (
    ("ask|question|choose|choice", "question", _question),
    ("add|change|edit|fix|implement|write|create|make|refactor|rename|remove|improve|greetings?", "edit", _edit),
    ("run|tests?|execute|build|list|ls|status", "bash", _run),
    ("read|show|look|explain|describe|what|readme", "read", _read),
)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
