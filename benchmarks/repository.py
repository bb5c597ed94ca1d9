"""Repositories to work in."""

from __future__ import annotations

from pathlib import Path

from tests.simulators.opencode_home import git_project

FOLDERS = 40
LINES = 40  # a file; about 2 kB


def make_repository(path: Path, files: int) -> Path:
    """A repository with `files` small files in one commit."""
    for number in range(files):
        folder = path / f"part{number % FOLDERS:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(f"line {line} of file {number}, which is like the others\n" for line in range(LINES))
        (folder / f"file{number}.txt").write_text(text, encoding="utf-8")
    return git_project(path)
