from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.harness import Machine, make_machine
from tests.simulators.model import ScriptedModel


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    await model.start()
    yield model
    await model.stop()


@pytest.fixture
async def machine(tmp_path: Path, model: ScriptedModel) -> Machine:
    return await make_machine(tmp_path / "m", model)
