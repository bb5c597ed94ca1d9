"""One terminal at the bot's end of the socket."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from adapters.console import wire
from core.model import LOCAL_PERSON, Person

CHAT = "local"  # the one chat of the platform; its threads are named by session keys
HELD = 100  # notices kept for a terminal whose message has not been given its session yet


@dataclass(slots=True, eq=False)
class Terminal:
    """One connection."""

    writer: asyncio.StreamWriter
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    hello: wire.Hello = field(default_factory=wire.Hello)
    watched: set[str] = field(default_factory=set)  # session keys, casefolded
    undecided: int = 0  # messages outside any session whose reply, and with it their session, is not known yet
    held: deque[wire.Notice] = field(default_factory=lambda: deque(maxlen=HELD))  # may turn out to be for it

    def watches(self, thread: str) -> bool:
        """Whether events of that session are sent here; those of none go to everyone."""
        return not self.hello.token and (self.hello.all or not thread or thread.casefold() in self.watched)

    def send(self, line: bytes) -> None:
        """Never waits. A terminal too far behind is cut off."""
        transport = self.writer.transport
        if transport.is_closing():
            return
        self.writer.write(line)
        if transport.get_write_buffer_size() > wire.MAX_BACKLOG:
            transport.abort()

    def person(self) -> Person:
        """Everyone who may open the socket is the same person."""
        name = "".join(c for c in self.hello.name if c.isprintable())[:64]
        return Person(LOCAL_PERSON, name or CHAT)

    def directory(self) -> Path | None:
        """Where the terminal stands."""
        path = Path(self.hello.directory) if "\0" not in self.hello.directory else Path()
        return path if path.is_absolute() else None

    async def line(self, reader: asyncio.StreamReader) -> bytes:
        """Empty when the terminal is gone, which may be at any time; a line over the limit is read over and refused."""
        too_long = False
        while True:
            try:
                line = await reader.readuntil(b"\n")
                if not too_long:
                    return line
                self.send(refusal(f"a line is longer than {wire.MAX_REQUEST // 2**20} MB"))
                too_long = False
            except asyncio.LimitOverrunError as over:
                too_long = True
                await reader.readexactly(over.consumed)
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""

    async def hang_up(self) -> None:
        """Close, once it has read what is on its way."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):  # it went first
            await self.writer.wait_closed()


def refusal(why: str) -> bytes:
    """The answer to a line that is no request."""
    return wire.encode(wire.Reply(id=0, ok=False, code="usage", text=why))
