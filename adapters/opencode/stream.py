"""The one event stream of an opencode server, and who hears what of it.

The reader hands every event to the runs of its session and never waits for them: each has a queue of its own. There is
no replay in opencode's stream, so after every reconnect the runs are told to catch up.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Iterator

import aiohttp

from adapters.opencode.http import Http, denied
from adapters.opencode.wire import SessionSeen, WireDecoder, WireEvent
from core.errors import AgentDenied, AgentUnavailable
from core.ports import Clock

READ_TIMEOUT = 30.0  # seconds: three heartbeats missed
MAX_LINE = 128 * 1024 * 1024  # bytes; a 5 MB answer makes events of 5 MB, twice
FIRST_PAUSE, MAX_PAUSE = 0.2, 5.0  # seconds between attempts, doubling


class SseLines:
    """Bytes in, `data:` payloads out. Looks at every byte once, however large the event."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._size = 0
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Payloads completed by this chunk. Raises ValueError when a line is larger than the limit."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = b"".join((*self._rest, line)) if self._rest else line
            self._rest.clear()
            self._size = 0
            payload = self._line(whole.removesuffix(b"\r"))
            if payload is not None:
                yield payload
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                raise ValueError(f"an event of more than {self._limit} bytes")

    def _line(self, line: bytes) -> bytes | None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            return None
        if line or not self._data:
            return None
        payload = b"\n".join(self._data)
        self._data.clear()
        return payload


class Signal(enum.Enum):
    """What a run must know of the stream itself."""

    RECONNECTED = enum.auto()  # events may be missing
    RESTARTED = enum.auto()  # a new server: nothing that ran goes on
    CLOSED = enum.auto()  # nobody listens any more


class Subscription:
    """What one run hears, in order. Unbounded: the reader never waits, and a run's events are finite."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.children: set[str] = set()
        self._items: deque[WireEvent | Signal] = deque()
        self._wake = asyncio.Event()

    def put(self, item: WireEvent | Signal) -> None:
        """Never blocks."""
        self._items.append(item)
        self._wake.set()

    async def next(self) -> WireEvent | Signal:
        """Waits for the next item; safe to cancel."""
        while not self._items:
            self._wake.clear()
            await self._wake.wait()
        return self._items.popleft()


class Hub:
    """Routes events to the runs of their session; those of a sub-agent to the run that has it."""

    def __init__(self) -> None:
        self._by_session: dict[str, list[Subscription]] = {}

    @property
    def listening(self) -> bool:
        """Some run is open."""
        return bool(self._by_session)

    def subscribe(self, session: str) -> Subscription:
        """From now on, everything of this session."""
        subscription = Subscription(session)
        self._by_session.setdefault(session, []).append(subscription)
        return subscription

    def adopt(self, subscription: Subscription, child: str) -> None:
        """A sub-agent's events belong to this run too."""
        if child not in subscription.children:
            subscription.children.add(child)
            self._by_session.setdefault(child, []).append(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Hear nothing more."""
        for session in (subscription.session, *subscription.children):
            hearers = self._by_session[session]
            hearers.remove(subscription)
            if not hearers:
                del self._by_session[session]

    def dispatch(self, event: WireEvent) -> None:
        """To whom it concerns."""
        if isinstance(event, SessionSeen):
            for subscription in tuple(self._by_session.get(event.info.parent, ())):
                self.adopt(subscription, event.info.id)
            return
        for subscription in self._by_session.get(event.session, ()):
            subscription.put(event)

    def signal(self, signal: Signal) -> None:
        """To every run, once."""
        for subscription in {id(each): each for hearers in self._by_session.values() for each in hearers}.values():
            subscription.put(signal)


class EventStream:
    """Keeps `/global/event` open while it runs."""

    def __init__(self, http: Http, hub: Hub, clock: Clock, trace: Callable[[str, bytes], None] | None = None) -> None:
        """`trace` gets the session and the undecoded event, for debug logs."""
        self._http = http
        self._hub = hub
        self._clock = clock
        self._trace = trace
        self._decoder = WireDecoder()
        self._connected = asyncio.Event()
        self._denied: AgentDenied | None = None
        self._times = 0

    @property
    def skipped(self) -> int:
        """Events that were of no use, or could not be read."""
        return self._decoder.skipped.total()

    async def connected(self, within: float) -> None:
        """Wait until events flow. Raises AgentUnavailable, AgentDenied."""
        try:
            async with asyncio.timeout(within):
                await self._connected.wait()
        except TimeoutError as error:
            raise AgentUnavailable(f"opencode at {self._http.url} opened no event stream in {within:g} s") from error
        if self._denied:
            raise self._denied

    async def run(self) -> None:
        """Until cancelled, or refused for its password."""
        pause = FIRST_PAUSE
        while True:
            try:
                if await self._read():
                    pause = FIRST_PAUSE
            except AgentDenied as error:
                self._denied = error
                self._connected.set()
                return
            except (aiohttp.ClientError, AgentUnavailable, TimeoutError, ValueError):
                pass  # a closed stream is an ordinary thing; the next connection makes the runs catch up
            self._connected.clear()
            await self._clock.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE)

    async def _read(self) -> bool:
        """One connection, to its end. Whether anything came."""
        async with self._http.stream("/global/event", READ_TIMEOUT) as response:
            if response.status == 401:
                raise denied(self._http.url)
            response.raise_for_status()
            lines = SseLines()
            came = False
            async for chunk in response.content.iter_any():
                for payload in lines.feed(chunk):
                    if not came:
                        came = True
                        self._open()
                    self._event(payload)
            return came

    def _open(self) -> None:
        """The first event shows that we are subscribed: what happens from here on is not missed."""
        self._times += 1
        self._connected.set()
        if self._times > 1:
            self._hub.signal(Signal.RECONNECTED)

    def _event(self, payload: bytes) -> None:
        event = self._decoder.decode(payload)
        if event is None:
            return
        if self._trace is not None:
            self._trace(event.session, payload)
        self._hub.dispatch(event)
