"""The real opencode as a server of its own, for every way to it that is compared."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import started
from tests.simulators.opencode_home import opencode_home


def surroundings() -> dict[str, str]:
    """What of this environment a benchmarked opencode gets."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}


@asynccontextmanager
async def served(
    folder: Path, opencode: Path, model: str, config: dict[str, Any] | None = None
) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """`opencode serve` with a home below `folder`: its process id, and how it is attached to (`url`, `password`).

    `config` is added to opencode's.
    """
    password = secrets.token_urlsafe(16)
    home = opencode_home(folder / "home-serve", model, config)
    env = {**surroundings(), **home.env, "OPENCODE_SERVER_PASSWORD": password, "PWD": str(folder)}
    serve = (opencode, "serve", "--hostname", "127.0.0.1", "--port", "0")
    async with started(*serve, ready="listening on", env=env, cwd=folder) as (process, line):
        found = re.search(r"http://\S+", line)
        assert found
        yield process.pid, {"url": found.group(), "password": password}
