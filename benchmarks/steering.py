"""The steering rows: decisions, stops, questions on the side, the queue, and a look at 2,000 changed files."""

from __future__ import annotations

from pathlib import Path

from benchmarks import steering_changes, steering_press
from benchmarks.report import Section
from benchmarks.steering_stage import rig


async def measure(folder: Path, opencode: Path) -> list[Section]:
    """All of them, in about six minutes."""
    folder.mkdir()
    async with rig(folder, opencode) as all_of_it:
        *pairs, changing = all_of_it.pairs
        return [await steering_press.measure(pairs), await steering_changes.measure(all_of_it, changing)]
