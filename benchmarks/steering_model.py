"""The model of the steering rows: it speaks as Telegram's, uses `bash` when told to, and knows who hung up on it."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from benchmarks.telegram_model import SpeakingModel, last
from bot.demo.endpoint import Piece, ToolCall
from tests.simulators.model import ModelRequest

_USE = re.compile(r"use (t\d+): (.+)")
_SAY = re.compile(r"say [\d.]+ s (t\d+)")


def use(tag: str, command: str) -> str:
    """A prompt that is answered by running the command, and then by the tag's last mark."""
    return f"use {tag}: {command}"


class SteeredModel(SpeakingModel):
    """A SpeakingModel with a tool."""

    def __init__(self) -> None:
        super().__init__()
        self._closed: defaultdict[str, asyncio.Future[float]] = defaultdict(asyncio.get_running_loop().create_future)

    async def closed(self, tag: str) -> float:
        """When the request for that answer was over; a connection that was cut is noticed at the next piece."""
        return await asyncio.shield(self._closed[tag])

    async def _answer(self, body: dict[str, Any]) -> AsyncIterator[Piece]:
        request = ModelRequest(body)
        if not request.body.get("tools"):
            async for piece in super()._answer(body):
                yield piece
        elif found := _USE.search(request.user_text):
            if request.turn == 0:
                yield ToolCall("bash", {"command": found[2].strip(), "description": "Asked for"})
            else:
                yield last(found[1])
        else:
            said = _SAY.search(request.user_text)
            try:
                async for piece in super()._answer(body):
                    yield piece
            finally:
                if said and not self._closed[said[1]].done():
                    self._closed[said[1]].set_result(monotonic())
