"""One simulator and one HTTP client a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.simulators.telegram import Limits, TelegramSimulator

TOKEN = "12345:TEST"


@dataclass(slots=True)
class Api:
    """The Bot API by raw HTTP, with a time-out on every call."""

    session: aiohttp.ClientSession
    sim: TelegramSimulator

    async def __call__(self, method: str, **params: Any) -> Any:
        status, body = await self.raw(method, **params)
        assert body["ok"], (status, body)
        return body["result"]

    async def raw(self, method: str, **params: Any) -> tuple[int, dict[str, Any]]:
        async with self.session.post(f"{self.sim.base_url}{self.sim.token}/{method}", json=params) as response:
            return response.status, await response.json()

    async def refused(self, method: str, **params: Any) -> dict[str, Any]:
        _, body = await self.raw(method, **params)
        assert not body["ok"], body
        return body

    async def control(self, path: str, **body: Any) -> Any:
        async with self.session.post(f"{self.sim.url}/control/{path}", json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def get(self, path: str) -> str:
        async with self.session.get(f"{self.sim.url}{path}") as response:
            assert response.status == 200
            return await response.text()


@pytest.fixture
async def sim() -> AsyncIterator[TelegramSimulator]:
    async with TelegramSimulator(TOKEN, limits=Limits.none(), webhook_pace=0.01) as simulator:
        yield simulator


@pytest.fixture
async def api(sim: TelegramSimulator) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Api(session, sim)
