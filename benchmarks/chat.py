"""A chat platform that notes when it is called, and how old what it is to show is by then."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from core.model import Document, Place, RunId, Session
from core.ports import Ask, RunHeader, RunReport
from core.progress import Progress, Text

PLATFORM = "bench"


class RecordingChat:
    """A `core.ports.ChatPort`. `interval` is what its live messages ask for, in seconds."""

    platform = PLATFORM

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.sent = array("q")  # when the server sent an event, ns …
        self.lags = array("q")  # … and how long after it might have been shown it was, ns
        self.calls = 0
        self.answers = 0
        self.notices: list[str] = []
        self._answers: dict[RunId, asyncio.Future[str]] = {}

    def can_ask(self, place: Place) -> bool:
        """Nothing is asked."""
        return False

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        """One a session."""
        return Place(PLATFORM, origin.chat, str(session.key))

    def link(self, place: Place, token: str) -> str:
        """None."""
        return ""

    async def renamed(self, session: Session) -> None:
        """Nothing is named."""

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        """Nothing ends."""

    async def send(self, place: Place, document: Document) -> None:
        """Kept: there should be none."""
        self.notices.append(document.markdown)

    async def send_file(self, place: Place, file: Path, name: str) -> None:
        """Nothing is sent."""

    def live(self, place: Place, header: RunHeader) -> RecordingMessage:
        """See ChatPort."""
        return RecordingMessage(self)

    async def answer(self, place: Place, report: RunReport, key: str) -> None:
        """Whoever waits for it has it."""
        self.answers += 1
        waiting = self._answers.setdefault(report.run.id, asyncio.get_running_loop().create_future())
        waiting.set_result(report.run.text or f"{report.run.state}: {report.run.error}")

    async def ask(self, place: Place, ask: Ask) -> None:
        """Nothing is asked."""

    async def revised(self, place: Place, ask: Ask) -> None:
        """Nothing is asked."""

    async def ask_why(self, place: Place, ask: Ask) -> None:
        """Nothing is asked."""

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        """Nothing is asked."""

    async def answer_of(self, run: RunId) -> str:
        """The run's answer, once it is there; it can be had once."""
        text = await self._answers.setdefault(run, asyncio.get_running_loop().create_future())
        del self._answers[run]
        return text


class RecordingMessage:
    """A `core.ports.LiveMessage`."""

    def __init__(self, chat: RecordingChat) -> None:
        self.refresh = 0.0
        self._interval = chat.interval
        self._chat = chat
        self._seen = 0
        self._allowed = 0  # until then the pace forbids a call, ns

    def patience(self, progress: Progress) -> float:
        """The pace is kept in `update`, as a budget does it."""
        return 0.0

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress:
        """Wait for the pace, then take the newest."""
        await asyncio.sleep(max(self._allowed - time.monotonic_ns(), 0) / 1e9)
        progress = await newest()
        self._note(progress)
        return progress

    def _note(self, progress: Progress) -> None:
        """Every piece of text not seen before is the time it was sent; what waited for its pace counts from its end."""
        now, allowed = time.monotonic_ns(), self._allowed
        self._chat.calls += 1
        self._allowed = now + int(self._interval * 1e9)
        last = progress.items[-1] if progress.items else None
        if not isinstance(last, Text):
            return
        text, seen, self._seen = last.text, self._seen, len(last.text)
        for word in text[seen:].split():
            if word[0] != "@":
                sent = int(word)
                self._chat.sent.append(sent)
                self._chat.lags.append(now - max(sent, allowed))

    async def settle(self, progress: Progress, report: RunReport) -> None:
        """Not counted: it is not paced."""
