"""The scenarios of tests/scenarios on Telegram: its simulator, kugetsu in a process of its own, real opencode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import runner, scenario
from tests.soak.telegram import TelegramDriver
from tests.soak.world import Worlds

FOLDER = Path(__file__).parents[1] / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_scenario(telegram_worlds: Worlds, file: Path) -> None:
    read = scenario.load(file)
    if read.platforms and TelegramDriver.platform not in read.platforms:
        pytest.skip(f"only on {', '.join(read.platforms)}")
    verdict = await runner.run(await telegram_worlds.get(), read)
    assert verdict.good, f"{verdict}\n{verdict.report}"
