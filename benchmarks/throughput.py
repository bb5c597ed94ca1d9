"""How many events one core keeps up with."""

from __future__ import annotations

from benchmarks.own_share import CONSOLE, PACED, Found
from benchmarks.processes import Stage
from benchmarks.report import Section, Table
from benchmarks.scenarios import BurstFound

HOW = """\
*Reader + wire + fold*: `adapters.opencode` attached to a synthetic server that sends all events of 50 runs as fast as
they are taken, each folded into its run's progress; processor time of that process (`time.process_time`, user and
system) from the release of the stream to the last run's end. *Whole bot*: processor time of the process with 200 live
runs above, by the events it took in meanwhile; it includes the database, the chat calls and the messages between."""


async def measure(stage: Stage, lived: Found) -> Section:
    """Events per second of processor time."""
    found: BurstFound = await stage.play("burst")
    rows = [
        (
            "reader + wire + fold, saturated",
            f"{found.events:,}",
            f"{found.cpu:.2f}",
            f"{found.wall:.2f}",
            *_rate(found.events / found.cpu),
        )
    ]
    for interval, name in ((CONSOLE, "console"), (PACED, f"paced {PACED:g} s")):
        most = lived[200, interval]
        events = round(most.per_second * most.seconds)
        rows.append(
            (
                f"whole bot, 200 live runs, {name}",
                f"{events:,}",
                f"{most.cpu * most.seconds:.2f}",
                f"{most.seconds:.2f}",
                *_rate(most.per_second / most.cpu),
            )
        )
    head = ("", "events", "processor s", "wall s", "events/s of one core", "µs an event")
    return Section("Events one core keeps up with", HOW, [Table(head, rows)])


def _rate(per_second: float) -> tuple[str, str]:
    return f"{per_second:,.0f}", f"{1e6 / per_second:.0f}"
