"""Latest-wins pacing of one run's message in one place: the reader overwrites a slot, a pump shows the newest state."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.ports import Clock, LiveMessage, RunReport
from core.progress import Progress

Complain = Callable[[str, BaseException], None]

TICK = 0.001  # seconds; less is not worth waiting for
AFTER_FAILURE = 1.0  # seconds; a chat that is down is not asked again at every word


class LiveSlot:
    """`show` never waits. The message itself says when it may be shown; states in between are skipped."""

    def __init__(
        self, message: LiveMessage, clock: Clock, persisted: Callable[[], Awaitable[None]], complain: Complain
    ) -> None:
        self._message = message
        self._clock = clock
        self._persisted = persisted
        self._complain = complain
        self._newest = Progress()
        self._shown: Progress | None = None
        self._shown_at = asyncio.get_running_loop().time()
        self._changed = asyncio.Event()
        self._pump = asyncio.create_task(self._run())

    def show(self, progress: Progress) -> None:
        """Overwrite what is to be shown next."""
        self._newest = progress
        self._changed.set()

    def drop(self) -> None:
        """Stop updating; the message stays as it is."""
        self._pump.cancel()

    async def stop(self) -> None:
        """Update no more; what is being shown comes to its end first."""
        self._pump.cancel()
        await asyncio.wait([self._pump])

    async def settle(self, report: RunReport) -> None:
        """Stop updating, then close the message with how the run ended."""
        await self.stop()
        try:
            await self._message.settle(self._newest, report)
        except Exception as error:  # noqa: BLE001  a broken place must not keep the others from settling
            self._complain("live message could not be settled", error)

    async def _run(self) -> None:
        failed = False
        while True:
            fresh = await self._change(self._within())
            while fresh and TICK < (patience := self._message.patience(self._newest)) < math.inf:
                await self._change(patience)
            if fresh and (self._newest is self._shown or patience == math.inf):
                continue
            try:
                shown = await self._message.update(self._take)
                failed = False
                if shown is None:
                    self._changed.set()
                    continue
                self._shown = shown
            except Exception as error:  # noqa: BLE001  the next state is tried; the answer does not depend on it
                if not failed:
                    self._complain("live message could not be updated", error)
                failed = True
                self._changed.set()
                await self._clock.sleep(AFTER_FAILURE)
            self._shown_at = asyncio.get_running_loop().time()

    def _within(self) -> float | None:
        """Seconds until the message is to be shown again without news; None: never."""
        refresh = self._message.refresh
        return max(self._shown_at + refresh - asyncio.get_running_loop().time(), TICK) if refresh else None

    async def _change(self, within: float | None) -> bool:
        """Wait for a new state, at most `within` seconds. False when none came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()
                self._changed.clear()
                return True
        return False

    async def _take(self) -> Progress:
        """The newest state, in the moment it is shown. What a chat has shown must survive a crash: on disk first."""
        progress = self._newest
        await self._persisted()
        return progress
