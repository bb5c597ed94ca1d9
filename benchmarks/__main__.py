"""`make bench`: everything, one after the other, in about twenty minutes.

`python -m benchmarks telegram` prints the Telegram rows alone, `… steering` those of steering; they keep nothing.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import compare, machine, memory, own_share, steering, telegram, throughput
from benchmarks.processes import Stage, synthetic
from benchmarks.report import document
from benchmarks.repository import make_repository
from tests.simulators.opencode_home import opencode_binary

PARTS = {"telegram": telegram.measure, "steering": steering.measure}
RESULTS = Path(__file__).with_name("RESULTS.md")


async def _measure(folder: Path) -> str:
    began = time.monotonic()
    opencode = opencode_binary()
    head = machine.facts(opencode)
    sections = [await compare.measure(folder, opencode)]
    async with synthetic() as url:
        stage = Stage(folder / "stage", make_repository(folder / "stage" / "repository", 1), url)
        share, lived = await own_share.measure(stage)
        sections += [
            share,
            await own_share.measure_git(stage),
            await throughput.measure(stage, lived),
            await memory.measure(stage, lived),
        ]
    for name, measure in PARTS.items():
        sections += await measure(folder / name, opencode)
    took = (time.monotonic() - began) / 60
    head.append(f"- by `make bench`, which took {took:.1f} minutes; load at its end: {machine.load()}")
    return document(head, sections)


async def _measure_part(name: str, folder: Path) -> str:
    opencode = opencode_binary()
    return document(machine.facts(opencode), await PARTS[name](folder / name, opencode))


def main() -> None:
    """Print the report and keep it."""
    part = next(iter(sys.argv[1:]), "")
    with tempfile.TemporaryDirectory(prefix="kugetsu-bench-") as folder:
        place = Path(folder).resolve()
        report = asyncio.run(_measure_part(part, place) if part else _measure(place))
    if not part:
        RESULTS.write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
