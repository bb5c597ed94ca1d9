"""The agent: what core needs of opencode, whichever way it is driven."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.events import AgentEvent
from core.model import (
    Attachment,
    Decision,
    MessageId,
    PermissionRule,
    SessionId,
)

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; the contract suite asks for exactly what is declared."""

    version: str
    token_deltas: bool  # text arrives as it is written, not a part at a time
    asks: bool  # permissions and questions can be answered while the run waits
    message_ids: bool  # a prompt carries our id and can be looked up by it


@dataclass(frozen=True, slots=True)
class AgentSession:
    """A session as opencode describes it."""

    id: SessionId
    title: str
    directory: Path
    created: datetime
    parent_id: SessionId | None = None  # set on sub-agents' sessions, not on forks


@dataclass(frozen=True, slots=True)
class AgentRun:
    """One prompt to one session. `message_id` was recorded before this is sent."""

    session: SessionId
    directory: Path
    message_id: MessageId
    prompt: str
    model: str = ""  # provider/model; empty: the session's or opencode's default
    agent: str = ""
    attachments: tuple[Attachment, ...] = ()
    variant: str = ""  # of the model
    system: str = ""
    read_only: bool = False  # no tool may change anything, whatever the rules say
    rules: tuple[PermissionRule, ...] = ()  # answers in advance, for backends that cannot ask; others ignore them


@dataclass(frozen=True, slots=True)
class AgentModel:
    """A model opencode can use in a directory."""

    id: str  # provider/model
    name: str  # for people
    context: int = 0  # tokens it holds; 0 where opencode does not know
    variants: tuple[str, ...] = ()  # ways to run it, e.g. how hard it thinks


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """What opencode calls an agent: a way of working that prompts can name."""

    name: str
    description: str = ""


class Known(enum.StrEnum):
    """What the agent knows about a prompt that may or may not have reached it."""

    ABSENT = "absent"
    RUNNING = "running"
    OVER = "over"


class AgentPort(Protocol):
    """An agent backend. Every method may raise `AgentUnavailable`; calls are bounded in time by the backend.

    The backend starts what it needs on first use. `directory` is always absolute.
    """

    async def capabilities(self) -> Capabilities:
        """Start if necessary. Raises AgentUnsupported, AgentDenied."""

    async def warm(self, directory: Path) -> None:
        """Make the first prompt in `directory` fast. Never fails: a cold start is only slow."""

    async def default_model(self, directory: Path) -> str:
        """`provider/model` opencode would use in `directory`, empty when it has none."""

    async def models(self, directory: Path) -> list[AgentModel]:
        """All that prompts in `directory` can name, in opencode's own order."""

    async def agents(self, directory: Path) -> list[AgentProfile]:
        """Those that prompts in `directory` can name; sub-agents and opencode's own helpers apart."""

    def new_message_id(self) -> MessageId:
        """Later ids sort after earlier ones."""

    async def create_session(self, directory: Path, title: str, rules: Sequence[PermissionRule] = ()) -> AgentSession:
        """`rules` are opencode's own, for this session only (forks do not inherit them)."""

    async def find_session(self, session: SessionId) -> AgentSession | None:
        """None when opencode does not have it."""

    async def list_sessions(self, directory: Path) -> list[AgentSession]:
        """Root sessions of that directory's project."""

    async def fork_session(self, session: SessionId, directory: Path, before: MessageId | None = None) -> AgentSession:
        """Branch `session` into `directory`; with `before`, only what came before that message.

        The fork's directory may come out wrong: call `settle_directory` before prompting. Raises AgentSessionGone.
        """

    async def settle_directory(self, session: SessionId, directory: Path) -> None:
        """Bring the session to `directory` and read it back. Raises WrongDirectory, AgentSessionGone."""

    async def rename_session(self, session: SessionId, title: str) -> None:
        """Set the title people see in opencode's own interfaces."""

    async def delete_session(self, session: SessionId) -> None:
        """No error when it is gone already."""

    async def export_session(self, session: SessionId) -> bytes:
        """opencode's own export of the session with its messages. Raises AgentSessionGone."""

    async def import_session(self, exported: bytes, directory: Path) -> AgentSession:
        """Put an exported session into this opencode, at work in `directory` (read back). It keeps its id when that is
        free here. Raises AgentError for what is no export, and when this opencode has the session already.
        """

    def run(self, run: AgentRun) -> AsyncGenerator[AgentEvent]:
        """Send the prompt and yield what happens, `Finished` last and exactly once.

        Raises AgentUnavailable or AgentError only before the prompt was sent; afterwards failures are `Finished`.
        Closing the iterator stops listening, not the run.
        """

    def attach(self, run: AgentRun) -> AsyncGenerator[AgentEvent]:
        """Like `run` for a prompt opencode has already: what it stored first, then what follows."""

    async def lookup(self, run: AgentRun) -> Known:
        """Whether the prompt reached opencode. For use when in doubt; never send again while RUNNING or OVER.

        Raises AgentInDoubt where only a person can tell (never with `message_ids`).
        """

    async def stop(self, session: SessionId, directory: Path) -> None:
        """Abort what runs. The run's iterator then ends with `Finished(STOPPED)`."""

    async def compact(self, session: SessionId, directory: Path, model: str) -> None:
        """Have `model` (provider/model) put a summary in place of the conversation so far; returns when it is done.

        Nothing else may run in the session meanwhile; `stop` ends it early. Raises AgentError with the provider's
        words, AgentSessionGone.
        """

    async def revert(self, session: SessionId, directory: Path, since: MessageId | None) -> None:
        """Take the conversation back to before the prompt `since`; with None, bring back what was taken.

        The next prompt makes it final. May be repeated. Files may change with it, or not: the caller puts those in
        order. Raises AgentError when the prompt is not there, AgentSessionGone.
        """

    async def decide(self, session: SessionId, directory: Path, request_id: str, decision: Decision) -> bool:
        """Answer a permission or question. False: the request is not open any more. `always` is sent as `once`."""

    async def close(self) -> None:
        """End processes this backend started; leave the ones it attached to."""
