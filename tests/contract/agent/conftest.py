"""Backends under contract: each is a factory that gives an `AgentPort` on a scripted model and a small project."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.opencode.server import OpencodeServer
from core.ports import AgentPort
from tests.simulators.agent_lab import CONFIG, Lab, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.model import ScriptedModel
from tests.simulators.opencode_home import OpencodeHome, git_project, opencode_home


def server_backend(root: Path, home: OpencodeHome) -> AgentPort:
    (root / "state").mkdir(exist_ok=True)
    return OpencodeServer(server_settings(root, home), WallClock())


BACKENDS: dict[str, Callable[[Path, OpencodeHome], AgentPort]] = {"server": server_backend}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def model() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    await model.start()
    yield model
    await model.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BACKENDS)
async def lab(
    request: pytest.FixtureRequest, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lab]:
    root = tmp_path_factory.mktemp(request.param)
    home = opencode_home(root / "home", model.url, CONFIG)
    port = BACKENDS[request.param](root, home)
    yield Lab(port, model, git_project(root / "project"), root, home)
    await port.close()


@pytest.fixture
def text() -> str:
    """A text nobody else prompts with, to script the model by."""
    return f"prompt-{uuid.uuid4().hex}"
