"""A run as messages: its words, and nothing of an agent's or a person's that could pass for ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import view_run
from core.events import Planned, Retrying, Said, Step, StepState, Todo, Trouble
from core.model import (
    Button,
    PermissionRequest,
    PersonId,
    Place,
    Refusal,
    Run,
    RunId,
    RunState,
    Session,
    SessionId,
    SessionState,
    Tokens,
    Verbosity,
)
from core.ports import RunHeader, RunReport
from core.progress import Progress, fold
from tests.fakes.world import key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SES = SessionId("ses")
RUN = Run(
    RunId(7),
    key(),
    3,
    "do",
    PersonId("fake:ann"),
    Place("fake", "1"),
    RunState.DONE,
    NOW,
    started=NOW,
    ended=NOW + timedelta(seconds=12),
    text="It works.",
)
SESSION = Session(key(), Path("/w"), "b", "slug", "the _form_", SessionState.IDLE, NOW, NOW)
HEADER = RunHeader(RUN, SESSION, "Ann")
BASH = PermissionRequest("per_1", SES, "bash", ("git push",), "git push origin")


def test_a_live_message_says_what_goes_on() -> None:
    progress = Progress()
    for number in range(9):
        progress = fold(progress, Step(f"s{number}", "bash", StepState.COMPLETED, f"make `{number}`"))
    progress = fold(progress, Said("p", "text so far"))
    progress = fold(progress, Planned((Todo("one", "completed"), Todo("two", "in_progress"))))
    shown = view_run.live(HEADER, progress, 75)
    assert shown.head == "**#14** the \\_form\\_\n▸ run 3 · working · 1 min 15 s"
    assert len(shown.lines) == view_run.STEPS + 3
    assert shown.lines[0] == "⚙ bash `make '3'` ✓"
    assert shown.lines[-3:] == ("plan 1/2", "☑ one", "▸ two")
    assert shown.body == "text so far"


def test_how_much_it_says_is_the_places_choice() -> None:
    progress = Progress()
    for number in range(20):
        progress = fold(progress, Step(f"s{number}", "bash", StepState.COMPLETED, f"make {number}", "a\n*b*\n\n"))
    progress = fold(progress, Step("sub", "grep", StepState.RUNNING, "x", sub_agent=SES))
    progress = fold(progress, Said("t", "first\nI *wonder*", reasoning=True))
    quiet = view_run.live(replace(HEADER, verbosity=Verbosity.QUIET), progress, 1)
    assert (quiet.lines, quiet.body) == ((), "")
    normal = view_run.live(HEADER, progress, 1)
    assert normal.lines[-1] == "↳ ⚙ grep `x` …"
    detailed = view_run.live(replace(HEADER, verbosity=Verbosity.DETAILED), progress, 1)
    assert detailed.lines[1] == "　\\*b\\*"
    assert detailed.lines[-1] == "💭 I \\*wonder\\*"
    assert len(detailed.lines) > len(normal.lines)


@given(st.lists(st.sampled_from(["pending", "in_progress", "completed", "cancelled", "odd"]), max_size=12))
def test_the_plan_is_shown_around_what_it_is_at(states: list[str]) -> None:
    todos = tuple(Todo(f"t{number}", state) for number, state in enumerate(states))
    lines = view_run.live(HEADER, Progress(todos=todos), 1).lines
    assert len(lines) == (min(len(todos), view_run.TODOS) + 1 if todos else 0)
    if "in_progress" in states:
        assert any(line.endswith(f"t{states.index('in_progress')}") for line in lines)


def test_it_says_what_it_waits_for() -> None:
    retrying = fold(Progress(), Retrying(2, "503 busy", 5.0))
    assert "the provider failed (503 busy), again in 5 s" in view_run.live(HEADER, retrying, 1).head
    limited = fold(Progress(), Retrying(2, "429", 30.0, Trouble.RATE_LIMITED))
    assert "the provider wants fewer requests, again in 30 s" in view_run.live(HEADER, limited, 1).head
    assert "waits for an answer" in view_run.live(HEADER, Progress(asking=(BASH,)), 1).head


@pytest.mark.parametrize(
    ("state", "error", "parts"),
    [
        (RunState.DONE, "", ["It works.", "✓ #14 · run 3 · 12 s"]),
        (RunState.STOPPED, "Stopped.", ["It works.", "■ Stopped.", "■ #14 · run 3 · 12 s"]),
        (RunState.FAILED, "It broke.", ["It works.", "✗ It broke.", "✗ #14 · run 3 · 12 s"]),
        (RunState.FAILED, "", ["It works.", "✗ It failed, and did not say why.", "✗ #14 · run 3 · 12 s"]),
        (RunState.CUT, "Cut.", ["It works.", "✗ Cut.", "✗ #14 · run 3 · 12 s"]),
    ],
)
def test_an_answer_is_what_was_said_and_how_it_ended(state: RunState, error: str, parts: list[str]) -> None:
    report = RunReport(replace(RUN, state=state, error=error), SESSION)
    assert view_run.answer(report).markdown.split("\n\n") == parts
    assert "\n" not in view_run.over(report)


def test_a_stopped_run_says_what_was_done_so_far() -> None:
    done = (Step("s", "bash", StepState.COMPLETED, "npm test"),)
    report = RunReport(replace(RUN, state=RunState.STOPPED, error="Stopped."), SESSION, steps=done)
    assert "■ Stopped.\n⚙ bash `npm test` ✓\n\n" in view_run.answer(report).markdown


def test_the_footer_has_the_figures_there_are() -> None:
    run = replace(RUN, tokens=Tokens(3000, 100, 20), cost=0.01234, model="mock/m1", refused=(Refusal("bash rm x"),))
    answer = view_run.answer(RunReport(run, SESSION, files_changed=1)).markdown
    assert answer.endswith("✓ #14 · run 3 · 12 s · 3,120 tokens · $0.0123 · `mock/m1` · 1 file changed")
    assert "Not allowed:\n- bash rm x" in answer
    full = replace(run, context=8000, context_limit=10_000)
    assert "· 80% of context ·" in view_run.footer(RunReport(full, SESSION))
    assert "2 files changed" in view_run.footer(RunReport(run, SESSION, files_changed=2))
    assert "files" not in view_run.footer(RunReport(run, SESSION, files_changed=0))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (8.44, "8.4 s"),
        (9.96, "10.0 s"),
        (42, "42 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3720, "1 h 2 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert view_run.duration(seconds) == words


@given(st.lists(st.text(max_size=60), max_size=8))
def test_rows_keep_every_button_in_order(labels: list[str]) -> None:
    buttons = [Button(str(number), label) for number, label in enumerate(labels)]
    rows = view_run.rows(buttons)
    assert [button.id for row in rows for button in row] == [button.id for button in buttons]
    assert all(1 <= len(row) <= 2 for row in rows)
    assert all(button.label and len(button.label) <= view_run.LABEL for row in rows for button in row)
    assert all(sum(len(b.label) for b in row) <= 24 for row in rows if len(row) == 2)


def test_small_ones() -> None:
    assert view_run.title(SESSION) == "#14 the _form_"
    assert view_run.stop_button(RUN, SESSION) == ((Button("stop:7", "Stop #14"),),)
    assert view_run.live_mark(HEADER) == "▸ #14 · run 3 is working"
