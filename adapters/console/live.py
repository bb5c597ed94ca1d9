"""A run as terminals see it: what each progress adds to the one before, and the whole story for who comes late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from adapters.console import changes, wire
from core.ports import RunHeader, RunReport
from core.progress import Progress


@dataclass(slots=True, eq=False)
class LiveRun:
    """One run as terminals see it; a `LiveMessage`."""

    thread: str
    header: RunHeader
    broadcast: Callable[[str, Iterable[wire.Event]], None]
    over: Callable[[LiveRun], None]
    shown: Progress | None = None
    report: RunReport | None = None
    refresh: float = 0.0

    def patience(self, progress: Progress) -> float:
        """Terminals stream."""
        return 0.0

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress:
        """Send what is new."""
        progress = await newest()
        self._send(progress)
        return progress

    def _send(self, progress: Progress) -> None:
        before, self.shown = self.shown, progress
        if before is None:
            self.broadcast(self.thread, [changes.started(self.thread, self.header)])
        news = changes.changes(self.thread, self.header.run.id, before or Progress(), progress)
        self.broadcast(self.thread, news)

    async def settle(self, progress: Progress, report: RunReport) -> None:
        """Send the rest and the end."""
        if self.shown is not None or progress.items:
            self._send(progress)
        self.report = report
        self.over(self)
        self.broadcast(self.thread, [changes.finished(self.thread, report)])

    def story(self) -> list[wire.Event]:
        """Everything so far, for a terminal that comes late."""
        events: list[wire.Event] = []
        if self.shown is not None:
            events.append(changes.started(self.thread, self.header))
            events += changes.changes(self.thread, self.header.run.id, Progress(), self.shown)
        if self.report is not None:
            events.append(changes.finished(self.thread, self.report))
        return events
