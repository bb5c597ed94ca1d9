"""Fixtures of the tests of core."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.store.sql import FILE, SqlStore
from core.model import Project
from tests.fakes.agent import ScriptedAgent
from tests.fakes.clock import LoopClock, ManualClock
from tests.fakes.messenger import FakeMessenger
from tests.fakes.world import PROJECT, Outside, World


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, made once: copying it is much quicker."""
    state_dir = tmp_path_factory.mktemp("blank")
    store = SqlStore(state_dir, ManualClock())
    await store.open()
    await store.close()
    return state_dir / FILE


@pytest.fixture
def outside(tmp_path: Path, blank_database: Path) -> Outside:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o700)
    shutil.copyfile(blank_database, state_dir / FILE)
    return Outside(tmp_path, Project(PROJECT, checkout))


@pytest.fixture
async def world(outside: Outside) -> AsyncIterator[World]:
    world = await World(outside).open()
    yield world
    await world.close()


@pytest.fixture
def chats(outside: Outside) -> Outside:
    """The outside of a bot on a chat platform, for tests in virtual time."""
    outside.clock = LoopClock()  # type: ignore[assignment]
    outside.agent = ScriptedAgent(outside.clock)
    outside.messengers = {"fake": FakeMessenger()}
    outside.chats = {}
    return outside


@pytest.fixture
async def bot(chats: Outside) -> AsyncIterator[World]:
    """It is up once `await bot.resume()` has returned."""
    world = await World(chats).open()
    yield world
    await leave(world)
    assert world.store.violations == []


async def leave(world: World) -> None:
    """As a process does in good order."""
    await world.inbox.close()
    await world.mailboxes.close()
    for relay in world.relays.values():
        await relay.stop(0.0)
    await world.store.close()
