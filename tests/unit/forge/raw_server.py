"""A server that answers byte by byte what a test tells it to, however wrong that is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Received:
    target: str  # path and query
    headers: Mapping[str, str]  # lower-case names
    method: str = "GET"
    body: bytes = b""


Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
Respond = Callable[[Received], bytes | Write]


def response(
    body: bytes | str = b"", status: int = 200, content_type: str = "application/json", **headers: str
) -> bytes:
    """With `Content-Length`; `retry_after="3"` becomes `retry-after: 3`."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def as_json(value: Any, status: int = 200, **headers: str) -> bytes:
    return response(json.dumps(value), status, **headers)


class RawServer:
    """Answers every request with what `respond` gives, on a connection of its own."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.received: list[Received] = []
        self.sent = 0  # bytes that were taken by the other side or the sockets between
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        try:
            if not (first := await reader.read(1)).isalpha():
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # TLS, as web servers answer it
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in headers.items()}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = head[0].split(" ")
            received = Received(target, headers, method, body)
            self.received.append(received)
            answer = self._respond(received)
            if isinstance(answer, bytes):
                answer = answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
                for start in range(0, len(answer), 65_536):
                    writer.write(answer[start : start + 65_536])
                    await writer.drain()
                    self.sent = start
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has heard enough
        finally:
            self._open.discard(task)
            writer.close()
