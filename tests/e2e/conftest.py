"""A machine for each test: with the usual transport and opencode, and for tests marked so on the other ones as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.harness import OTHERS, USUAL, Machine, make_machine
from tests.simulators.model import ScriptedModel
from tests.soak.console import ConsoleDriver
from tests.soak.telegram import TelegramDriver
from tests.soak.world import Worlds


def pytest_configure(config: pytest.Config) -> None:
    names = ", ".join(map(str, OTHERS))
    config.addinivalue_line(
        "markers", f"also(kind, …, instead=False): besides (or instead of) the usual on these, or all: {names}"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "machine" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("also")
        kinds = [kind for kind in OTHERS if mark and (not mark.args or str(kind) in mark.args)]
        if not (mark and mark.kwargs.get("instead")):
            kinds = [USUAL, *kinds]
        metafunc.parametrize("machine", kinds, indirect=True, ids=str)


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    await model.start()
    yield model
    await model.stop()


@pytest.fixture
async def machine(request: pytest.FixtureRequest, tmp_path: Path, model: ScriptedModel) -> Machine:
    return await make_machine(tmp_path / "m", model, request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def telegram_worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    """For scenarios on Telegram, which share one as long as all goes well: starting from nothing takes seconds."""
    worlds = Worlds(tmp_path_factory.mktemp("telegram"), TelegramDriver)
    yield worlds
    await worlds.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def console_worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    """The same for those in terminals."""
    worlds = Worlds(tmp_path_factory.mktemp("console"), ConsoleDriver)
    yield worlds
    await worlds.close()
