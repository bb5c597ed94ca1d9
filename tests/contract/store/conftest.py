"""The store under test, on a real file, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_values import SteppedClock

from adapters.store.sql import SqlStore
from core.ports import Store


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def store(state_dir: Path, clock: SteppedClock) -> AsyncIterator[Store]:
    store = SqlStore(state_dir, clock)
    await store.open()
    yield store
    await store.close()
