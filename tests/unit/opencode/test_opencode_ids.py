"""Message ids in opencode's form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from adapters.opencode.ids import MessageIds


class HandClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 9, 2, 59, 854000, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def test_the_form():
    clock = HandClock()
    made = MessageIds(clock).new()
    assert re.fullmatch(r"msg_[0-9a-f]{12}[0-9A-Za-z]{14}", made)
    milliseconds = round(clock.time.timestamp() * 1000)
    assert int(made[4:16], 16) == (milliseconds * 4096 + 1) % 2**48


def test_later_ids_sort_after_earlier_ones():
    clock = HandClock()
    ids = MessageIds(clock)
    made = [ids.new() for _ in range(5000)]  # more than a millisecond has room for
    clock.time -= timedelta(seconds=10)  # the clock is set back
    made += [ids.new() for _ in range(100)]
    clock.time += timedelta(minutes=1)
    made.append(ids.new())
    assert made == sorted(made)
    assert len(set(made)) == len(made)
