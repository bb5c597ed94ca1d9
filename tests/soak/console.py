"""The terminal for scenarios: `kugetsu chat` without the drawing, over the socket of the real bot."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.console import render, wire
from adapters.console.asks import REFUSE, Choice, OpenAsk
from adapters.console.client import ConsoleClient
from adapters.console.desk import Desk, Say
from adapters.console.render import Line
from bot.service import SOCKET
from core.errors import KugetsuError, UsageError
from core.model import LOCAL_PERSON, Button
from tests.soak.driver import Traits, Unsupported
from tests.soak.observed import Observed, Said, Shown

T = TypeVar("T")

AGAIN = 0.1  # seconds between attempts to reach a bot that is not there
PATIENCE = 20.0  # seconds a person waits for the bot, and for the reply to the line before
REJECT = "Reject"  # the label of what `-` does


class ConsoleDriver:
    """A `tests.soak.driver.PlatformDriver`. A place is a window, of several people a window each, side by side."""

    platform = "console"
    traits = Traits(
        kinds=("direct", "group"),
        trouble=False,
        waits=False,
        edits=False,
        uploads=False,
        rewrites=False,
        receipts=False,
        rings=False,
        posts=False,
    )

    def __init__(self) -> None:
        self._socket = Path()
        self._places: dict[str, dict[str, Window]] = {}  # name → person → window
        self._news = asyncio.Event()
        self._closing: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """The bot itself listens."""

    async def close(self) -> None:
        self.begin()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def settings(self, state: Path) -> dict[str, Any]:
        self._socket = state / SOCKET
        return {}

    def admins(self) -> list[str]:
        return [LOCAL_PERSON]

    def begin(self) -> None:
        self._closing = [task for task in self._closing if not task.done()]
        self._closing += [task for window in self._windows() for task in window.leave()]
        self._places = {}

    def add_place(self, name: str, kind: str, people: list[str]) -> None:
        if kind not in self.traits.kinds:
            raise Unsupported(f"terminals have no {kind}")
        names = people if kind == "group" else people[:1]
        self._places[name] = {
            person: Window(self._socket, f"{name}:{person}" if number else name, person, self._news.set)
            for number, person in enumerate(names)
        }

    async def say(self, place: str, text: str, *, by: str = "", reply: Shown | None = None) -> str:
        window = await self._at(place, by)
        if reply:
            window.must_be_next(window.find(reply))
        await window.say(text)
        return ""

    async def send(self, place: str, name: str, content: bytes, text: str, *, by: str = "") -> str:
        raise Unsupported("terminals send no files")

    async def edit(self, text: str, new: str) -> None:
        raise Unsupported("what was typed stays")

    async def press(self, place: str, message: Shown, button: str, *, by: str = "", wait: float = 10.0) -> str:
        window = await self._at(place, by)
        return await window.press(window.find(message), button, wait)

    def has(self, place: str) -> bool:
        return bool(self.shown(place))

    def shown(self, place: str) -> list[Shown]:
        """On the window of the first of its people."""
        return self._window(place, "").shown()

    def previews(self, place: str) -> list[str]:
        live = self._window(place, "").live()
        return [live.text] if live else []

    def content(self, place: str, message: Shown) -> bytes:
        """Terminals are on the bot's machine: a file is where it was."""
        return self._window(place, "").find(message).path.read_bytes()

    async def wait(self, happened: Callable[[], T], seconds: float) -> T:
        async with asyncio.timeout(seconds):
            while True:
                self._news.clear()
                if value := happened():
                    return value
                await self._news.wait()

    def outage(self, seconds: float | None) -> None:
        raise Unsupported("nothing lies between a terminal and the bot")

    def fault(self, what: str, call: str, place: str, times: int | None, seconds: float) -> None:
        raise Unsupported("nothing lies between a terminal and the bot")

    def calm(self) -> None:
        """Nothing is ever wrong."""

    async def happen(self, what: str, place: str, text: str) -> None:
        raise Unsupported(f"“{what}” cannot happen to terminals")

    def observed(self) -> Observed:
        windows = list(self._windows())
        said = [
            Said(w.name, "", line.text, line.at, told=line.told) for w in windows for line in w.said if not line.lost
        ]
        shown = [each for w in windows for each in (*w.shown(), w.live()) if each]
        return Observed(
            said=tuple(sorted(said, key=lambda each: each.at)),
            shown=tuple(sorted(shown, key=lambda each: each.at)),
            screens={window.name: window.thread for window in windows},
            lost=max((window.lost for window in windows), default=0.0),
        )

    async def _at(self, place: str, by: str) -> Window:
        """The person's window, in the session that the place is in: who comes second goes there first."""
        window, first = self._window(place, by), self._window(place, "")
        await window.ready()
        if first.thread.casefold() != window.thread.casefold():
            await window.go(first.thread)
        return window

    def _window(self, place: str, by: str) -> Window:
        if place not in self._places:
            raise ValueError(f"no place {place!r}; there are {', '.join(self._places)}")
        windows = self._places[place]
        return windows[by] if by else next(iter(windows.values()))

    def _windows(self) -> Iterator[Window]:
        for windows in self._places.values():
            yield from windows.values()


@dataclass(slots=True)
class Block:
    """Lines that belong together, as one message of other platforms."""

    number: int
    text: str
    at: float
    offers: tuple[Button, ...] = ()
    ask: OpenAsk | None = None
    question: int = 0
    run: int | None = None
    file: str = ""
    path: Path = Path()


@dataclass(slots=True)
class Typed:
    """A line that was sent."""

    text: str
    at: float
    told: bool = False
    lost: bool = False  # the connection broke before the reply: its person was told that nobody knows


class Window:
    """A window in which somebody starts `kugetsu chat`, and again when the bot went away and came back: what was
    printed stays there, what could be chosen does not, and one goes back to where one was.
    """

    def __init__(self, socket: Path, name: str, person: str, news: Callable[[], None]) -> None:
        self.name = name
        self.said: list[Typed] = []
        self.lost = 0.0
        self._socket = socket
        self._person = person
        self._news = news
        self._desk = Desk()
        self._blocks: list[Block] = []
        self._numbers = itertools.count(1)
        self._writing: list[str] = []  # what is printed of the run that goes on
        self._began = 0.0
        self._client: ConsoleClient | None = None
        self._back = asyncio.Event()  # where one was
        self._sent: set[asyncio.Task[wire.Reply | None]] = set()
        self._staying = asyncio.create_task(self._stay())

    @property
    def thread(self) -> str:
        """The session it is in."""
        return self._desk.thread

    def leave(self) -> list[asyncio.Task[Any]]:
        """Tasks that are over soon."""
        tasks = [self._staying, *self._sent]
        for task in tasks:
            task.cancel()
        return tasks

    # ── what is to be seen ─────────────────────────────────────────────────────────────────────

    def shown(self) -> list[Shown]:
        """What was printed, and can be chosen now."""
        return [
            Shown(
                chat=self.name,
                message=str(block.number),
                text=block.text,
                at=block.at,
                first=block.text,
                buttons=tuple(self._labels(block)),
                file=block.file,
                run=block.run,
                ask=block.ask.event.ask if block.ask else "",
            )
            for block in self._blocks
        ]

    def live(self) -> Shown | None:
        """What is being written, and what is done meanwhile."""
        view = self._desk.view
        if not view.transcript.running or self._client is None:
            return None
        lines = [*self._writing, view.transcript.partial, *map(render.plain, view.transcript.steps)]
        text = "\n".join(line for line in lines if line)
        return Shown(self.name, "live", text, at=self._began, first=text, run=view.run, live=True)

    def find(self, shown: Shown) -> Block:
        """The same message here; it may have been seen on the window next to this one."""
        same = [lambda block: shown.chat == self.name and str(block.number) == shown.message]
        same += [lambda block: shown.run is not None and block.run == shown.run]
        same += [lambda block: block.text == shown.text]
        for is_it in same:
            if found := [block for block in self._blocks if is_it(block)]:
                return found[-1]
        raise AssertionError(f"“{shown.text}” is not on the window of {self._person}")

    def _labels(self, block: Block) -> list[str]:
        if self._client is None:
            return []  # nobody is there to take a choice
        if block.ask:
            return _choices(block.ask) if self._is_open(block) else []
        return [button.label for button in block.offers] if self._offered(block) else []

    def _is_open(self, block: Block) -> bool:
        known = block.ask and self._desk.view.asks.get(block.ask.event.ask)
        return known is block.ask and block.ask is not None and len(block.ask.answers) == block.question

    def _offered(self, block: Block) -> bool:
        """Numbers choose from what was offered last, and until something is typed."""
        return bool(block.offers) and self._desk._offers is block.offers

    # ── what people do ─────────────────────────────────────────────────────────────────────────

    async def ready(self) -> None:
        """Wait until the bot is there, and has replied to what was typed before. Raises AssertionError."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._back.wait()
                if self._sent:
                    await asyncio.wait(list(self._sent))
        except TimeoutError:
            raise AssertionError(f"no bot listens, or it does not reply to {self.said[-1:]}") from None

    async def go(self, thread: str) -> None:
        """To another session."""
        await (await self._type(f"/watch {thread}"))

    async def say(self, text: str) -> None:
        await self._type(text)

    async def press(self, block: Block, label: str, wait: float) -> str:
        """Choose by number. What is printed for it."""
        labels = self._labels(block)
        assert label in labels, f"no {label!r} can be chosen of “{block.text}”; there are {labels}"
        self.must_be_next(block)
        number = str(labels.index(label) + 1)
        asks = block.ask and isinstance(block.ask.event, wire.Questions)
        task = await self._type(REFUSE if asks and label == REJECT else number)
        await asyncio.wait([task], timeout=wait)
        reply = task.result() if task.done() and not task.cancelled() else None
        return _plain(render.reply(reply)) if reply else ""

    def must_be_next(self, block: Block) -> None:
        """Raises AssertionError when what is typed would not go there."""
        asked = self._desk.asked
        assert block.ask is asked, f"what is typed answers “{asked and _plain(asked.show())}”, not “{block.text}”"

    async def _type(self, text: str) -> asyncio.Task[wire.Reply | None]:
        """As `adapters.console.terminal.Chat` does. The task of the reply."""
        outcome = self._desk.typed(text)
        if outcome.action is None:
            self._show_ask(self._desk.asked)  # the next of its questions
        task = asyncio.create_task(self._send(outcome.action, outcome.ask))
        self._sent.add(task)
        task.add_done_callback(self._sent.discard)
        await asyncio.sleep(0)
        return task

    async def _send(self, action: Say | Choice | None, ask: OpenAsk | None) -> wire.Reply | None:
        client, desk = self._client, self._desk
        if action is None or client is None:
            return None
        desk.said()
        typed = Typed(action.text, time.monotonic())
        try:
            if isinstance(action, Say):
                self.said.append(typed)
                reply = await client.say(action.text, desk.thread)
            else:
                reply = await client.press(action.button, action.text, desk.thread)
        except KugetsuError as error:
            typed.lost = True
            desk.unanswered()
            self._print(f"✗ {error}")
            return None
        typed.told = True
        self._news()
        if desk is self._desk:
            self._replied(reply, ask)
        return reply

    # ── what is printed ────────────────────────────────────────────────────────────────────────

    async def _stay(self) -> None:
        while True:
            try:
                hello = wire.Hello(self._person, interactive=True, all=True)
                async with await ConsoleClient.connect(self._socket, hello) as client:
                    await self._chat(client)
            except KugetsuError:
                await asyncio.sleep(AGAIN)

    async def _chat(self, client: ConsoleClient) -> None:
        """Raises ConnectionLost."""
        was, self._desk, self._client = self._desk.thread, Desk(), client
        returning = asyncio.create_task(self._return(was))
        try:
            async for event in client.events():
                self._feed(event)
                self._news()
        finally:
            returning.cancel()
            self._back.clear()
            self._client, self.lost = None, time.monotonic()
            self._break_off()
            self._news()

    async def _return(self, thread: str) -> None:
        if thread:
            await self.go(thread)
        self._back.set()

    def _feed(self, event: wire.Event) -> None:
        desk = self._desk
        known = (
            desk._view(event.thread).asks.get(event.ask)
            if isinstance(event, wire.Permission | wire.Questions)
            else None
        )
        here = not event.thread or event.thread.casefold() == desk.thread.casefold()
        lines = desk.feed(event)
        if not here:
            for line in lines:
                self._print(render.plain(line))
            return
        own = 0  # of the last lines: what is no part of what is being written
        match event:
            case wire.Started():
                self._break_off()
            case wire.Permission() | wire.Questions() if not known:
                ask = desk.view.asks[event.ask]
                own = len(ask.show())
                self._write(lines[:-own])
                self._show_ask(ask)
            case wire.Decided():
                self._write(lines[:-1])
                self._print(_plain(lines[-1:]))
            case wire.Notice():
                own = len(render.markdown(event.text)) + len(event.buttons)
                self._write(lines[:-own])
                self._print(_plain(lines[-own:]), offers=event.buttons)
            case wire.File():
                self._write(lines[:-1])
                self._print(_plain(lines[-1:]), file=event.name, path=Path(event.path))
            case wire.Finished():
                self._write(lines)
                self._break_off(event.run, event.buttons)
            case _:
                self._write(lines)

    def _replied(self, reply: wire.Reply, ask: OpenAsk | None) -> None:
        desk, own = self._desk, render.reply(reply)
        lines = desk.reply(reply)
        if ask and reply.ok:
            return  # that it is decided is told to everyone
        if own or reply.buttons:
            self._print(_plain([*own, *render.choices(reply.buttons)]), offers=reply.buttons)
        rest = lines[len(own) :]
        news = [line for line in rest if line[:1] and line[0][1].startswith("• ")]
        after = len(rest) - len(news) - len(reply.buttons)
        self._caught_up([line for line in rest if line not in news][:after])
        for line in news:
            self._print(render.plain(line))
        if ask and reply.code == UsageError.code:
            ask.answers.clear()
            self._show_ask(ask)

    def _caught_up(self, lines: Sequence[Line]) -> None:
        """What had happened in the session that one comes into."""
        if not lines:
            return
        view = self._desk.view
        self._break_off()
        left = list(lines)
        for ask in view.asks.values():
            asked = ask.show()
            left = [line for line in left if line not in asked]
            self._show_ask(ask)
        self._write(left)
        if not view.transcript.running:
            self._break_off(view.run, view.offers)

    def _show_ask(self, ask: OpenAsk | None) -> None:
        if ask:
            self._print(_plain(ask.show()), ask=ask, question=len(ask.answers))

    def _write(self, lines: Sequence[Line]) -> None:
        if not self._writing:
            self._began = time.monotonic()
        self._writing += map(render.plain, lines)

    def _break_off(self, run: int | None = None, offers: tuple[Button, ...] = ()) -> None:
        """What was being written stands there now; whole, if `run` is given."""
        text, self._writing = "\n".join(self._writing), []
        if text:
            self._print(text, run=run, offers=offers)

    def _print(self, text: str, **about: Any) -> None:
        self._blocks.append(Block(next(self._numbers), text, time.monotonic(), **about))
        self._news()


def _choices(ask: OpenAsk) -> list[str]:
    """What a number chooses, in their order."""
    if isinstance(ask.event, wire.Permission):
        return [button.label for button in ask.event.buttons]
    return [*(choice.label for choice in ask.event.questions[len(ask.answers)].choices), REJECT]


def _plain(lines: Sequence[Line]) -> str:
    return "\n".join(map(render.plain, lines))
