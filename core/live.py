"""Latest-wins pacing of one run's message in one place: the reader overwrites a slot, a pump shows the newest state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.ports import Clock, LiveMessage, RunReport
from core.progress import Progress

Complain = Callable[[str, BaseException], None]


class LiveSlot:
    """`show` never waits; the pump leaves `message.interval` seconds between updates and skips unchanged states."""

    def __init__(
        self, message: LiveMessage, clock: Clock, persisted: Callable[[], Awaitable[None]], complain: Complain
    ) -> None:
        self._message = message
        self._clock = clock
        self._persisted = persisted
        self._complain = complain
        self._newest = Progress()
        self._shown: Progress | None = None
        self._changed = asyncio.Event()
        self._pump = asyncio.create_task(self._run())

    def show(self, progress: Progress) -> None:
        """Overwrite what is to be shown next."""
        self._newest = progress
        self._changed.set()

    def drop(self) -> None:
        """Stop updating; the message stays as it is."""
        self._pump.cancel()

    async def settle(self, report: RunReport) -> None:
        """Stop updating, then close the message with how the run ended."""
        self._pump.cancel()
        await asyncio.wait([self._pump])
        try:
            await self._message.settle(self._newest, report)
        except Exception as error:  # noqa: BLE001  a broken place must not keep the others from settling
            self._complain("live message could not be settled", error)

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._newest is self._shown:
                continue
            progress = self._newest
            try:
                # What a chat has shown must survive a crash, so it is on disk first.
                await self._persisted()
                await self._message.update(progress)
            except Exception as error:  # noqa: BLE001  the next state is tried; the answer does not depend on it
                self._complain("live message could not be updated", error)
            self._shown = progress
            if self._message.interval:
                await self._clock.sleep(self._message.interval)
