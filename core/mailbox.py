"""One worker a session: what belongs to one session happens in order, different sessions never wait for each other.

A worker exists while there is work. What is to be done is in the store (queued runs); a mailbox only says *look again*.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.live import Complain
from core.model import SessionKey

Work = Callable[[SessionKey], Awaitable[bool]]  # does the next thing; False when nothing is left


class Mailboxes:
    """`wake` starts or reminds the session's worker."""

    def __init__(self, work: Work, complain: Complain) -> None:
        self._work = work
        self._complain = complain
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._closed = False

    def wake(self, key: SessionKey) -> None:
        """Have the session's worker look for work; safe to call often."""
        if self._closed:
            return
        self._again.add(key.key)
        if key.key not in self._workers:
            self._workers[key.key] = asyncio.create_task(self._drain(key), name=f"session {key}")

    async def idle(self, key: SessionKey) -> None:
        """Wait until the session's worker has nothing left to do."""
        while worker := self._workers.get(key.key):
            await asyncio.wait([worker])

    async def quiet(self) -> None:
        """Wait until no session has anything left to do."""
        while self._workers:
            await asyncio.wait(list(self._workers.values()))

    async def finish(self) -> None:
        """Let what is under way come to its end and begin nothing more."""
        self._closed = True
        await self.quiet()

    async def close(self) -> None:
        """Cancel all workers and wait for them; nothing is started after this."""
        self._closed = True
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    async def _drain(self, key: SessionKey) -> None:
        try:
            while key.key in self._again and not self._closed:
                self._again.discard(key.key)
                while await self._work(key) and not self._closed:
                    pass
        except Exception as error:  # noqa: BLE001  the session's next message must find a living worker
            self._complain(f"worker of {key} failed", error)
        finally:
            # No await between the last look and this: a wake in between would be lost.
            del self._workers[key.key]
            if key.key in self._again and not self._closed:
                self._again.discard(key.key)
                self.wake(key)
