"""Base sessions: one a project, made without a terminal UI, from which every issue is forked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from core import rules, view
from core.errors import AgentError
from core.events import Outcome
from core.model import AgentRequest, BaseSession, Decision, Document, PermissionRequest, PermissionRule, Project
from core.ports import AgentPort, AgentRun, Clock, Operation, Store, Workspace
from core.unattended import run_unattended

Tell = Callable[[Document], Awaitable[None]]

BASE = "base"
OLD = timedelta(days=30)  # after that a refresh is offered: the repository has moved on

# The base only reads. `ask` and not `deny`: denied tools vanish from the prompt, and forks would then share no cached
# prefix with their base. What is asked is rejected unless the project's rules allow it.
READ_ONLY = (PermissionRule("edit", "*", rules.ASK), PermissionRule("bash", "*", rules.ASK))


class Bases:
    """Finds, makes and remakes base sessions."""

    def __init__(
        self, store: Store, agent: AgentPort, workspace: Workspace, clock: Clock, model: str, role: str
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._clock = clock
        self._model = model
        self._agent_role = role
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ready(self, project: Project, tell: Tell, *, anew: bool = False) -> BaseSession:
        """The project's base session, made if there is none, remade (and said) if opencode lost it.

        Raises AgentError when opencode refuses, WorkspaceError when the checkout is unusable.
        """
        async with self._locks[project.ref.key]:
            base = None if anew else await self._store.base(project.ref)
            if base and await self._agent.find_session(base.agent_id) is None:
                await tell(Document(view.base_lost(project)))
                base = None
            if base is None:
                base = await self._make(project)
            elif intent := await self._intent(project):
                await self._store.end(intent)  # a process died between recording the base and this
            if not base.ready:
                base = await self._teach(project, base, tell)
            elif self._clock.now() - base.created > OLD:
                await tell(Document(view.base_old(project, base.created)))
            return base

    async def _make(self, project: Project) -> BaseSession:
        await self._workspace.inspect(project)
        title = base_title(project)
        recorded = await self._store.base(project.ref)  # lost, or to be replaced
        found = None
        if intent := await self._intent(project):
            since = datetime.fromisoformat(intent.data["since"]) - timedelta(seconds=1)
            listed = await self._agent.list_sessions(project.path)
            ours = recorded.agent_id if recorded else ""
            found = next((s for s in listed if s.title == title and s.created >= since and s.id != ours), None)
        else:
            intent = await self._store.begin(BASE, project.ref.key, {"since": self._clock.now().isoformat()})
        made = found or await self._agent.create_session(project.path, title, READ_ONLY)
        base = BaseSession(
            project=project.ref,
            agent_id=made.id,
            directory=project.path,
            title=title,
            created=self._clock.now(),
            ready=not project.base_prompt,
        )
        await self._store.save_base(base)
        await self._store.end(intent)
        return base

    async def _intent(self, project: Project) -> Operation | None:
        return next(iter(await self._store.open_operations(kind=BASE, subject=project.ref.key)), None)

    async def _teach(self, project: Project, base: BaseSession, tell: Tell) -> BaseSession:
        """Put the base prompt to it, so that every fork starts out knowing the project."""
        await tell(Document(view.base_preparing(project)))
        run = AgentRun(
            base.agent_id,
            project.path,
            self._agent.new_message_id(),
            project.base_prompt,
            model=self._model,
            agent=self._agent_role,
            system=view.FOR_THE_AGENT,  # the same as its forks get: cached prompts are shared by prefix
            rules=project.permissions,
        )

        def answer(request: AgentRequest) -> Decision:
            allowed = isinstance(request, PermissionRequest) and (
                rules.verdict(request, project.permissions) == rules.ALLOW
            )
            return Decision("once") if allowed else Decision("reject", message=view.BASE_READS_ONLY)

        progress = await run_unattended(self._agent, run, answer)
        if progress.outcome is not Outcome.DONE:
            raise AgentError(
                f"The base session of {project.ref} could not be prepared: {progress.error or progress.outcome}",
                "Correct the cause, then start again; `base_prompt` in config.yaml is what it was asked.",
            )
        base = replace(base, ready=True)
        await self._store.save_base(base)
        return base


def base_title(project: Project) -> str:
    """Begins with the mark that proves the session ours."""
    return f"kugetsu base {project.ref}"
