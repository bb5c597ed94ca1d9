"""Tests that the documentation names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
_NAMED = re.compile(r"`(tests/[\w/.-]+)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tests_it_names_are_there(page: Path) -> None:
    for file, name in _NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / file).exists(), f"{page.name} names {file}"
        if name:
            assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{name}"


def test_every_row_of_the_research_names_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "research.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 11
    for row in rows:
        assert len(row.split(" | ")) == 3, row
        assert all(name for _, name in _NAMED.findall(row)), row
        assert _NAMED.findall(row), row
