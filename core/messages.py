"""Messages on their way to people, and what core needs of a platform that carries them: Telegram, Discord, Matrix.

A `Messenger` only carries: what is sent when, in which order, and what becomes of it after a failure is decided in
`core.outbox`, `core.budget` and `core.relay`, the same for all of them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from core.model import AskId, Button, Inbound, IncomingFile, Person, Place, RunId
from core.ports import Press, Reply


@dataclass(frozen=True, slots=True)
class Page:
    """One message's worth of text, rendered for one platform."""

    text: str
    format: str = ""  # what the platform needs beside the text (entities, HTML), opaque here; without it: plain text

    @property
    def plain(self) -> Page:
        """The same words without formatting."""
        return Page(self.text)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is handed to a platform."""

    page: Page
    buttons: tuple[tuple[Button, ...], ...] = ()  # rows
    silent: bool = False  # nobody's phone rings
    reply_to: str = ""  # a message of the same chat; one that is gone is no error
    mention: Person | None = None  # whose phone rings, where a reply alone does not do that
    file: Path | None = None  # sent with `page` as its caption
    file_name: str = ""
    content: bytes = b""  # sent as the file `file_name`, in place of `file`


class PostKind(enum.StrEnum):
    """What a message is for; says how urgent it is and what becomes of it when it is late."""

    ANSWER = "answer"
    ASK = "ask"
    REPLY = "reply"  # to a command or message
    NOTICE = "notice"
    FILE = "file"
    LIVE = "live"  # a run's message, edited while it goes on


class PostState(enum.StrEnum):
    """pending → sending → sent, and from there or from anywhere to one of the last two. See core.delivery."""

    PENDING = "pending"
    SENDING = "sending"  # noted before the call: after a crash it is unknown
    UNKNOWN = "unknown"  # the call may have had its effect
    SENT = "sent"
    CLOSED = "closed"  # a live message that shows its run's end, a request that shows its decision
    DROPPED = "dropped"  # will not be sent: refused for good, its place gone, or summed up by another message


@dataclass(frozen=True, slots=True)
class Post:
    """One message on its way to one place, as stored. `key` is its idempotency key and never changes."""

    key: str
    place: Place
    kind: PostKind
    page: Page
    created: datetime
    buttons: tuple[tuple[Button, ...], ...] = ()
    silent: bool = True
    reply_to: str = ""
    file: str = ""
    file_name: str = ""
    run: RunId | None = None
    ask: AskId | None = None
    id: int = 0  # given by the store; within a place, lower ones are shown first
    state: PostState = PostState.PENDING
    message: str = ""  # the platform's id, once it is sent
    attempts: int = 0
    repeat: bool = False  # may be there already: says so
    after: str = ""  # while it is sent: the newest message known there before, behind which it is to be found
    note: str = ""  # why it was dropped or waits

    def in_state(self, state: PostState, note: str = "") -> Post:
        """The same message, moved on."""
        return replace(self, state=state, note=note)


class Mark(enum.StrEnum):
    """A receipt put on a person's message."""

    SEEN = "seen"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` in any `seconds`; calls to places with the same `name` count together."""

    name: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Traits:
    """What a platform can do."""

    drafts: bool = False  # `draft` works in direct chats
    remembers: timedelta = timedelta(0)  # for how long a repeated key is not shown twice
    max_edits: int | None = None  # of one message
    draft_life: float = 0.0  # seconds a draft stays without a new one


CHAIN = "r"  # begins the thread of a place that is a reply chain: what follows is the message it hangs from


def is_chain(place: Place) -> bool:
    """Whether the place is a reply chain, in a chat that has no threads."""
    return place.thread.startswith(CHAIN)


Turn = Callable[[], AbstractAsyncContextManager[None]]  # waits until a call may be made; the block is the call


class Finding(NamedTuple):
    """One line of `doctor`: whether it is well, what was looked at, what to do."""

    ok: bool
    what: str
    hint: str = ""


class Mail(Protocol):
    """What messengers hand their events to."""

    async def take(self, inbounds: Sequence[Inbound], *, more: bool = False) -> None:
        """All are committed when this returns; only then may they be confirmed to the platform. What they mean is
        worked out later, in order. `more`: the platform has others waiting that were sent before now.
        """

    async def press(self, press: Press) -> Reply:
        """Decided when this returns; never waits behind a run. What follows from it is shown in its place."""

    async def moved(self, platform: str, chat: str, to: str) -> None:
        """A chat goes on under another id."""

    async def lost(self, place: Place, why: str) -> None:
        """Nothing can be shown in that place (without a thread: in that chat) any more."""


class Messenger(Protocol):
    """A platform's account. Calls are bounded in time by the adapter and never retried there.

    Every call may raise ChatUnreachable, ChatDoubt, ChatLimited, ChatDenied, PlaceGone, ChatError.
    """

    platform: str
    traits: Traits

    async def connect(self) -> None:
        """Check the account, learn its name, publish the commands. May be repeated."""

    async def listen(self, mail: Mail) -> None:
        """Hand over events until cancelled, through every trouble of the connection. Raises ChatDenied."""

    async def close(self) -> None:
        """After `listen` has ended."""

    def limits(self, place: Place) -> tuple[Limit, ...]:
        """What a call that shows something in `place` counts against, narrowest first."""

    def account_limits(self) -> tuple[Limit, ...]:
        """What every call counts against."""

    def pages(self, markdown: str) -> list[Page]:
        """Split and rendered, with room for 40 more characters in each; not empty where something can be seen."""

    def live_page(self, head: str, lines: Sequence[str], body: str) -> Page:
        """One message: `head` and `lines` of Markdown whole, of `body` as much of the end as fits."""

    def is_direct(self, place: Place) -> bool:
        """Whether just one person reads there."""

    async def send(self, place: Place, message: Outgoing, key: str) -> str:
        """The platform's id of it. Raises ChatFormat when the text alone would be taken."""

    async def edit(self, place: Place, message_id: str, message: Outgoing) -> None:
        """Replace text and buttons; the same as before is no error. Raises MessageGone, ChatFormat."""

    async def draft(self, place: Place, draft: int, page: Page) -> None:
        """Show or change a passing preview of a message; `draft` tells one from another. Only with `traits.drafts`."""

    async def react(self, place: Place, message_id: str, mark: Mark) -> None:
        """Put a mark on a person's message, in place of the one before. Where the chat forbids it: nothing."""

    async def find(self, place: Place, message: Outgoing, key: str, after: str, turn: Turn) -> str | None:
        """The id of a message that a dead process, or a call that came to no end, may have sent after the message
        `after`; looking may give it this content. None: it is not there, as far as can be told. Each call to the
        platform is made inside a `turn()`.
        """

    async def open_thread(self, origin: Place, title: str, message: str) -> Place:
        """A thread for a session started by `message` in `origin`; where the chat has none, a reply chain: `CHAIN` and
        the message.
        """

    async def rename_thread(self, place: Place, title: str) -> None:
        """No error where the place is no thread of ours."""

    async def close_thread(self, place: Place) -> None:
        """Likewise."""

    def link(self, place: Place) -> str:
        """A URL that opens the place, empty where there is none."""

    def invitation(self, token: str) -> str:
        """A URL that opens a direct chat, in which `/start <token>` is then said; empty where there is none."""

    async def diagnose(self) -> list[Finding]:
        """What is wrong with the account and how it is set up. Does not raise for trouble of the platform."""

    async def fetch(self, file: IncomingFile, target: Path) -> None:
        """Write a file that came with a message to `target`. Raises ChatError with the reason when it cannot be had."""
