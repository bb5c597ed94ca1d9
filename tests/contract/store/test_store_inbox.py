"""The inbox through the port."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from store_values import SteppedClock, inbound

from core.errors import NotFound
from core.ports import Store


async def test_an_event_is_received_once_a_platform(store: Store) -> None:
    first = await store.receive(inbound("1", text="Grüße \udcff", directory=Path("/x"), debug=True))
    assert first is not None
    assert await store.receive(inbound("1", text="an edit, replayed")) is None
    assert await store.receive(inbound("1", platform="discord")) not in {None, first}
    await store.close_inbound(first, "refused", "not listed")
    assert await store.receive(inbound("1")) is None


async def test_only_one_of_two_at_once_gets_the_event(store: Store) -> None:
    rows = await asyncio.gather(*(store.receive(inbound("1")) for _ in range(8)))
    assert sum(row is not None for row in rows) == 1


async def test_seven_days_are_remembered_and_no_more(store: Store, clock: SteppedClock) -> None:
    closed, kept = await store.receive(inbound("1")), await store.receive(inbound("2"))
    assert closed is not None
    assert kept is not None
    await store.close_inbound(closed, "accepted")
    clock.time += timedelta(days=7) - timedelta(seconds=1)
    assert await store.receive(inbound("1")) is None
    clock.time += timedelta(seconds=2)
    assert await store.receive(inbound("1")) is not None
    assert await store.receive(inbound("2")) is None, "nobody has answered for it yet"


async def test_closing_what_was_never_received_is_an_error(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.close_inbound(99, "accepted")
