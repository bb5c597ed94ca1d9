"""The model of the Telegram rows: how long it speaks is in the prompt, and when it had spoken is noted."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from bot.demo.endpoint import ModelEndpoint, Piece
from tests.simulators.model import TITLE, ModelRequest

RATE = 20  # pieces a second
_PROMPT = re.compile(r"say ([\d.]+) s (\w+)")


def prompt(seconds: float, tag: str) -> str:
    """To be answered by a stream of so many seconds (0: by one word) that begins and ends with marks of the tag."""
    return f"say {seconds:.2f} s {tag}"


def first(tag: str) -> str:
    """Begins the answer."""
    return f"begin-{tag}"


def last(tag: str) -> str:
    """Ends the answer."""
    return f"end-{tag}."


class SpeakingModel(ModelEndpoint):
    """Anything else is answered by one word."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._numbers = itertools.count(1)
        self._ended: defaultdict[str, asyncio.Future[float]] = defaultdict(asyncio.get_running_loop().create_future)

    def tag(self) -> str:
        """One that was never used."""
        return f"t{next(self._numbers)}"

    async def ended(self, tag: str) -> float:
        """When the last text of that answer was written; the closing chunk follows at once."""
        return await asyncio.shield(self._ended[tag])

    async def _answer(self, body: dict[str, Any]) -> AsyncIterator[Piece]:
        request = ModelRequest(body)
        found = _PROMPT.search(request.user_text)
        if request.is_title:
            yield TITLE
        elif found is None:
            yield "Done."
        else:
            seconds, tag = float(found[1]), found[2]
            if seconds:
                began, pieces = monotonic(), round(seconds * RATE)
                yield f"{first(tag)} "
                for number in range(1, pieces):
                    await asyncio.sleep(began + number / RATE - monotonic())
                    yield f"word{number} "
                await asyncio.sleep(began + seconds - monotonic())
            yield last(tag)
            if not self._ended[tag].done():
                self._ended[tag].set_result(monotonic())
