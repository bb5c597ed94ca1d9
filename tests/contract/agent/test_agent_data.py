"""A user's data is not changed for good unasked: both versions on each other's database."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.opencode.binary import Binary
from adapters.opencode.data import would_migrate
from adapters.opencode.server import OpencodeServer
from core.errors import AgentUnsupported, WouldMigrate
from tests.contract.agent.conftest import VERSIONS
from tests.simulators.agent_lab import CONFIG, server_settings
from tests.simulators.clock import WallClock
from tests.simulators.opencode_home import OpencodeHome, git_project, opencode_home

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def opencode(root: Path, home: OpencodeHome, version: str, **more) -> AsyncIterator[OpencodeServer]:
    (root / "state").mkdir(exist_ok=True)
    port = OpencodeServer(server_settings(root, home, VERSIONS[version](), **more), WallClock())
    try:
        yield port
    finally:
        await port.close()


def contents(home: OpencodeHome) -> dict[str, str]:
    """Of database and log. The index beside them (`-shm`) belongs to whoever reads at the moment."""
    folder = home.root / ".local" / "share" / "opencode"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("opencode.db*[!m]")}


async def test_data_of_an_older_version_is_changed_only_when_that_is_allowed(model, tmp_path):
    home = opencode_home(tmp_path / "home", model.url, CONFIG, catalogue=False)
    project = git_project(tmp_path / "project")
    newest, oldest = (Binary(VERSIONS[version](), version) for version in ("newest", "oldest"))
    assert would_migrate(newest, home.env) is None  # nothing is there
    async with opencode(tmp_path, home, "oldest") as port:
        session = await port.create_session(project, "Kept")
        assert would_migrate(oldest, home.env) is None  # also while it is in use
        assert would_migrate(newest, home.env)
    before = contents(home)
    async with opencode(tmp_path, home, "newest") as port:
        with pytest.raises(WouldMigrate, match="migrations") as refused:
            await port.find_session(session.id)
        assert "allow_migration" in refused.value.hint
    assert contents(home) == before
    async with opencode(tmp_path, home, "newest", allow_migration=True) as port:
        found = await port.find_session(session.id)
        assert found is not None
        assert found.title == "Kept"
    assert would_migrate(newest, home.env) is None
    assert would_migrate(oldest, home.env) is None  # it still finds its own list there


async def test_data_of_a_newer_version_is_left_alone(model, tmp_path):
    home = opencode_home(tmp_path / "home", model.url, CONFIG, catalogue=False)
    async with opencode(tmp_path, home, "newest") as port:
        await port.create_session(git_project(tmp_path / "project"), "New")
    before = contents(home)
    for allowed in (False, True):
        async with opencode(tmp_path, home, "oldest", allow_migration=allowed) as port:
            with pytest.raises(AgentUnsupported, match="a newer version made it"):
                await port.capabilities()
    assert contents(home) == before
