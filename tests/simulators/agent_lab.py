"""A backend, a scripted model and a small project, with the few gestures that tests of agents are made of."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.opencode.server import OpencodeServerSettings
from core.events import AgentEvent, Asked, Finished
from core.model import AgentRequest, SessionId
from core.ports import AgentPort, AgentRun, AgentSession
from core.progress import Progress, fold
from tests.simulators.model import ScriptedModel
from tests.simulators.opencode_home import OpencodeHome, git_project, git_worktree, opencode_binary

GRACE = 1.0  # seconds; the tests' server is warm, so what has not come by then will not come
TIMEOUT = 20.0
CONFIG = {
    "permission": {"bash": {"*": "allow", "touch ask*": "ask"}},
    "snapshot": False,  # opencode's own; kugetsu has its own, and a commit a step is slow
}


@dataclass
class Listener:
    """Follows one run in a task of its own."""

    run: AgentRun
    events: list[AgentEvent] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _task: asyncio.Task[None] | None = None

    def follow(self, source: AsyncIterator[AgentEvent]) -> None:
        self._task = asyncio.create_task(self._follow(source))

    async def _follow(self, source: AsyncIterator[AgentEvent]) -> None:
        try:
            async with aclosing(source) as events:
                async for event in events:
                    self.events.append(event)
                    self.progress = fold(self.progress, event)
                    async with self._changed:
                        self._changed.notify_all()
        finally:
            async with self._changed:
                self._changed.notify_all()

    async def until(self, wanted: Callable[[Listener], Any]) -> Any:
        """Wait until `wanted` gives something true."""
        assert self._task is not None
        async with asyncio.timeout(TIMEOUT), self._changed:
            while not (found := wanted(self)):
                if self._task.done():
                    self._task.result()
                    raise AssertionError(f"over without that: {self.events}")
                await self._changed.wait()
        return found

    async def finished(self) -> Finished:
        """The end; exactly one, and last."""
        assert self._task is not None
        async with asyncio.timeout(TIMEOUT):
            await self._task
        ends = [event for event in self.events if isinstance(event, Finished)]
        assert ends == [self.events[-1]]
        return ends[0]

    async def asked(self) -> AgentRequest:
        """The first request."""
        return await self.until(lambda self: next((e.request for e in self.events if isinstance(e, Asked)), None))

    async def leave(self) -> None:
        """Stop listening."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@dataclass
class Lab:
    """A backend with what it stands on."""

    port: AgentPort
    model: ScriptedModel
    project: Path
    root: Path
    home: OpencodeHome
    notices: list[str] = field(default_factory=list)
    binary: Path | None = None

    async def session(self, directory: Path | None = None) -> AgentSession:
        return await self.port.create_session(directory or self.project, "A session")

    def worktree(self) -> Path:
        name = uuid.uuid4().hex[:8]
        return git_worktree(self.project, self.root / name, f"kugetsu/{name}")

    def configured(self, config: dict[str, Any]) -> Path:
        """Another project, with an `opencode.json` of its own that is merged over the user's."""
        directory = self.root / uuid.uuid4().hex[:8]
        directory.mkdir()
        schema = {"$schema": "https://opencode.ai/config.json"}  # which opencode would add
        (directory / "opencode.json").write_text(json.dumps(schema | config), encoding="utf-8")
        return git_project(directory)

    def prompt(self, session: SessionId, text: str, directory: Path | None = None, **more: Any) -> AgentRun:
        return AgentRun(session, directory or self.project, self.port.new_message_id(), text, **more)

    def start(self, run: AgentRun) -> Listener:
        listener = Listener(run)
        listener.follow(self.port.run(run))
        return listener

    def attach(self, run: AgentRun) -> Listener:
        listener = Listener(run)
        listener.follow(self.port.attach(run))
        return listener

    async def say(self, session: SessionId, text: str, directory: Path | None = None, **more: Any) -> Listener:
        """Prompt and wait for the end."""
        listener = self.start(self.prompt(session, text, directory, **more))
        await listener.finished()
        return listener


def server_settings(root: Path, home: OpencodeHome, binary: Path | None = None, **more: Any) -> OpencodeServerSettings:
    state_file = root / "state" / "opencode-server.json"
    values = {"state_file": state_file, "command": str(binary or opencode_binary()), "env": home.env, "grace": GRACE}
    return OpencodeServerSettings(**{**values, **more})
