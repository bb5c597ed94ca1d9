"""Backends under contract: each is a factory that gives an `AgentPort` on a scripted model and a small project.

Each declares what it can do, and a test what it `needs`: what a backend does not declare is not asked of it. Both
transports are run on the newest and on the oldest opencode that is driven.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.opencode.command import OpencodeCommand
from adapters.opencode.server import OpencodeServer
from core.ports import AgentPort
from tests.simulators.agent_lab import CONFIG, Lab, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.model import ScriptedModel
from tests.simulators.opencode_home import OpencodeHome, git_project, oldest_opencode, opencode_binary, opencode_home

VERSIONS: dict[str, Callable[[], Path]] = {"newest": opencode_binary, "oldest": oldest_opencode}
TRANSPORTS = {"server": OpencodeServer, "command": OpencodeCommand}
# Besides the capabilities: `sessions`, code of its own to manage them, where the command backend uses the server's.
CAN = {"server": frozenset({"token_deltas", "asks", "message_ids", "sessions"}), "command": frozenset()}


@dataclass(frozen=True)
class Backend:
    transport: str
    version: str

    @property
    def declares(self) -> frozenset[str]:
        return CAN[self.transport]

    def binary(self) -> Path:
        return VERSIONS[self.version]()

    def __call__(self, root: Path, home: OpencodeHome) -> AgentPort:
        (root / "state").mkdir(exist_ok=True)
        return TRANSPORTS[self.transport](server_settings(root, home, self.binary()), WallClock())


BACKENDS = {f"{transport}-{version}": Backend(transport, version) for transport in TRANSPORTS for version in VERSIONS}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(capability, …): only for backends that declare all of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lab" in metafunc.fixturenames:
        needs = {name for mark in metafunc.definition.iter_markers("needs") for name in mark.args}
        names = [name for name, backend in BACKENDS.items() if needs <= backend.declares]
        metafunc.parametrize("lab", names, indirect=True, scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def model() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    await model.start()
    yield model
    await model.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab(
    request: pytest.FixtureRequest, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lab]:
    root = tmp_path_factory.mktemp(request.param)
    home = opencode_home(root / "home", model.url, CONFIG, catalogue=False)
    backend = BACKENDS[request.param]
    port = backend(root, home)
    yield Lab(port, model, git_project(root / "project"), root, home, binary=backend.binary())
    await port.close()


@pytest.fixture
def text() -> str:
    """A text nobody else prompts with, to script the model by."""
    return f"prompt-{uuid.uuid4().hex}"
