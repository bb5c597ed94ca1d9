"""Several sessions, one screen: which events are shown now, which wait, and what a typed line means (no I/O)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adapters.console import render, wire
from adapters.console.asks import Choice, OpenAsk
from adapters.console.render import Line
from adapters.console.transcript import Transcript
from core import commands
from core.model import Button

KEPT_LINES = 2000  # of a run in the background, to be shown when one goes there


@dataclass(slots=True)
class View:
    """One session as this terminal knows it."""

    thread: str
    title: str = ""
    transcript: Transcript = field(default_factory=Transcript)
    asks: dict[str, OpenAsk] = field(default_factory=dict)
    unshown: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    run: int | None = None  # the newest that began
    awaited: set[int] = field(default_factory=set)  # ours that have not ended
    offers: tuple[Button, ...] = ()  # below the end of the newest run

    @property
    def label(self) -> str:
        """`#14 implement login`."""
        return render.label(self.thread, self.title)


@dataclass(frozen=True, slots=True)
class Say:
    """To be sent as a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a typed line leads to."""

    lines: Sequence[Line] = ()
    action: Say | Choice | None = None
    ask: OpenAsk | None = None  # whose answer `action` is


class Desk:
    """Feed it events, replies and typed lines; print what it returns."""

    def __init__(self) -> None:
        self.thread = ""  # where one is
        self.refs: set[str] = set()
        self._views: dict[str, View] = {}
        self._offers: tuple[Button, ...] = ()
        self._unplaced = 0  # messages said whose reply has not come
        self._held: list[tuple[str, Line]] = []  # background news, while any of them may turn out to be ours

    @property
    def view(self) -> View:
        """The session one is in."""
        return self._view(self.thread)

    @property
    def label(self) -> str:
        """Its name; empty outside of any."""
        return self.view.label if self.thread else ""

    @property
    def busy(self) -> bool:
        """Whether there is something to stop here."""
        return self.view.transcript.running or bool(self.view.awaited)

    @property
    def asked(self) -> OpenAsk | None:
        """What a typed line may answer: the oldest open request here."""
        return next(iter(self.view.asks.values()), None)

    def feed(self, event: wire.Event) -> list[Line]:
        """What to print for it now."""
        view = self._view(event.thread)
        if isinstance(event, wire.Started):
            view.unshown.clear()
            view.title, view.run, view.offers = event.title or event.prompt, event.run, ()
        self.refs.update({event.thread} - {""})
        if isinstance(event, wire.Permission | wire.Questions):
            if event.ask in view.asks:
                return []
            view.asks[event.ask] = OpenAsk(event)
        elif isinstance(event, wire.Decided):
            view.asks.pop(event.ask, None)
        elif isinstance(event, wire.Finished):
            self._forget(view, event.run)
            view.offers = event.buttons
        lines = view.transcript.feed(event)
        if not event.thread or self._here(event.thread):
            if isinstance(event, wire.Notice | wire.Finished) and event.buttons:
                self._offers = event.buttons
            return lines + (render.choices(event.buttons) if isinstance(event, wire.Finished) else [])
        view.unshown.extend(lines)
        return self._background(view, event)

    def said(self) -> None:
        """A message is on its way; `reply` must follow."""
        self._unplaced += 1

    def reply(self, reply: wire.Reply) -> list[Line]:
        """What to print for the answer to a message or button."""
        self._unplaced -= 1
        lines = render.reply(reply)
        if reply.thread:
            view = self._view(reply.thread)
            self.refs.add(reply.thread)
            if reply.run is not None and not (view.run == reply.run and not view.transcript.running):
                view.awaited.add(reply.run)
            if not self._here(reply.thread):
                self.thread = reply.thread
                if view.transcript.running or view.run == reply.run or view.asks:
                    lines += [*view.unshown, *render.choices(view.offers)]
                    self._offers = view.offers
                self._held = [(thread, line) for thread, line in self._held if thread != reply.thread]
            view.unshown.clear()
        elif reply.run is not None:
            self.view.awaited.add(reply.run)
        if reply.buttons:
            self._offers = reply.buttons
            lines += render.choices(reply.buttons)
        if not self._unplaced:
            lines += [line for _, line in self._held]
            self._held.clear()
        return lines

    def unanswered(self) -> None:
        """The reply will not come."""
        self._unplaced -= 1

    def typed(self, text: str) -> Outcome:
        """An answer, a choice by number, or a message."""
        text, offers, self._offers = text.strip(), self._offers, ()
        if not text:
            self._offers = offers
            return Outcome()
        echo: Line = (("dim", f"{self.label} › ".lstrip()), ("strong", render.clean(text)))
        ask = self.asked
        if ask and not commands.is_command(text):
            choice = ask.take(text)
            if choice:
                return Outcome([echo], choice, ask)
            if isinstance(ask.event, wire.Questions):
                return Outcome([echo, *ask.show()])
        if text.isdecimal() and 1 <= int(text) <= len(offers):
            return Outcome([echo], Choice(offers[int(text) - 1].id))
        return Outcome([echo], Say(text))

    def _background(self, view: View, event: wire.Event) -> list[Line]:
        news = _news(view, event)
        if news and self._unplaced:
            self._held.append((view.thread, news))
            return []
        return [news] if news else []

    def _forget(self, view: View, run: int | None) -> None:
        view.awaited.discard(run or 0)
        for ask in [ask for ask, open_ask in view.asks.items() if open_ask.event.run == run]:
            del view.asks[ask]

    def _here(self, thread: str) -> bool:
        return thread.casefold() == self.thread.casefold()

    def _view(self, thread: str) -> View:
        return self._views.setdefault(thread.casefold(), View(thread))


def _news(view: View, event: wire.Event) -> Line | None:
    """One line about a session in the background; most of what happens there is not worth one."""
    name = ("dim", f"• {view.label} ")
    match event:
        case wire.Finished(ok=True):
            return (name, ("done", "✓ finished"))
        case wire.Finished():
            return (name, ("failed", f"✗ {render.one_line(event.error) or 'failed'}"))
        case wire.Permission():
            wanted = render.one_line(f"{event.permission} {', '.join(event.patterns)}")
            return (name, ("asking", f"? may it use {wanted}"), ("dim", f" · /watch {view.thread} goes there"))
        case wire.Questions():
            asked = render.one_line(event.questions[0].text if event.questions else "")
            return (name, ("asking", f"? {asked}"), ("dim", f" · /watch {view.thread} goes there"))
    return None


def tail(text: str, columns: int, rows: int, width: Iterable[int]) -> list[str]:
    """The last `rows` screen lines of `text` when wrapped at `columns`; `width` are its characters' cells."""
    lines: list[str] = [""]
    used = 0
    for character, cells in zip(text, width, strict=True):
        if used + cells > columns:
            lines.append("")
            used = 0
        lines[-1] += character
        used += cells
    return lines[-rows:]
