"""Rate limits: about what Telegram documents, or none."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Self

from .clock import SimulatedClock
from .errors import too_many


@dataclass(frozen=True, slots=True)
class Limits:
    """Zero switches a limit off. Sends and edits count for a chat, everything but polling counts for the whole bot."""

    overall_per_second: int = 30
    private_per_second: float = 1.0
    private_burst: int = 3
    group_per_minute: int = 20  # over all topics of the group
    drafts_count: bool = False  # like sends and edits; Telegram does not say what it counts
    draft_life: float = 30.0
    press_life: float = 30.0  # how long a button press can be answered
    poll_pace: float = 3.0  # an empty short poll that repeats itself is held this long; conflicts too

    @classmethod
    def none(cls) -> Self:
        """No rate limit at all; lives of drafts and presses stay."""
        return cls(overall_per_second=0, private_per_second=0, private_burst=0, group_per_minute=0, poll_pace=0)


class RateLimiter:
    """Counts calls. A refused call does not count."""

    def __init__(self, limits: Limits, clock: SimulatedClock) -> None:
        self.limits = limits
        self._clock = clock
        self._all: deque[float] = deque()
        self._groups: dict[int, deque[float]] = {}
        self._private: dict[int, tuple[float, float]] = {}  # tokens, when

    def overall(self) -> None:
        self._window(self._all, self.limits.overall_per_second, 1.0)

    def chat(self, chat_id: int, count: int = 1) -> None:
        """Count `count` messages or edits in a chat. Raises `Refused` 429."""
        if chat_id < 0:
            recent = self._groups.setdefault(chat_id, deque())
            self._window(recent, self.limits.group_per_minute, 60.0, count)
        elif rate := self.limits.private_per_second:
            now = self._clock.monotonic()
            burst = float(max(self.limits.private_burst, count))
            tokens, when = self._private.get(chat_id, (burst, now))
            tokens = min(burst, tokens + (now - when) * rate)
            if tokens < count:
                raise too_many(max(1, math.ceil((count - tokens) / rate)))
            self._private[chat_id] = tokens - count, now

    def _window(self, recent: deque[float], limit: int, span: float, count: int = 1) -> None:
        if not limit:
            return
        now = self._clock.monotonic()
        while recent and recent[0] <= now - span:
            recent.popleft()
        if len(recent) + count > limit:
            oldest = recent[min(len(recent), len(recent) + count - limit) - 1] if recent else now
            raise too_many(max(1, math.ceil(oldest + span - now)))
        recent.extend([now] * count)
