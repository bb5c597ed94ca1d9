"""opencode's export format, `{info, messages}`: read with suspicion, written with the sub-agents' sessions. Pure.

Sub-agents' sessions are no part of opencode's own export, yet the agent can go on with one by its id. They are kept
in the same form under `children`, a key that `opencode import` ignores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct, field

from core.errors import AgentError
from core.model import SessionId

_SESSION_ID = r"\Ases_[0-9A-Za-z]+\Z"  # it becomes part of addresses
HINT = (
    "Export it again, with `export <ref>` or `opencode export <id> > file`. "
    "(Through a pipe, opencode cuts a long export off.)"
)
# What is true on one machine only. A session of a workspace that does not exist cannot even be deleted on 1.18, and
# deleting a shared one goes over the internet.
_LOCAL = frozenset({"projectID", "path", "workspaceID", "share"})


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session with its messages, and the ids of all of them and their parts."""

    info: dict[str, Any]
    messages: Raw
    contents: frozenset[str]

    @property
    def id(self) -> SessionId:
        """The session's."""
        return SessionId(self.info["id"])

    @property
    def parent(self) -> SessionId | None:
        """Whose sub-agent it is."""
        return SessionId(self.info["parentID"]) if "parentID" in self.info else None

    def encoded(self) -> bytes:
        """As `opencode import` reads it."""
        return msgspec.json.encode({"info": self.info, "messages": self.messages})


def pack(sessions: Sequence[tuple[dict[str, Any], Raw]]) -> bytes:
    """Session and messages as opencode gave them, then those of its sub-agents, parents first."""
    (info, messages), *children = (
        ({name: value for name, value in info.items() if name != "share"}, messages) for info, messages in sessions
    )
    content: dict[str, Any] = {"info": info, "messages": messages}
    if children:
        content["children"] = [{"info": info, "messages": messages} for info, messages in children]
    return msgspec.json.encode(content)


def unpack(exported: bytes, directory: Path) -> list[Transcript]:
    """The sessions of an export as they shall be in `directory`: the session itself, then its sub-agents'.

    What opencode would take without asking is checked here: an id that is an address, a message or part that would
    end up in another session. Rules that allow something stay behind; who works here decides that. Raises AgentError.
    """
    try:
        file = msgspec.json.decode(exported, type=_File)
        sessions = [_checked(session) for session in (file, *file.children)]
        for index, session in enumerate(sessions):
            session.info.update(directory=str(directory))
            if not index:
                session.info.pop("parentID", None)
            elif session.parent not in {earlier.id for earlier in sessions[:index]}:
                raise msgspec.ValidationError(f"{session.id} belongs to another session")
        if len({session.id for session in sessions}) < len(sessions):
            raise msgspec.ValidationError("a session is there twice")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AgentError(f"That is no export of an opencode session: {error}", HINT) from error
    return sessions


def is_session_id(text: str) -> bool:
    """Whether opencode could have given it."""
    return re.search(_SESSION_ID, text) is not None


# What must be right; whatever else there is goes to opencode as it is.


class _Part(Struct):
    id: Annotated[str, Meta(pattern=r"\Aprt")]
    message: str = field(name="messageID")
    session: str = field(name="sessionID")


class _MessageInfo(Struct):
    id: Annotated[str, Meta(pattern=r"\Amsg")]
    session: str = field(name="sessionID")


class Message(Struct):
    """A stored message, as far as it says where it belongs."""

    info: _MessageInfo
    parts: list[_Part]


def contents(messages: Sequence[Message]) -> frozenset[str]:
    """The ids of messages and parts."""
    return frozenset(piece for each in messages for piece in (each.info.id, *(part.id for part in each.parts)))


class _Rule(Struct):
    permission: str
    pattern: str
    action: str


class _Time(Struct):
    created: float


class _Info(Struct):
    id: Annotated[str, Meta(pattern=_SESSION_ID)]
    title: str
    time: _Time
    parent: Annotated[str, Meta(pattern=_SESSION_ID)] | None = field(name="parentID", default=None)
    permission: list[_Rule] | None = None


class _Session(Struct):
    info: dict[str, Any]
    messages: Raw


class _File(_Session):
    children: list[_Session] = []


def _checked(session: _Session) -> Transcript:
    known = msgspec.convert(session.info, _Info)
    messages = msgspec.json.decode(session.messages, type=list[Message])
    for message in messages:
        foreign = message.info.session != known.id or any(
            part.session != known.id or part.message != message.info.id for part in message.parts
        )
        if foreign:
            raise msgspec.ValidationError(f"{message.info.id} is not all of {known.id}")
    info = {name: value for name, value in session.info.items() if name not in _LOCAL and value is not None}
    if known.permission:
        info["permission"] = [msgspec.to_builtins(rule) for rule in known.permission if rule.action != "allow"]
    return Transcript(info, session.messages, contents(messages))
