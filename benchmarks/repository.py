"""Repositories to work in."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from adapters.git.workspace import GitWorkspace
from benchmarks.stats import Summary, summary
from tests.simulators.opencode_home import git_project

FOLDERS = 40
SNAPSHOTS = 20
LINES = 40  # a file; about 2 kB


def make_repository(path: Path, files: int) -> Path:
    """A repository with `files` small files in one commit."""
    for number in range(files):
        folder = path / f"part{number % FOLDERS:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(f"line {line} of file {number}, which is like the others\n" for line in range(LINES))
        (folder / f"file{number}.txt").write_text(text, encoding="utf-8")
    return git_project(path)


async def snapshots(directory: Path) -> Summary:
    """kugetsu's own snapshot of its worktree, as it takes one before and after each run."""
    git = GitWorkspace(os.environ, lambda _warning: None)
    times: list[float] = []
    for number in range(SNAPSHOTS):
        began = monotonic()
        await git.snapshot(directory, f"bench/{number}")
        times.append((monotonic() - began) * 1000)
    return summary(times)
