"""Which runs stand: whatever is run, taken back and brought again, in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import KugetsuError, NotFound, UsageError
from core.model import MessageId, PersonId, Run, RunId, RunState, Session, SessionState
from core.standing import (
    FOR_GOOD,
    conversation_ends_before,
    first_taken_back,
    last_standing,
    runs_of,
    taken_back,
)
from tests.fakes.world import LOBBY, key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSION = Session(key(), Path("/w"), "b", "s", "t", SessionState.IDLE, NOON, NOON)


def run(number: int, *, undone: str = "", started: bool = True, sent: bool = True) -> Run:
    return Run(
        RunId(number),
        key(),
        number,
        f"prompt {number}",
        PersonId("fake:ann"),
        LOBBY,
        RunState.DONE,
        NOON,
        message_id=MessageId(f"msg_{number:03}") if sent and started else MessageId(""),
        started=NOON if started else None,
        undone=undone,
    )


class Story:
    """A session's runs, and what its files and its conversation would hold."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.world: tuple[int, ...] = ()  # numbers of the runs whose work is there
        self.before: dict[int, tuple[int, ...]] = {}
        self.kept: dict[str, tuple[int, ...]] = {}  # snapshots

    def prompt(self, *, started: bool = True) -> None:
        number = len(self.runs) + 1
        self.runs.append(run(number, started=started))
        self.before[number] = self.world
        if started:
            self.world = (*self.world, number)

    def undo(self) -> int:
        taken = last_standing(self.runs)
        for earlier in self.runs:
            if earlier.undone and earlier.number < taken.number:
                self._note(earlier.number, FOR_GOOD)
        snapshot = f"{len(self.kept)}"
        self.kept[snapshot] = self.world
        self._note(taken.number, snapshot)
        self.world = self.before[taken.number]
        return taken.number

    def redo(self) -> int:
        brought = first_taken_back(self.runs)
        self.world = self.kept[brought.undone]
        self._note(brought.number, "")
        return brought.number

    def _note(self, number: int, undone: str) -> None:
        self.runs[number - 1] = replace(self.runs[number - 1], undone=undone)

    def check(self) -> None:
        standing = tuple(each.number for each in self.runs if each.started and not each.undone)
        assert self.world == standing, "what stands is what is there"
        chain = [each.number for each in taken_back(self.runs)]
        assert chain == sorted(set(chain))
        assert not standing or all(number > standing[-1] for number in chain)
        assert all(self.runs[number - 1].undone not in {"", FOR_GOOD} for number in chain)
        ends = conversation_ends_before(SESSION, self.runs)
        assert ends == (self.runs[chain[0] - 1].message_id if chain else None)


ACTS = st.lists(st.sampled_from(["prompt", "undo", "redo", "taken out"]), max_size=25)


@given(ACTS)
def test_whatever_is_done_what_stands_is_what_is_there(acts: list[str]) -> None:
    story = Story()
    for act in acts:
        before = (list(story.runs), story.world)
        try:
            if act == "prompt":
                story.prompt()
            elif act == "taken out":
                story.prompt(started=False)
            elif act == "undo":
                story.undo()
            else:
                story.redo()
        except KugetsuError:
            assert (story.runs, story.world) == before
        story.check()


@given(ACTS, st.integers(1, 6))
def test_as_many_redos_bring_everything_back(acts: list[str], times: int) -> None:
    story = Story()
    for act in acts:
        if act == "prompt":
            story.prompt()
        elif act == "undo" and story.world:
            story.undo()
    times = min(times, len(story.world))
    there, chain = story.world, len(taken_back(story.runs))
    undone = [story.undo() for _ in range(times)]
    assert len(taken_back(story.runs)) >= (chain if times == 0 else times)
    assert [story.redo() for _ in range(times)] == undone[::-1]
    assert story.world == there


def test_what_was_gone_for_good_does_not_hide_what_can_come_back() -> None:
    story = Story()
    story.prompt()
    story.prompt()
    story.undo()  # 2
    story.prompt()
    assert (story.undo(), story.undo()) == (3, 1)
    assert [each.number for each in taken_back(story.runs)] == [1, 3]
    assert conversation_ends_before(SESSION, story.runs) == MessageId("msg_001")
    assert (story.redo(), story.redo()) == (1, 3)
    with pytest.raises(UsageError, match="gone for good"):
        story.redo()


def test_nothing_ran_or_all_is_taken_back() -> None:
    for runs in ([], [run(1, started=False)], [run(1, undone="s")], [run(1, undone=FOR_GOOD)]):
        with pytest.raises(NotFound):
            last_standing(runs)
    for runs in ([], [run(1)], [run(1, started=False)]):
        with pytest.raises(NotFound):
            first_taken_back(runs)


def test_a_run_after_it_makes_it_final() -> None:
    with pytest.raises(UsageError, match="gone for good"):
        first_taken_back([run(1, undone="s"), run(2)])


def test_what_never_began_makes_nothing_final() -> None:
    runs = [run(1), run(2, undone="s"), run(3, started=False)]
    assert last_standing(runs).number == 1
    assert first_taken_back(runs).number == 2


def test_the_conversation_ends_before_the_first_prompt_it_was_sent() -> None:
    unsent = replace(run(2, undone="s"), message_id=MessageId(""))
    assert conversation_ends_before(SESSION, [run(1), unsent, run(3, undone="t")]) == MessageId("msg_003")
    assert conversation_ends_before(SESSION, [run(1), run(2)]) is None


def test_runs_of_a_session_destroyed_before_are_not_this_ones() -> None:
    old, new = replace(run(1, undone="s"), created=NOON - timedelta(days=1)), run(2)
    assert runs_of(SESSION, [old, new]) == [new]
    assert conversation_ends_before(SESSION, [old]) is None
