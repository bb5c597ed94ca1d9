"""The scenarios of tests/scenarios in terminals: the real socket, kugetsu in a process of its own, real opencode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import fit, runner, scenario
from tests.soak.console import ConsoleDriver
from tests.soak.world import Worlds

FOLDER = Path(__file__).parents[1] / "scenarios"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("file", fit.files(FOLDER, ConsoleDriver), ids=lambda file: file.stem)
async def test_scenario(console_worlds: Worlds, file: Path) -> None:
    verdict = await runner.run(await console_worlds.get(), scenario.load(file))
    assert verdict.good, f"{verdict}\n{verdict.report}"
