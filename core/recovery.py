"""What a process finds when it starts: runs that another one was driving when it died."""

from __future__ import annotations

from dataclasses import replace

from core import view
from core.audience import Audience
from core.model import Decision, RunState, SessionKey, SessionState
from core.offers import Offers
from core.ports import Clock, RunReport, Store


class Recovery:
    """Closes what cannot go on and names what can."""

    def __init__(self, store: Store, audience: Audience, offers: Offers, clock: Clock) -> None:
        self._store = store
        self._offers = offers
        self._audience = audience
        self._clock = clock

    async def report_cut(self) -> list[RunReport]:
        """Runs that were going are over, with all text received; the next prompt or `retry` goes on from there."""
        for ask in await self._store.open_asks():
            await self._store.save_ask(replace(ask, decision=Decision("withdrawn"), decided_at=self._clock.now()))
        reports = []
        for run in await self._store.unfinished_runs():
            if run.state not in {RunState.RUNNING, RunState.ASKING}:
                continue
            text = await self._store.received_text(run.id)
            cut = replace(
                run, state=RunState.CUT, ended=self._clock.now(), text=text, error=view.CUT, error_code=view.CUT_CODE
            )
            await self._store.save_run(cut)
            session = await self._store.session(run.session)
            if session is None:
                continue
            session = replace(session, state=SessionState.STOPPED, updated=self._clock.now())
            await self._store.save_session(session)
            buttons = await self._offers.after(cut, session)
            await self._audience.tell(session.key, view.was_cut(cut, buttons))
            reports.append(RunReport(cut, session, buttons=buttons))
        return reports

    async def deliver(self) -> None:
        """Bring answers to the places that a dead process did not reach any more."""
        for run_id in {row.run for row in await self._store.pending_deliveries()}:
            run = await self._store.run(run_id)
            session = await self._store.session(run.session) if run else None
            if run and session and run.state.over:
                buttons = await self._offers.after(run, session)
                await self._audience.deliver(RunReport(run, session, buttons=buttons))

    async def waiting(self) -> list[SessionKey]:
        """Sessions with prompts that were accepted and not yet answered."""
        found = {run.session.key: run.session for run in await self._store.unfinished_runs()}
        return list(found.values())
