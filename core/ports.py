"""What core needs from outside, as protocols. Adapters implement them; bot.wiring puts them together."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.events import AgentEvent
from core.model import (
    AskId,
    Attachment,
    BaseSession,
    Button,
    Decision,
    Document,
    Inbound,
    IssueRef,
    MessageId,
    PermissionRule,
    Person,
    PersonId,
    Place,
    Project,
    ProjectRef,
    Run,
    RunId,
    Session,
    SessionId,
    SessionKey,
)
from core.progress import Progress

if TYPE_CHECKING:
    from core.messages import Post

# ── the agent ──────────────────────────────────────────────────────────────────────────────────


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
    system: str = ""
    rules: tuple[PermissionRule, ...] = ()  # answers in advance, for backends that cannot ask; others ignore them


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

    async def decide(self, session: SessionId, directory: Path, request_id: str, decision: Decision) -> bool:
        """Answer a permission or question. False: the request is not open any more. `always` is sent as `once`."""

    async def close(self) -> None:
        """End processes this backend started; leave the ones it attached to."""


# ── the checkout ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Checkout:
    """What `inspect` saw of a project's repository."""

    head: str  # commit id, empty in a repository without commits
    branch: str  # empty when detached
    dirty: bool


@dataclass(frozen=True, slots=True)
class Located:
    """A checkout somebody stands in, and the project its `origin` names."""

    top: Path
    ref: ProjectRef


@dataclass(frozen=True, slots=True)
class Stake:
    """Work that exists nowhere else."""

    changes: tuple[str, ...] = ()  # uncommitted files, as `git status --short` prints them
    commits: tuple[str, ...] = ()  # commits on no remote and on no other branch: short id and subject
    locked: str = ""  # why git was told not to touch the worktree

    def __bool__(self) -> bool:
        return bool(self.changes or self.commits or self.locked)


@dataclass(frozen=True, slots=True)
class Trace:
    """A worktree or branch that may be kugetsu's. Either may be missing."""

    directory: Path | None
    branch: str
    registered: bool  # git knows the worktree
    present: bool  # the folder is there


class Workspace(Protocol):
    """git and the file system around it. All methods raise WorkspaceError with git's own words."""

    async def inspect(self, project: Project) -> Checkout:
        """Refuses what is no git repository, bare, without commits, or lacks `base_branch`."""

    async def locate(self, directory: Path) -> Located | None:
        """The checkout that contains `directory`; None where there is none."""

    async def add_worktree(self, project: Project, directory: Path, branch: str, start: str = "") -> None:
        """New worktree on a new branch from `start` (default: the project's base branch), `copy` files put in.

        Safe to repeat: a worktree of ours on that branch in that directory is taken as done. Refuses a directory or
        branch that exists otherwise.
        """

    async def open_worktree(self, project: Project, directory: Path, branch: str) -> None:
        """A worktree on a branch that exists: of an archived session, or one whose folder was deleted by hand.

        `copy` files are put in. Safe to repeat. Refuses when the branch is gone or checked out elsewhere.
        """

    async def at_stake(self, project: Project, directory: Path, branch: str) -> Stake:
        """What would be lost with the worktree and its branch. Nothing when neither is there."""

    async def remove_worktree(
        self, project: Project, directory: Path, branch: str, *, force: bool = False, keep_branch: bool = False
    ) -> None:
        """Delete the worktree and, unless `keep_branch`, its branch. Absent ones are ignored, so are `copy` files.

        Refuses to lose what `at_stake` names (with `keep_branch`: uncommitted changes) unless forced. A locked worktree
        is refused in any case.
        """

    async def traces(self, project: Project, worktrees: Path) -> list[Trace]:
        """What kugetsu has left in the repository: worktrees below the folder `worktrees`, registered or not, and
        branches `kugetsu/…`.
        """

    async def bundle(self, directory: Path, branch: str, base: str, target: Path) -> None:
        """Write `branch`, and a snapshot of the worktree as it is, into a git bundle: all that is not on `base`."""

    async def unbundle(self, project: Project, directory: Path, branch: str, bundle: Path) -> None:
        """A worktree on a new `branch` as `bundle` has it, uncommitted changes included. Refuses what `add_worktree`
        refuses, and a bundle whose base this repository does not have.
        """

    async def set_up(self, project: Project, directory: Path, output: Callable[[str], None]) -> None:
        """Run the project's `setup` by `sh -c` in `directory`, lines to `output` as they come."""

    async def snapshot(self, directory: Path, name: str) -> str:
        """Commit id of the whole worktree as it is (ignored files apart), kept below refs/kugetsu/`name`.

        Neither index nor HEAD nor branches change. Its first parent is HEAD.
        """

    async def restore(self, directory: Path, snapshot: str) -> None:
        """Make the worktree's files those of `snapshot`, as uncommitted changes; ignored files stay."""

    async def snapshot_head(self, directory: Path, snapshot: str) -> str:
        """The commit HEAD was at when `snapshot` was made."""

    async def changed_files(self, directory: Path, before: str, after: str) -> int:
        """How many files differ between two snapshots."""

    async def patch(self, directory: Path, before: str, after: str, target: Path) -> str:
        """Write what changed between two snapshots into `target`, for `git apply`. Returns git's summary, a line a
        file; empty when nothing did.
        """

    async def ignored(self, directory: Path, file: Path) -> bool:
        """Whether git ignores `file` in the worktree at `directory`."""

    async def drop_snapshots(self, directory: Path, name: str) -> None:
        """Forget every snapshot below refs/kugetsu/`name`."""


# ── the store ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Operation:
    """A persisted sequence of steps with outside effects, e.g. starting an issue.

    `data` is what a later step or a restart needs (ids, paths); `done` are the names of finished steps, in order.
    """

    id: int
    kind: str  # start | fork | base
    subject: str  # the session's or project's key
    data: Mapping[str, Any]
    done: tuple[str, ...]
    created: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of the agent that people were shown."""

    id: AskId
    run: RunId
    session: SessionKey
    request: Any  # core.model.AgentRequest
    created: datetime
    decision: Decision | None = None
    decided_by: PersonId | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Text received for one part of a run's answer; `whole` replaces what the part had."""

    run: RunId
    part: str
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """An outbox row: a run's answer for one place. `key` is the idempotency key and never changes."""

    id: int
    key: str
    place: Place
    run: RunId
    state: str  # pending | sending | sent | unknown

    def in_state(self, state: str) -> Delivery:
        """The same row, moved on."""
        return replace(self, state=state)


@dataclass(frozen=True, slots=True)
class Received:
    """A row of the inbox: what a platform delivered, and what became of it."""

    row: int
    inbound: Inbound
    at: datetime  # when it was taken in, by our clock
    outcome: str = ""  # accepted | refused | ignored | failed; empty while it is to be decided
    reason: str = ""
    held: str = ""  # waits for the answer to the question with this id: whether it is to be run so late
    run: RunId | None = None  # what it became


MADE = "made"  # kind of operation: what a message of the inbox is about to make; its subject is `source_of` the row


def source_of(row: int | None) -> str:
    """What a message of the inbox is called where it makes something."""
    return "" if row is None else f"message {row}"


class Store(Protocol):
    """The durable truth. Each call is one committed transaction. Raises StoreError.

    Methods that read return values; nothing is cached outside.
    """

    async def open(self) -> None:
        """Migrate and check. Raises StoreError when the database is damaged or from a newer kugetsu."""

    async def close(self) -> None:
        """After this, no call is allowed."""

    # inbox
    async def receive(self, inbound: Inbound) -> int | None:
        """Row id, or None when this event id of this platform was received before (7 days are remembered)."""

    async def receive_all(self, inbounds: Sequence[Inbound]) -> list[Received]:
        """The same for several, in order and together: those that were not received before."""

    async def close_inbound(
        self, row: int, outcome: str, reason: str = "", run: RunId | None = None, parts: Sequence[int] = ()
    ) -> None:
        """outcome: accepted | refused | ignored | failed; `run` is what it became. `parts` are rows that were decided
        with it. What was noted of what it makes (an operation `MADE`) is forgotten with it.
        """

    async def hold_inbound(self, rows: Sequence[int], question: str) -> None:
        """They wait for the answer to that question; with an empty one, no more."""

    async def open_inbound(self, platform: str) -> list[Received]:
        """What is still to be decided, in the order it came."""

    async def inbound_of(self, platform: str, chat: str, message: str) -> Received | None:
        """The message with the platform's id `message`, as it was first delivered."""

    async def last_inbound(self, person: PersonId, place: Place) -> Received | None:
        """The newest message of that person to that place, `why` and edits apart."""

    async def move_chat(self, platform: str, chat: str, to: str) -> None:
        """The chat goes on under another id: places, messages on their way and what was said in it move along."""

    # projects and base sessions
    async def adopted_projects(self) -> dict[str, Path]:
        """Projects people added from inside a checkout: ref → path."""

    async def adopt_project(self, project: ProjectRef, path: Path) -> None:
        """Add or replace."""

    async def base(self, project: ProjectRef) -> BaseSession | None: ...

    async def bases(self) -> list[BaseSession]: ...

    async def save_base(self, base: BaseSession) -> None: ...

    async def remove_base(self, project: ProjectRef) -> None: ...

    # sessions and places
    async def add_session(self, session: Session) -> None:
        """Raises SessionExists when the key is taken."""

    async def save_session(self, session: Session) -> None:
        """All of it. Where something else may change the record meanwhile, use `change_session`."""

    async def change_session(self, key: SessionKey, change: Callable[[Session], Session]) -> Session | None:
        """Read, change and write in one transaction; what is stored now, None when there is none. `change` is pure."""

    async def remove_session(self, key: SessionKey) -> None:
        """With its places; its runs stay for the audit."""

    async def session(self, key: SessionKey) -> Session | None: ...

    async def sessions(self) -> list[Session]:
        """Oldest first."""

    async def attach(self, place: Place, key: SessionKey) -> None:
        """A place has one session: an earlier attachment is replaced."""

    async def detach(self, place: Place) -> None: ...

    async def session_at(self, place: Place) -> SessionKey | None: ...

    async def places(self, key: SessionKey) -> list[Place]:
        """In the order they were attached."""

    # persisted sequences
    async def begin(self, kind: str, subject: str, data: Mapping[str, Any]) -> Operation: ...

    async def step_done(self, operation: Operation, step: str, data: Mapping[str, Any] | None = None) -> Operation:
        """Append a finished step and merge `data`."""

    async def end(self, operation: Operation) -> None: ...

    async def open_operations(self, *, kind: str | None = None, subject: str | None = None) -> list[Operation]:
        """Oldest first; of all kinds and about everything unless said otherwise."""

    # runs
    async def add_run(
        self,
        session: SessionKey,
        prompt: str,
        person: PersonId,
        place: Place,
        *,
        message: str = "",
        attachments: Sequence[Attachment] = (),
        source: str = "",
    ) -> Run:
        """Queued, with the session's next number. `source` names what made it, where that may be repeated after a
        crash: the run it made before comes back then.
        """

    async def save_run(self, run: Run) -> None: ...

    async def change_run(self, run: RunId, change: Callable[[Run], Run]) -> Run | None:
        """Read, change and write in one transaction; what is stored now, None when there is none. `change` is pure."""

    async def run(self, run: RunId) -> Run | None: ...

    async def runs(self, session: SessionKey) -> list[Run]:
        """Oldest first."""

    async def run_of_source(self, source: str) -> Run | None:
        """What that made, see `add_run`."""

    async def last_run_in(self, person: PersonId, platform: str, chat: str) -> Run | None:
        """The newest that person asked for in any thread of that chat."""

    async def unfinished_runs(self, session: SessionKey | None = None) -> list[Run]:
        """Of one session, or over all, oldest first."""

    async def append_text(self, chunks: Sequence[Chunk]) -> None:
        """Keep received text safe while runs go on: in order, one transaction for all of them."""

    async def received_parts(self, run: RunId) -> list[Chunk]:
        """The same, one chunk a part."""

    async def received_text(self, run: RunId) -> str:
        """Parts in order of their first text, joined by a blank line. Empty after the run was saved as over."""

    # questions
    async def add_ask(self, ask: Ask) -> None: ...

    async def save_ask(self, ask: Ask) -> None: ...

    async def open_asks(self) -> list[Ask]: ...

    async def ask(self, ask: AskId) -> Ask | None: ...

    # offers
    async def add_offer(self, button: str, line: str) -> None:
        """What pressing `button` says; forgotten after 30 days."""

    async def offer(self, button: str) -> str | None: ...

    # outbox
    async def enqueue(self, run: RunId, places: Sequence[Place]) -> list[Delivery]:
        """One pending row a place, keyed by run and place; repeating it adds nothing."""

    async def save_delivery(self, delivery: Delivery) -> None: ...

    async def pending_deliveries(self) -> list[Delivery]: ...

    # messages on their way
    async def add_posts(self, posts: Sequence[Post]) -> list[Post]:
        """With their ids, in one transaction; one whose key is there already comes back as it is now."""

    async def save_post(self, post: Post) -> None: ...

    async def post(self, key: str) -> Post | None: ...

    async def open_posts(self, platform: str) -> list[Post]:
        """Those that are still to be sent, oldest first; and live messages and requests that are not closed."""

    async def post_at(self, platform: str, chat: str, message: str) -> Post | None:
        """Which of ours the platform's message is."""

    async def posts_of(self, *, run: RunId | None = None, ask: AskId | None = None) -> list[Post]:
        """Those about a run or a request, oldest first."""

    async def knows_message(self, platform: str, chat: str | None, message: str) -> bool:
        """Whether that message, ours or another's, is written down; in any chat where none is given."""

    async def newest_message(self, platform: str, chat: str) -> str:
        """The id of the newest message, ours or another's, that is known there; ids are numbers. Empty without one."""

    # people
    async def roles(self) -> dict[PersonId, str]:
        """Of everybody who was paired."""

    async def save_role(self, person: Person, role: str) -> None:
        """Add or replace."""

    # audit
    async def audit(self, person: PersonId, action: str, subject: str, place: Place | None, detail: str = "") -> None:
        """Append-only."""


# ── archives ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Parcel:
    """A session on its way to another machine."""

    manifest: Mapping[str, Any]  # kugetsu's record, JSON types
    session: bytes  # opencode's own export
    bundle: Path  # a git bundle of the branch and of uncommitted changes


class Archives(Protocol):
    """The file a session travels in. Blocking calls."""

    def pack(self, target: Path, parcel: Parcel) -> None:
        """Whole, or not at all. Raises StoreError."""

    def unpack(self, file: Path, folder: Path) -> Parcel:
        """Its bundle is put into `folder`. Raises UsageError for what is no archive, is damaged, or is too new."""


# ── the forges ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote below an issue."""

    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, pull or merge request as its forge tells it. All of it is other people's text: untrusted."""

    ref: IssueRef
    title: str
    text: str
    author: str
    state: str  # open | closed | merged
    url: str
    comments: tuple[Comment, ...] = ()  # the last ones, oldest first
    comments_left_out: int = 0
    request: bool = False  # a pull or merge request


class Forge(Protocol):
    """One forge instance. Every method raises ForgeError; calls are bounded in time and size by the adapter."""

    async def issue(self, ref: IssueRef) -> Issue:
        """With its last comments. Raises ForgeNotFound for 404, and for private ones without a token."""

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        """Open issues of the project, last changed first, those assigned to the token's user before the others.

        Without comments.
        """


# ── the chats ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a live message's first line is made of."""

    run: Run
    session: Session
    asker: str  # name for people


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run that is over, for the answer and for scripts."""

    run: Run
    session: Session
    files_changed: int | None = None  # None where nobody counted
    buttons: tuple[Button, ...] = ()  # what can be done about how it ended


class LiveMessage(Protocol):
    """One run's message in one place, edited as the run goes on. Calls never overlap."""

    @property
    def refresh(self) -> float:
        """Seconds after which it is shown again although nothing changed; 0: never."""

    def patience(self, progress: Progress) -> float:
        """Seconds to wait before this state is shown, in which a newer one may come; infinite: it shows nothing new."""

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress | None:
        """Wait until a state may be shown, then take the newest and show it. Returns what was shown; None: nothing,
        because there is to be patience with the newest.

        Cancelled while it waits, nothing is shown; cancelled while it shows, that comes to its end first.
        """

    async def settle(self, progress: Progress, report: RunReport) -> None:
        """Exactly once, last; `progress` may be newer than the last update."""


class ChatPort(Protocol):
    """A chat platform."""

    platform: str

    def can_ask(self, place: Place) -> bool:
        """Whether somebody there could answer a permission request now."""

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        """Where a session started by `message` in `origin` is to live; where it lives already, if it does there."""

    def link(self, place: Place, token: str) -> str:
        """A URL that opens the place, or else a direct chat in which `/start <token>` is said; empty without either."""

    async def renamed(self, session: Session) -> None:
        """The session's title has changed."""

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        """The session is destroyed; `places` were where it was shown."""

    async def send(self, place: Place, document: Document) -> None:
        """A notice; silent where the platform can."""

    async def send_file(self, place: Place, file: Path, name: str) -> None:
        """A file of the worktree; `name` is its path in it."""

    def live(self, place: Place, header: RunHeader) -> LiveMessage:
        """Opened when the run starts; nothing is sent before the first update."""

    async def answer(self, place: Place, report: RunReport, key: str) -> None:
        """The run's answer, once: repeating a `key` must not show it twice where the platform can prevent it."""

    async def ask(self, place: Place, ask: Ask) -> None:
        """Show a request, ringing."""

    async def answered(self, place: Place, ask: Ask, number: int, chosen: str, by: str) -> None:
        """Question `number` of several has its answer; the others are still open."""

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        """Show who decided what (`by` is a name, empty for nobody); buttons are withdrawn."""


# ── the rest ───────────────────────────────────────────────────────────────────────────────────


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def now(self) -> datetime:
        """Aware, UTC."""

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sender of one message is told at once, in the thread it belongs to."""

    document: Document
    ok: bool = True
    code: str = ""  # of the error, see core.errors; empty when ok
    data: Any = None  # JSON-ready, for scripts: what `--json` prints
    place: Place | None = None  # where the conversation goes on, when that is not where the message came from
    run: RunId | None = None  # the run this message started or queued


@dataclass(frozen=True, slots=True)
class Press:
    """A button pressed, or a request answered by text."""

    id: str  # the platform's own id of the press: what de-duplicates a replay
    button: str
    person: Person
    place: Place
    text: str = ""  # free text that goes with it: an answer, the reason of a reject
    message: str = ""  # the platform's id of the message the button is on; empty where messages have none


class Intake(Protocol):
    """What chats hand their events to."""

    async def receive(self, inbound: Inbound) -> Reply:
        """Commands (`/start …`, `!start …`) and plain messages. Never raises for what a person did wrong."""

    async def press(self, press: Press) -> Reply:
        """Decisions and other buttons; takes the control lane, never waits behind a run."""
