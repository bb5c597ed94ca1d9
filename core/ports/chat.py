"""The chats: what is shown in them, and what they hand in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.events import Step
from core.model import Button, Document, Inbound, Person, Place, Run, RunId, Session, Verbosity
from core.ports.store import Ask
from core.progress import Progress

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a live message's first line is made of."""

    run: Run
    session: Session
    asker: str  # name for people
    verbosity: Verbosity = Verbosity.NORMAL  # of the place it is shown in


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run that is over, for the answer and for scripts."""

    run: Run
    session: Session
    files_changed: int | None = None  # None where nobody counted
    buttons: tuple[Button, ...] = ()  # what can be done about how it ended
    steps: tuple[Step, ...] = ()  # what the agent did, as far as the process that reports it saw


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
        """A URL that opens the place, or else, given a token, a direct chat in which `/start <token>` is said.

        Empty where there is neither.
        """

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

    async def revised(self, place: Place, ask: Ask) -> None:
        """A form that is shown has other answers now; it is still open."""

    async def ask_why(self, place: Place, ask: Ask) -> None:
        """Let somebody there say why a request is rejected: what replies to it is the reason."""

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        """Show who decided what (`by` is a name, empty for nobody); buttons are withdrawn."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sender of one message is told at once, in the thread it belongs to."""

    document: Document
    ok: bool = True
    code: str = ""  # of the error, see core.errors; empty when ok
    data: Any = None  # JSON-ready, for scripts: what `--json` prints
    place: Place | None = None  # where the conversation goes on, when that is not where the message came from
    run: RunId | None = None  # the run this message started or queued
    passing: bool = False  # for who pressed, for a moment: what it changed is shown where it belongs


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
