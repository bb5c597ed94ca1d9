"""What an agent says while it runs: a closed sum type. Nothing outside adapters/opencode knows opencode's JSON."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from core.model import AgentRequest, MessageId, PermissionRequest, SessionId, Tokens


@dataclass(frozen=True, slots=True)
class Started:
    """The agent has taken the prompt up: its first assistant message exists."""

    session: SessionId
    message_id: MessageId  # the prompt's in opencode: the run's own only where the backend has `message_ids`
    model: str = ""  # provider/model


@dataclass(frozen=True, slots=True)
class Said:
    """Text of one part: appended, or with `whole` in place of what the part had (its final form, a reconnect).

    `final`: this was all of it.
    """

    part: str
    text: str
    whole: bool = False
    reasoning: bool = False
    final: bool = False


class StepState(enum.StrEnum):
    """A tool call's way."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Step:
    """A tool call, whole, each time it changes. `id` is stable over its life."""

    id: str
    tool: str
    state: StepState
    title: str = ""  # the file, command or pattern, one line
    output: str = ""
    error: str = ""
    sub_agent: SessionId | None = None  # set when a sub-agent made the call


@dataclass(frozen=True, slots=True)
class Todo:
    """One line of the agent's own plan."""

    text: str
    status: str  # pending | in_progress | completed | cancelled


@dataclass(frozen=True, slots=True)
class Planned:
    """The agent's todo list, whole."""

    todos: tuple[Todo, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """The run waits until this is answered."""

    request: AgentRequest


@dataclass(frozen=True, slots=True)
class Settled:
    """A request is no longer open: answered by us or by another client, or withdrawn."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The agent was told no because this backend cannot ask. `request.id` is made up; nothing waits for an answer."""

    request: PermissionRequest


@dataclass(frozen=True, slots=True)
class Retrying:
    """The provider failed and opencode tries again by itself."""

    attempt: int
    reason: str
    next_in: float  # seconds until the next attempt
    code: str = ""  # a Trouble, where the reason is one


@dataclass(frozen=True, slots=True)
class Metered:
    """One model step ended: what it used. Steps of a run add up."""

    tokens: Tokens
    cost: float  # USD
    context: int = 0  # tokens of the conversation after this step; 0 for a sub-agent's, which has its own


class Outcome(enum.StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    CUT = "cut"  # the agent died or forgot the run; nothing more will come


class Trouble(enum.StrEnum):
    """Why a model or tool failed, where that can be told: what a person can do about it depends on this alone."""

    NO_CREDENTIALS = "no_credentials"  # no key, or one the provider does not take
    NO_CREDIT = "no_credit"  # the account may not spend more
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"  # the provider's own trouble
    NETWORK = "network"  # the provider cannot be reached
    CONTEXT_FULL = "context_full"
    OUTPUT_FULL = "output_full"  # the answer is longer than the model may write
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_AGENT = "unknown_agent"
    DECLINED = "declined"  # the provider's content filter
    BAD_REQUEST = "bad_request"  # the provider does not take what opencode sent


@dataclass(frozen=True, slots=True)
class Finished:
    """Always the last event of a run, exactly once."""

    outcome: Outcome
    error_code: str = ""  # a Trouble; where it is none, opencode's error name, or ours: see core.errors
    error: str = ""


AgentEvent = Started | Said | Step | Planned | Asked | Settled | Refused | Retrying | Metered | Finished
