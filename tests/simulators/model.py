"""A model that says what a test tells it to, so that the real opencode can be driven without a provider.

    model.on("hello").say("Hi", " there", delay=0.01)
    model.on("list").call("bash", {"command": "ls", "description": "List"}).then_say("done")
    model.on("broken").fail(400, "boom")

A rule is a row of turns: opencode's first request gets the first turn, the request that brings the tools' results the
second, and so on. Which turn is due is read off the request itself (how often the assistant spoke since the last user
message), so rules hold for any number of sessions at once and for requests that are repeated.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

from bot.demo.endpoint import Failure, Finish, ModelEndpoint, Piece, Thought, ToolCall

TITLE = "A scripted title"
SUMMARY = "A scripted summary of the conversation."


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request opencode sent."""

    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    @property
    def system(self) -> str:
        return "\n".join(_text(message) for message in self.messages if message["role"] == "system")

    @property
    def text(self) -> str:
        """All messages, whoever spoke."""
        return "\n".join(_text(message) for message in self.messages)

    @property
    def user_text(self) -> str:
        """The last user message, its text parts joined."""
        return next((_text(message) for message in reversed(self.messages) if message["role"] == "user"), "")

    @property
    def turn(self) -> int:
        """How often the assistant spoke since the last user message."""
        count = 0
        for message in reversed(self.messages):
            if message["role"] == "user":
                break
            count += message["role"] == "assistant"
        return count

    @property
    def tool_results(self) -> list[str]:
        """What the tools gave since the last user message."""
        results: list[str] = []
        for message in reversed(self.messages):
            if message["role"] == "user":
                break
            if message["role"] == "tool":
                results.append(_text(message))
        return results[::-1]

    @property
    def is_title(self) -> bool:
        return not self.body.get("tools") and "title generator" in self.system

    @property
    def is_summary(self) -> bool:
        """A compaction: no tools either, but no title."""
        return not self.body.get("tools") and not self.is_title


@dataclass(slots=True)
class _Turn:
    pieces: list[Piece] = field(default_factory=list)
    delay: float = 0.0
    gate: asyncio.Event | None = None
    failures: int = -1  # how often a Failure is given before the turn succeeds; -1: always
    then: int = 0  # pieces before the gate


class Rule:
    """What is said to requests whose last user text matches. Methods return the rule, to be chained."""

    def __init__(self, pattern: str | re.Pattern[str]) -> None:
        self._pattern = pattern
        self.turns: list[_Turn] = [_Turn()]
        self.seen = asyncio.Event()  # set when a request first matched

    def matches(self, text: str) -> bool:
        if isinstance(self._pattern, str):
            return self._pattern in text
        return self._pattern.search(text) is not None

    def say(self, *pieces: str, delay: float = 0.0) -> Self:
        """Stream each piece as a chunk of its own, `delay` seconds before each."""
        self._turn.pieces.extend(pieces)
        self._turn.delay = delay
        return self

    def think(self, *thoughts: str) -> Self:
        self._turn.pieces.extend(map(Thought, thoughts))
        return self

    def end(self, reason: str) -> Self:
        """`length` or `content_filter`, in place of a plain end."""
        self._turn.pieces.append(Finish(reason))
        return self

    def call(self, tool: str, arguments: dict[str, Any]) -> Self:
        """Ask for a tool; several calls in one turn run in parallel."""
        self._turn.pieces.append(ToolCall(tool, arguments))
        return self

    def then(self) -> Self:
        """What follows answers the request that brings the results of this turn's tools."""
        self.turns.append(_Turn())
        return self

    def then_say(self, *pieces: str, delay: float = 0.0) -> Self:
        return self.then().say(*pieces, delay=delay)

    def fail(self, status: int, message: str, *, times: int = -1, headers: dict[str, str] | None = None) -> Self:
        """Refuse with an HTTP error; with `times`, only so often, and what the turn says otherwise afterwards."""
        self._turn.pieces.insert(0, Failure(status, message, headers or {}))
        self._turn.failures = times
        return self

    def hang(self) -> Self:
        """Say nothing more in this turn until `release`; without it, for ever."""
        self._turn.gate = asyncio.Event()
        self._turn.then = len(self._turn.pieces)
        return self

    def release(self) -> None:
        """Let every hanging turn of this rule go on."""
        for turn in self.turns:
            if turn.gate:
                turn.gate.set()

    @property
    def _turn(self) -> _Turn:
        return self.turns[-1]

    async def respond(self, request: ModelRequest) -> AsyncIterator[Piece]:
        """The pieces of the turn that is due; after the last one, a plain end."""
        self.seen.set()
        if request.turn >= len(self.turns):
            yield "(nothing more is scripted)"
            return
        turn = self.turns[request.turn]
        for index, piece in enumerate(turn.pieces):
            if turn.gate and index == turn.then:
                await turn.gate.wait()
            if isinstance(piece, Failure):
                if turn.failures:
                    turn.failures -= 1
                    yield piece
                    return
                continue
            if turn.delay:
                await asyncio.sleep(turn.delay)
            yield piece
        if turn.gate and turn.then >= len(turn.pieces):
            await turn.gate.wait()


class ScriptedModel:
    """The endpoint with its rules. Later rules win; what no rule matches is answered with `ok`."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self._rules: list[Rule] = []
        self._summaries: list[Rule] = []
        self._endpoint = ModelEndpoint(self._respond)

    @property
    def url(self) -> str:
        return self._endpoint.url

    async def start(self) -> None:
        await self._endpoint.start()

    async def stop(self) -> None:
        for rule in (*self._rules, *self._summaries):
            rule.release()
        await self._endpoint.stop()

    def on(self, pattern: str | re.Pattern[str]) -> Rule:
        """Begin a rule for requests whose last user text contains (or, compiled, matches) `pattern`."""
        rule = Rule(pattern)
        self._rules.append(rule)
        return rule

    def on_summary(self, pattern: str) -> Rule:
        """Begin a rule for summaries of conversations that contain `pattern`; others are `SUMMARY`."""
        rule = Rule(pattern)
        self._summaries.append(rule)
        return rule

    def summarised(self, pattern: str) -> list[ModelRequest]:
        """The requests for summaries of conversations that contain `pattern`."""
        return [request for request in self.requests if request.is_summary and pattern in request.text]

    def asked(self, text: str) -> list[ModelRequest]:
        """The requests (titles and summaries apart) whose last user text contains `text`."""
        return [request for request in self.requests if request.body.get("tools") and text in request.user_text]

    async def _respond(self, body: dict[str, Any]) -> AsyncIterator[Piece]:
        request = ModelRequest(body)
        self.requests.append(request)
        if request.is_title:
            yield TITLE
            return
        rules, text, otherwise = self._rules, request.user_text, "ok"
        if request.is_summary:
            rules, text, otherwise = self._summaries, request.text, SUMMARY
        rule = next((rule for rule in reversed(rules) if rule.matches(text)), None)
        if rule is None:
            yield otherwise
            return
        async for piece in rule.respond(request):
            yield piece


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
