"""Trouble on demand: servers that fail, connections that break, answers that come late or never."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from .clock import SimulatedClock

KINDS = {
    "error": "answer `code` (a page of HTML for 502 and its kin) without doing anything",
    "too_many": "answer 429 with `retry_after`",
    "drop": "reset the connection without doing anything",
    "drop_after": "do it, then reset the connection: the bot cannot know",
    "hang": "never answer, do nothing",
    "hang_after": "do it, never answer",
    "slow": "wait `seconds`, then do it, whether the bot still listens or not",
    "slow_after": "do it, answer `seconds` later",
    "garbage": "answer 200 with something that is no JSON",
}


@dataclass(slots=True, eq=False)
class Fault:
    """What is played on calls that match. Empty `method` and None `chat` match all; `times` counts down to none."""

    kind: str
    method: str = ""  # "getUpdates"; "file" is a download; empty is every method
    chat: int | None = None
    times: int | None = None  # None: until `until` or removal
    seconds: float = 0.0
    code: int = 502
    retry_after: int = 1
    description: str = ""  # of an `error` in JSON; empty: a page of HTML
    until: float | None = None  # monotonic
    number: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")


class Faults:
    """The faults in force, oldest first."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._faults: list[Fault] = []
        self.played = 0

    def add(
        self,
        kind: str,
        *,
        method: str = "",
        chat: int | None = None,
        times: int | None = 1,
        duration: float | None = None,
        **more: float | str,
    ) -> Fault:
        """Play `kind` on the next `times` matching calls; with `duration`, on all within so many seconds.

        `times=None` without a duration lasts until `remove` or `clear`.
        """
        until = None if duration is None else self._clock.monotonic() + duration
        fault = Fault(kind, method, chat, None if duration is not None else times, until=until, **more)  # type: ignore[arg-type]
        fault.number = next(self._numbers)
        self._faults.append(fault)
        return fault

    def outage(self, duration: float | None = None) -> Fault:
        """Every connection to the bot's API is reset, for `duration` seconds or until cleared."""
        return self.add("drop", times=None, duration=duration)

    def remove(self, fault: Fault | int) -> None:
        number = fault if isinstance(fault, int) else fault.number
        self._faults = [other for other in self._faults if other.number != number]

    def clear(self) -> None:
        self._faults = []

    def active(self) -> Iterable[Fault]:
        now = self._clock.monotonic()
        self._faults = [f for f in self._faults if f.times != 0 and (f.until is None or f.until > now)]
        return tuple(self._faults)

    def take(self, method: str, chat: int | None) -> Fault | None:
        """The fault to play on this call, counted."""
        for fault in self.active():
            if fault.method and fault.method.lower() != method.lower():
                continue
            if fault.chat is not None and fault.chat != chat:
                continue
            if fault.times is not None:
                fault.times -= 1
            self.played += 1
            return fault
        return None
