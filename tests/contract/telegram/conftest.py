"""The simulator, without rate limits: those are core's budget to keep."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.telegram.telegram_labs import Lab
from tests.simulators.telegram import Limits, TelegramSimulator


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with TelegramSimulator(limits=Limits.none()) as sim:
        yield Lab(sim)
