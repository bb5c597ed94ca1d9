"""Sessions for the store's unit tests, and a clock that only moves when somebody sleeps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.model import BaseSession, IssueRef, ProjectRef, Session, SessionId, SessionKey, SessionState

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROJECT = ProjectRef("github.com", "shoko", "kugetsu")
KEY = SessionKey(IssueRef(PROJECT, 14))
BASE = BaseSession(PROJECT, SessionId("ses_base"), Path("/src"), "Base of kugetsu", WHEN, ready=True)


def session(key: SessionKey = KEY, state: SessionState = SessionState.IDLE) -> Session:
    slug = str(key).replace("/", "-").replace("#", "-").replace("~", "-")
    return Session(
        key=key,
        directory=Path("/state/worktrees") / slug,
        branch="kugetsu/14",
        slug=slug,
        title="Login form – ü",
        state=state,
        created=WHEN,
        updated=WHEN,
        agent_id=SessionId("ses_14"),
        parent_id=SessionId("ses_base"),
    )


class ManualClock:
    def __init__(self) -> None:
        self.time = WHEN
        self.slept = asyncio.Event()

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.slept.set()
        await asyncio.sleep(0)
