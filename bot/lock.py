"""One process drives a state directory: whoever holds its lock. The others are clients of its socket."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import Busy, StoreError

FILE = "kugetsu.lock"


class StateLock:
    """An advisory lock that the system releases when the process ends, however it ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises Busy when another process has it, StoreError when the directory cannot be used."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"The state directory {self._path.parent} cannot be used: {error.strerror}.",
                "Give `state_dir` in config.yaml a directory that you may write to.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Busy(
                f"Another kugetsu process drives {self._path.parent}.", "Stop it, or wait until it has ended."
            ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Safe to repeat."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
