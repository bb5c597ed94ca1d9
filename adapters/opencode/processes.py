"""Process groups as the system sees them, so that what we started is ended whole, and nothing that we did not start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TERM_GRACE = 5.0  # seconds between TERM and KILL
KILL_GRACE = 1.0  # seconds the system may take to do it
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started` tells two users of the same pid apart; its form depends on the system."""

    pid: int
    parent: int
    group: int
    started: str
    rss: int  # bytes
    cpu: float  # seconds used so far
    command: str


def processes() -> list[Process]:
    """All processes there are; from /proc, or where there is none (macOS), from `ps`."""
    if (_PROC / "self" / "stat").exists():
        return [process for entry in _PROC.iterdir() if entry.name.isdigit() if (process := _from_proc(entry))]
    fields = "pid=,ppid=,pgid=,rss=,time=,lstart=,command="
    listed = subprocess.run(["/bin/ps", "-axww", "-o", fields], capture_output=True, text=True, timeout=10, check=True)
    return [_from_ps(line.split(maxsplit=10)) for line in listed.stdout.splitlines() if len(line.split()) > 10]


def family(leader: int, among: Iterable[Process]) -> list[Process]:
    """The processes of `leader`'s group and all that descend from them.

    The agent's tools run in groups of their own: killing the server's group alone leaves them at work.
    """
    everyone = list(among)
    members = {process.pid: process for process in everyone if leader in {process.group, process.pid}}
    while True:
        more = [process for process in everyone if process.parent in members and process.pid not in members]
        if not more:
            return list(members.values())
        members.update({process.pid: process for process in more})


async def end_family(leader: int, grace: float = TERM_GRACE) -> None:
    """TERM, up to `grace` seconds, KILL, for `leader`'s group and its descendants' groups. Gone ones are no error."""
    members = await asyncio.to_thread(lambda: family(leader, processes()))
    groups = {member.group for member in members} - {os.getpgrp()}
    _signal(groups, signal.SIGTERM)
    _signal(groups, signal.SIGCONT)  # a stopped process would sleep through it
    if not await _all_gone(groups, grace):
        _signal(groups, signal.SIGKILL)
        await _all_gone(groups, KILL_GRACE)


async def _all_gone(groups: set[int], within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            while await asyncio.to_thread(_any_left, groups):  # noqa: ASYNC110 - nothing tells when a group is empty
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


def _signal(groups: Iterable[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)


def _any_left(groups: set[int]) -> bool:
    return any(process.group in groups for process in processes())


def _from_proc(entry: Path) -> Process | None:
    try:
        # The name, in brackets, may hold anything; the fields after it are numbers.
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it ended while we looked
        return None
    if fields[0] == "Z":  # dead, only not yet waited for
        return None
    return Process(
        pid=int(entry.name),
        parent=int(fields[1]),
        group=int(fields[2]),
        started=fields[19],
        rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        cpu=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        command=command,
    )


def _from_ps(fields: list[str]) -> Process:
    pid, parent, group, rss = (int(field) for field in fields[:4])
    # time is "1-02:03:04" or "3:04.56", lstart five words, "Mon Nov 23 09:00:00 2026"
    days, _, clock = fields[4].rpartition("-")
    cpu = int(days or 0) * 86400.0
    for power, number in enumerate(reversed(clock.split(":"))):
        cpu += float(number) * 60**power
    return Process(pid, parent, group, " ".join(fields[5:10]), rss * 1024, cpu, fields[10])
