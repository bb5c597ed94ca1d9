"""opencode's JSON as typed values. Pure; the only module that knows the names of opencode's events and fields.

Decoding has two stages: the envelope with its properties left as bytes, then the properties of the kinds we use. So
the many events that are none of our business (and the doubles opencode sends as `sync`) cost next to nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

ABORTED = "MessageAbortedError"
# A message's `finish`: the agent goes on with the tools' results, the model may write no more, it was held back.
TOOL_CALLS, LENGTH, FILTERED = "tool-calls", "length", "content-filter"


class Time(Struct, frozen=True):
    """Milliseconds since 1970; `completed` on messages, `end` on parts."""

    created: float = 0
    completed: float | None = None
    end: float | None = None


class ErrorData(Struct, frozen=True):
    """The text, and what the provider answered where it was the provider. Of any type, for an error that cannot be read
    would be a message that cannot.
    """

    message: str = ""
    status_code: Any = field(name="statusCode", default=None)
    response_body: Any = field(name="responseBody", default=None)

    @property
    def status(self) -> int | None:
        """HTTP's."""
        return int(self.status_code) if isinstance(self.status_code, int | float) else None

    @property
    def body(self) -> str:
        """As the provider sent it."""
        return self.response_body if isinstance(self.response_body, str) else ""


class WireError(Struct, frozen=True):
    """opencode's error value."""

    name: str = "UnknownError"
    data: ErrorData = ErrorData()


class Message(Struct, frozen=True):
    """A message without its parts."""

    id: str
    role: str
    session: str = field(name="sessionID", default="")
    parent: str = field(name="parentID", default="")  # assistant: the user message it answers
    provider: str = field(name="providerID", default="")
    model: str = field(name="modelID", default="")
    time: Time = Time()
    finish: str | None = None
    error: WireError | None = None
    summary: Raw = Raw(b"")

    @property
    def is_summary(self) -> bool:
        """An assistant message that compacts the context (user messages carry an object of that name)."""
        return bytes(self.summary) == b"true"

    @property
    def completed(self) -> bool:
        """Nothing more is added to this message."""
        return self.time.completed is not None


class CacheTokens(Struct, frozen=True):
    """Tokens read from and written to the provider's cache."""

    read: float = 0
    write: float = 0


class StepTokens(Struct, frozen=True):
    """What one model step used."""

    input: float = 0
    output: float = 0
    reasoning: float = 0
    cache: CacheTokens = CacheTokens()


class ToolState(Struct, frozen=True):
    """A tool call; `metadata`, which can be large and comes again with every line of output, is skipped."""

    status: str = ""
    input: Raw = Raw(b"{}")
    title: str | None = None
    output: str | None = None
    error: str | None = None


class Part(Struct, frozen=True):
    """A piece of a message; which fields are set depends on `type`."""

    id: str
    type: str
    session: str = field(name="sessionID", default="")
    message: str = field(name="messageID", default="")
    text: str = ""
    time: Time | None = None
    tool: str = ""
    state: ToolState | None = None
    tokens: StepTokens | None = None
    cost: float = 0
    auto: bool = False  # compaction: begun by opencode itself
    reason: str | None = None  # step-finish: like a message's `finish`
    synthetic: bool = False  # text: opencode's own, such as the contents of an attached file


class StoredMessage(Struct, frozen=True):
    """As `GET /session/{id}/message` lists them."""

    info: Message
    parts: list[Part] = []


class Rule(Struct, frozen=True):
    """A permission rule; `action` is allow, deny or ask, and the last match wins."""

    permission: str
    pattern: str
    action: str


class AgentInfo(Struct, frozen=True):
    """As `GET /agent` lists them. `permission` is all that counts for it, the user's rules included."""

    name: str
    description: str | None = None
    mode: str | None = None  # primary | subagent | all
    hidden: bool | None = None  # opencode's own: who writes titles and summaries
    permission: list[Rule] = []


class Limit(Struct, frozen=True):
    """Tokens."""

    context: float = 0


class ModelInfo(Struct, frozen=True):
    """A model of a provider. `variants` are those that can be used, by name."""

    name: str = ""
    limit: Limit = Limit()
    variants: dict[str, Raw] = {}


class ProviderInfo(Struct, frozen=True):
    """A provider that can be used, with its models by id."""

    id: str
    models: dict[str, ModelInfo] = {}


class Offered(Struct, frozen=True):
    """The answer to `GET /config/providers`; `default`: provider → its first choice of a model."""

    providers: list[ProviderInfo] = []
    default: dict[str, str] = {}


class Reverted(Struct, frozen=True):
    """From this message on the conversation is taken back; the next prompt makes that final."""

    message: str = field(name="messageID", default="")


class SessionInfo(Struct, frozen=True):
    """A session; `parent` is set on sub-agents' sessions only, not on forks."""

    id: str
    directory: str = ""
    title: str = ""
    parent: str = field(name="parentID", default="")
    time: Time = Time()
    revert: Reverted | None = None


class Status(Struct, frozen=True):
    """busy | retry | idle; the other fields belong to retry, `next` in ms since 1970."""

    type: str
    attempt: int = 0
    message: str = ""
    next: float = 0


class TodoItem(Struct, frozen=True):
    """A line of the todo list."""

    content: str = ""
    status: str = "pending"


class Option(Struct, frozen=True):
    """A choice of a question."""

    label: str
    description: str = ""


class QuestionItem(Struct, frozen=True):
    """One question."""

    question: str
    header: str = ""
    options: list[Option] = []
    multiple: bool = False


# ── events ─────────────────────────────────────────────────────────────────────────────────────


class MessageUpdated(Struct, frozen=True):
    """message.updated."""

    info: Message

    @property
    def session(self) -> str:
        """The session it happened in, as on all events."""
        return self.info.session


class PartUpdated(Struct, frozen=True):
    """message.part.updated: the part as it now is."""

    part: Part

    @property
    def session(self) -> str:
        """See MessageUpdated."""
        return self.part.session


class PartDelta(Struct, frozen=True):
    """message.part.delta: text appended to a part."""

    session: str = field(name="sessionID")
    part: str = field(name="partID")
    field: str
    delta: str


class StatusChanged(Struct, frozen=True):
    """session.status."""

    session: str = field(name="sessionID")
    status: Status


class SessionIdle(Struct, frozen=True):
    """session.idle. Comes twice after an abort and may belong to an earlier prompt."""

    session: str = field(name="sessionID")


class SessionErrored(Struct, frozen=True):
    """session.error; not every one of them is the end of a run."""

    session: str = field(name="sessionID", default="")
    error: WireError = WireError()


class SessionSeen(Struct, frozen=True):
    """session.created and session.updated."""

    info: SessionInfo

    @property
    def session(self) -> str:
        """See MessageUpdated."""
        return self.info.id


class SessionDeleted(Struct, frozen=True):
    """session.deleted. What ran in it goes silent."""

    info: SessionInfo

    @property
    def session(self) -> str:
        """See MessageUpdated."""
        return self.info.id


class PermissionAsked(Struct, frozen=True):
    """permission.asked, and an entry of `GET /permission`."""

    id: str
    session: str = field(name="sessionID")
    permission: str = ""
    patterns: list[str] = []
    metadata: dict[str, Any] = {}
    always: list[str] = []


class QuestionAsked(Struct, frozen=True):
    """question.asked, and an entry of `GET /question`."""

    id: str
    session: str = field(name="sessionID")
    questions: list[QuestionItem] = []


class RequestSettled(Struct, frozen=True):
    """permission.replied and question.replied."""

    session: str = field(name="sessionID")
    request: str = field(name="requestID")
    reply: str = ""

    @property
    def rejected(self) -> bool:
        """The agent was told no."""
        return self.reply == "reject"


class QuestionRejected(RequestSettled, frozen=True):
    """question.rejected."""

    @property
    def rejected(self) -> bool:
        """See RequestSettled."""
        return True


class TodoUpdated(Struct, frozen=True):
    """todo.updated."""

    session: str = field(name="sessionID")
    todos: list[TodoItem] = []


WireEvent = (
    MessageUpdated
    | PartUpdated
    | PartDelta
    | StatusChanged
    | SessionIdle
    | SessionErrored
    | SessionSeen
    | SessionDeleted
    | PermissionAsked
    | QuestionAsked
    | RequestSettled
    | TodoUpdated
)

_KINDS: Mapping[str, type[WireEvent]] = MappingProxyType(
    {
        "message.updated": MessageUpdated,
        "message.part.updated": PartUpdated,
        "message.part.delta": PartDelta,
        "session.status": StatusChanged,
        "session.idle": SessionIdle,
        "session.error": SessionErrored,
        "session.created": SessionSeen,
        "session.updated": SessionSeen,
        "session.deleted": SessionDeleted,
        "permission.asked": PermissionAsked,
        "permission.replied": RequestSettled,
        "question.asked": QuestionAsked,
        "question.replied": RequestSettled,
        "question.rejected": QuestionRejected,
        "todo.updated": TodoUpdated,
    }
)


class _Payload(Struct):
    type: str = ""
    properties: Raw = Raw(b"{}")


class _Envelope(Struct):
    payload: _Payload = field(default_factory=_Payload)


class WireDecoder:
    """Bytes of one event → event. Counts what it does not know or cannot read, and is never stopped by it."""

    def __init__(self) -> None:
        self._envelope = msgspec.json.Decoder(_Envelope)
        self._properties = {name: msgspec.json.Decoder(kind) for name, kind in _KINDS.items()}
        self.skipped: Counter[str] = Counter()  # by type; "unreadable <type>" where the fields were not as expected

    def decode(self, data: bytes) -> WireEvent | None:
        """None for what is of no use to a run."""
        kind = ""
        try:
            payload = self._envelope.decode(data).payload
            kind = payload.type
            decoder = self._properties.get(kind)
            if decoder is not None:
                return decoder.decode(payload.properties)
        except msgspec.DecodeError:
            kind = f"unreadable {kind}".strip()
        self.skipped[kind] += 1
        return None
