"""Keeps received text safe while runs go on. Many runs share one commit, so the disk sets the pace, not the tokens."""

from __future__ import annotations

import asyncio

from core.errors import StoreError
from core.live import Complain
from core.ports import Chunk, Clock, Store
from core.tasks import to_the_end

PAUSE = 0.02  # seconds between background commits: at most that much text is at risk where no chat shows it


class Journal:
    """Chunks are added without waiting and committed together, in order."""

    def __init__(self, store: Store, clock: Clock, complain: Complain) -> None:
        self._store = store
        self._clock = clock
        self._complain = complain
        self._pending: list[Chunk] = []
        self._added = asyncio.Event()
        self._writing = asyncio.Lock()
        self._failing = False
        self._taken = 0  # chunks that were ever added, and …
        self._saved = 0  # … how many of them are on disk

    def add(self, chunk: Chunk) -> None:
        """Take the chunk; it is on disk after the next `flush`."""
        self._pending.append(chunk)
        self._taken += 1
        self._added.set()

    async def flush(self) -> None:
        """Commit all that was added before. A full disk is complained of once and retried: text stays in memory."""
        wanted = self._taken
        async with self._writing:
            # Whoever waited finds its text committed by the one before: with many runs, not every flush is a commit.
            if self._saved >= wanted:
                return
            chunks, self._pending = self._pending, []
            # Whether the commit came through must be known: chunks put back after it would be there twice.
            await to_the_end(self._write(chunks))

    async def _write(self, chunks: list[Chunk]) -> None:
        try:
            await self._store.append_text(chunks)
        except Exception as error:
            self._pending = chunks + self._pending
            if not isinstance(error, StoreError):
                raise
            if not self._failing:
                self._complain("received text could not be saved; it is kept in memory", error)
            self._failing = True
        else:
            self._saved += len(chunks)
            self._failing = False

    async def run(self) -> None:
        """Commit in the background until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            await self.flush()
            await self._clock.sleep(1.0 if self._failing else PAUSE)
            if self._failing:
                self._added.set()
