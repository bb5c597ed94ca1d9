"""`ConsoleClient`: a terminal's end of the socket, for `kugetsu chat` and every command of the command line."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.console import endpoint, wire
from core.errors import KugetsuError

HELLO_TIMEOUT = 10.0  # seconds for the bot's first line


class NotRunning(KugetsuError):
    """Nothing listens on the socket."""

    code = "not_running"


class ConnectionLost(KugetsuError):
    """The bot went away, or cut this terminal off."""

    code = "connection_lost"
    retryable = True


class ConsoleClient:
    """One connection. Use as a context manager, or close it.

    Replies come from `say` and `press`, everything else from `events`, which has one reader.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[wire.Reply]] = {}
        self._events: asyncio.Queue[wire.Event | None] = asyncio.Queue()
        self._lost: ConnectionLost | None = None
        self._listener: asyncio.Task[None] | None = None
        self.welcome = wire.Welcome()

    @classmethod
    async def connect(cls, path: Path, hello: wire.Hello) -> ConsoleClient:
        """Raises NotRunning, ConnectionLost, KugetsuError."""
        try:
            with endpoint.address(path) as spelled:
                reader, writer = await asyncio.open_unix_connection(spelled, limit=wire.MAX_BACKLOG)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(f"no bot listens on {path}", "Start one: kugetsu run") from error
        except OSError as error:
            raise KugetsuError(
                f"cannot reach the bot at {path}: {error.strerror or error}",
                "The socket is for the user the bot runs as.",
            ) from error
        client = cls(reader, writer)
        try:
            async with asyncio.timeout(HELLO_TIMEOUT):
                await client._greet(hello)
        except TimeoutError as error:
            await client.close()
            raise ConnectionLost(
                f"the bot at {path} does not answer", "Look at its log; restart it if it hangs."
            ) from error
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def say(self, text: str, thread: str = "") -> wire.Reply:
        """A message or command, written in session `thread`. Raises ConnectionLost."""
        return await self._ask(wire.Say(next(self._ids), text, thread))

    async def press(self, button: str, text: str = "", thread: str = "") -> wire.Reply:
        """Raises ConnectionLost."""
        return await self._ask(wire.Press(next(self._ids), button, text, thread))

    def watch(self, thread: str) -> None:
        """Have that session's events too."""
        self._writer.write(wire.encode(wire.Watch(thread)))

    async def events(self) -> AsyncIterator[wire.Event]:
        """Ends after `close`. Raises ConnectionLost when the bot ended it."""
        while event := await self._events.get():
            yield event
        self._events.put_nowait(None)  # whoever reads on sees the end again
        if self._lost:
            raise self._lost

    async def close(self) -> None:
        """What waits for a reply gets ConnectionLost."""
        if self._listener:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        self._writer.close()
        self._end(None)

    async def _greet(self, hello: wire.Hello) -> None:
        self._writer.write(wire.encode(hello))
        line = await self._line()
        if line is None:
            raise self._lost or ConnectionLost("the bot hung up")
        answer = _decode(line)
        if not isinstance(answer, wire.Welcome):
            raise ConnectionLost("what listens on the socket is no kugetsu bot")
        self.welcome = answer
        self._listener = asyncio.create_task(self._listen())

    async def _ask(self, request: wire.Say | wire.Press) -> wire.Reply:
        if self._lost or self._writer.is_closing():
            raise self._lost or ConnectionLost("the connection was closed")
        line = wire.encode(request)
        if len(line) > wire.MAX_REQUEST:
            raise KugetsuError(f"the message is longer than {wire.MAX_REQUEST // 2**20} MB", "Send a file instead.")
        reply: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = reply
        try:
            self._writer.write(line)
            return await reply
        finally:
            del self._waiting[request.id]

    async def _listen(self) -> None:
        while line := await self._line():
            try:
                message = _decode(line)
            except ConnectionLost as error:
                self._lost = error
                break
            if not isinstance(message, wire.Reply | wire.Welcome):
                self._events.put_nowait(message)
            elif isinstance(message, wire.Reply) and (waiting := self._waiting.get(message.id)) and not waiting.done():
                waiting.set_result(message)
        self._end(self._lost or ConnectionLost("the bot hung up", "What it had accepted goes on when it runs again."))

    async def _line(self) -> bytes | None:
        """None at the end of the connection."""
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError) as error:
            self._lost = ConnectionLost(f"the connection to the bot broke: {error}")
            return None
        return line if line.endswith(b"\n") else None

    def _end(self, lost: ConnectionLost | None) -> None:
        self._lost = self._lost or lost
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self._lost or ConnectionLost("the connection was closed"))
        self._events.put_nowait(None)


def _decode(line: bytes) -> wire.Response:
    """Raises ConnectionLost."""
    try:
        return wire.decode_response(line)
    except wire.Malformed as error:
        raise ConnectionLost(
            f"the bot said something that cannot be read: {error}",
            "Bot and command line may be of different versions: restart the bot.",
        ) from error
