"""A run that changes 2,000 files: looked at with `/diff`, taken back with `/undo`, brought again; git's share apart."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from adapters.git.workspace import GitWorkspace
from benchmarks import telegram_model
from benchmarks.report import Section, Table, ms, spread
from benchmarks.stats import summary
from benchmarks.steering_model import use
from benchmarks.steering_report import at_most
from benchmarks.system import PROJECT
from core.model import Project
from core.refs import parse_project

if TYPE_CHECKING:
    from benchmarks.steering_stage import Pair, Rig

DIFFS, UNDOS = 10, 6
DIFF_MS = 2_000.0  # target
SCRIPT = "change.py"
DIFF = "`/diff`: reply and patch in the chat"
NEW, NEW_BINARY, EDITED, MOVED, MOVED_EDITED = 980, 20, 900, 50, 50  # files; 2,000 in all
_CHANGE = f"""\
import pathlib, random

files = sorted(pathlib.Path(".").glob("part*/*.txt"))
moved = files[:{MOVED + MOVED_EDITED}]
edited = moved[{MOVED}:] + files[len(moved):len(moved) + {EDITED}]
for file in edited:
    lines = file.read_text().splitlines(keepends=True)
    lines[3:5] = ["changed here\\n", "and here\\n", "and one more\\n"]
    file.write_text("".join(lines))
pathlib.Path("moved").mkdir()
for file in moved:
    file.rename("moved/" + file.name)
pathlib.Path("new").mkdir()
for number in range({NEW}):
    text = "".join(f"new text {{line}} of file {{number}}\\n" for line in range(40))
    pathlib.Path(f"new/file{{number}}.txt").write_text(text)
for number in range({NEW_BINARY}):
    pathlib.Path(f"new/file{{number}}.bin").write_bytes(b"\\0" + random.Random(number).randbytes(4000))
"""

HOW = f"""\
A run's one command writes {NEW:,} files of 40 lines and {NEW_BINARY} binary ones of 4 kB, changes {EDITED} and moves
{MOVED + MOVED_EDITED}, half of them changed as well: 2,000 files of a worktree with as many. *`/diff`*: from the
message until both the reply and the patch are in the chat. *git by itself*: the same calls of kugetsu's on git in the
same worktree, by the bench's process. *`/undo`* and *`/redo`*: from the message until the reply."""


def write_script(repository: Path) -> None:
    """What makes the changes, as part of the repository."""
    repository.mkdir(parents=True)
    (repository / SCRIPT).write_text(_CHANGE, encoding="utf-8")


async def measure(rig: Rig, pair: Pair) -> Section:
    """The section, in about a minute."""
    git = GitWorkspace(os.environ, lambda _warning: None)
    tag = pair.model.tag()
    said = await pair.talk.say(use(tag, f"{sys.executable} {SCRIPT}"))
    await said.answered(telegram_model.last(tag))
    await pair.talk.quiet()
    worktree = next(path for path in (rig.phone.state / "worktrees").iterdir() if (path / "moved").is_dir())
    samples: defaultdict[str, list[float]] = defaultdict(list)
    size = 0
    for number in range(DIFFS):
        await _diff(pair, samples)
        size = await _diff_by_git(git, Project(parse_project(PROJECT), rig.project), worktree, number, samples)
    for _ in range(UNDOS):
        await _answered(pair, "/undo", "is taken back", samples)
        await _answered(pair, "/redo", "is back", samples)
    found = {name: summary(seconds * 1000 for seconds in taken) for name, taken in samples.items()}
    table = Table(
        ("", "p50 ms", "p95", "max", "n"),
        [(name, *spread(taken)[:2], ms(taken.max), str(taken.count)) for name, taken in found.items()],
    )
    diff = found[DIFF]
    targets = [
        at_most(f"`/diff` of 2,000 changed files → reply and patch in the chat, {name}", value, DIFF_MS)
        for name, value in (("p50", diff.p50), ("max", diff.max))
    ]
    how = f"{HOW} The patch has {size / 1e6:.1f} MB."
    return Section("2,000 changed files from Telegram", how, [table], targets)


async def _diff(pair: Pair, samples: defaultdict[str, list[float]]) -> None:
    said = await pair.talk.say("/diff")
    reply = await said.answered("since it left its base: 2000 files")
    patch = await said.answered(".patch")
    samples[DIFF].append(max(reply, patch) - said.at)
    await pair.talk.quiet()


async def _diff_by_git(
    git: GitWorkspace, project: Project, worktree: Path, number: int, samples: defaultdict[str, list[float]]
) -> int:
    at = monotonic()
    base = await git.base_of(project, worktree)
    now = await git.snapshot(worktree, f"bench/{number}")
    patch = worktree.parent / "bench.patch"
    size, _ = await asyncio.gather(git.patch(worktree, base, now, patch), git.changes(worktree, base, now))
    samples["git by itself"].append(monotonic() - at)
    return size


async def _answered(pair: Pair, line: str, words: str, samples: defaultdict[str, list[float]]) -> None:
    said = await pair.talk.say(line)
    samples[f"`{line}`: reply in the chat"].append(await said.answered(words) - said.at)
    await pair.talk.quiet()
