"""The machine the figures are from: without it they say nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def facts(opencode: Path) -> list[str]:
    """Lines for the head of the report."""
    return [
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load before the start: {load()}",
        f"- {_cpu()}, {os.cpu_count()} cores, {_memory_gib():.1f} GiB of memory",
        f"- {platform.system()} {platform.release()}, {platform.python_implementation()} {platform.python_version()}, "
        f"{_said('git', '--version')}, opencode {_said(str(opencode), '--version')}",
    ]


def load() -> str:
    """The load averages of 1, 5 and 15 minutes. The bench by itself makes about 1.5."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def resident_mb(pid: int | str = "self") -> float:
    """Resident memory of a process, in MB of a million bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"process {pid} has no memory any more")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
