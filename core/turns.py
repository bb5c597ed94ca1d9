"""Who has a session: a run, or what must not meet one (`undo`, `compact`, `commit` …). The other waits its turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from core import view
from core.errors import Busy
from core.model import Run, RunState, Session, SessionKey
from core.ports import Store

End = Callable[[], Awaitable[None]]


def turn(run: Run) -> tuple[bool, bool, bool, int]:
    """The order in which a session's runs have their turn.

    One under way that nobody drives was left by a process that died; what carries on goes before what waits.
    """
    return (run.state is RunState.QUEUED, run.prompt != view.CARRY_ON, not run.urgent, run.number)


class Turns:
    """One at a time in each session, and in each checkout that sessions share."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._checkouts: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ends: dict[str, End] = {}  # of what is `alone` in a session

    def session(self, key: SessionKey) -> asyncio.Lock:
        """Held by whoever has the session."""
        return self._sessions[key.key]

    def checkout(self, session: Session) -> AbstractAsyncContextManager[object]:
        """Sessions that share the project's checkout take turns; one with a worktree need not."""
        return nullcontext() if session.branch else self._checkouts[str(session.directory)]

    @asynccontextmanager
    async def alone(self, session: Session, end: End | None = None) -> AsyncIterator[None]:
        """Nothing runs in the session and its checkout meanwhile; what is said waits. `end` is how `stop` ends it.

        Raises Busy.
        """
        key, mine, checkout = session.key, self.session(session.key), self.checkout(session)
        waiting = await self._store.unfinished_runs(key)
        if waiting or mine.locked():
            raise Busy(f"{key.tag} is at work.", "Wait for the end, or `/stop` it first.")
        if isinstance(checkout, asyncio.Lock) and checkout.locked():
            raise Busy("Another session works in this checkout.", "Wait for its end: the project has no worktrees.")
        async with mine, checkout:
            if end:
                self._ends[key.key] = end
            try:
                yield
            finally:
                self._ends.pop(key.key, None)

    async def end(self, key: SessionKey) -> bool:
        """End what is `alone` in the session. False: nothing is that could be ended."""
        end = self._ends.get(key.key)
        if end is None:
            return False
        await end()
        return True
