"""`make soak`: kills without end, by seeds, and a report of them in docs/soak.md.

python -m tests.soak                   # 300 kills, two worlds at once
python -m tests.soak --kills 50 --first 1000 --report ""
python -m tests.soak --seed 17 --keep /tmp/17   # one seed, and all there is to know about it
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.simulators.opencode_home import opencode_binary
from tests.soak import checker, runner, seeds
from tests.soak.runner import Verdict
from tests.soak.telegram import TelegramDriver
from tests.soak.world import Worlds

REPORT = Path(__file__).parents[2] / "docs" / "soak.md"
USED = 40  # seeds in one world; after that its folders have become many
LOST = {checker.HANDLED, checker.ANSWERED, checker.DROPPED, checker.LEFT}
TWICE = {checker.REPEAT, checker.ONE_RUN, checker.ASKED_ONCE}
ORPHANS = {checker.ORPHAN, checker.STRAY}


class Soak:
    """Seeds from `first` on until so many kills have come to pass."""

    def __init__(self, kills: int, first: int, minutes: float) -> None:
        self.wanted = kills
        self.done: dict[int, Verdict] = {}
        self._next = first
        self._end = time.monotonic() + 60 * minutes
        self._began = time.monotonic()

    @property
    def kills(self) -> int:
        return sum(len(verdict.kills) for verdict in self.done.values())

    async def work(self, root: Path) -> None:
        """One world after the other, side by side with other workers."""
        worlds, used = Worlds(root, TelegramDriver), 0
        try:
            while self.kills < self.wanted and time.monotonic() < self._end:
                seed, self._next = self._next, self._next + 1
                if used >= USED:
                    await worlds.close()
                    used = 0
                used += 1
                self.take(seed, await runner.run(await worlds.get(), seeds.scenario(seed)))
        finally:
            await worlds.close()

    def stop(self) -> None:
        """What is under way comes to its end; then the report is written of what was done."""
        self._end = 0.0

    def take(self, seed: int, verdict: Verdict) -> None:
        self.done[seed] = verdict
        spent = time.monotonic() - self._began
        print(f"{spent:6.0f} s  {self.kills:3} kills  {verdict}", flush=True)
        if not verdict.good:
            file = Path(tempfile.gettempdir()) / f"kugetsu-soak-{seed}.txt"
            file.write_text(f"{verdict}\n{verdict.report}\n", encoding="utf-8")
            print(f"          all there is to know about it: {file}", flush=True)


def report(soak: Soak, seconds: float, workers: int) -> str:
    """docs/soak.md."""
    bad = {seed: verdict for seed, verdict in sorted(soak.done.items()) if not verdict.good}
    found = Counter(finding.rule for verdict in bad.values() for finding in verdict.findings)
    counts = [(name, sum(found[rule] for rule in rules)) for name, rules in KINDS]
    counts += [(rule, found[rule]) for rule in (checker.ORDER, checker.RINGS, checker.LIMITS)]
    counts += [("steps that failed", sum(len(verdict.problems) for verdict in bad.values()))]
    points = {point for verdict in soak.done.values() for point in verdict.kills}
    version = subprocess.run([opencode_binary(), "--version"], capture_output=True, text=True, check=False).stdout

    def figure(name: str) -> int:
        return round(sum(verdict.figures.get(name, 0) for verdict in soak.done.values()))

    lines = [
        "# Soak: SIGKILL at random instants",
        "",
        *ABOUT,
        "",
        "| | |",
        "|---|---|",
        f"| date | {datetime.now(UTC):%Y-%m-%d} |",
        f"| machine | {_machine()} |",
        f"| opencode | {version.strip()} |",
        f"| seeds | {seeds.describe(sorted(soak.done))} |",
        f"| kills | {soak.kills}, after {len(points)} different effects and records |",
        f"| … at rest, as the point that was chosen did not come | {figure('at rest')} |",
        f"| runs cut off and carried on | {figure('cut')} |",
        f"| messages in doubt that were found again | {figure('found')} |",
        f"| … and that were not, sent again and marked | {figure('marked')} |",
        f"| time | {seconds / 60:.0f} min, {workers} at once |",
        *(f"| {name} | {count} |" for name, count in counts),
    ]
    if bad:
        lines += ["", "## What was found", ""]
        for seed, verdict in bad.items():
            lines += [f"- seed {seed}: {found}" for found in [*map(str, verdict.findings[:3]), *verdict.problems[:3]]]
    return "\n".join(lines) + "\n"


ABOUT = """\
Written by `make soak`; [tests/soak](../tests/soak/__main__.py) says how to repeat one seed.

Each seed is a few prompts in a private chat, a forum group and a plain group on the Telegram simulator with Telegram's
limits, real opencode and a scripted model. The bot is killed by SIGKILL at a fault point or a random instant, often
again while it comes back, sometimes opencode with it. Then the checker reads the simulator's log, the database and what
the model was asked.""".splitlines()
KINDS: Sequence[tuple[str, set[str]]] = (
    ("messages or answers lost", LOST),
    ("unmarked repeats", TWICE),
    ("orphans", ORPHANS),
)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, Python {python}"


async def soak(kills: int, first: int, workers: int, minutes: float) -> tuple[Soak, float]:
    began = time.monotonic()
    work = Soak(kills, first, minutes)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.stop)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(work.work(Path(folder) / str(number)))
    return work, time.monotonic() - began


async def one(seed: int, keep: Path) -> Verdict:
    """A seed by itself; its world is left in `keep`."""
    worlds = Worlds(keep, TelegramDriver)
    try:
        return await runner.run(await worlds.get(), seeds.scenario(seed))
    finally:
        await worlds.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300, help="how many (300)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--workers", type=int, default=2, help="worlds at once (2)")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing new after that (60)")
    parser.add_argument("--report", default=str(REPORT), help="file to write; empty: none")
    parser.add_argument("--seed", type=int, help="just this one, in full")
    parser.add_argument("--keep", type=Path, help="with --seed: a folder for what it leaves")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        print(yaml.safe_dump(seeds.raw(chosen.seed), allow_unicode=True, sort_keys=False))
        verdict = asyncio.run(one(chosen.seed, chosen.keep or Path(tempfile.mkdtemp(prefix=f"seed-{chosen.seed}-"))))
        print(verdict, verdict.report, sep="\n")
        return not verdict.good
    work, seconds = asyncio.run(soak(chosen.kills, chosen.first, chosen.workers, chosen.minutes))
    text = report(work, seconds, chosen.workers)
    if chosen.report:
        Path(chosen.report).write_text(text, encoding="utf-8")
    print(text)
    return any(not verdict.good for verdict in work.done.values())


sys.exit(main())
