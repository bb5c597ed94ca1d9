"""Values to store, and a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.model import (
    Inbound,
    IssueRef,
    Person,
    PersonId,
    Place,
    ProjectRef,
    Session,
    SessionKey,
    SessionState,
)

WHEN = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
PROJECT = ProjectRef("github.com", "Shoko", "Kugetsu")
KEY = SessionKey(IssueRef(PROJECT, 14))
ANNA = PersonId("telegram:1")
HERE = Place("telegram", "-100", "7")
THERE = Place("console", "local")


def session(key: SessionKey = KEY, **changes: Any) -> Session:
    slug = str(key).replace("/", "-").replace("#", "-").replace("!", "-mr-")
    values: dict[str, Any] = {
        "key": key,
        "directory": Path("/w") / slug,
        "branch": f"kugetsu/{key.ref.number}",
        "slug": slug,
        "title": "Login form",
        "state": SessionState.NEW,
        "created": WHEN,
        "updated": WHEN,
    }
    return Session(**(values | changes))


def fork(name: str, of: SessionKey = KEY) -> SessionKey:
    return SessionKey(of.ref, name)


def inbound(event: str, **changes: Any) -> Inbound:
    values: dict[str, Any] = {
        "platform": "telegram",
        "event_id": event,
        "place": HERE,
        "person": Person(ANNA, "Anna"),
        "text": "/start #14",
        "at": WHEN,
    }
    return Inbound(**(values | changes))


class SteppedClock:
    """Each reading is a millisecond after the one before."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the store does not sleep")
