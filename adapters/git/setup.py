"""Runs a project's `setup` command in a new worktree, showing its output as it comes."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.git.process import clean_environment, trim, wait
from core.errors import WorkspaceError
from core.model import Project

TIMEOUT = 30 * 60.0  # seconds: a cold `npm ci` or a first build on a small machine
DRAIN = 0.5  # seconds to read on when a process that `setup` left running keeps its output open
LAST = 20  # lines of output that go into the error
MAX_LINE = 4000  # characters; longer lines come in pieces
CHUNK = 64 * 1024


async def set_up(env: Mapping[str, str], project: Project, directory: Path, output: Callable[[str], None]) -> None:
    """See the port. `env` is the command's environment; what it leaves running when it ends well is left alone."""
    if not project.setup:
        return
    last: deque[str] = deque(maxlen=LAST)

    def show(line: str) -> None:
        last.append(line)
        output(line)

    try:
        status = await _run(env, project.setup, directory, show)
    except TimeoutError as error:
        raise WorkspaceError(
            f"The set-up of {project.ref} took longer than {TIMEOUT / 60:.0f} minutes and was stopped: {project.setup}",
            f"Run it by hand in {directory} to see what it waits for.",
        ) from error
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
        said = trim("\n".join(last)) or "It said nothing."
        raise WorkspaceError(
            f"The set-up of {project.ref} {how}: {project.setup}\n{said}",
            f"Run it by hand in {directory}, correct it or `setup` in the configuration, and retry.",
        )


async def _run(env: Mapping[str, str], command: str, directory: Path, show: Callable[[str], None]) -> int:
    read, write = (
        os.pipe()
    )  # our own, so that waiting for the process does not mean waiting for whoever holds its output
    lines = _Lines(show)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: lines, os.fdopen(read, "rb", buffering=0))
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                "sh",
                "-c",
                command,
                cwd=directory,
                env=clean_environment(env) | {"PWD": str(directory)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"The set-up could not be started in {directory}: {error}") from error
        finally:
            os.close(write)
        status = await wait(process, TIMEOUT)
        await asyncio.wait([lines.ended], timeout=DRAIN)
    finally:
        transport.close()
    lines.flush()
    return status


class _Lines(asyncio.Protocol):
    """Bytes as they come → lines of text; what is no UTF-8 shows as �."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) > MAX_LINE:
            self._show(self._rest[:MAX_LINE])
            self._rest = self._rest[MAX_LINE:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop when the last holder of the output is gone."""
        if not self.ended.done():
            self.ended.set_result(None)

    def flush(self) -> None:
        """Show a last line that has no end."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        if rest:
            self._emit(rest)

    def _emit(self, line: str) -> None:
        shown = line.rstrip("\r").rpartition("\r")[2]  # progress bars overwrite themselves
        for start in range(0, max(len(shown), 1), MAX_LINE):
            self._show(shown[start : start + MAX_LINE])
