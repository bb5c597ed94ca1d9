"""What happened, in order and with times, for checkers that measure and judge a bot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from .clock import SimulatedClock


@dataclass(slots=True, eq=False)
class Call:
    """One request of the bot. `answered` stays None while it hangs; `outcome` says how it ended on the wire."""

    number: int
    method: str
    params: dict[str, Any]
    arrived: float  # monotonic
    arrived_wall: float
    answered: float | None = None
    code: int = 0
    result: Any = None
    error: str = ""
    fault: str = ""  # which fault was played on it
    outcome: str = ""  # answered | dropped | hung

    @property
    def ok(self) -> bool:
        return self.code == 200

    @property
    def duration(self) -> float | None:
        return None if self.answered is None else self.answered - self.arrived

    @property
    def chat_id(self) -> int | None:
        try:
            return int(self.params["chat_id"])
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. Kinds: request, poll, answer, update, delivered, confirmed, webhook, message, edit, delete,
    draft, action, reaction, press, member, topic, fault."""

    number: int
    kind: str
    monotonic: float
    wall: float
    data: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, default=str)


class Log:
    """The list, and a way to wait for what will be in it."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Event] = set()
        self.events: list[Event] = []
        self.calls: list[Call] = []

    def add(self, kind: str, **data: Any) -> Event:
        event = Event(len(self.events) + 1, kind, self._clock.monotonic(), self._clock.wall(), data)
        self.events.append(event)
        for waiting in self._waiting:
            waiting.set()
        return event

    def begin(self, method: str, params: dict[str, Any]) -> Call:
        call = Call(len(self.calls) + 1, method, params, self._clock.monotonic(), self._clock.wall())
        self.calls.append(call)
        self.add("request", call=call.number, method=method, params=params)
        return call

    def finish(self, call: Call, outcome: str) -> None:
        call.answered, call.outcome = self._clock.monotonic(), outcome
        self.add("answer", **asdict(call))

    def of(self, kind: str, after: int = 0) -> list[Event]:
        return [event for event in self.events[after:] if event.kind == kind]

    def lines(self, after: int = 0) -> str:
        return "".join(event.line() + "\n" for event in self.events[after:])

    async def wait(self, happened: Callable[[], Any], timeout: float) -> Any:
        """The first true value of `happened`, asked again after each event. Raises `TimeoutError`."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            async with asyncio.timeout(timeout):
                while not (value := happened()):
                    await changed.wait()
                    changed.clear()
                return value
        except TimeoutError:
            tail = "\n".join(event.line()[:300] for event in self.events[-8:])
            raise TimeoutError(f"not within {timeout} s; the log ends with\n{tail}") from None
        finally:
            self._waiting.discard(changed)
