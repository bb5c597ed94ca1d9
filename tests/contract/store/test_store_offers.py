"""What buttons say."""

from __future__ import annotations

from datetime import timedelta

from store_values import SteppedClock

from core.ports import Store


async def test_a_line_is_kept_as_it_was(store: Store) -> None:
    await store.add_offer("b1", "/continue o/r#1 -- grüße \udcff")
    await store.add_offer("b2", "/watch o/r#1")
    assert await store.offer("b1") == "/continue o/r#1 -- grüße \N{REPLACEMENT CHARACTER}"
    assert await store.offer("b2") == "/watch o/r#1"
    assert await store.offer("b3") is None


async def test_what_is_older_than_a_month_is_forgotten(store: Store, clock: SteppedClock) -> None:
    await store.add_offer("old", "/a")
    clock.time += timedelta(days=20)
    await store.add_offer("middle", "/b")
    clock.time += timedelta(days=11)
    await store.add_offer("new", "/c")
    assert [await store.offer(button) for button in ("old", "middle", "new")] == [None, "/b", "/c"]
