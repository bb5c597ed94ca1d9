"""`btw`: a question on the side, put to a throw-away fork, so that the session is neither disturbed nor changed.

The fork is deleted afterwards; what a process that died left of it, the next one deletes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core import view_steer
from core.audience import Audience
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import AgentError, KugetsuError, UsageError
from core.events import Outcome
from core.live import Complain
from core.model import Decision, PersonId, Session, SessionId
from core.ports import AgentPort, AgentRun, Operation, Reply, Store
from core.progress import Progress
from core.projects import Projects
from core.prompts import checked
from core.run_state import Choices
from core.sessions import MARK, Sessions
from core.spending import Spending
from core.standing import conversation_ends_before
from core.tasks import to_the_end
from core.unattended import run_unattended

ASIDE = "aside"  # kind of operation
AT_ONCE = 3  # forks at the same time; more wait: each is a run for opencode
PATIENCE = 600.0  # seconds for the answer


class Asides:
    """Answers from what the session's agent knows, files included; it can look but change nothing."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        projects: Projects,
        sessions: Sessions,
        audience: Audience,
        callers: Callers,
        spending: Spending,
        choices: Choices,
        complain: Complain,
    ) -> None:
        self._store = store
        self._agent = agent
        self._projects = projects
        self._sessions = sessions
        self._audience = audience
        self._callers = callers
        self._spending = spending
        self._choices = choices
        self._complain = complain
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._ours: set[int] = set()  # operations of this process
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"btw": self._ask}

    async def clean_up(self) -> None:
        """Delete what a process that died left. One that cannot be deleted now is tried at the next start."""
        for operation in await self._store.open_operations(kind=ASIDE):
            if operation.id not in self._ours:
                await self._forget(operation.id)

    async def _ask(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        question, person = checked(command.message), caller.inbound.person
        key = session.key
        if not session.agent_id:
            raise UsageError(
                f"{session.key} has not begun yet, so it knows nothing.", "Ask when its first run goes on."
            )
        async with self._slots:
            await self._spending.check(session, person.id)
            project = await self._projects.get(session.key.ref.project)
            # The worktree of an archived session is brought back: the answer may need its files.
            session = await self._sessions.prepare(session.key, project, lambda said: self._audience.tell(key, said))
            answer, cost = await self._answer(session, question, person.id)
        data = {"ref": str(session.key), "question": question, "text": answer, "cost": cost}
        return Reply(view_steer.aside(session, answer, cost), data=data)

    async def _answer(self, session: Session, question: str, person: PersonId) -> tuple[str, float]:
        progress = Progress()

        def watch(now: Progress) -> None:
            nonlocal progress
            progress = now

        operation = await self._store.begin(ASIDE, session.key.key, {})
        self._ours.add(operation.id)
        try:
            fork = await to_the_end(self._forked(operation, session))
            await self._agent.rename_session(fork, f"{MARK}aside of {session.key}")
            await self._agent.settle_directory(fork, session.directory)
            run = AgentRun(
                fork,
                session.directory,
                self._agent.new_message_id(),
                question,
                model=self._choices.model_of(session),
                variant=session.variant,
                agent=self._choices.agent_of(session),
                system=view_steer.ASIDE_FOR_THE_AGENT,
                read_only=True,
            )
            async with asyncio.timeout(PATIENCE):
                await run_unattended(
                    self._agent, run, lambda _: Decision("reject", message=view_steer.ASIDE_ASKS_NOBODY), watch
                )
        except TimeoutError as error:
            raise AgentError(f"There was no answer within {PATIENCE / 60:.0f} min.", "Ask again later.") from error
        finally:
            await to_the_end(self._done(operation, session, person, question, progress))
        if progress.outcome is not Outcome.DONE or not progress.text:
            raise AgentError(
                f"The question could not be answered: {progress.error or progress.outcome or 'no answer'}.",
                "Ask again, or ask it as the next message: then it is part of the session.",
            )
        return progress.text, progress.cost

    async def _forked(self, operation: Operation, session: Session) -> SessionId:
        """To be awaited to its end: a fork that is not noted is deleted by nobody."""
        before = conversation_ends_before(session, await self._store.runs(session.key))
        fork = await self._agent.fork_session(session.agent_id, session.directory, before)
        await self._store.step_done(operation, "forked", {"agent_id": fork.id})
        return fork.id

    async def _done(
        self, operation: Operation, session: Session, person: PersonId, question: str, progress: Progress
    ) -> None:
        """However it ended, the fork goes and the cost counts."""
        await self._forget(operation.id)
        self._ours.discard(operation.id)
        if progress.cost or progress.outcome is Outcome.DONE:
            await self._store.add_aside(session.key, person, question, progress.text, progress.cost)

    async def _forget(self, about: int) -> None:
        """Its fork as well. Without an id of it, `prune` finds the fork by its title."""
        try:
            for operation in await self._store.open_operations(kind=ASIDE):
                if operation.id != about:
                    continue
                if fork := SessionId(str(operation.data.get("agent_id", ""))):
                    await self._agent.delete_session(fork)
                await self._store.end(operation)
        except KugetsuError as error:
            self._complain("what a question on the side left could not be deleted; the next start tries again", error)
