"""`queue`: what waits behind a run. Entries are cancelled, or sent at once in place of the run under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core import view_steer
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import NotFound, UsageError
from core.model import Button, Run, RunState, Session
from core.offers import Offers
from core.ports import Clock, Reply, Store
from core.records import run_data
from core.run import Runs
from core.turns import turn


class Waiting:
    """The queue of a session, seen from outside; runs take from it themselves."""

    def __init__(self, store: Store, callers: Callers, runs: Runs, offers: Offers, clock: Clock) -> None:
        self._store = store
        self._callers = callers
        self._runs = runs
        self._offers = offers
        self._clock = clock
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"queue": self._queue}

    async def _queue(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        word, _, rest = command.message.lower().partition(" ")
        match word:
            case "":
                return await self._list(session)
            case "clear" if not rest:
                return await self._clear(session, caller)
            case "cancel":
                return await self._cancel(session, rest, caller)
            case "now":
                return await self._now(session, rest, caller)
        raise UsageError(
            f"`queue` knows no `{command.message[:40]}`.",
            "`/queue`, `/queue clear`, `/queue cancel 5` or `/queue now 5`.",
        )

    async def _list(self, session: Session) -> Reply:
        waiting = await self._waiting(session)
        buttons: list[Button] = []
        for run in waiting[: view_steer.MOST_LISTED]:
            buttons += await self._offers.entry(run, numbered=True)
        data = [run_data(run) for run in waiting]
        return Reply(view_steer.queue(session, waiting, buttons), data=data)

    async def _clear(self, session: Session, caller: Caller) -> Reply:
        taken = [run for run in await self._waiting(session) if await self._take_out(run)]
        await self._callers.audit(caller, "queue clear", session.key.key, _named(taken))
        return Reply(view_steer.taken_out(session, taken))

    async def _cancel(self, session: Session, number: str, caller: Caller) -> Reply:
        run = await self._entry(session, number)
        if not await self._take_out(run):
            raise NotFound(f"Run {run.number} does not wait any more.", f"`/stop {session.key}` ends it.")
        await self._callers.audit(caller, "queue cancel", session.key.key, _named([run]))
        return Reply(view_steer.taken_out(session, [run]))

    async def _now(self, session: Session, number: str, caller: Caller) -> Reply:
        run = await self._entry(session, number)
        changed = await self._store.change_run(
            run.id, lambda now: replace(now, urgent=True) if now.state is RunState.QUEUED else now
        )
        if changed is None or changed.state is not RunState.QUEUED:
            raise NotFound(f"Run {run.number} does not wait any more.")
        await self._callers.audit(caller, "queue now", session.key.key, _named([run]))
        # By now it may be the one under way: being prepared, or its turn has come.
        await self._runs.stop(session.key, view_steer.interrupted(run), spare=run.id)
        return Reply(view_steer.goes_now(run))

    async def _waiting(self, session: Session) -> list[Run]:
        unfinished = await self._store.unfinished_runs(session.key)
        return sorted((run for run in unfinished if run.state is RunState.QUEUED), key=turn)

    async def _entry(self, session: Session, number: str) -> Run:
        """Raises NotFound, UsageError."""
        waiting = await self._waiting(session)
        if not number.strip() and len(waiting) == 1:
            return waiting[0]
        wanted = number.strip().lstrip("#")
        if not wanted.isdecimal():
            raise UsageError("Which of them?", f"`/queue {session.key}` lists what waits, each with its number.")
        run = next((run for run in waiting if str(run.number) == wanted), None)
        if run is None:
            raise NotFound(f"No run {wanted[:20]} of {session.key.tag} waits.", f"See `/queue {session.key}`.")
        return run

    async def _take_out(self, run: Run) -> bool:
        """False: it was sent meanwhile."""
        at = self._clock.now()

        def taken(now: Run) -> Run:
            if now.state is not RunState.QUEUED:
                return now
            return replace(now, state=RunState.STOPPED, ended=at, error=view_steer.TAKEN_OUT)

        changed = await self._store.change_run(run.id, taken)
        return changed is not None and changed.ended == at


def _named(runs: Sequence[Run]) -> str:
    return ", ".join(f"run {run.number}" for run in runs)
