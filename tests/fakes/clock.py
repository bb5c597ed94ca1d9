"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """A `core.ports.Clock` that stands still until `advance`."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), sleeper))
        await sleeper

    async def asleep(self, seconds: float) -> None:
        """Until somebody sleeps that long."""
        while not any(at - self._now == timedelta(seconds=seconds) and not s.done() for at, s in self._sleepers):
            await asyncio.sleep(0)

    def advance(self, by: timedelta) -> None:
        self._now += by
        due = [sleeper for at, sleeper in self._sleepers if at <= self._now]
        self._sleepers = [(at, sleeper) for at, sleeper in self._sleepers if at > self._now]
        for sleeper in due:
            if not sleeper.done():
                sleeper.set_result(None)


class LoopClock:
    """A `core.ports.Clock` on the event loop's own time, for loops whose time is virtual. Read in threads as well."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def now(self) -> datetime:
        self._loop = self._loop or asyncio.get_running_loop()
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
