"""kugetsu as a person has it: processes of its own, real opencode, real git, a scripted model."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.simulators.model import ScriptedModel
from tests.simulators.opencode_home import OpencodeHome, git_project, oldest_opencode, opencode_binary, opencode_home

VERSIONS = {"newest": opencode_binary, "oldest": oldest_opencode}

PATIENCE = 60.0  # seconds for one command, opencode's cold start on a busy machine included
PROJECT = "github.com/shoko/kugetsu"
REF = f"{PROJECT}#14"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The only object, or the array."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """One object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def finished(self) -> dict[str, Any]:
        """The last event, which must be `finished`."""
        last = self.events[-1]
        assert last["type"] == "finished", self
        return last


@dataclass(frozen=True, slots=True)
class Kind:
    """How a machine drives which opencode."""

    transport: str = "server"
    version: str = "newest"

    def __str__(self) -> str:
        return f"{self.transport}-{self.version}"

    @property
    def asks(self) -> bool:
        """Whether people can be asked while a run goes on, and see text as it is written."""
        return self.transport == "server"


USUAL = Kind()
OTHERS = (Kind("server", "oldest"), Kind("cli", "newest"), Kind("cli", "oldest"))


@dataclass(slots=True)
class Machine:
    """A home folder with a configuration, a project and a model."""

    root: Path
    model: ScriptedModel
    home: OpencodeHome
    project: Path
    kind: Kind
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def worktree(self) -> Path:
        return self.state / "worktrees" / "github.com-shoko-kugetsu-14"

    @property
    def env(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return inherited | self.home.env

    def write(self, **changes: Any) -> None:
        """Write config.yaml; `changes` replace top-level keys."""
        self.settings |= changes
        self.config.write_text(yaml.safe_dump(self.settings), encoding="utf-8")

    def configure_project(self, **keys: Any) -> None:
        """Set keys of the one project."""
        self.settings["projects"][PROJECT] |= keys
        self.write()

    async def start_process(
        self, *words: str, module: str = "bot", cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *words,
            cwd=cwd or self.root,
            env=self.env | (env or {}) | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=64 * 1024 * 1024,
        )

    async def run(
        self,
        *words: str,
        stdin: str = "",
        module: str = "bot",
        cwd: Path | None = None,
        config: bool = True,
        env: dict[str, str] | None = None,
    ) -> Result:
        """One command to its end."""
        given: Sequence[str] = ("--config", str(self.config), *words) if config else words
        process = await self.start_process(*given, module=module, cwd=cwd, env=env)
        return await finish(process, stdin)

    async def ok(self, *words: str, **options: Any) -> Result:
        """A command that must succeed."""
        result = await self.run(*words, **options)
        assert result.code == 0, result
        return result

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """`kugetsu run`, ready, and ended by SIGTERM."""
        process = await self.start_process("--config", str(self.config), "run")
        try:
            assert process.stdout
            async with asyncio.timeout(PATIENCE):
                line = await process.stdout.readline()
            assert b"listens" in line, (line, await process.stderr.read() if process.stderr else b"")
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await finish(process)


async def finish(process: asyncio.subprocess.Process, stdin: str = "") -> Result:
    """Wait for its end; a process that does not come to one is killed and fails the test."""
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"no end after {PATIENCE} s: {out.decode()} {err.decode()}") from None
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


async def make_machine(root: Path, model: ScriptedModel, kind: Kind = USUAL) -> Machine:
    """A machine whose one project is known under `PROJECT`."""
    root.mkdir(parents=True, exist_ok=True)
    machine = Machine(
        root,
        model,
        opencode_home(root / "home", model.url, catalogue=kind == USUAL),
        git_project(root / "project"),
        kind,
    )
    machine.write(
        state_dir=str(machine.state),
        opencode={"command": str(VERSIONS[kind.version]()), "transport": kind.transport},
        projects={PROJECT: {"path": str(machine.project), "base_branch": "main"}},
    )
    return machine


async def until(condition: Any, what: str, seconds: float = 20.0) -> Any:
    """Poll another process's state; the value once it is true."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.05)
    raise AssertionError(what)


def git(directory: Path, *words: str) -> str:
    """What git prints."""
    import subprocess  # noqa: PLC0415

    return subprocess.run(
        ["git", *words], cwd=directory, check=True, timeout=20, capture_output=True, text=True
    ).stdout.strip()


def left_over_servers(machine: Machine) -> list[int]:
    """opencode processes whose home is this machine's."""
    return [
        int(process.name) for process in Path("/proc").iterdir() if process.name.isdecimal() and ours(process, machine)
    ]


def ours(process: Path, machine: Machine) -> bool:
    """Whether the process, a folder of /proc, is an opencode server of this machine's."""
    try:
        home = str(machine.home.root).encode()
        return home in (process / "environ").read_bytes() and b"serve" in (process / "cmdline").read_bytes().split(
            b"\0"
        )
    except OSError:
        return False  # it ended meanwhile
