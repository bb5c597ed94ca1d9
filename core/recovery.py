"""What a process finds when it starts: runs, requests and messages that another one was busy with when it died.

A bot goes on with them: what opencode still works on is attached to again, what it finished is delivered, and what was
cut off is reported with the text that was received and carried on (`core.run`). A single command has no time for that:
it reports what only terminals were watching as cut off, and leaves the rest to the next bot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from core import view, view_ask, view_chat, view_run
from core.asks import ANSWERS, WITHDRAWN
from core.audience import Audience
from core.inbox import Inbox
from core.messages import Post, PostKind, PostState
from core.model import CONSOLE, Run, RunState, SessionKey, SessionState
from core.offers import Offers
from core.outbox import DECIDED
from core.ports import MADE, Ask, Clock, RunReport, Store, source_of
from core.relay import Relay


class Recovery:
    """Runs once, before anything new is taken in."""

    def __init__(
        self,
        store: Store,
        audience: Audience,
        offers: Offers,
        relays: Mapping[str, Relay],
        inbox: Inbox,
        clock: Clock,
    ) -> None:
        self._store = store
        self._audience = audience
        self._offers = offers
        self._relays = relays
        self._inbox = inbox
        self._clock = clock

    async def go_on(self) -> list[SessionKey]:
        """For a bot. Returns sessions that have something to do, their interrupted runs first of all."""
        asks = await self._withdraw_asks()
        await asyncio.gather(*(self._reopen(relay, asks) for relay in self._relays.values()))
        await self.deliver()
        for platform in self._relays:
            await self._inbox.open(platform)
            await self._inbox.remind(platform)
        await self._forget_made()
        return await self.waiting()

    async def report_cut(self) -> list[RunReport]:
        """For a single command: runs only terminals watched are over, with all text received."""
        reports = []
        await self._withdraw_asks()
        for run in await self._store.unfinished_runs():
            if run.state not in {RunState.RUNNING, RunState.ASKING}:
                continue
            if any(place.platform != CONSOLE for place in await self._store.places(run.session)):
                continue
            for ask in await self._store.open_asks():
                if ask.run == run.id:
                    await self._withdraw(ask)
            if report := await self._cut(run):
                reports.append(report)
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

    async def _forget_made(self) -> None:
        """What messages were about to make that nobody decides again: lines of terminals."""
        again = {source_of(row.row) for platform in self._relays for row in await self._store.open_inbound(platform)}
        for operation in await self._store.open_operations(kind=MADE):
            if operation.subject not in again:
                await self._store.end(operation)

    async def _cut(self, run: Run) -> RunReport | None:
        text = await self._store.received_text(run.id)
        cut = replace(
            run, state=RunState.CUT, ended=self._clock.now(), text=text, error=view.CUT, error_code=view.CUT_CODE
        )
        await self._store.save_run(cut)
        session = await self._store.session(run.session)
        if session is None:
            return None
        session = replace(session, state=SessionState.STOPPED, updated=self._clock.now())
        await self._store.save_session(session)
        buttons = await self._offers.after(cut, session)
        await self._audience.tell(session.key, view.was_cut(cut, buttons))
        return RunReport(cut, session, buttons=buttons)

    async def _withdraw_asks(self) -> dict[str, Ask]:
        """Requests of runs that are over are no longer open. Returns those that are, by id."""
        still: dict[str, Ask] = {}
        for ask in await self._store.open_asks():
            run = await self._store.run(ask.run)
            if run is None or run.state.over:
                await self._withdraw(ask)
            else:
                still[ask.id] = ask
        return still

    async def _withdraw(self, ask: Ask) -> None:
        for operation in await self._store.open_operations(kind=ANSWERS, subject=ask.id):
            await self._store.end(operation)
        await self._store.save_ask(replace(ask, decision=WITHDRAWN, decided_at=self._clock.now()))

    async def _reopen(self, relay: Relay, asks: Mapping[str, Ask]) -> None:
        waiting: list[Post] = []
        for post in await self._store.open_posts(relay.platform):
            if post.kind is PostKind.LIVE:
                await self._close_live(relay, post)
            elif post.ask is not None and post.ask not in asks:
                await self._close_ask(relay, post)
            elif post.state is not PostState.SENT:
                waiting.append(post)
        await relay.recover(waiting)

    async def _close_live(self, relay: Relay, post: Post) -> None:
        """That of a run under way is left to it: see core.live_message."""
        if post.state is PostState.PENDING:
            await self._store.save_post(post.in_state(PostState.DROPPED, "not sent before a crash"))
            return
        run = await self._store.run(post.run) if post.run is not None else None
        session = await self._store.session(run.session) if run else None
        if run and session and run.state.over:
            relay.close(post, view_run.over(RunReport(run, session)))
        elif run is None or session is None:
            relay.close(post, view_chat.gone_with_its_session())

    async def _close_ask(self, relay: Relay, post: Post) -> None:
        if post.state is PostState.PENDING:
            await self._store.save_post(post.in_state(PostState.CLOSED, DECIDED))
            return
        ask = await self._store.ask(post.ask) if post.ask is not None else None
        if ask:
            relay.close(post, view_ask.settled(ask, ask.decided_by or ""))
