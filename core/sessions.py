"""Making sessions: each a persisted sequence of steps that a restart continues where it stopped.

    intent → [snapshot of the parent] → worktree → [files restored] → setup → base → fork → directory checked → ready

The record and the intent are written before the first effect. A step is noted after its effect; the only effect that
cannot be repeated blindly, the fork, notes `forking` before it, so that a fork made by a process that died is found;
that it is done is noted by the session's `agent_id` itself.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core import refs, view
from core.bases import Bases
from core.errors import AgentSessionGone, SessionExists, UsageError
from core.model import Document, MessageId, Project, Run, Session, SessionId, SessionKey, SessionState
from core.ports import AgentPort, AgentSession, Clock, Operation, Store, Workspace
from core.projects import names
from core.standing import conversation_ends_before

Tell = Callable[[Document], Awaitable[None]]
Fault = Callable[[str], None]  # called after every effect and every record; a no-op in production

MARK = "kugetsu "  # what the titles of our sessions begin with in opencode
FORK = "fork"
START = "start"


class Sessions:
    """Starts and forks sessions; the same sequence with different sources."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        workspace: Workspace,
        bases: Bases,
        clock: Clock,
        state_dir: Path,
        mark_worktree: Callable[[Path, SessionKey], None],
        fault: Fault,
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._bases = bases
        self._clock = clock
        self._worktrees = state_dir / "worktrees"
        self._mark_worktree = mark_worktree
        self._fault = fault
        self._under_way: set[str] = set()  # keys this process is starting
        self._preparing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by session
        self._forking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by what is forked
        self._planning = asyncio.Lock()  # names are chosen and taken in one go

    async def plan_start(self, key: SessionKey, project: Project, title: str) -> Session:
        """Write down that `key` is to be started. Raises SessionExists when it was started before."""
        if stuck := await self._stuck(key):
            return stuck
        await self._workspace.inspect(project)
        async with self._planning:
            if stuck := await self._stuck(key):
                return stuck
            return await self._plan(START, key, project, title, {"source": ""})

    async def plan_fork(self, parent: Session, name: str, project: Project, at: Run | None, message: str) -> Session:
        """Write down a fork of `parent`: at its end, or as it was after run `at`. Raises SessionExists, UsageError."""
        if not project.worktrees:
            raise UsageError(
                f"{project.ref} has worktrees switched off, so a fork would share the checkout with its parent.",
                "Set `worktrees: true` for the project in config.yaml.",
            )
        if not parent.agent_id:
            raise UsageError(f"{parent.key} was never started through, so there is nothing to fork.", "Retry it first.")
        runs = await self._store.runs(parent.key)
        data: dict[str, Any] = {"source": parent.agent_id, "before": conversation_ends_before(parent, runs) or ""}
        if at:
            following = next((run for run in runs if run.number > at.number and run.message_id), None)
            data |= {"before": following.message_id if following else "", "snapshot": at.snapshot_after}
        title = title_of(message) or parent.title
        async with self._planning:
            key = SessionKey(parent.key.ref, name)
            if stuck := await self._stuck(key):
                return stuck
            if await self._store.session(key):  # gone; what is in its worktree must not be written over
                raise SessionExists(f"{key} exists already.")
            return await self._plan(FORK, key, project, title, data, parent)

    async def prepare(self, key: SessionKey, project: Project, tell: Tell) -> Session:
        """Run what is left of the sequence. Raises KugetsuError; calling again continues. No-op when it is through."""
        async with self._preparing[key.key]:  # a fork is prepared while prompts to it may come in already
            session = await self._store.session(key)
            if session is None:
                raise AgentSessionGone(f"{key} has no session.", f"Start it: `/start {key.ref} …`.")
            operation = await self._operation(key)
            if operation is None:
                archived = session.state is SessionState.ARCHIVED
                return await self._wake(session, project, tell) if archived else session
            self._under_way.add(key.key)
            try:
                return await self._through(operation, session, project, tell)
            finally:
                self._under_way.discard(key.key)

    async def reopen(self, session: Session, project: Project, tell: Tell) -> Session:
        """The worktree again that somebody deleted by hand, from its branch. Raises WorkspaceError."""
        async with self._preparing[session.key.key]:
            await tell(view.reopened(session))
            return await self._wake(session, project, tell)

    async def _through(self, operation: Operation, session: Session, project: Project, tell: Tell) -> Session:
        if project.worktrees:
            operation = await self._checkout(operation, session, project, tell)
        if not session.agent_id:
            session = await self._fork(operation, session, project, tell)
        await self._agent.rename_session(session.agent_id, session_title(session))
        await self._agent.settle_directory(session.agent_id, session.directory)
        self._fault("directory")
        at = self._clock.now()
        session = await self._changed(session, lambda now: replace(now, state=SessionState.IDLE, updated=at))
        await self._store.end(operation)
        self._fault("ready")
        return session

    async def abandon(self, key: SessionKey) -> bool:
        """Forget a start that failed before it had any effect. False: something was made, and the record stays.

        It stays as well while prompts wait: the next one tries to get through.
        """
        if any(run.session.key == key.key for run in await self._store.unfinished_runs()):
            return False
        self._under_way.discard(key.key)
        operation = await self._operation(key)
        if operation is None or operation.done or operation.data.get("again"):
            return False
        await self._store.remove_session(key)
        await self._store.end(operation)
        return True

    async def at_directory(self, directory: Path | None) -> Session | None:
        """The session in whose worktree somebody stands."""
        if directory is None:
            return None
        found = directory.resolve()
        for session in await self._store.sessions():
            if session.branch and found.is_relative_to(session.directory):
                return session
        return None

    async def _stuck(self, key: SessionKey) -> Session | None:
        """A session whose start did not get through, for this start to continue. Raises SessionExists."""
        session = await self._store.session(key)
        if session is None or session.state is SessionState.GONE:
            return None
        if key.key in self._under_way or not await self._operation(key):
            raise SessionExists(f"{session.key} has a session already.")
        self._under_way.add(key.key)
        return session

    async def _plan(
        self,
        kind: str,
        key: SessionKey,
        project: Project,
        title: str,
        data: dict[str, Any],
        parent: Session | None = None,
    ) -> Session:
        """Write down a new session, or one that is gone from opencode. Caller holds `_planning`."""
        gone = await self._store.session(key)
        # The intent first: a record without one would pass for a session that is ready.
        if left := await self._operation(key):
            await self._store.end(left)
        await self._store.begin(kind, key.key, data | {"again": gone is not None})
        now = self._clock.now()
        if gone:
            session = replace(gone, state=SessionState.NEW, agent_id=SessionId(""), updated=now)
            await self._store.save_session(session)
        else:
            session = await self.named(key, project, title, parent)
            if parent:  # what people chose for it holds for what comes of it
                session = replace(session, model=parent.model, variant=parent.variant, agent=parent.agent)
            await self._store.add_session(session)
        self._under_way.add(key.key)
        self._fault("intent")
        return session

    def mark(self, session: Session) -> None:
        """Note in the worktree whose it is, for the command line in it."""
        self._mark_worktree(session.directory, session.key)

    async def named(self, key: SessionKey, project: Project, title: str, parent: Session | None = None) -> Session:
        """A new record with a slug and a branch that no other session has; not stored yet."""
        now = self._clock.now()
        others = await self._store.sessions()
        slugs = {other.slug.casefold() for other in others}
        branches = {other.branch.casefold() for other in others if other.key.ref.project.key in names(project)}
        slug = refs.unique(refs.slug(key), key, lambda name: name.casefold() in slugs)
        branch = refs.unique(refs.branch(key), key, lambda name: name.casefold() in branches)
        return Session(
            key=key,
            directory=(self._worktrees / slug).resolve() if project.worktrees else project.path.resolve(),
            branch=branch if project.worktrees else "",
            slug=slug,
            title=title,
            state=SessionState.NEW,
            created=now,
            updated=now,
            parent=parent.key if parent else None,
        )

    async def _checkout(self, operation: Operation, session: Session, project: Project, tell: Tell) -> Operation:
        start = ""
        snapshot = str(operation.data.get("snapshot", ""))
        if operation.kind == FORK:
            if not snapshot:
                parent = await self._store.session(session.parent) if session.parent else None
                if parent is None:
                    raise AgentSessionGone(f"{session.parent} is gone.", "Fork another session.")
                # Uncommitted work comes along: the fork starts from the parent's files as they are now.
                snapshot = await self._workspace.snapshot(parent.directory, f"{session.slug}/fork")
                operation = await self._store.step_done(operation, "snapshot", {"snapshot": snapshot})
                self._fault("snapshot")
            start = await self._workspace.snapshot_head(project.path, snapshot)
        if "worktree" not in operation.done:
            await self._workspace.add_worktree(project, session.directory, session.branch, start)
            self._fault("worktree made")
            self.mark(session)
            operation = await self._store.step_done(operation, "worktree")
            self._fault("worktree")
        if operation.kind == FORK and "files" not in operation.done:
            await self._workspace.restore(session.directory, snapshot)
            operation = await self._store.step_done(operation, "files")
            self._fault("files")
        if "setup" not in operation.done:
            await self._set_up(project, session, tell)
            operation = await self._store.step_done(operation, "setup")
            self._fault("setup")
        return operation

    async def _set_up(self, project: Project, session: Session, tell: Tell) -> None:
        if project.setup:
            await tell(Document(view.setting_up(project)))
            lines: list[str] = []
            await self._workspace.set_up(project, session.directory, lines.append)
            await tell(Document(view.set_up(lines)))

    async def _wake(self, session: Session, project: Project, tell: Tell) -> Session:
        """The worktree of an archived session again, from its branch, set up like a new one."""
        await self._workspace.open_worktree(project, session.directory, session.branch)
        self.mark(session)
        await self._set_up(project, session, tell)
        at = self._clock.now()
        woken = await self._store.change_session(
            session.key, lambda now: replace(now, state=SessionState.IDLE, updated=at)
        )
        return woken or session

    async def _fork(self, operation: Operation, session: Session, project: Project, tell: Tell) -> Session:
        source = SessionId(operation.data["source"]) or (await self._bases.ready(project, tell)).agent_id
        # One at a time: what another start has just forked and not yet recorded must not pass for a dead process's.
        async with self._forking[source]:
            forked = await self._made_before_a_crash(operation, source) if "forking" in operation.done else None
            if forked is None:
                since = self._clock.now().isoformat()
                operation = await self._store.step_done(operation, "forking", {"forked": source, "since": since})
                self._fault("forking")
                before = MessageId(operation.data.get("before", "")) or None
                forked = await self._agent.fork_session(source, session.directory, before)
                self._fault("fork made")
            fork, at = forked.id, self._clock.now()
            session = await self._changed(
                session, lambda now: replace(now, agent_id=fork, parent_id=source, updated=at)
            )
            self._fault("fork")
        return session

    async def _changed(self, session: Session, change: Callable[[Session], Session]) -> Session:
        """Nothing but that: people may choose something for it meanwhile. One removed meanwhile stays removed."""
        return await self._store.change_session(session.key, change) or change(session)

    async def _made_before_a_crash(self, operation: Operation, source: SessionId) -> AgentSession | None:
        """The fork a process made that died before it could note it: opencode names forks after their source."""
        if operation.data.get("forked") != source:
            return None
        origin = await self._agent.find_session(source)
        if origin is None:
            return None
        ours = {session.agent_id for session in await self._store.sessions()}
        # opencode's clock is this machine's; the second covers its rounding.
        since = datetime.fromisoformat(operation.data["since"]) - timedelta(seconds=1)
        named = re.compile(re.escape(re.sub(r" \(fork #\d+\)$", "", origin.title)) + r" \(fork #\d+\)")
        for candidate in await self._agent.list_sessions(origin.directory):
            if candidate.id not in ours and candidate.created >= since and named.fullmatch(candidate.title):
                return candidate
        return None

    async def _operation(self, key: SessionKey) -> Operation | None:
        about = await self._store.open_operations(subject=key.key)
        return next((operation for operation in about if operation.kind in {START, FORK}), None)


def title_of(message: str) -> str:
    """A thread's title from the first prompt: its first line, at most 60 characters."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if len(line) <= 60 else f"{line[:59].rstrip()}…"


def session_title(session: Session) -> str:
    """What opencode's own interfaces list; begins with the mark that proves the session ours."""
    return f"{MARK}{session.key}: {session.title}".rstrip(": ")
