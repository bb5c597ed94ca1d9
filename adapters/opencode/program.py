"""opencode as a command: run beside its server, with the same binary and environment and so on the same data."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.opencode.binary import HINT
from adapters.opencode.processes import end_family
from core.errors import AgentUnavailable

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def environment(configured: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """The user's environment without what is hidden, `configured` over it."""
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, **configured, "OPENCODE_DISABLE_AUTOUPDATE": "1"}


@dataclass(frozen=True, slots=True)
class Program:
    """An opencode and the environment it runs in."""

    path: Path
    env: Mapping[str, str]

    async def run(self, directory: Path, *arguments: str, within: float) -> tuple[int, str]:
        """Exit code, and all it said as plain text. Its family is ended after `within` seconds, and when cancelled.

        Only for commands that say little: opencode exits before a pipe has taken more than some 64 KB, with code 0.
        Raises AgentUnavailable.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                self.path,
                *arguments,
                cwd=directory,
                env={**self.env, "PWD": str(directory)},  # opencode believes PWD rather than its working directory
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise AgentUnavailable(f"{self.path} cannot be started: {error}", HINT) from error
        try:
            async with asyncio.timeout(within):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise AgentUnavailable(f"`opencode {arguments[0]}` did not end within {within:g} s") from error
        finally:
            if process.returncode is None:
                await end_family(process.pid)
                await process.wait()
        assert process.returncode is not None
        return process.returncode, _COLOURS.sub("", output.decode(errors="replace")).strip()
