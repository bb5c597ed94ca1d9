"""A server process as its supervisor watches it: one that we started, or one that a killed bot left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Protocol

from adapters.opencode.processes import end_family, family, processes

LOOK_EVERY = 1.0  # seconds; nothing tells when a process ends that is not our child


class Served(Protocol):
    """`leader` is its process group."""

    leader: int

    async def ended(self) -> str:
        """Return when it has ended by itself, with a sentence about that."""

    async def end(self) -> None:
        """End it and all that it started."""


class Child:
    """Ours. `words` gets the last lines it says: a full pipe would stop it, so all is read."""

    def __init__(self, process: asyncio.subprocess.Process, words: deque[str]) -> None:
        self._process = process
        self._words = words
        self.leader = process.pid

    async def ended(self) -> str:
        """See Served. Its output ends with it."""
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(65536):
            self._words.extend(chunk.decode(errors="replace").splitlines()[-20:])
        code = await self._process.wait()
        return f"opencode ended by itself (code {code}); it is started again when needed"

    async def end(self) -> None:
        """See Served. Reading its output to the end closes our side of the pipe; a tool may hold the other."""
        await end_family(self.leader)
        await self._process.wait()
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.stdout.read()


class LeftOver:
    """A server whose bot was killed; what ran in it runs on."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    async def ended(self) -> str:
        """See Served."""
        while await asyncio.to_thread(self._runs):  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(LOOK_EVERY)
        return "opencode ended by itself; it is started again when needed"

    async def end(self) -> None:
        """See Served."""
        await end_family(self.leader)

    def _runs(self) -> bool:
        return bool(family(self.leader, processes()))
