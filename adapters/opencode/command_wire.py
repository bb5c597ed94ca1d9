"""What `opencode run --format json` prints, as the events its server would have sent. Pure.

A line is `{type, timestamp, sessionID, part | error}`. Parts come when they are finished, those of sub-agents not at
all, messages never: a message shows by its first step. Which prompt it answers only the stored message says.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import msgspec
from msgspec import Struct, field

from adapters.opencode import translate
from adapters.opencode.wire import (
    Message,
    MessageUpdated,
    Part,
    PartUpdated,
    SessionErrored,
    Time,
    TodoItem,
    TodoUpdated,
    WireError,
    WireEvent,
)
from core.model import MessageId, PermissionRequest, SessionId

STEP_START, STEP_FINISH, TEXT, REASONING, TOOL, ERROR = (
    "step_start",
    "step_finish",
    "text",
    "reasoning",
    "tool_use",
    "error",
)
_PARTS = frozenset({STEP_START, STEP_FINISH, TEXT, REASONING, TOOL})
_REJECTED = re.compile(r"permission requested: (\S+) \((.*)\); auto-rejecting")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class RunLine(Struct, frozen=True):
    """One line; `part` or `error` is set, by `type`."""

    type: str = ""
    session: str = field(name="sessionID", default="")
    timestamp: float = 0
    part: Part | None = None
    error: WireError | None = None


class RunDecoder:
    """Bytes of one line → line. Counts what it does not know or cannot read, and is never stopped by it."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(RunLine)
        self.skipped: Counter[str] = Counter()  # by type; "unreadable" for what is no such line

    def decode(self, data: bytes) -> RunLine | None:
        """None for what is of no use to a run."""
        try:
            line = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.skipped["unreadable"] += 1
            return None
        if (line.type in _PARTS and line.part is not None) or (line.type == ERROR and line.error is not None):
            return line
        self.skipped[line.type or "unreadable"] += 1
        return None


@dataclass(frozen=True, slots=True)
class Prompted:
    """What opencode made of a prompt: the message it became, and the model that answers it."""

    id: MessageId
    provider: str = ""
    model: str = ""


def events(line: RunLine, prompted: Prompted) -> list[WireEvent]:
    """The same as a server tells it. Where a step begins, its message is taken for an answer to this prompt."""
    if line.error is not None:
        return [SessionErrored(line.session, line.error)]
    part = line.part
    if part is None:
        return []
    told: list[WireEvent] = []
    if line.type == STEP_START:
        told.append(MessageUpdated(_answer(part, prompted)))
    told.append(PartUpdated(part))
    if line.type == STEP_FINISH:
        told.append(MessageUpdated(_answer(part, prompted, Time(completed=line.timestamp))))
    elif line.type == TOOL and part.tool == "todowrite" and part.state and part.state.status == "completed":
        told.append(TodoUpdated(part.session, _todos(part)))
    return told


def auto_rejected(text: str, session: SessionId) -> PermissionRequest | None:
    """The request that a line of standard error says was rejected. Only where a session's own rules ask."""
    found = _REJECTED.search(text)
    if found is None:
        return None
    permission, asked = found.groups()
    patterns = tuple(dict.fromkeys((asked, *asked.split(", "))))  # a pattern may hold a comma of its own
    return PermissionRequest(f"refused:{permission}:{asked}", session, permission, patterns, asked, patterns)


def plain(text: str) -> str:
    """A line of standard error as people read it."""
    return _COLOURS.sub("", text).strip()


def _answer(part: Part, prompted: Prompted, time: Time | None = None) -> Message:
    return Message(
        id=part.message,
        role="assistant",
        session=part.session,
        parent=prompted.id,
        provider=prompted.provider,
        model=prompted.model,
        time=time or Time(),
        finish=part.reason,
    )


def _todos(part: Part) -> list[TodoItem]:
    try:
        return msgspec.convert(translate.arguments(part).get("todos", []), list[TodoItem])
    except msgspec.ValidationError:
        return []
