"""Which opencode to start: the configured one if kugetsu can drive it, else one installed beside the project."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.opencode.processes import end_family
from core.errors import AgentUnsupported

OLDEST, NEWEST = (1, 3, 0), (2, 0, 0)  # from, and up to but not including
HINT = "Install it with `npm install -g opencode-ai@1.18.33`, or name another one under opencode.command"
_TIMEOUT = 20.0  # seconds; `--version` takes 0.4 s warm, several times that from a cold disk
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Binary:
    """An opencode that can be started."""

    path: Path
    version: str


def check_version(version: str, where: str) -> None:
    """Raises AgentUnsupported when kugetsu does not drive this version."""
    found = _VERSION.search(version)
    numbers = tuple(int(number) for number in found.groups()) if found else (0, 0, 0)
    if not OLDEST <= numbers < NEWEST:
        raise AgentUnsupported(
            f"opencode {version or '(unknown version)'} {where} is not supported: 1.3.0 up to 2 is", HINT
        )


async def find_binary(command: str, candidates: Sequence[Path], env: Mapping[str, str]) -> Binary:
    """The first supported of `command` (a name on PATH, or a path) and `candidates`.

    `env` is what it will be started with; its PATH counts. Raises AgentUnsupported, telling what was wrong with each.
    """
    found = shutil.which(str(Path(command).expanduser()), path=env.get("PATH"))
    problems = [] if found else [f"`{command}` is not on PATH"]
    for path in (*([Path(found)] if found else []), *candidates):
        if not path.is_file():
            continue
        version = await _version(path, env)
        try:
            check_version(version, f"({path})")
        except AgentUnsupported as error:
            problems.append(str(error))
        else:
            return Binary(path, version)
    raise AgentUnsupported(f"No opencode that kugetsu can drive: {'; '.join(problems)}", HINT)


async def _version(path: Path, env: Mapping[str, str]) -> str:
    """What it says about itself; empty when it says nothing useful."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            path, "--version", stdin=null, stdout=pipe, stderr=null, env=env, start_new_session=True
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(_TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            await end_family(process.pid)
            await process.wait()
    found = _VERSION.search(output.decode(errors="replace"))
    return found.group() if found else ""
