"""One `opencode run`: started in a group of its own, read to its end, ended whole.

Its output goes to files and not to pipes. opencode exits when the last event was handled, with code 0, and what a pipe
has not taken by then is lost: of a line of 10 MB 1.6 to 3.9 MB arrive. The files have no names, so nothing is left.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import IO

from adapters.opencode.binary import HINT
from adapters.opencode.processes import end_family, family, processes
from adapters.opencode.program import Program
from adapters.opencode.record import Record
from adapters.opencode.vigil import Sight, sight
from core.errors import AgentUnavailable, WrongDirectory
from core.model import SessionId

RUN = ("run", "--format", "json", "--thinking", "-s")  # then the session, and what else there is
TERM_GRACE = 3.0  # seconds between TERM and KILL
_POLL = 0.05  # seconds; nothing tells when a file has grown
_CHUNK = 1024 * 1024  # bytes


class CommandProcess:
    """A running `opencode run`, or one that has ended."""

    def __init__(self, process: asyncio.subprocess.Process, out: IO[bytes], err: IO[bytes], record: Record) -> None:
        self._process = process
        self._out = _Growing(out)
        self._err = _Growing(err)
        self._record = record

    @property
    def said(self) -> int:
        """Bytes of output so far."""
        return self._out.read_so_far + self._err.read_so_far

    @property
    def code(self) -> int | None:
        """What it ended with: negative for a signal, None while it runs. 1.18 says 1 where any error had occurred."""
        return self._process.returncode

    async def lines(self) -> AsyncGenerator[tuple[bool, list[bytes]], None]:
        """(whether from standard error, lines) as they come, until it has ended and all is read."""
        ended = asyncio.ensure_future(self._process.wait())
        try:
            over = False
            while not over:
                over = bool((await asyncio.wait([ended], timeout=_POLL))[0])
                for source in (self._out, self._err):
                    if found := source.lines(last=over):
                        yield source is self._err, found
        finally:
            ended.cancel()

    async def sight(self) -> Sight:
        """What it does."""
        leader = self._process.pid
        return await asyncio.to_thread(lambda: sight(leader, family(leader, processes())))

    async def end(self) -> None:
        """With everything it started. No error when it has ended already."""
        if self._process.returncode is None:
            await end_family(self._process.pid, TERM_GRACE)
            await self._process.wait()

    def close(self) -> None:
        """After its end."""
        self._out.close()
        self._err.close()
        self._record.clear(self._process.pid)


async def start(
    program: Program, session: SessionId, options: Sequence[str], directory: Path, prompt: str, home: Path
) -> CommandProcess:
    """Prompt `session`; `home` holds the note by which the next start finds what a killed bot left running.

    Raises AgentUnavailable, WrongDirectory.
    """
    place = os.path.realpath(directory)
    out, err = (tempfile.TemporaryFile(dir=home, buffering=0) for _ in range(2))  # noqa: SIM115 - outlive this
    try:
        with tempfile.TemporaryFile(dir=home) as given:
            # An argument would reach the model with quotes around it. Standard input is read to its end.
            given.write(prompt.encode())
            given.seek(0)
            process = await asyncio.create_subprocess_exec(
                program.path,
                *RUN,
                session,
                *options,
                cwd=place,
                env={**program.env, "PWD": place},  # opencode believes PWD rather than its working directory
                stdin=given,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
    except OSError as error:
        out.close()
        err.close()
        if not Path(place).is_dir():
            raise WrongDirectory(f"There is no directory {directory}", "Start the issue again") from error
        raise AgentUnavailable(f"{program.path} cannot be started: {error}", HINT) from error
    record = _record(home / f"run-{session}.json")
    record.write(process.pid, session)
    return CommandProcess(process, out, err, record)


async def end_left_over(home: Path) -> None:
    """End the runs that a killed bot left behind."""
    for path in home.glob("run-*.json"):
        await _record(path).end_left_over()
        path.unlink(missing_ok=True)


def _record(path: Path) -> Record:
    return Record(path, f"{' '.join(RUN)} {{}}")


class _Growing:
    """Lines of a file that somebody else writes. Has a place of its own in it: theirs is where they write."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest: list[bytes] = []
        self.read_so_far = 0

    def lines(self, *, last: bool) -> list[bytes]:
        """Whole lines that are new; with `last`, also one without an end."""
        found: list[bytes] = []
        while chunk := os.pread(self._file.fileno(), _CHUNK, self.read_so_far):
            self.read_so_far += len(chunk)
            *whole, rest = chunk.split(b"\n")
            for line in whole:
                found.append(b"".join((*self._rest, line)))
                self._rest.clear()
            if rest:
                self._rest.append(rest)
        if last and self._rest:
            found.append(b"".join(self._rest))
            self._rest.clear()
        return [line for line in found if line.strip()]

    def close(self) -> None:
        self._file.close()
