"""The real clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """A `core.ports.Clock`."""

    def now(self) -> datetime:
        """See core.ports.Clock."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """See core.ports.Clock."""
        await asyncio.sleep(seconds)
