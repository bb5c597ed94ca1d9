"""The store: the durable truth, and what stands in it beside the words of the domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.model import (
    AskId,
    Attachment,
    BaseSession,
    Decision,
    Inbound,
    Person,
    PersonId,
    Place,
    ProjectRef,
    Run,
    RunId,
    Session,
    SessionKey,
    Verbosity,
)

if TYPE_CHECKING:
    from core.messages import Post


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
    answers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # of a form, by question, while it is open


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


@dataclass(frozen=True, slots=True)
class DayBudget:
    """What all that a person asks for may cost in a day, which begins at midnight UTC."""

    amount: float  # USD
    set_by: PersonId


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

    async def verbosities(self, key: SessionKey) -> dict[Place, Verbosity]:
        """Of all the session's places, in the order they were attached: asked for once before each prompt."""

    async def verbosity(self, place: Place) -> Verbosity:
        """NORMAL where nobody chose, and where no session is shown."""

    async def set_verbosity(self, place: Place, verbosity: Verbosity) -> None:
        """For as long as the place shows its session."""

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

    async def add_aside(self, session: SessionKey, person: PersonId, question: str, answer: str, cost: float) -> None:
        """A question on the side that was answered; `cost` in USD."""

    async def spent_in(self, session: SessionKey) -> float:
        """USD of all that is over in that session, questions on the side included."""

    async def spent_by(self, person: PersonId, since: datetime) -> float:
        """USD of all that person asked for since then, in every session, as far as it is over."""

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

    async def day_budget(self, person: PersonId) -> DayBudget | None:
        """None: no limit."""

    async def save_day_budget(self, person: PersonId, budget: DayBudget | None) -> None:
        """Add, replace or remove."""

    # audit
    async def audit(self, person: PersonId, action: str, subject: str, place: Place | None, detail: str = "") -> None:
        """Append-only."""
