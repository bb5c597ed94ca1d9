"""Processes the bench starts: the systems under test and the servers they talk to. None outlives its block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from benchmarks.scenarios import PATIENCE, SCENARIOS
from benchmarks.system import PROJECT

REPOSITORY = Path(__file__).parents[1]
START = 60.0  # seconds for a process to say that it is ready


@asynccontextmanager
async def started(
    *command: str | Path, ready: str, env: Mapping[str, str] | None = None, cwd: Path = REPOSITORY
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A process that has printed a line with `ready` in it, and that line. In the end its group gets SIGTERM."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    draining: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START):
            line = await _line_with(process, ready)
        draining = asyncio.create_task(_drain(process))
        yield process, line
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10.0):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):  # what is left of its group
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if draining:
            await draining


async def _line_with(process: asyncio.subprocess.Process, ready: str) -> str:
    assert process.stdout is not None
    said: list[str] = []
    async for raw in process.stdout:
        said.append(raw.decode(errors="replace").strip())
        if ready in said[-1]:
            return said[-1]
    raise RuntimeError(f"it ended before it was ready: {' '.join(said)}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    """A full pipe would stop it."""
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass


@asynccontextmanager
async def synthetic() -> AsyncIterator[str]:
    """The address of a synthetic opencode."""
    async with started(sys.executable, "-m", "benchmarks.synthetic", ready="http://") as (_, url):
        yield url


def write_config(folder: Path, project: Path, opencode: Mapping[str, Any]) -> Path:
    """A configuration with its state beside it, for `bot`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    projects = {PROJECT: {"path": str(project)}}
    settings = {"state_dir": str(folder / "state"), "opencode": dict(opencode), "projects": projects}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


@asynccontextmanager
async def bot(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`kugetsu run`, listening."""
    command = (sys.executable, "-m", "bot", "--config", config, "run")
    async with started(*command, ready="listens") as (process, _):
        yield process


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenarios are played: a folder for their state, a repository, and the synthetic opencode's address."""

    folder: Path
    project: Path
    url: str

    async def play(self, name: str, **order: Any) -> Any:
        """One scenario in a process of its own. Raises RuntimeError when it fails."""
        scenario = SCENARIOS[name]
        state_dir = self.folder / f"state-{name}-{len(list(self.folder.iterdir()))}"
        given = {"state_dir": str(state_dir), "project": str(self.project), "url": self.url, **order}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.subject", name), cwd=REPOSITORY, stdin=pipe, stdout=pipe
        )
        try:
            async with asyncio.timeout(PATIENCE + START):
                found, _ = await process.communicate(msgspec.json.encode(given))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"the scenario {name} {order} failed; what it said is above")
        return msgspec.json.decode(found, type=scenario.found)
