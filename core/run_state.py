"""A run under way, and what the configuration says about runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from core.audience import Show
from core.model import Refusal, Run, Session
from core.progress import Progress


@dataclass(slots=True)
class Live:
    """A run being driven: what the control lane and the audience need of it."""

    run: Run
    session: Session | None = None
    progress: Progress = field(default_factory=Progress)
    show: Show | None = None
    task: asyncio.Task[None] | None = None
    prompted: bool = False
    taken_out: bool = False  # of the queue, before it was sent
    stopping: bool = False
    why: str = ""  # it was stopped, for people; empty: because somebody said so
    context_limit: int = 0  # tokens the run's model holds, once that is known
    refused: list[Refusal] = field(default_factory=list)
    recovered: bool = False  # another process began it
    heard: int = 0  # events of the agent so far
    waited: bool = False  # for people, whom opencode then asked no more: another client decided, or it died

    def advance(self, progress: Progress) -> None:
        """Take the new state and have every place show it; never waits."""
        if progress is not self.progress:
            self.progress = progress
            if self.show:
                self.show.show(progress)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the configuration says about runs."""

    max_concurrent: int = 16
    model: str = ""  # provider/model; empty: opencode's default
    agent: str = ""
    auto_resume: bool = True  # after a crash the agent is told to carry on
    stop_patience: float = 5.0  # seconds for opencode to confirm an abort before the run is called stopped without it

    def model_of(self, session: Session) -> str:
        """What people chose for the session, else the configuration's; empty: opencode's own."""
        return session.model or self.model

    def agent_of(self, session: Session) -> str:
        """Likewise."""
        return session.agent or self.agent
