"""The limit on a project's set-up."""

import asyncio
import os
from pathlib import Path

import pytest

from adapters.git.setup import TIMEOUT, set_up
from core.errors import WorkspaceError
from core.model import Project, ProjectRef


@pytest.mark.looptime  # the half hour passes as soon as everything waits
async def test_one_that_hangs_is_stopped(tmp_path):
    project = Project(ProjectRef("example.org", "o", "r"), Path("/"), setup="sleep 600; echo survived > survived")
    started = asyncio.get_running_loop().time()
    with pytest.raises(WorkspaceError, match="longer than 30 minutes") as failure:
        await set_up({"PATH": os.environ["PATH"]}, project, tmp_path, print)
    assert asyncio.get_running_loop().time() - started >= TIMEOUT
    assert "by hand" in failure.value.hint
    assert not (tmp_path / "survived").exists()
