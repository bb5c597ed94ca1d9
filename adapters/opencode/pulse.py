"""An event that is over as soon as it happened."""

from __future__ import annotations

import asyncio


class Pulse:
    """Wakes everybody who waits at that moment."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Now."""
        self._event.set()
        self._event.clear()

    async def wait(self) -> None:
        """For the next beat."""
        await self._event.wait()
