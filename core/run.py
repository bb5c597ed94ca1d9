"""One prompt, from the queue to its answer: agent events → progress → every place's live message → record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from core import rules, view, view_life
from core.asks import Asks, refusal
from core.audience import Audience
from core.errors import AgentError, AgentSessionGone, KugetsuError, NotFound
from core.events import AgentEvent, Asked, Metered, Outcome, Refused, Said, Settled, Started
from core.journal import Journal
from core.live import Complain
from core.model import (
    AskId,
    Document,
    PermissionRule,
    Project,
    Run,
    RunId,
    RunState,
    Session,
    SessionKey,
)
from core.offers import Offers
from core.ports import AgentPort, AgentRun, Chunk, Clock, Known, RunHeader, Store, Workspace
from core.progress import Progress, Text, fold
from core.projects import Projects
from core.run_record import RunRecord
from core.run_state import Choices, Live
from core.sessions import Fault, Sessions
from core.spending import Spending
from core.stalls import Stalls
from core.tasks import Beside, to_the_end
from core.turns import Turns, turn

INTERNAL = "internal"  # error code of a defect of ours


class Runs:
    """Drives queued runs, one at a time a session; `stop` is the control lane."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        projects: Projects,
        sessions: Sessions,
        audience: Audience,
        asks: Asks,
        offers: Offers,
        stalls: Stalls,
        spending: Spending,
        turns: Turns,
        journal: Journal,
        clock: Clock,
        choices: Choices,
        fault: Fault,
        complain: Complain,
        prompting: Callable[[Session], None] = lambda _session: None,
    ) -> None:
        self._store = store
        self._agent = agent
        self._projects = projects
        self._sessions = sessions
        self._audience = audience
        self._asks = asks
        self._stalls = stalls
        self._spending = spending
        self._turns = turns
        self._journal = journal
        self._clock = clock
        self._choices = choices
        self._fault = fault
        self._complain = complain
        self._prompting = prompting  # told of each session before its prompt: what names its debug log
        self._record = RunRecord(
            store, workspace, sessions, audience, asks, offers, journal, clock, choices, fault, complain, spending.over
        )
        self._slots = asyncio.Semaphore(choices.max_concurrent)
        self._live: dict[str, Live] = {}
        self._beside = Beside()
        self._handing_over = False
        self._told: set[str] = set()  # keys of sessions whose people know what cannot be asked

    async def next(self, key: SessionKey) -> bool:
        """Drive the session's oldest waiting run to its end. False when none waits."""
        async with self._turns.session(key):
            run = min(await self._store.unfinished_runs(key), key=turn, default=None)
            if run is None:
                return False
            await self._drive(key, run)
        return True

    async def _drive(self, key: SessionKey, run: Run) -> None:
        live = self._live[key.key] = Live(run)
        try:
            task = live.task = asyncio.create_task(self._perform(live), name=f"run {run.id} of {key}")
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:  # the process is leaving
                task.cancel()
                await asyncio.wait([task])
                # Else it stays queued, or under way, for the next process.
                if live.stopping or (live.prompted and not self._handing_over):
                    await self._finish(live, task, Outcome.CUT)
                elif live.show:
                    await self._audience.leave(live.show)
                raise
            if live.taken_out:
                return
            # An answer that is there is recorded and shown before we leave.
            await to_the_end(self._finish(live, task, Outcome.STOPPED))
        finally:
            del self._live[key.key]
            self._spending.over(run.id)

    def hand_over(self) -> list[SessionKey]:
        """From here on, runs that end with this process stay under way for the next one. Returns whose they are."""
        self._handing_over = True
        return [live.run.session for live in self._live.values() if live.prompted]

    async def stop_run(self, run: RunId) -> SessionKey | None:
        """Stop this run and no other. None when it is not under way."""
        live = next((live for live in self._live.values() if live.run.id == run), None)
        return live.run.session if live and await self.stop(live.run.session) else None

    async def stop(self, key: SessionKey, why: str = "", spare: RunId | None = None) -> bool:
        """Abort the run under way, unless it is `spare`, and wait until the agent has stopped. False when none is."""
        live = self._live.get(key.key)
        if live and live.run.id == spare:
            return False
        if live is None:
            return await self._turns.end(key)
        if live.task is None or live.task.done():
            return False
        live.stopping, live.why = True, why
        if live.prompted:
            await self._abort(live, live.task)
        live.task.cancel()
        await asyncio.wait([live.task])
        return True

    async def _perform(self, live: Live) -> None:
        """Everything up to the agent's last event. Raises what went wrong before the prompt was sent."""
        key = live.run.session
        live.session = await self._store.session(key)
        if live.session is None:
            raise NotFound(f"{key} has no session.", f"Start it: `/start {key.ref} …`.")
        if self._slots.locked():
            await self._audience.tell(key, Document(view.waits_for_slot(self._choices.max_concurrent)))
        project = await self._projects.get(key.ref.project)
        # The checkout first: a run that waits for its turn there must not keep a slot from others.
        async with self._turns.checkout(live.session), self._slots:
            if live.run.state is RunState.QUEUED:  # since it was taken, what was before it may have spent all
                await self._spending.check(live.session, live.run.person)
            live.session = session = await self._sessions.prepare(
                key, project, lambda said: self._audience.tell(key, said)
            )
            await self._tell_what_cannot_be_asked(key)
            if not live.run.snapshot_before:
                live.run = replace(live.run, snapshot_before=await self._record.before(live, session, project))
            known = Known.ABSENT
            if live.run.state is not RunState.QUEUED:
                known = await self._recovered(live, session, project)
            else:
                if not await self._note_sending(live):
                    return
                self._fault("prompt recorded")
            live.show = await self._audience.open(RunHeader(live.run, session, live.run.person))
            await self._follow(live, session, project, known)

    async def _note_sending(self, live: Live) -> bool:
        """With the prompt as it is now: until here an edit of its message changes it. False: it waits no more."""
        message, started, before = self._agent.new_message_id(), self._clock.now(), live.run.snapshot_before

        def sending(now: Run) -> Run:
            if now.state is not RunState.QUEUED:
                return now  # taken out of the queue meanwhile
            return replace(now, message_id=message, state=RunState.SENDING, started=started, snapshot_before=before)

        live.run = await self._store.change_run(live.run.id, sending) or live.run
        live.taken_out = live.run.message_id != message
        return not live.taken_out

    async def _tell_what_cannot_be_asked(self, key: SessionKey) -> None:
        if key.key not in self._told:
            capabilities = await self._agent.capabilities()
            self._told.add(key.key)
            if not capabilities.asks:
                await self._audience.tell(key, view.cannot_ask())

    async def _recovered(self, live: Live, session: Session, project: Project) -> Known:
        """What a dead process left: the text it received, its open requests, and whether opencode has the prompt."""
        live.recovered = True
        for chunk in await self._store.received_parts(live.run.id):
            live.progress = fold(live.progress, Said(chunk.part, chunk.text, whole=True))
        await self._asks.restore(live.run, session, partial(self._grant, live))
        known = await self._agent.lookup(self._agent_run(live, session, project))
        if known is Known.ABSENT and live.run.state is not RunState.SENDING:
            raise AgentError("opencode no longer has this prompt.", "Look at what was done, then `/retry`.")
        return known

    async def _follow(self, live: Live, session: Session, project: Project, known: Known) -> None:
        agent_run = self._agent_run(live, session, project)
        events = self._agent.run(agent_run) if known is Known.ABSENT else self._agent.attach(agent_run)
        live.prompted = True
        self._prompting(session)
        async with aclosing(events), asyncio.TaskGroup() as beside:
            watch = beside.create_task(self._watch(live, session, agent_run))
            first = True
            async for event in events:
                live.heard += 1
                if live.recovered and _shrinks(live.progress, event):
                    continue
                if isinstance(event, Started) and event.message_id:
                    live.run = replace(live.run, message_id=event.message_id)  # forks at this run go by it
                if isinstance(event, Started) and event.model:
                    self._beside.start(self._learn_limit(live, session, event.model))
                if isinstance(event, Metered) and event.cost:
                    self._beside.start(self._spent(live, live.progress.cost + event.cost))
                if first:
                    beside.create_task(self._record.mark(live))
                    first = False
                if isinstance(event, Asked):
                    ask = self._asks.take(live.run, session, event.request, partial(self._grant, live))
                    beside.create_task(self._ask(live, project, ask, event))
                    continue
                if isinstance(event, Refused):
                    denied = rules.verdict(event.request, agent_run.rules) == rules.DENY
                    live.refused.append(refusal(event.request, denied=denied))
                if isinstance(event, Said) and not event.reasoning and (event.text or event.whole):
                    self._journal.add(Chunk(live.run.id, event.part, event.text, event.whole))
                if isinstance(event, Settled):
                    beside.create_task(self._record.withdraw(live, event.request_id))
                live.advance(fold(live.progress, event))
            watch.cancel()
            await self._record.withdraw(live)
        if live.progress.outcome is None:
            raise AgentError("opencode stopped reporting before the run had ended.", "`/retry` runs the prompt again.")
        self._fault("agent finished")

    async def _ask(self, live: Live, project: Project, ask: AskId, asked: Asked) -> None:
        key, request = live.run.session, asked.request
        try:
            session = await self._store.session(key)
            answered = await self._asks.by_rule(ask, _standing(project, session))
            if answered == rules.DENY:
                live.refused.append(refusal(request, denied=True))
            if answered or not self._asks.is_open(ask):
                return
            live.advance(fold(live.progress, asked))
            await self._record.mark(live)
            refused = await self._asks.by_people(ask)
            live.refused += [refused] if refused else []
            live.advance(fold(live.progress, Settled(request.id)))
            await self._record.mark(live)
        except KugetsuError as error:
            # The run goes on; opencode still waits, and the thread knows why.
            await self._audience.tell(key, view.error(error))

    async def _learn_limit(self, live: Live, session: Session, model: str) -> None:
        """How much the model holds: for people, so nothing waits for it."""
        try:
            known = await self._agent.models(session.directory)
            live.context_limit = next((each.context for each in known if each.id == model), 0)
        except KugetsuError as error:
            self._complain(f"how much {model} holds could not be learnt", error)

    async def _spent(self, live: Live, cost: float) -> None:
        key = live.run.session
        try:
            said, stop = await self._spending.metered(live.run, cost)
            if stop and said and not live.stopping:
                if self._live.get(key.key) is live:  # else it has ended meanwhile, and the next one is not to blame
                    await self.stop(key, said.markdown)
            elif said:
                await self._audience.tell(key, said)
        except KugetsuError as error:  # on a full disk the run goes on
            self._complain(f"what {key} may spend could not be looked up", error)

    async def _watch(self, live: Live, session: Session, agent_run: AgentRun) -> None:
        await self._stalls.watch(
            live.run,
            session,
            lambda: live.heard,
            lambda: bool(live.progress.asking),
            lambda: self._agent.lookup(agent_run),
        )

    async def _grant(self, live: Live, granted: Sequence[PermissionRule]) -> None:
        await self._store.change_session(
            live.run.session,
            lambda now: rules.granted(now, granted),
        )

    async def _abort(self, live: Live, task: asyncio.Task[None]) -> None:
        session = live.session
        assert session is not None
        try:
            async with asyncio.timeout(self._choices.stop_patience):
                await self._agent.stop(session.agent_id, session.directory)
                await asyncio.wait([task])
        except (TimeoutError, KugetsuError) as error:
            self._complain(f"opencode did not confirm the abort of {session.key}", error)

    async def _finish(self, live: Live, task: asyncio.Task[None], cancelled: Outcome) -> None:
        """How the run ended; `cancelled` is what it means when its task was."""
        if task.cancelled():
            outcome = Outcome.STOPPED if live.stopping else cancelled
            live.progress = replace(live.progress, outcome=outcome, asking=())
            if outcome is Outcome.CUT:
                live.progress = replace(live.progress, error_code=view.CUT_CODE, error=view.CUT)
        elif error := task.exception():
            if not isinstance(error, Exception):
                raise error
            live.progress = self._failure(live, error)
            if live.prompted and live.progress.error_code == INTERNAL:
                await self._abort(live, task)  # nobody listens to the agent any more
        await self._record.end(live)

    def _failure(self, live: Live, error: Exception) -> Progress:
        if isinstance(error, ExceptionGroup):
            error = _first(error)
        if isinstance(error, AgentSessionGone) and live.session:
            code, said = error.code, view.error(view_life.lost(live.session))
        elif isinstance(error, KugetsuError):
            code, said = error.code, view.error(error)
        else:
            self._complain(f"run {live.run.id} failed", error)
            code, said = INTERNAL, view.internal_error()
        return replace(live.progress, outcome=Outcome.FAILED, asking=(), error_code=code, error=said.markdown)

    def _agent_run(self, live: Live, session: Session, project: Project) -> AgentRun:
        return AgentRun(
            session.agent_id,
            session.directory,
            live.run.message_id,
            live.run.prompt,
            model=self._choices.model_of(session),
            agent=self._choices.agent_of(session),
            variant=session.variant,
            system=view.FOR_THE_AGENT,
            attachments=live.run.attachments,
            rules=_standing(project, session),
        )

    async def close(self) -> None:
        """What goes on beside the runs ends."""
        await self._beside.close()


def _standing(project: Project, session: Session | None) -> tuple[PermissionRule, ...]:
    """The rules that answer for people; what was granted to the session comes after the project's, and so counts."""
    return (*project.permissions, *(session.rules if session else ()))


def _shrinks(progress: Progress, event: AgentEvent) -> bool:
    """opencode gives out a text it had not stored yet as empty, or in part: what was received before stays."""
    if not isinstance(event, Said) or not event.whole:
        return False
    had = next((item.text for item in progress.items if isinstance(item, Text) and item.part == event.part), "")
    return len(event.text) < len(had) and had.startswith(event.text)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    found: Exception = group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
