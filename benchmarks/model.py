"""The model of the comparison: what it says is fixed, and when it had said it is noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from bot.demo.endpoint import ModelEndpoint, Piece
from tests.simulators.model import TITLE, ModelRequest

SECONDS, PIECES = 3.0, 60  # of the streamed answer: 20 pieces a second


class BenchModel(ModelEndpoint):
    """Prompts begin with `trivial` or `stream`; any other is answered like a trivial one."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.ended: dict[str, float] = {}  # prompt → when its last text was written; the closing chunk follows at once

    async def _answer(self, body: dict[str, Any]) -> AsyncIterator[Piece]:
        request = ModelRequest(body)
        if request.is_title:
            yield TITLE
            return
        prompt = request.user_text.strip()
        if prompt.startswith("stream"):
            began = monotonic()
            for number in range(PIECES):
                await asyncio.sleep(began + number * SECONDS / PIECES - monotonic())
                yield f"word{number} "
        else:
            yield "Done."
        self.ended[prompt] = monotonic()
