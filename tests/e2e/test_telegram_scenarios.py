"""The scenarios of tests/scenarios on Telegram: its simulator, kugetsu in a process of its own, real opencode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import fit, runner, scenario
from tests.soak.telegram import TelegramDriver
from tests.soak.world import Worlds

FOLDER = Path(__file__).parents[1] / "scenarios"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("file", fit.files(FOLDER, TelegramDriver), ids=lambda file: file.stem)
async def test_scenario(telegram_worlds: Worlds, file: Path) -> None:
    verdict = await runner.run(await telegram_worlds.get(), scenario.load(file))
    assert verdict.good, f"{verdict}\n{verdict.report}"
