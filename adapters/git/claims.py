"""Proof, across a crash, that a half-made worktree is ours.

Before a worktree is made or removed, a file in the repository's git directory says which branch and directory that will
touch. It is deleted when the work is done. Finding it later means the work was cut off, and only what it names may be
cleaned up. The file is locked while the work goes on, and git inherits the lock: a git that outlives a killed kugetsu
still holds it, so that nobody cleans up under its feet.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import WorkspaceError

PATIENCE = 130.0  # seconds a git of a process that died may still be at it: its time-out and some


@dataclass(frozen=True, slots=True)
class Intent:
    """What is being made or removed."""

    branch: str
    directory: str
    commit: str  # where the branch points while nobody else has used it; empty: the branch stays whatever happens
    removing: bool = False  # what is in the directory was looked at and may go
    head: str = ""  # the full name of another branch that was checked out there when it was looked at


class Claim:
    """The right to work on one branch. `intent` is what an earlier holder left unfinished, later one's own."""

    def __init__(self, file: int) -> None:
        self.file = file
        content = os.pread(file, os.fstat(file).st_size, 0)
        self.intent = _parse(content)

    def write(self, intent: Intent) -> None:
        """Say what is going to be done, durably, before it is done."""
        content = json.dumps(asdict(intent)).encode()
        os.ftruncate(self.file, 0)
        os.pwrite(self.file, content, 0)
        os.fsync(self.file)
        self.intent = intent

    def clear(self) -> None:
        """It is done, or undone."""
        self.intent = None


@asynccontextmanager
async def claim(common: Path, branch: str) -> AsyncIterator[Claim]:
    """Waits for a git that a dead process left running. The claim's file goes unless an intent is left in it."""
    path = common / "kugetsu" / f"{hashlib.sha256(os.fsencode(branch)).hexdigest()[:32]}.intent"
    try:
        path.parent.mkdir(exist_ok=True)
        file = await _locked(path, branch)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror}") from error
    try:
        held = Claim(file)
        try:
            yield held
        finally:
            if held.intent is None:
                path.unlink(missing_ok=True)
    finally:
        os.close(file)


async def _locked(path: Path, branch: str) -> int:
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if _lock(file):
                    return file
                os.close(file)
                await asyncio.sleep(0.1)  # the holder is another process: nothing here could wake us
    except TimeoutError as error:
        raise WorkspaceError(
            f"Another process has been working on the branch {branch} for over {PATIENCE:.0f} s.",
            f"Find it and end it (fuser {path}), or delete that file if nothing of git runs there.",
        ) from error


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0  # else its holder finished and deleted it meanwhile


def _parse(content: bytes) -> Intent | None:
    try:
        return Intent(**json.loads(content)) if content else None
    except (ValueError, TypeError):
        return None  # torn by a power failure: proves nothing, so nothing will be cleaned up for it
