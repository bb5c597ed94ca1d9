"""Resident memory, how it grows, and how soon the bot listens."""

from __future__ import annotations

import asyncio
import time

from benchmarks.machine import resident_mb
from benchmarks.own_share import PACED, Found
from benchmarks.processes import Stage, bot, write_config
from benchmarks.report import Section, Table, Target
from benchmarks.scenarios import SequenceFound
from benchmarks.stats import Summary, summary

IDLE_MB, LIVE_MB, READY_S = 150.0, 220.0, 2.0  # targets
GROWTH_MB = 5.0  # a thousand runs; more would be a leak
STARTS = 10
SETTLING = 2.0  # seconds an idle bot is left alone before its memory is read

HOW = """\
Resident set (VmRSS, MB of a million bytes). *Idle*: `kugetsu run` as it is installed, attached to a synthetic server,
two seconds after it listened. The other rows are of the bench's process, which is kugetsu with a chat of the bench's:
with live runs that stream at 20 events/s, and over runs of 20 pieces of text one after the other, spread over 20
sessions. *Ready*: from the start of the process until it listens on its socket; opencode was there already."""


async def measure(stage: Stage, lived: Found) -> Section:
    """All of it; `lived` is what the live runs of `own_share` used."""
    idle, ready = await _starts(stage)
    grown: SequenceFound = await stage.play("sequence")
    rows = [("`kugetsu run`, idle", f"{idle:.1f}")]
    rows.append(("the bench's process, idle", f"{lived[50, PACED].idle_mb:.1f}"))
    rows += [(f"{runs} live runs", f"{lived[runs, PACED].live_mb:.1f}") for runs in (50, 200)]
    rows += [(f"after {count:,} runs", f"{found:.1f}") for count, found in grown.resident.items()]
    counts = sorted(grown.resident)
    half, last = counts[len(counts) // 2], counts[-1]
    growth = (grown.resident[last] - grown.resident[half]) * 1000 / (last - half)
    rows.append((f"growth in 1,000 runs, from the {half:,}th on", f"{growth:.1f}"))
    ready_rows = [("`kugetsu run`", f"{ready.p50:.2f}", f"{ready.p95:.2f}", str(ready.count))]
    live_mb = lived[200, PACED].live_mb
    targets = [
        Target("resident memory, idle", f"≤ {IDLE_MB:g} MB", f"{idle:.0f} MB", idle <= IDLE_MB),
        Target("resident memory, 200 live runs", f"≤ {LIVE_MB:g} MB", f"{live_mb:.0f} MB", live_mb <= LIVE_MB),
        Target("growth in 1,000 runs", f"≤ {GROWTH_MB:g} MB", f"{growth:.1f} MB", growth <= GROWTH_MB),
        Target("ready after opencode, p95", f"≤ {READY_S:g} s", f"{ready.p95:.2f} s", ready.p95 <= READY_S),
    ]
    tables = [Table(("", "MB"), rows), Table(("ready", "p50 s", "p95 s", "n"), ready_rows)]
    return Section("Memory and start", HOW, tables, targets)


async def _starts(stage: Stage) -> tuple[float, Summary]:
    """Idle memory in MB, and seconds until the bot listens."""
    times: list[float] = []
    config = write_config(stage.folder / "start", stage.project, {"url": stage.url})
    for number in range(STARTS):
        began = time.monotonic()
        async with bot(config) as process:
            times.append(time.monotonic() - began)
            if number == STARTS - 1:
                await asyncio.sleep(SETTLING)
                idle = resident_mb(process.pid)
    return idle, summary(times)
