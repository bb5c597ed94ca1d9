"""The file of calls under long limits: what a process noted, the next one counts; damage and old lines cost nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.store import calls
from adapters.store.calls import CallLog
from tests.fakes.clock import ManualClock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.log"


def test_the_next_process_knows_them_and_this_one_counts_its_own(file: Path) -> None:
    clock = ManualClock()
    first = CallLog(file, clock)
    for _ in range(3):
        first.note("group:1")
        clock.advance(timedelta(seconds=10))
    first.note("group:2 of many")
    assert not first.ages("group:1", 60)
    second = CallLog(file, clock)
    assert second.ages("group:1", 60) == pytest.approx([30, 20, 10])
    assert second.ages("group:1", 25) == pytest.approx([20, 10])
    assert second.ages("group:2 of many", 60) == pytest.approx([0])
    assert not second.ages("group:3", 60)
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_old_is_dropped_on_the_way(file: Path) -> None:
    clock = ManualClock()
    log = CallLog(file, clock)
    for _ in range(2 * calls.MOST + 10):
        log.note("group")
        clock.advance(timedelta(seconds=60))
    assert len(file.read_text().splitlines()) < calls.MOST
    assert len(CallLog(file, clock).ages("group", 600)) == 9


def test_damage_and_a_clock_set_back_do_not_matter(file: Path) -> None:
    clock = ManualClock()
    log = CallLog(file, clock)
    log.note("group")
    with file.open("ab") as damaged:
        damaged.write(b"\xff\xfe nonsense\n99999999999.0 group\nx group\n\n12")
    clock.advance(timedelta(seconds=1))
    assert CallLog(file, clock).ages("group", 60) == pytest.approx([1])
    clock.advance(timedelta(seconds=-100))
    assert not CallLog(file, clock).ages("group", 60)


def test_where_nothing_can_be_written_nothing_fails(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "not there" / "calls.log", ManualClock())
    log.note("group")
    assert not log.ages("group", 60)
