"""An OpenAI-compatible model endpoint on loopback; what it says is up to the `Responder` it is given."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MAX_REQUEST_BYTES = 256 * 1024 * 1024  # a whole conversation, files included, comes with every request


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool run; opencode then asks again with its result."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """The provider refuses, as an HTTP error before any token."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model thinks before it speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ends, where it is not for being complete: `length`, `content_filter`."""

    reason: str


Piece = str | ToolCall | Failure | Thought | Finish
Responder = Callable[[dict[str, Any]], AsyncIterator[Piece]]


class ModelEndpoint:
    """Serves `POST /v1/chat/completions`, streamed; each piece of text is a chunk of its own."""

    def __init__(self, respond: Responder, model: str = "m1") -> None:
        self._respond = respond
        self._model = model
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Base URL for an OpenAI-compatible client."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_post("/v1/chat/completions", self._completions)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the listener; streams under way are cut."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        pieces = self._respond(body)
        first = await anext(pieces, "")
        if isinstance(first, Failure):
            error = {"error": {"message": first.message, "type": "error", "code": first.status}}
            return web.json_response(error, status=first.status, headers=first.headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        try:
            await response.prepare(request)
            await self._stream(response, first, pieces)
        except ConnectionResetError:
            pass  # opencode stopped listening: an abort
        finally:
            await aclose(pieces)
        return response

    async def _stream(self, response: web.StreamResponse, first: Piece, rest: AsyncIterator[Piece]) -> None:
        calls, finish = 0, ""
        await self._chunk(response, {"role": "assistant", "content": ""})
        async for piece in _chain(first, rest):
            if isinstance(piece, ToolCall):
                function = {"name": piece.name, "arguments": json.dumps(piece.arguments)}
                call = {
                    "index": calls,
                    "id": f"call_{time.time_ns()}_{calls}",
                    "type": "function",
                    "function": function,
                }
                await self._chunk(response, {"tool_calls": [call]})
                calls += 1
            elif isinstance(piece, Thought):
                await self._chunk(response, {"reasoning_content": piece.text})
            elif isinstance(piece, Finish):
                finish = piece.reason
            elif isinstance(piece, str) and piece:
                await self._chunk(response, {"content": piece})
        await self._chunk(response, {}, finish=finish or ("tool_calls" if calls else "stop"))
        await response.write(b"data: [DONE]\n\n")

    async def _chunk(self, response: web.StreamResponse, delta: dict[str, Any], finish: str | None = None) -> None:
        chunk: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self._model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        if finish:
            chunk["usage"] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


async def _chain(first: Piece, rest: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    yield first
    async for piece in rest:
        yield piece


async def aclose(pieces: AsyncIterator[Piece]) -> None:
    """End a responder whose client went away."""
    close = getattr(pieces, "aclose", None)
    if close:
        await close()
