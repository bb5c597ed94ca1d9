"""What a platform saw, in terms that all of them share. Made by a driver from its simulator's log."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a person that the platform has for the bot."""

    chat: str
    event: str  # the id by which the inbox knows it; empty where a platform does not tell it
    text: str
    at: float  # seconds, as all times here
    told: bool = False  # the bot answered over the same connection


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the bot, as it stands now."""

    chat: str
    message: str
    text: str
    thread: str = ""  # as in core's places; chains of replies have none
    at: float = 0.0  # when it came
    first: str = ""  # what it said then
    buttons: tuple[str, ...] = ()
    rang: bool = False
    file: str = ""  # its name
    gone: bool = False  # deleted
    run: int | None = None  # where the platform itself says whose answer it is, and …
    ask: str = ""  # … what is asked
    live: bool = False  # still being written


@dataclass(frozen=True, slots=True)
class Limited:
    """A call the platform refused because there were too many, and no test had told it to."""

    what: str
    at: float


@dataclass(frozen=True, slots=True)
class Observed:
    """All of it, oldest first."""

    said: tuple[Said, ...] = ()
    shown: tuple[Shown, ...] = ()
    limited: tuple[Limited, ...] = ()
    seen: dict[str, float] = field(default_factory=dict)  # event → when its receipt was put
    screens: dict[str, str] = field(default_factory=dict)  # chat → the session its screen is in
    lost: float = 0.0  # when a screen was cut off from the bot the last time
