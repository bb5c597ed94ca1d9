"""The protocol between the bot and its terminals: one JSON object a line, UTF-8, over `state_dir/kugetsu.sock`.

These types are the protocol: a field added with a default is understood by older peers, unknown fields are ignored.
What a terminal sends carries `op`, what the bot sends carries `type`. `--json` prints the bot's lines as they are.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from core.events import Todo
from core.model import Button, Question, Tokens

MAX_REQUEST = 16 * 1024 * 1024  # bytes of one line to the bot
MAX_BACKLOG = 64 * 1024 * 1024  # bytes the bot keeps for a terminal that does not read; no line from it is longer


# ── to the bot ─────────────────────────────────────────────────────────────────────────────────


class Hello(msgspec.Struct, frozen=True, tag_field="op", tag="hello"):
    """Who is there; once, first."""

    name: str = ""
    interactive: bool = False  # somebody can be asked
    all: bool = False  # events of every session, not just of those it names or is told of
    directory: str = ""
    debug: bool = False
    token: str = ""  # of the session in whose worktree it stands: then it may `send`, and nothing else


class Say(msgspec.Struct, frozen=True, tag_field="op", tag="say"):
    """A message or command; `thread` is the key of the session it was written in, empty for none."""

    id: int
    text: str
    thread: str = ""


class Press(msgspec.Struct, frozen=True, tag_field="op", tag="press"):
    """A button, with the text that goes with it: an answer (one line a question), the reason of a reject."""

    id: int
    button: str
    text: str = ""
    thread: str = ""


class Watch(msgspec.Struct, frozen=True, tag_field="op", tag="watch"):
    """Send this session's events too, beginning with the run that is live and what is asked."""

    thread: str


Request = Hello | Say | Press | Watch


# ── from the bot ───────────────────────────────────────────────────────────────────────────────


class Hint(msgspec.Struct, frozen=True):
    """A command, for completion."""

    name: str
    help: str = ""


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """The answer to `Hello`."""

    version: str = ""
    demo: bool = False
    refs: tuple[str, ...] = ()  # sessions and projects, for completion
    commands: tuple[Hint, ...] = ()


class Reply(msgspec.Struct, frozen=True, tag_field="type", tag="reply"):
    """The answer to one `say` or `press`. `id` 0 answers a line that had none that could be read."""

    id: int
    ok: bool
    code: str = ""  # see core.errors
    text: str = ""  # Markdown
    data: Any = None
    buttons: tuple[Button, ...] = ()
    thread: str | None = None  # where the conversation goes on
    run: int | None = None  # what the message started or queued


class Started(msgspec.Struct, frozen=True, tag_field="type", tag="started"):
    """A run is shown for the first time."""

    thread: str
    run: int
    number: int
    ref: str
    name: str
    session: str
    parent: str
    directory: str
    branch: str
    title: str
    prompt: str
    asker: str
    verbosity: str = "normal"  # quiet | normal | detailed


class Shows(msgspec.Struct, frozen=True, tag_field="type", tag="shows"):
    """How much of a run is shown, from here on."""

    thread: str
    verbosity: str


class Text(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Text added to a part of the answer; with `whole` in place of what the part had."""

    thread: str
    run: int
    part: str
    text: str
    whole: bool = False


class Reasoning(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning"):
    """Like `Text`, of what the model thinks."""

    thread: str
    run: int
    part: str
    text: str
    whole: bool = False


class Tool(msgspec.Struct, frozen=True, tag_field="type", tag="tool"):
    """A tool call, whole, each time it changed."""

    thread: str
    run: int
    id: str
    tool: str
    state: str  # pending | running | completed | error
    title: str = ""
    output: str = ""
    error: str = ""
    nested: bool = False  # a sub-agent's


class Plan(msgspec.Struct, frozen=True, tag_field="type", tag="todo"):
    """The agent's todo list, whole."""

    thread: str
    run: int
    todos: tuple[Todo, ...]


class Retry(msgspec.Struct, frozen=True, tag_field="type", tag="retry"):
    """The provider failed; opencode tries again in `next_in` seconds."""

    thread: str
    run: int
    attempt: int
    reason: str
    next_in: float


class Permission(msgspec.Struct, frozen=True, tag_field="type", tag="permission"):
    """The run waits for leave."""

    thread: str
    run: int
    ask: str
    permission: str
    patterns: tuple[str, ...]
    detail: str
    buttons: tuple[Button, ...]


class Questions(msgspec.Struct, frozen=True, tag_field="type", tag="question"):
    """The run waits for answers."""

    thread: str
    run: int
    ask: str
    questions: tuple[Question, ...]
    buttons: tuple[Button, ...]


class Decided(msgspec.Struct, frozen=True, tag_field="type", tag="decided"):
    """What was asked is no longer open."""

    thread: str
    ask: str
    by: str  # a person id, empty when nobody decided: withdrawn, timed out
    reply: str
    at: datetime | None


class Notice(msgspec.Struct, frozen=True, tag_field="type", tag="notice"):
    """Something to know, outside any answer."""

    thread: str
    text: str
    buttons: tuple[Button, ...] = ()


class File(msgspec.Struct, frozen=True, tag_field="type", tag="file"):
    """A file of the worktree that was put into the thread. `size` in bytes."""

    thread: str
    name: str
    path: str
    size: int


class Finished(msgspec.Struct, frozen=True, tag_field="type", tag="finished"):
    """A run's last event. `duration` in seconds, `cost` in USD."""

    thread: str
    run: int | None
    ok: bool
    ref: str = ""
    name: str = ""
    session: str = ""
    directory: str = ""
    branch: str = ""
    text: str = ""
    error: str = ""
    code: str = ""
    cost: float = 0.0
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    duration: float = 0.0
    refused: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()


RunEvent = Started | Shows | Text | Reasoning | Tool | Plan | Retry
Asking = Permission | Questions
Event = RunEvent | Asking | Decided | Notice | File | Finished
Response = Welcome | Reply | Event

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_responses: msgspec.json.Decoder[Response] = msgspec.json.Decoder(Response)


class Malformed(ValueError):
    """A line that is no message of this protocol."""


def encode(message: Request | Response) -> bytes:
    """The line, newline included. Half surrogates, which no UTF-8 can carry, become `?`."""
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_printable(msgspec.to_builtins(message))) + b"\n"


def encode_any(value: Any) -> bytes:
    """The same for what a reply carries as data."""
    return _encoder.encode(_printable(msgspec.to_builtins(value))) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises Malformed."""
    try:
        return _requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def decode_response(line: bytes) -> Response:
    """Raises Malformed."""
    try:
        return _responses.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def _printable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case list() | tuple():
            return [_printable(item) for item in value]
        case dict():
            return {_printable(key): _printable(item) for key, item in value.items()}
    return value
