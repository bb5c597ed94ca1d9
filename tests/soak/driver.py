"""What a scenario needs of a simulated platform. Scenario files know this and no platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.soak.observed import Observed, Shown

T = TypeVar("T")

PLATFORMS = ("telegram", "console")  # where scenarios can be run
KINDS = ("direct", "group", "threads")  # one person; several, without threads; several, with threads
CALLS = ("any", "send", "edit", "receive")  # what a fault can be played on
FAULTS = {
    "down": "the platform answers that it is in trouble itself; nothing was done",
    "limited": "too many calls, says the platform, for `seconds`",
    "lost": "the connection breaks before anything is done",
    "doubtful": "it is done, and the connection breaks before the answer",
    "silent": "it is done, and no answer comes",
    "hangs": "nothing is done and no answer comes",
}
EVENTS = {
    "thread deleted": "somebody deletes the thread",
    "thread closed": "somebody closes the thread",
    "removed": "the bot is put out of the chat, or blocked",
    "message deleted": "somebody deletes the bot's message with `text` in it",
    "chat moved": "the chat goes on under another id",
    "broken event": "an event comes that nobody can read",
    "events held": "what people write does not reach the bot …",
    "events released": "… until now",
    "events reversed": "… and comes in another order",
    "event repeated": "the last thing that was written comes once more",
    "another reader": "another program takes the bot's events for a moment",
    "account revoked": "the bot's token does not count any more",
    "account renewed": "it counts again",
}


# Fault points that only messages pass which core itself carries to a platform and back (`Traits.posts`).
CARRYING = (
    "chat.",
    "live message",
    "message",
    "post",
    "reply",
    "store.add_posts",
    "store.receive_all",
    "store.save_post",
    "thread",
)


class Unsupported(Exception):
    """This platform has no such thing."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a platform has. Whatever depends on it asks here: which scenarios are for it (`tests.soak.fit`), what is
    expected there and how the contract is checked (`tests.soak.checker`).
    """

    kinds: tuple[str, ...] = KINDS
    trouble: bool = True  # it can be made to fail, and things happen to its chats
    waits: bool = True  # what people say while nobody takes it in waits there
    edits: bool = True  # people can change what they wrote …
    uploads: bool = True  # … and send files
    rewrites: bool = True  # messages of the bot change in place, and go
    receipts: bool = True  # a sign at what people wrote that it was seen
    rings: bool = True  # phones
    posts: bool = True  # each message of the bot has an id that it keeps; else it is on a screen, and that is all


class PlatformDriver(Protocol):
    """One account of kugetsu's on one simulated platform; places and people have the names that a scenario gives."""

    platform: str
    traits: Traits

    async def open(self) -> None:
        """Start the simulator."""

    async def close(self) -> None:
        """Stop it."""

    def settings(self, state: Path) -> dict[str, Any]:
        """The platform's section below `adapters:` of a bot that keeps its state in the folder `state`."""

    def admins(self) -> list[str]:
        """Ids of all the people that ever take part."""

    def begin(self) -> None:
        """A scenario begins: names mean new places and people, and what was seen before is forgotten."""

    def add_place(self, name: str, kind: str, people: list[str]) -> None:
        """Raises Unsupported."""

    async def say(self, place: str, text: str, *, by: str = "", reply: Shown | None = None) -> str:
        """Write to the bot, so that it knows itself meant; the message's id, where it has one. `place` may name a
        thread: `team/#14`. With `reply` it answers that message of the bot's.
        """

    async def send(self, place: str, name: str, content: bytes, text: str, *, by: str = "") -> str:
        """A file."""

    async def edit(self, text: str, new: str) -> None:
        """Change what somebody wrote."""

    async def press(self, place: str, message: Shown, button: str, *, by: str = "", wait: float = 10.0) -> str:
        """`button` is its whole label. What the person is told within `wait` seconds. Raises AssertionError when there
        is no such button.
        """

    def has(self, place: str) -> bool:
        """Whether the place is there, and something of the bot's in it; a thread is made when its session starts."""

    def shown(self, place: str) -> list[Shown]:
        """Messages of the bot that are there now, oldest first."""

    def previews(self, place: str) -> list[str]:
        """What is being written: drafts, the end of a screen."""

    def content(self, place: str, message: Shown) -> bytes:
        """Of the file that came with `message`."""

    async def wait(self, happened: Callable[[], T], seconds: float) -> T:
        """The first true value, asked for again whenever something happens. Raises TimeoutError."""

    def outage(self, seconds: float | None) -> None:
        """Nothing of the platform can be reached; None: from now on."""

    def fault(self, what: str, call: str, place: str, times: int | None, seconds: float) -> None:
        """One of FAULTS, on one of CALLS; `place` may be empty: everywhere. `times` None: until `calm`."""

    def calm(self) -> None:
        """The end of all outages and faults."""

    async def happen(self, what: str, place: str, text: str) -> None:
        """One of EVENTS. Raises Unsupported."""

    def observed(self) -> Observed:
        """Since `begin`."""
