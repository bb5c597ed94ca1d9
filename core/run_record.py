"""What is written down of a run while it goes on and when it is over: states, snapshots of the files, its end.

An answer is in the store before any chat has it; what must be recorded is tried until it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from core import view, view_trouble
from core.asks import Asks
from core.audience import Audience
from core.errors import AgentSessionGone, FolderGone, StoreError, WorkspaceError
from core.events import Outcome
from core.journal import Journal
from core.live import Complain
from core.model import Button, Place, Project, Run, RunId, RunState, Session, SessionState
from core.offers import Offers
from core.ports import Clock, RunHeader, RunReport, Store, Workspace
from core.run_state import Choices, Live
from core.sessions import Fault, Sessions

SAVE_AGAIN = 5.0  # seconds between attempts to record an answer while the disk is full

_ENDS = {
    Outcome.DONE: (RunState.DONE, SessionState.IDLE),
    Outcome.FAILED: (RunState.FAILED, SessionState.FAILED),
    Outcome.STOPPED: (RunState.STOPPED, SessionState.STOPPED),
    Outcome.CUT: (RunState.CUT, SessionState.STOPPED),
}


class RunRecord:
    """Of all runs."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        sessions: Sessions,
        audience: Audience,
        asks: Asks,
        offers: Offers,
        journal: Journal,
        clock: Clock,
        choices: Choices,
        fault: Fault,
        complain: Complain,
        counted: Callable[[RunId], None],
    ) -> None:
        """`counted` is told when the cost of a run is in the store."""
        self._store = store
        self._workspace = workspace
        self._sessions = sessions
        self._audience = audience
        self._asks = asks
        self._offers = offers
        self._journal = journal
        self._clock = clock
        self._choices = choices
        self._fault = fault
        self._complain = complain
        self._counted = counted

    async def withdraw(self, live: Live, request_id: str = "") -> None:
        """A request is no longer open; without `request_id`: the run has ended."""
        try:
            live.waited |= await self._asks.withdraw(live.run.id, request_id)
        except StoreError as error:  # on a full disk the run goes on
            self._complain(f"the end of a request of {live.run.session} could not be recorded", error)

    async def mark(self, live: Live) -> None:
        """Record that the run is under way, and whether it waits for people."""
        if live.progress.outcome:
            return
        asking = bool(live.progress.asking)
        live.run = replace(live.run, state=RunState.ASKING if asking else RunState.RUNNING)
        try:
            await self._enter(live, SessionState.ASKING if asking else SessionState.RUNNING)
            await self._store.save_run(live.run)
        except StoreError as error:  # on a full disk the run goes on; the next start looks the prompt up
            self._complain(f"the state of {live.run.session} could not be recorded", error)

    async def _enter(self, live: Live, state: SessionState) -> None:
        """The session's new state; its other columns may change at the same time."""
        at = self._clock.now()
        lost = live.progress.error_code == AgentSessionGone.code

        def change(now: Session) -> Session:
            return replace(now, state=SessionState.GONE if lost and now.agent_id else state, updated=at)

        live.session = await self._store.change_session(live.run.session, change) or live.session

    async def end(self, live: Live) -> None:
        """Record how it ended, then show it: an answer is in the store before any chat has it."""
        progress, session = live.progress, live.session
        await self.withdraw(live)
        if session and live.prompted:
            live.run = replace(live.run, snapshot_after=await self._snapshot(live, "after"))
        run_state, session_state = _ENDS[progress.outcome or Outcome.FAILED]
        await self._journal.flush()
        live.run = replace(
            live.run,
            state=run_state,
            ended=self._clock.now(),
            text=progress.text,
            error=_said(live, run_state),
            error_code=progress.error_code,
            model=progress.model,
            cost=progress.cost,
            tokens=progress.tokens,
            refused=tuple(dict.fromkeys(live.refused)),  # an agent may try the same twice
            context=progress.context,
            context_limit=live.context_limit,
        )
        show = live.show
        if session:
            show = show or await self._audience.open(RunHeader(live.run, session, live.run.person))
        if session and run_state is RunState.CUT and (live.recovered or live.waited):
            await self._carry_on(live)
        places = await self._store.places(live.run.session) if session else []
        await self._save_surely(live, session_state, places)
        self._fault("answer recorded")
        if live.session and show:
            files_changed = await self._files_changed(live)
            buttons = await self._buttons(live.run, live.session)
            report = RunReport(live.run, live.session, files_changed, buttons, progress.steps)
            await self._audience.close(show, report)
            await self._sessions.abandon(live.session.key)

    async def _carry_on(self, live: Live) -> None:
        """After a crash the agent is told to go on; once, as what was cut off while it went on may be cut off again."""
        run = live.run
        if not self._choices.auto_resume or run.prompt == view.CARRY_ON:
            return
        try:
            await self._store.add_run(
                run.session,
                view.CARRY_ON,
                run.person,
                run.place,
                message=run.message,
                source=f"carry on {run.id}",
            )
        except StoreError as error:  # then it is offered by a button
            self._complain(f"{run.session} is not carried on by itself", error)
        else:
            live.run = replace(run, error=view.CUT_GOES_ON)

    async def _buttons(self, run: Run, session: Session) -> tuple[Button, ...]:
        try:
            return await self._offers.after(run, session)
        except StoreError as error:  # what was answered matters more
            self._complain(f"no buttons for the end of run {run.number} of {session.key}", error)
            return ()

    async def _save_surely(self, live: Live, state: SessionState, places: list[Place]) -> None:
        told = False
        while True:
            try:
                await self._store.enqueue(live.run.id, places)
                await self._store.save_run(live.run)
                self._counted(live.run.id)
                await self._enter(live, state)
            except StoreError as error:
                if not told:
                    self._complain("an answer could not be recorded; trying again until it is", error)
                told = True
                await self._clock.sleep(SAVE_AGAIN)
            else:
                return

    async def before(self, live: Live, session: Session, project: Project) -> str:
        """The snapshot before the run, in the worktree made again if somebody deleted it. Raises WorkspaceError."""
        try:
            return await self._snapshot(live, "before")
        except FolderGone:
            if not session.branch:
                raise
            await self._sessions.reopen(session, project, partial(self._audience.tell, session.key))
            return await self._snapshot(live, "before")

    async def _snapshot(self, live: Live, moment: str) -> str:
        """The worktree as it is; "" when git cannot take it, which costs undo but not the run.

        Raises FolderGone before a run.
        """
        session = live.session
        assert session is not None
        try:
            return await self._workspace.snapshot(session.directory, f"{session.slug}/{live.run.number}/{moment}")
        except WorkspaceError as error:
            if isinstance(error, FolderGone) and moment == "before":
                raise
            await self._audience.tell(session.key, view.no_snapshot(error))
            return ""

    async def _files_changed(self, live: Live) -> int | None:
        run, session = live.run, live.session
        if not (session and run.snapshot_before and run.snapshot_after):
            return None
        if run.snapshot_before == run.snapshot_after:
            return 0
        try:
            return await self._workspace.changed_files(session.directory, run.snapshot_before, run.snapshot_after)
        except WorkspaceError as error:
            self._complain(f"the changed files of {session.key} could not be counted", error)
            return None


def _said(live: Live, state: RunState) -> str:
    """How it ended, for people."""
    if live.why:
        return live.why
    if live.progress.error or view_trouble.remedy(live.progress.error_code):
        return view_trouble.explained(live.progress.error_code, live.progress.error)
    return view.STOPPED if state is RunState.STOPPED else ""
