from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.console import render, wire
from adapters.console.asks import Choice, OpenAsk
from adapters.console.completion import matches
from adapters.console.desk import tail
from adapters.console.transcript import Transcript
from core.events import Todo
from core.model import Button, Question, Tokens
from core.model import Choice as Option

nasty = st.text(
    st.sampled_from("ab \n\t\r\x00\x07\x08\x1b[]?;0123mHPX\\\x7f\x9b\x9d\u202e\u2066`*#") | st.characters(), max_size=40
)


def harmless(text: str) -> bool:
    return all(c in "\n\t" or unicodedata.category(c) != "Cc" for c in text) and not set(text) & set("\u202e\u2066")


@settings(deadline=None)
@given(nasty)
def test_no_control_character_survives(text: str) -> None:
    assert harmless(render.clean(text))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGk=\x07", ""),
        ("\x9b2Jx", "x"),
        ("cut off \x1b[3", "cut off "),
        ("a\r\nb\tc", "a\nb\tc"),
        ("über ☃ 漢字", "über ☃ 漢字"),
    ],
)
def test_sequences_go_as_a_whole(text: str, clean: str) -> None:
    assert render.clean(text) == clean


foreign = {
    "reply": lambda t: render.reply(wire.Reply(1, ok=True, text=t)),
    "refusal": lambda t: render.reply(wire.Reply(1, ok=False, text=t)),
    "tool": lambda t: [render.tool(wire.Tool("t", 1, "i", t, "error", t, t, t))],
    "plan": lambda t: render.plan(wire.Plan("t", 1, (Todo(t, t),))),
    "permission": lambda t: render.permission(wire.Permission("t", 1, "a", t, (t,), t, (Button("b", t),))),
    "question": lambda t: render.question(wire.Questions("t", 1, "a", (Question(t, t, (Option(t, t),)),), ()), 0),
    "decided": lambda t: [render.decided(wire.Decided("t", "a", t, t, None))],
    "finished": lambda t: render.finished(wire.Finished("t", 1, ok=False, error=t, refused=(t,))),
    "label": lambda t: [(("", render.label(f"o/r#1{t}", t)),)],
}


@pytest.mark.parametrize("what", foreign)
@settings(deadline=None)
@given(text=nasty)
def test_nothing_foreign_brings_control_characters(what: str, text: str) -> None:
    lines = foreign[what](text)
    assert harmless("".join(map(render.plain, lines)))
    assert all("\n" not in render.plain(line) for line in lines)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["p", "q"]), nasty), max_size=8))
def test_a_stream_brings_no_control_characters_however_it_is_cut(deltas: list[tuple[str, str]]) -> None:
    transcript = Transcript()
    for part, text in deltas:
        for line in transcript.feed(wire.Text("t", 1, part, text)):
            assert harmless(render.plain(line))
        assert harmless(transcript.partial)


@settings(deadline=None)
@given(st.text("ab\n`# ", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_a_stream_says_the_whole_text_once(text: str, cuts: list[int]) -> None:
    transcript = Transcript()
    lines: list[str] = []
    marks = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(marks):
        lines += map(render.plain, transcript.feed(wire.Text("t", 1, "p", text[start:end])))
    assert "\n".join([*lines, transcript.partial]) == text


def test_a_correction_says_again_from_the_first_line_that_changed() -> None:
    transcript = Transcript()
    transcript.feed(wire.Text("t", 1, "p", "one\ntwo\nthr"))
    lines = transcript.feed(wire.Text("t", 1, "p", "one\nTWO\nthree", whole=True))
    assert [render.plain(line) for line in lines] == ["TWO"]
    assert transcript.partial == "three"


def test_tools_are_lines_when_they_end_and_shown_while_they_run() -> None:
    transcript = Transcript()
    transcript.feed(wire.Text("t", 1, "p", "I look"))
    assert transcript.feed(wire.Tool("t", 1, "s", "read", "running", "README.md")) == []
    assert [render.plain(step) for step in transcript.steps] == ["⚙ read README.md …"]
    lines = transcript.feed(wire.Tool("t", 1, "s", "read", "completed", "README.md"))
    assert [render.plain(line) for line in lines] == ["I look", "⚙ read README.md ✓"]
    assert transcript.steps == []
    assert transcript.partial == ""


def test_the_footer() -> None:
    ended = wire.Finished("t", 1, ok=True, cost=0.0123, duration=185, tokens=Tokens(1200, 34))
    assert [render.plain(line) for line in render.finished(ended)] == ["✓ 3 min 5 s · 1.2k tokens · $0.01"]
    failed = wire.Finished("t", 1, ok=False, error="boom", refused=("bash: git push",))
    assert [render.plain(line) for line in render.finished(failed)] == [
        "✗ boom",
        "  0.0 s · /retry runs it again",
        "  refused, as nobody allowed it: bash: git push",
    ]
    offered = wire.Finished("t", 1, ok=True, refused=("bash: git push",), buttons=(Button("b", "Retry with bash"),))
    assert render.plain(render.finished(offered)[-1]) == "  /retry --allow allows that from now on, and runs it again"
    doubt = wire.Finished("t", 1, ok=False, error="who knows", code="agent_in_doubt")
    assert [render.plain(line) for line in render.finished(doubt)] == ["✗ who knows", "  0.0 s"]


@pytest.mark.parametrize(
    ("thread", "title", "label"),
    [
        ("github.com/o/r#14", "implement login", "#14 implement login"),
        ("github.com/o/r#14", "#14 implement login", "#14 implement login"),
        ("github.com/o/r#14~idea", "github.com/o/r#14~idea: try it", "#14~idea try it"),
        ("gitlab.com/o/r!3", "", "!3"),
        ("github.com/o/r#14", "x" * 80, "#14 " + "x" * 31 + "…"),
    ],
)
def test_labels(thread: str, title: str, label: str) -> None:
    assert render.label(thread, title) == label


BUTTONS = (Button("a:once", "Once"), Button("a:always", "Always"), Button("a:reject", "Reject"))


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("1", Choice("a:once")),
        (" 2 ", Choice("a:always")),
        ("3", Choice("a:reject")),
        ("3 not on main", Choice("a:reject", "not on main")),
        ("3: why?", Choice("a:reject", "why?")),
        ("1 apple", None),
        ("33", None),
        ("yes", None),
    ],
)
def test_answers_to_a_permission(typed: str, choice: Choice | None) -> None:
    assert OpenAsk(wire.Permission("t", 1, "a", "bash", (), "", BUTTONS)).take(typed) == choice


def test_questions_are_put_one_by_one_and_answered_together() -> None:
    questions = (Question("Colour", "Which?", (Option("red"), Option("blue"))), Question("", "How big?"))
    ask = OpenAsk(wire.Questions("t", 1, "a", questions, (Button("a:answer", "Answer"), Button("a:reject", "Reject"))))
    assert "Which?" in "".join(map(render.plain, ask.show()))
    assert ask.take("1,2") is None
    assert "How big?" in "".join(map(render.plain, ask.show()))
    assert ask.take("quite\tbig") == Choice("a:answer", "1,2\nquite big")
    assert ask.take("-") == Choice("a:reject")


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("/st", [("st", "start"), ("st", "stop")]),
        ("!sto", [("sto", "stop")]),
        ("/help st", [("st", "start"), ("st", "stop")]),
        ("/start #1", [("#1", "github.com/o/r#14")]),
        ("/start ", [("", "github.com/o/r#14")]),
        ("/start github.com/o/r#14 do ", []),
        ("hello st", []),
    ],
)
def test_completion(before: str, found: list[tuple[str, str]]) -> None:
    hints = [wire.Hint("start"), wire.Hint("stop"), wire.Hint("list")]
    assert [(word, text) for word, text, _ in matches(before, hints, {"github.com/o/r#14"})] == found


def test_the_unfinished_paragraph_is_cut_to_its_last_rows() -> None:
    assert tail("abcdefgh", 3, 2, [1] * 8) == ["def", "gh"]
    assert tail("漢字漢", 4, 9, [2] * 3) == ["漢字", "漢"]
    assert tail("", 4, 2, []) == [""]
