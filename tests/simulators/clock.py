"""The real time, for tests that talk to real programs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class WallClock:
    """A `core.ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
