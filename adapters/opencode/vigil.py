"""Tells a run that hangs from one that works without a word. Pure.

`opencode run` prints nothing while a tool works or the model thinks, and on some occasions hangs for ever without a
word too. What tells them apart is what the processes do: a tool at work is a process in a group of its own, and an
answer being received costs processor time: 3 % of one core at four words a second (8 % on 1.18), where a run that
waits for nothing was measured at no more than 1 %.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.opencode.processes import Process

BUSY = 0.02  # of one core
LEAST = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds without any sign of work after which a run counts as hung."""

    first: float = 120.0  # until opencode has stored the prompt; 2 to 7 s is usual
    silence: float = 600.0  # later: a provider may let one wait, and opencode does not say when it tries again
    look_every: float = 5.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What the processes of a run look like at one moment."""

    cpu: float  # seconds used so far
    tools: bool  # some process is in a group of its own


def sight(leader: int, members: Iterable[Process]) -> Sight:
    """Of the family of `leader`. Language and MCP servers live in opencode's own group, for as long as it does."""
    found = list(members)
    return Sight(sum(process.cpu for process in found), any(process.group != leader for process in found))


class Vigil:
    """One run, looked at now and then."""

    def __init__(self, patience: Patience, now: float) -> None:
        """`now` and later times are in seconds of any one clock."""
        self._patience = patience
        self._alive = now
        self._said = 0
        self._cpu = 0.0
        self.taken = False  # opencode has the prompt

    def hangs(self, now: float, said: int, seen: Sight) -> bool:
        """`said`: bytes of output so far."""
        silent = now - self._alive
        # Summed up over the silence: in a short time even an idle process may show up with a hundredth of a second.
        worked = seen.cpu - self._cpu >= max(BUSY * silent, LEAST)
        if said > self._said or seen.tools or worked:
            self._alive, self._said, self._cpu = now, said, seen.cpu
            return False
        return silent >= (self._patience.silence if self.taken else self._patience.first)
