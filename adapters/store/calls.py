"""Calls to chat platforms that count against a long limit, in a file: one that dies must not let the next exceed it.

Not in the database: a line is added for every such call, edits of live messages too, and is worthless a minute later.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.ports import Clock

KEPT = 600.0  # seconds; longer than any limit
MOST = 5000  # lines after which those that are old are dropped


class CallLog:
    """A `core.budget.Ledger`. Nothing is opened before the first use."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._earlier: defaultdict[str, list[float]] = defaultdict(list)  # wall times by name
        self._file = -1
        self._lines = 0

    def note(self, name: str) -> None:
        """See core.budget.Ledger. On a full disk, what the next process knows is less."""
        with suppress(OSError):
            if self._file < 0 or self._lines >= MOST:
                self._open()
            self._lines += 1
            os.write(self._file, f"{self._now:.3f} {name}\n".encode())

    def ages(self, name: str, within: float) -> Sequence[float]:
        """See core.budget.Ledger."""
        with suppress(OSError):
            if self._file < 0:
                self._open()
        ages = (self._now - at for at in self._earlier.get(name, ()))
        return [age for age in ages if 0 <= age < within]

    def _open(self) -> None:
        """Read what is there, and write it again without what is old."""
        kept, first = [], self._file < 0
        for line in self._read():
            at, _, name = line.partition(" ")
            with suppress(ValueError):
                if name and 0 <= self._now - float(at) < KEPT:
                    kept.append(line)
                    if first:
                        self._earlier[name].append(float(at))
        temporary = self._path.with_suffix(".tmp")
        file = os.open(temporary, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(file, "".join(f"{line}\n" for line in kept).encode())
            temporary.replace(self._path)
        except OSError:
            os.close(file)
            raise
        if not first:
            os.close(self._file)
        self._file, self._lines = file, 0

    def _read(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()
