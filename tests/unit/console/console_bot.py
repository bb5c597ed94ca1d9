"""A bot behind the socket, without agent or store: a scripted intake and what core would tell its chats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from adapters.console.server import ConsoleChat
from core.model import (
    AskId,
    Document,
    Inbound,
    IssueRef,
    MessageId,
    PermissionRequest,
    Place,
    ProjectRef,
    QuestionRequest,
    Run,
    RunId,
    RunState,
    Session,
    SessionId,
    SessionKey,
    SessionState,
)
from core.ports import Ask, Press, Reply, RunHeader, RunReport
from core.progress import Progress

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KEY = SessionKey(IssueRef(ProjectRef("github.com", "shoko", "kugetsu"), 14))
THREAD = str(KEY)
PLACE = Place("console", "local", THREAD)


class StoppedClock:
    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def session(key: SessionKey = KEY, title: str = "implement the login form") -> Session:
    return Session(
        key=key,
        directory=Path("/w/14"),
        branch="kugetsu/14",
        slug="14",
        title=title,
        state=SessionState.RUNNING,
        created=NOW,
        updated=NOW,
        agent_id=SessionId("ses_1"),
        parent_id=SessionId("ses_0"),
    )


def run(number: int = 1, state: RunState = RunState.RUNNING, key: SessionKey = KEY, **fields: object) -> Run:
    place = Place("console", "local", str(key))
    known = {"prompt": "do it", "person": "console:local", "place": place, "created": NOW} | fields
    return Run(RunId(number), key, number, state=state, message_id=MessageId("msg_1"), **known)


def header(number: int = 1, key: SessionKey = KEY) -> RunHeader:
    return RunHeader(run(number, key=key), session(key), "console:local")


def report(number: int = 1, state: RunState = RunState.DONE, key: SessionKey = KEY, **fields: object) -> RunReport:
    return RunReport(run(number, state, key, **fields), session(key))


def permission(ask: str = "a1", number: int = 1, key: SessionKey = KEY) -> Ask:
    request = PermissionRequest("per_1", SessionId("ses_1"), "bash", ("git push",), "git push")
    return Ask(AskId(ask), RunId(number), key, request, NOW)


def question(*questions: object, ask: str = "q1", number: int = 1) -> Ask:
    return Ask(AskId(ask), RunId(number), KEY, QuestionRequest("que_1", SessionId("ses_1"), questions), NOW)


@dataclass
class Script:
    """An intake: `on_say` decides what is replied; everything received is kept."""

    on_say: Callable[[Inbound], Awaitable[Reply]] | None = None
    on_press: Callable[[Press], Awaitable[Reply]] | None = None
    said: list[Inbound] = field(default_factory=list)
    pressed: list[Press] = field(default_factory=list)

    async def receive(self, inbound: Inbound) -> Reply:
        self.said.append(inbound)
        return await self.on_say(inbound) if self.on_say else Reply(Document(f"heard {inbound.text}"))

    async def press(self, press: Press) -> Reply:
        self.pressed.append(press)
        return await self.on_press(press) if self.on_press else Reply(Document("noted"))


async def refs() -> list[str]:
    return [THREAD, "github.com/shoko/kugetsu"]


async def token_fits(token: str, directory: Path | None) -> bool:
    return (token, directory) == ("token-of-14", Path("/w/14"))


def console() -> ConsoleChat:
    return ConsoleChat(StoppedClock(), version="1.2.3", refs=refs, token_fits=token_fits)


def newest(progress: Progress) -> Callable[[], Awaitable[Progress]]:
    """What a live message takes when it may show something."""

    async def take() -> Progress:
        return progress

    return take
