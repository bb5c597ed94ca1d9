"""The simulator's time: the real one, which tests may push forward instead of waiting."""

from __future__ import annotations

import time


class SimulatedClock:
    """Wall and monotonic time with one common push forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def wall(self) -> float:
        return time.time() + self._ahead

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def unix(self) -> int:
        return int(self.wall())

    def push(self, seconds: float) -> None:
        """Everything that ages (drafts, limits, button presses, updates) is `seconds` older at once."""
        self._ahead += seconds
