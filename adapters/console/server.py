"""`ConsoleChat`: the bot's end of the socket, and the terminal as a chat platform for core.

Nothing here waits for a terminal: what it does not read is kept up to a limit, then the terminal is dropped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import structlog

from adapters.console import changes, endpoint, wire
from adapters.console.connection import CHAT, Terminal, refusal
from adapters.console.live import LiveRun
from core import commands
from core.errors import KugetsuError, NotAllowed, StoreError
from core.model import CONSOLE, Document, Inbound, Place, Session
from core.ports import Ask, Clock, Intake, LiveMessage, Press, Reply, RunHeader, RunReport

KEPT_RUNS = 64  # ended runs kept for a terminal that learns of its run after the end
SEND = "send"  # the one command of a connection with a token
GRACE = 2.0  # seconds a stop leaves for replies under way and for terminals to read what is theirs


TokenFits = Callable[[str, Path | None], Awaitable[bool]]


async def _none_fits(_token: str, _directory: Path | None) -> bool:
    return False


class ConsoleChat:
    """A `core.ports.ChatPort`. Places are `console:local/<session key>`."""

    platform = CONSOLE

    def __init__(
        self,
        clock: Clock,
        *,
        version: str,
        refs: Callable[[], Awaitable[Sequence[str]]],
        demo: bool = False,
        token_fits: TokenFits = _none_fits,
    ) -> None:
        """`token_fits` tells whether a token is that of the session in whose worktree a folder is."""
        self._clock = clock
        self._version = version
        self._refs = refs
        self._hints = tuple(wire.Hint(spec.name, spec.summary) for spec in commands.TABLE)
        self._demo = demo
        self._token_fits = token_fits
        self._log = structlog.get_logger("console")
        self._terminals: set[Terminal] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._runs: dict[int, LiveRun] = {}
        self._ended: OrderedDict[int, LiveRun] = OrderedDict()
        self._asks: dict[str, wire.Asking] = {}
        self._server: asyncio.Server | None = None
        self._intake: Intake | None = None
        self._path: Path | None = None

    async def start(self, path: Path, intake: Intake) -> None:
        """Listen at `path` (0600). Raises StoreError. The caller holds the state directory's lock."""
        self._intake = intake
        try:
            listening = endpoint.bind(path)
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=wire.MAX_REQUEST)
        except OSError as error:
            raise StoreError(
                f"cannot listen on {path}: {error.strerror or error}",
                "Check that state_dir is on a local file system and belongs to you.",
            ) from error
        self._path = path

    async def stop(self) -> None:
        """Take no new terminals, let replies under way and unread events out (at most `GRACE`), then hang up."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        if self._path:
            self._path.unlink(missing_ok=True)
        if self._work:
            await asyncio.wait(self._work, timeout=GRACE)
        closing = [asyncio.create_task(terminal.hang_up()) for terminal in self._terminals]
        if closing:
            await asyncio.wait(closing, timeout=GRACE)
        for terminal in self._terminals:
            terminal.writer.transport.abort()
        for task in [*closing, *self._work]:
            task.cancel()
        await asyncio.gather(*closing, *self._work, return_exceptions=True)

    # ── ChatPort ───────────────────────────────────────────────────────────────────────────────

    def can_ask(self, place: Place) -> bool:
        """A terminal with somebody at it watches the session, or may turn out to: its start is under way."""
        return any(
            terminal.hello.interactive and (terminal.watches(place.thread) or terminal.undecided)
            for terminal in self._terminals
        )

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        """Threads are named by their session."""
        return Place(CONSOLE, CHAT, str(session.key))

    def link(self, place: Place, token: str) -> str:
        """None: terminals have no URLs."""
        return ""

    async def renamed(self, session: Session) -> None:
        """Terminals learn titles with each run."""

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        """Nothing is left behind."""

    async def send(self, place: Place, document: Document) -> None:
        """To who watches the session; without one, to everyone."""
        notice = wire.Notice(place.thread, document.markdown, document.buttons)
        self._broadcast(place.thread, [notice])
        for terminal in self._terminals:
            if terminal.undecided and not terminal.watches(place.thread):
                terminal.held.append(notice)

    async def send_file(self, place: Place, file: Path, name: str) -> None:
        """Where it is, to who watches the session: terminals are on this machine."""
        self._broadcast(place.thread, [wire.File(place.thread, name, str(file), file.stat().st_size)])

    def live(self, place: Place, header: RunHeader) -> LiveMessage:
        """Streams: every state is sent as what it adds to the one before."""
        run = self._runs.get(header.run.id)  # there already when the place was detached and attached again
        if run is None:
            run = LiveRun(place.thread or str(header.session.key), header, self._broadcast, self._over)
            self._runs[header.run.id] = run
        elif run.header.verbosity is not header.verbosity:
            run.header = header
            self._broadcast(run.thread, [wire.Shows(run.thread, header.verbosity.value)])
        return run

    async def answer(self, place: Place, report: RunReport, key: str) -> None:
        """Nothing: the text was streamed, and `finished` carries it whole."""

    async def ask(self, place: Place, ask: Ask) -> None:
        """Shown now, and to every terminal that comes while it is open."""
        event = changes.asked(place.thread or str(ask.session), ask)
        self._asks[ask.id] = event
        self._broadcast(event.thread, [event])

    async def revised(self, place: Place, ask: Ask) -> None:
        """Nothing: a terminal puts the questions itself and sends all answers together."""

    async def ask_why(self, place: Place, ask: Ask) -> None:
        """Nothing: a terminal takes the reason along with the reject."""

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        """Tell who decided."""
        self._asks.pop(ask.id, None)
        thread = place.thread or str(ask.session)
        self._broadcast(thread, [changes.decided(thread, ask)])

    # ── events out ─────────────────────────────────────────────────────────────────────────────

    def _broadcast(self, thread: str, events: Iterable[wire.Event]) -> None:
        watching = [terminal for terminal in self._terminals if terminal.watches(thread)]
        if not watching:
            return
        for event in events:
            line = wire.encode(event)
            for terminal in watching:
                terminal.send(line)

    def _over(self, run: LiveRun) -> None:
        number = run.header.run.id
        self._runs.pop(number, None)
        for ask in [ask for ask, event in self._asks.items() if event.run == number]:
            del self._asks[ask]
        self._ended[number] = run
        while len(self._ended) > KEPT_RUNS:
            self._ended.popitem(last=False)

    def _watch(self, terminal: Terminal, thread: str, run: int | None = None) -> None:
        """Begin with what is live and asked there, and with `run` even if it is over."""
        if not thread or terminal.watches(thread):
            return
        terminal.watched.add(thread.casefold())
        for notice in terminal.held:
            if _in(notice.thread, thread.casefold()):
                terminal.send(wire.encode(notice))
        self._catch_up(terminal, thread, run)

    def _catch_up(self, terminal: Terminal, thread: str | None, run: int | None = None) -> None:
        """`thread` None: all of them."""
        key = thread.casefold() if thread is not None else None
        ended = [self._ended[run]] if run is not None and run in self._ended else []
        events = [event for live in [*ended, *self._runs.values()] if _in(live.thread, key) for event in live.story()]
        for event in [*events, *(ask for ask in self._asks.values() if _in(ask.thread, key))]:
            terminal.send(wire.encode(event))

    # ── requests in ────────────────────────────────────────────────────────────────────────────

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        terminal = Terminal(writer)
        self._terminals.add(terminal)
        try:
            while line := await terminal.line(reader):
                if line.strip():
                    await self._request(terminal, line)
        finally:
            self._terminals.discard(terminal)
            writer.close()

    async def _request(self, terminal: Terminal, line: bytes) -> None:
        try:
            request = wire.decode_request(line)
        except wire.Malformed as error:
            terminal.send(refusal(f"not understood: {error}"))
            return
        match request:
            case wire.Hello(token=token) if token:
                terminal.hello = wire.Hello(request.name, directory=request.directory, token=token)
                terminal.send(wire.encode(wire.Welcome(self._version, self._demo)))
            case wire.Watch() if terminal.hello.token:
                return
            case wire.Hello():
                if terminal.hello.token:
                    terminal.send(refusal("who greeted with a token stays that"))
                    return
                refs = await self._completions()
                terminal.hello = request
                terminal.send(wire.encode(wire.Welcome(self._version, self._demo, refs, self._hints)))
                if request.all:
                    self._catch_up(terminal, None)
            case wire.Watch():
                self._watch(terminal, request.thread)
            case wire.Say() | wire.Press():
                if not terminal.hello.token:
                    self._watch(terminal, request.thread)
                terminal.undecided += not request.thread
                task = asyncio.create_task(self._handle(terminal, request))  # tasks begin in the order of the lines
                self._work.add(task)
                task.add_done_callback(self._work.discard)

    async def _completions(self) -> tuple[str, ...]:
        try:
            return tuple(await self._refs())
        except KugetsuError as error:  # a terminal without completion is better than none
            self._log.warning("no refs for completion", error=str(error))
            return ()

    async def _handle(self, terminal: Terminal, request: wire.Say | wire.Press) -> None:
        """Not tied to the connection: what was said is done, whether or not its terminal stays."""
        try:
            reply = await self._answer(terminal, request)
            line = wire.encode(_reply(request.id, reply))
        except KugetsuError as error:
            text = f"{error}\n{error.hint}" if error.hint else str(error)
            reply, line = None, wire.encode(wire.Reply(request.id, ok=False, code=error.code, text=text))
        except Exception as error:  # noqa: BLE001  every request gets its reply, also where kugetsu itself is wrong
            self._log.exception("request failed", op=type(request).__name__)
            text = f"kugetsu failed: {type(error).__name__}. The bot's log says more."
            reply, line = None, wire.encode(wire.Reply(request.id, ok=False, code="failed", text=text))
        terminal.send(line)
        if reply and reply.place and not terminal.hello.token:
            self._watch(terminal, reply.place.thread, reply.run)
        terminal.undecided -= not request.thread
        if not terminal.undecided:
            terminal.held.clear()

    async def _check_token(self, terminal: Terminal, request: wire.Say | wire.Press) -> None:
        """Raises NotAllowed."""
        if not await self._token_fits(terminal.hello.token, terminal.directory()):
            raise NotAllowed(
                "This is not the token of the session whose worktree this is.",
                "Call `kugetsu send` inside the worktree; the session's next prompt renews its token.",
            )
        if not _is_send(request):
            raise NotAllowed("A session's token is for `send` alone.", "Call the rest from a shell of your own.")

    async def _answer(self, terminal: Terminal, request: wire.Say | wire.Press) -> Reply:
        assert self._intake  # set before the socket listens
        if terminal.hello.token:
            await self._check_token(terminal, request)
        person, event = terminal.person(), f"{terminal.id}:{request.id}"
        if isinstance(request, wire.Press):
            asked = self._asks.get(request.button.rpartition(":")[0])
            thread = request.thread or (asked.thread if asked else "")
            place = Place(CONSOLE, CHAT, thread)
            return await self._intake.press(Press(event, request.button, person, place, request.text))
        inbound = Inbound(
            platform=CONSOLE,
            event_id=event,
            place=Place(CONSOLE, CHAT, request.thread),
            person=person,
            text=request.text,
            at=self._clock.now(),
            directory=terminal.directory(),
            debug=terminal.hello.debug,
        )
        return await self._intake.receive(inbound)


def _is_send(request: wire.Say | wire.Press) -> bool:
    text = request.text
    return isinstance(request, wire.Say) and commands.is_command(text) and text[1:].split(maxsplit=1)[0] == SEND


def _in(thread: str, key: str | None) -> bool:
    return key is None or thread.casefold() == key


def _reply(request: int, reply: Reply) -> wire.Reply:
    return wire.Reply(
        id=request,
        ok=reply.ok,
        code=reply.code,
        text=reply.document.markdown,
        data=reply.data,
        buttons=reply.document.buttons,
        thread=reply.place.thread or None if reply.place else None,
        run=reply.run,
    )
