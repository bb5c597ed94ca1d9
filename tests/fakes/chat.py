"""A chat platform that remembers what it was told to show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.model import Document, Place, Session, Verbosity
from core.ports import Ask, RunHeader, RunReport
from core.progress import Progress

PATIENCE = 5.0  # real seconds; only a test that is going to fail waits that long


@dataclass(frozen=True, slots=True)
class Shown:
    kind: str  # send | update | settle | answer | ask | settle_ask
    place: Place
    what: Any


class FakeLive:
    def __init__(self, chat: FakeChat, place: Place) -> None:
        self._chat = chat
        self._place = place
        self.refresh = 0.0

    def patience(self, progress: Progress) -> float:
        return self._chat.patience

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress:
        progress = await newest()
        await self._chat.call("update", self._place, progress)
        return progress

    async def settle(self, progress: Progress, report: RunReport) -> None:
        await self._chat.call("settle", self._place, (progress, report))


class FakeChat:
    """A `core.ports.ChatPort`. `failing` names methods that raise, `hanging` ones that wait for an event first."""

    def __init__(self, platform: str = "fake") -> None:
        self.platform = platform
        self.patience = 0.0
        self.somebody = True
        self.failing: set[str] = set()
        self.hanging: dict[str, asyncio.Event] = {}
        self.shown: list[Shown] = []
        self.verbosities: dict[Place, Verbosity] = {}  # with which live messages were opened
        self.answers: dict[str, RunReport] = {}  # by key: a repeated one is not shown twice
        self._changed = asyncio.Event()

    def can_ask(self, place: Place) -> bool:
        self._maybe_fail("can_ask")
        return self.somebody

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        self._maybe_fail("open_thread")
        return Place(self.platform, origin.chat, str(session.key))

    def link(self, place: Place, token: str) -> str:
        return ""

    async def renamed(self, session: Session) -> None:
        await self.call("renamed", Place(self.platform, ""), session)

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        await self.call("ended", Place(self.platform, ""), session)

    async def send(self, place: Place, document: Document) -> None:
        await self.call("send", place, document)

    async def send_file(self, place: Place, file: Path, name: str) -> None:
        await self.call("send_file", place, name)

    def live(self, place: Place, header: RunHeader) -> FakeLive:
        self._maybe_fail("live")
        self.verbosities[place] = header.verbosity
        return FakeLive(self, place)

    async def answer(self, place: Place, report: RunReport, key: str) -> None:
        await self._pass("answer")
        if key not in self.answers:
            self.answers[key] = report
            self._note("answer", place, report)

    async def ask(self, place: Place, ask: Ask) -> None:
        await self.call("ask", place, ask)

    async def revised(self, place: Place, ask: Ask) -> None:
        await self.call("revised", place, ask)

    async def ask_why(self, place: Place, ask: Ask) -> None:
        await self.call("ask_why", place, ask)

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        await self.call("settle_ask", place, ask)

    # ── for tests ──────────────────────────────────────────────────────────────────────────────

    async def call(self, kind: str, place: Place, what: Any) -> None:
        await self._pass(kind)
        self._note(kind, place, what)

    def of(self, kind: str) -> list[Any]:
        return [shown.what for shown in self.shown if shown.kind == kind]

    def sentences(self) -> str:
        return "\n".join(document.markdown for document in self.of("send"))

    def answer_texts(self) -> list[str]:
        return [report.run.text for report in self.of("answer")]

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until `condition` holds; looked at whenever something was shown. Returns what it returned."""
        async with asyncio.timeout(PATIENCE):
            while not (result := condition()):
                await self._changed.wait()
                self._changed.clear()
        return result

    async def asked(self, number: int = 1) -> Ask:
        """The request shown as `number`, once it is shown."""
        await self.until(lambda: len(self.of("ask")) >= number)
        ask: Ask = self.of("ask")[number - 1]
        return ask

    def __iter__(self) -> Iterator[Shown]:
        return iter(self.shown)

    async def _pass(self, method: str) -> None:
        if method in self.hanging:
            await self.hanging[method].wait()
        self._maybe_fail(method)

    def _maybe_fail(self, method: str) -> None:
        if method in self.failing:
            raise OSError(f"{self.platform} is down: {method}")

    def _note(self, kind: str, place: Place, what: Any) -> None:
        self.shown.append(Shown(kind, place, what))
        self._changed.set()
