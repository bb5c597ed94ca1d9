"""Any kind of forge, answering what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from adapters.forge import ForgeConfig, Forges
from core.model import IssueRef, ProjectRef
from core.ports import Forge
from tests.fakes.clock import ManualClock
from tests.unit.forge.raw_server import RawServer, Respond

PROJECT = ProjectRef("git.test", "shoko", "kugetsu")
REF = IssueRef(PROJECT, 14)
TOKEN = "a-very-secret-token"

Start = Callable[[Respond], Awaitable[RawServer]]
Ask = Callable[..., Forge]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def started(respond: Respond) -> RawServer:
            return await stack.enter_async_context(RawServer(respond))

        yield started


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    opened: list[Forges] = []

    def make(kind: str, url: str, *, token: str = TOKEN, timeout: float = 5.0) -> Forge:
        forges = Forges({"git.test": ForgeConfig(kind, token, url)}, ManualClock(), timeout)
        opened.append(forges)
        forge = forges.get(PROJECT)
        assert forge
        return forge

    yield make
    for forges in opened:
        await forges.close()
