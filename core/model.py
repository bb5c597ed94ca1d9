"""The words of the domain as frozen values. Everything else is written in terms of these."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NewType

SessionId = NewType("SessionId", str)  # opencode's own id, "ses_…"
MessageId = NewType("MessageId", str)  # opencode's own id, "msg_…"; sorts by time
PersonId = NewType("PersonId", str)  # "telegram:12345", "console:local"
RunId = NewType("RunId", int)
AskId = NewType("AskId", str)  # opaque; what a button carries

CONSOLE = "console"
LOCAL_PERSON = PersonId("console:local")
LOCAL_INSTANCE = "local"  # refs of work without an issue: local/<folder>#n


@dataclass(frozen=True, slots=True)
class ProjectRef:
    """`instance/owner/repo`; the owner may be nested (`group/sub`) and is empty only for `local/<folder>`."""

    instance: str
    owner: str
    repo: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.instance, self.owner, self.repo) if part)

    @property
    def key(self) -> str:
        """What two spellings of the same project share."""
        return str(self).casefold()


@dataclass(frozen=True, slots=True)
class IssueRef:
    """`instance/owner/repo#number`; `merge_request` is GitLab's second number space, written `!number`."""

    project: ProjectRef
    number: int
    merge_request: bool = False

    def __str__(self) -> str:
        return f"{self.project}{self.tag}"

    @property
    def tag(self) -> str:
        """`#14` or `!14`: the ref inside its project."""
        return f"{'!' if self.merge_request else '#'}{self.number}"

    @property
    def key(self) -> str:
        """What two spellings of the same ref share."""
        return str(self).casefold()


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Names one of kugetsu's sessions: an issue's main session (`name` empty) or a named fork (`…#14~name`)."""

    ref: IssueRef
    name: str = ""

    def __str__(self) -> str:
        return f"{self.ref}~{self.name}" if self.name else str(self.ref)

    @property
    def key(self) -> str:
        """The identity under which sessions are stored and compared."""
        return str(self).casefold()

    @property
    def tag(self) -> str:
        """`#14` or `#14~name`, for prompts and titles."""
        return f"{self.ref.tag}~{self.name}" if self.name else self.ref.tag


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is shown: a platform's chat and the thread in it (empty: the chat itself)."""

    platform: str
    chat: str
    thread: str = ""

    def __str__(self) -> str:
        return f"{self.platform}:{self.chat}/{self.thread}" if self.thread else f"{self.platform}:{self.chat}"


@dataclass(frozen=True, slots=True)
class Person:
    """An account on a platform; `name` is only for display and may change."""

    id: PersonId
    name: str


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """An answer given in advance. Patterns know `*` and `?`; the last matching rule wins."""

    permission: str
    pattern: str
    action: str  # allow | deny | ask


@dataclass(frozen=True, slots=True)
class Project:
    """A repository the configuration maps to a checkout on disk."""

    ref: ProjectRef
    path: Path
    base_branch: str = ""  # empty: what the checkout has checked out
    worktrees: bool = True
    copy: tuple[str, ...] = ()
    setup: str = ""
    base_prompt: str = ""
    permissions: tuple[PermissionRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something a run was not allowed, and nobody had said no to. `permission` is empty where no rule could allow it
    later: a question, what the project's own rules deny.
    """

    line: str  # for people
    permission: str = ""
    patterns: tuple[str, ...] = ()


class Verbosity(enum.StrEnum):
    """How much of a run's progress a place shows; answers and requests are the same in all."""

    QUIET = "quiet"  # that it works, and for how long
    NORMAL = "normal"
    DETAILED = "detailed"  # what tools say and the model thinks as well


class SessionState(enum.StrEnum):
    """As `status` and `list --json` print it."""

    NEW = "new"
    IDLE = "idle"
    RUNNING = "running"
    ASKING = "asking"
    STOPPED = "stopped"
    FAILED = "failed"
    ARCHIVED = "archived"
    GONE = "gone"  # opencode no longer has it


@dataclass(frozen=True, slots=True)
class Session:
    """kugetsu's record of a session it owns. `agent_id` is empty until the fork exists."""

    key: SessionKey
    directory: Path
    branch: str  # empty where the project has worktrees off
    slug: str  # file-name stem below sessions/, worktrees/ and logs/
    title: str
    state: SessionState
    created: datetime
    updated: datetime
    agent_id: SessionId = SessionId("")
    parent_id: SessionId = SessionId("")  # opencode id it was forked from
    parent: SessionKey | None = None  # None: forked from the project's base
    rules: tuple[PermissionRule, ...] = ()  # standing rules people granted with "Always"
    model: str = ""  # provider/model people chose for it; empty: the configuration's
    agent: str = ""  # likewise
    variant: str = ""  # of the model
    budget: float = 0.0  # USD that its runs may cost together; 0: no limit


@dataclass(frozen=True, slots=True)
class BaseSession:
    """A project's base session: every issue is forked from it."""

    project: ProjectRef
    agent_id: SessionId
    directory: Path
    title: str
    created: datetime
    ready: bool  # its base prompt, if any, has been answered


class RunState(enum.StrEnum):
    """A run goes queued → sending → running ⇄ asking → one of the last four."""

    QUEUED = "queued"
    SENDING = "sending"  # its message id is recorded; opencode may or may not have it
    RUNNING = "running"
    ASKING = "asking"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    CUT = "cut"  # the process that drove it died; text received until then is kept

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self in {RunState.DONE, RunState.FAILED, RunState.STOPPED, RunState.CUT}


@dataclass(frozen=True, slots=True)
class Tokens:
    """As opencode counts them, summed over a run's steps."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.output + self.reasoning + self.cache_read + self.cache_write

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a prompt."""

    path: Path
    mime: str
    name: str


@dataclass(frozen=True, slots=True)
class Run:
    """One prompt and all that the agent does until it answers, as stored."""

    id: RunId
    session: SessionKey
    number: int  # counts from 1 within the session
    prompt: str
    person: PersonId
    place: Place  # where it was asked
    state: RunState
    created: datetime
    message_id: MessageId = MessageId("")
    started: datetime | None = None
    ended: datetime | None = None
    text: str = ""  # the answer, or what was received before a cut
    error: str = ""
    error_code: str = ""
    model: str = ""
    cost: float = 0.0  # USD
    tokens: Tokens = field(default_factory=Tokens)
    refused: tuple[Refusal, ...] = ()
    message: str = ""  # the platform's id of the message that asked: what receipts and answers point at
    attachments: tuple[Attachment, ...] = ()
    snapshot_before: str = ""  # git commit ids below refs/kugetsu/
    snapshot_after: str = ""
    undone: str = ""  # the snapshot `redo` goes back to; empty: the run stands
    context: int = 0  # tokens of the conversation at its end
    context_limit: int = 0  # that the model holds; 0: not known
    urgent: bool = False  # to go before what else waits

    @property
    def duration(self) -> float:
        """Seconds from prompt to end; 0 while not both are known."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file that came with a message, still with its platform."""

    id: str  # by which the platform gives it out
    name: str  # as the sender called it: not to be trusted
    mime: str
    size: int  # bytes, as announced; 0 where that is not known
    voice: bool = False  # spoken, to be transcribed


@dataclass(frozen=True, slots=True)
class Inbound:
    """One chat message or terminal line as a platform delivered it, before anything was decided about it."""

    platform: str
    event_id: str  # the platform's own id: what de-duplicates a replay
    place: Place
    person: Person
    text: str
    at: datetime
    directory: Path | None = None  # where a terminal stands: its project or session is understood from it
    debug: bool = False  # write the session's debug log for what this starts
    message: str = ""  # the platform's id of the message itself; empty where messages have none
    reply_to: str = ""  # the message of the same chat it replies to
    direct: bool = False  # nobody else reads that chat
    addressed: bool = True  # in a chat with others: a command to the bot, a mention of it, or a reply to it
    edited: bool = False  # the new text of a message that was delivered before
    joins: float = 0.0  # seconds within which the next message of this person belongs to it: an album, a long paste
    files: tuple[IncomingFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Button:
    """A choice under a document. `id` is opaque and checked against person, session and state when pressed."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Document:
    """Something for people to read: Markdown and what can be pressed below it."""

    markdown: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a question."""

    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the agent; free text is always allowed besides the choices."""

    header: str
    text: str
    choices: tuple[Choice, ...] = ()
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """The agent wants to do something no rule of opencode's allows by itself."""

    id: str  # opencode's "per_…"
    session: SessionId  # may be a sub-agent's
    permission: str
    patterns: tuple[str, ...]
    detail: str = ""  # the command, the file: what a person needs to decide
    always: tuple[str, ...] = ()  # the patterns "Always" would cover


@dataclass(frozen=True, slots=True)
class QuestionRequest:
    """The agent asks people; all questions are answered together."""

    id: str  # opencode's "que_…"
    session: SessionId
    questions: tuple[Question, ...]


AgentRequest = PermissionRequest | QuestionRequest


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person chose. `reply`: once | always | reject for permissions, answer | reject for questions."""

    reply: str
    answers: tuple[tuple[str, ...], ...] = ()  # one tuple of labels or free texts a question
    message: str = ""  # the reason of a reject, told to the agent
