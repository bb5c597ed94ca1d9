"""A run as messages: its words, and nothing of an agent's or a person's that could pass for ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import view_run
from core.events import Planned, Retrying, Said, Step, StepState, Todo
from core.model import (
    AskId,
    Button,
    Choice,
    Decision,
    PermissionRequest,
    PersonId,
    Place,
    Question,
    QuestionRequest,
    Refusal,
    Run,
    RunId,
    RunState,
    Session,
    SessionId,
    SessionState,
    Tokens,
)
from core.ports import Ask, RunHeader, RunReport
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
COLOUR = Question("Colour", "Which *colour*?", (Choice("red", "like blood"), Choice("x" * 60)))


def ask(request: PermissionRequest | QuestionRequest, **changes: object) -> Ask:
    return replace(Ask(AskId("a1"), RUN.id, key(), request, NOW), **changes)  # type: ignore[arg-type]


def test_a_live_message_says_what_goes_on() -> None:
    progress = Progress()
    for number in range(9):
        progress = fold(progress, Step(f"s{number}", "bash", StepState.COMPLETED, f"make `{number}`"))
    progress = fold(progress, Said("p", "text so far"))
    progress = fold(progress, Planned((Todo("one", "completed"), Todo("two", "in_progress"))))
    shown = view_run.live(HEADER, progress, 75)
    assert shown.head == "**#14** the \\_form\\_\n▸ run 3 · working · 1 min 15 s"
    assert len(shown.lines) == view_run.STEPS + 1
    assert shown.lines[0] == "⚙ bash `make '3'` ✓"
    assert shown.lines[-1] == "☐ 1/2 two"
    assert shown.body == "text so far"


def test_it_says_what_it_waits_for() -> None:
    retrying = fold(Progress(), Retrying(2, "overloaded", 5.0))
    assert "the provider failed (overloaded), attempt 2" in view_run.live(HEADER, retrying, 1).head
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


def test_the_footer_has_the_figures_there_are() -> None:
    run = replace(RUN, tokens=Tokens(3000, 100, 20), cost=0.01234, model="mock/m1", refused=(Refusal("bash rm x"),))
    answer = view_run.answer(RunReport(run, SESSION, files_changed=1)).markdown
    assert answer.endswith("✓ #14 · run 3 · 12 s · 3,120 tokens · $0.0123 · `mock/m1` · 1 file changed")
    assert "Not allowed:\n- bash rm x" in answer
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


# ── what the agent asks ────────────────────────────────────────────────────────────────────────


def test_a_permission_has_three_buttons_in_a_row() -> None:
    [asking] = view_run.asking(ask(BASH))
    assert asking.markdown == "**#14** May it use **bash**?\n```\ngit push origin\n```"
    assert [[button.id for button in row] for row in asking.rows] == [["a1:once", "a1:always", "a1:reject"]]


def test_a_long_command_is_cut_and_cannot_end_its_fence() -> None:
    [asking] = view_run.asking(ask(replace(BASH, detail="```\n@everyone " + "x" * 5000)))
    assert len(asking.markdown) < 1700
    assert "````\n```\n@everyone" in asking.markdown
    assert asking.markdown.endswith("…\n````")


def test_each_question_has_its_choices_as_buttons() -> None:
    first, second = view_run.asking(ask(QuestionRequest("q", SES, (COLOUR, replace(COLOUR, multiple=True)))))
    assert [row[0].id for row in first.rows] == ["a1:q0c1", "a1:q0c2", "a1:reject"]
    assert [row[0].id for row in second.rows] == ["a1:q1c1", "a1:q1c2", "a1:reject"]
    assert all(len(button.label) <= view_run.LABEL for row in first.rows for button in row)
    assert "Which \\*colour\\*?\n1. red – like blood" in first.markdown
    assert "numbers, like 1, 3" in second.markdown
    assert "numbers" not in first.markdown


@pytest.mark.parametrize(
    ("decision", "by", "words"),
    [
        (Decision("once"), "Ann", "**Allowed once** by Ann at 12:05 UTC"),
        (Decision("always"), "Ann", "**Always allowed** by Ann at 12:05 UTC"),
        (Decision("reject", message="too _early_"), "Ann", "**Rejected** by Ann at 12:05 UTC: too \\_early\\_"),
        (Decision("reject", message="nobody answered"), "", "**Rejected** at 12:05 UTC"),
        (Decision("withdrawn"), "", "**No longer asked** at 12:05 UTC"),
    ],
)
def test_a_permission_says_who_decided_what_and_when(decision: Decision, by: str, words: str) -> None:
    settled = view_run.settled(ask(BASH, decision=decision, decided_at=NOW + timedelta(minutes=5)), 0, by)
    assert settled.endswith(words)


def test_a_question_does_too() -> None:
    request = QuestionRequest("q", SES, (COLOUR, COLOUR))
    answered = ask(request, decision=Decision("answer", (("red",), ("a*", "b"))), decided_at=NOW)
    assert view_run.settled(answered, 1, "Ann").endswith("**a\\*, b** – answered by Ann at 12:00 UTC")
    assert view_run.answered(answered, 0, "red", "Ann").endswith("**red** – chosen by Ann")
    rejected = ask(request, decision=Decision("reject", message="x"), decided_at=NOW)
    assert "**Rejected** by Ann" in view_run.settled(rejected, 0, "Ann")
    assert view_run.asked_again(answered, 0).endswith("**Asked again below**")
    assert "git push" in view_run.asked_again(ask(BASH), 0)


@given(st.text(min_size=1))
def test_nothing_an_agent_says_can_format_our_sentences(text: str) -> None:
    question = replace(COLOUR, text=text, choices=())
    [asking] = view_run.asking(ask(QuestionRequest("q", SES, (question,))))
    said = asking.markdown.removeprefix("**#14** ").rpartition("\n\nReply")[0]
    unescaped = said.replace("\\\\", "")
    for mark in "`*_[]<>~|#":
        assert unescaped.count(mark) == unescaped.count(f"\\{mark}")
    assert "\n" not in said


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
