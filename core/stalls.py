"""Runs that say nothing for long: people are told, and whether it is opencode that hangs or the model that is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from core import view
from core.audience import Audience
from core.errors import KugetsuError, StoreError
from core.model import Run, Session
from core.ports import Clock

LOOKS = 4  # how often a run is looked at within `stall_after`
PATIENCE = 10.0  # seconds for opencode to answer whether it is alive


class Stalls:
    """Watches one run each; an event of the run, or that it waits for people, is what counts as life."""

    def __init__(self, audience: Audience, clock: Clock, stall_after: timedelta) -> None:
        self._audience = audience
        self._clock = clock
        self._after = stall_after.total_seconds()

    async def watch(
        self,
        run: Run,
        session: Session,
        heard: Callable[[], int],
        waits: Callable[[], bool],
        alive: Callable[[], Awaitable[object]],
    ) -> None:
        """Until cancelled. `heard` counts the run's events; `alive` returns if opencode answers, else raises."""
        last, quiet = heard(), 0
        while True:
            await self._clock.sleep(self._after / LOOKS)
            if heard() != last or waits():
                last, quiet = heard(), 0
                continue
            quiet += 1
            if quiet % LOOKS == 0:
                await self._tell(run, session, self._after * (quiet // LOOKS), alive)

    async def _tell(self, run: Run, session: Session, seconds: float, alive: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await alive()
            answers = True
        except (TimeoutError, KugetsuError):
            answers = False
        with suppress(StoreError):  # said again later; a watch that fails would take the run along
            await self._audience.tell(session.key, view.stalled(run, session, seconds, answers=answers))
