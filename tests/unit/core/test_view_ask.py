"""A request as a message: what can be pressed, what is chosen so far, who decided what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import view_ask
from core.model import AskId, Choice, Decision, PermissionRequest, Question, QuestionRequest, RunId, SessionId
from core.ports import Ask
from core.view_run import LABEL
from tests.fakes.world import key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SES = SessionId("ses")
BASH = PermissionRequest("per_1", SES, "bash", ("git push",), "git push origin")
COLOUR = Question("Colour", "Which *colour*?", (Choice("red", "like blood"), Choice("x" * 60)))
SIZES = Question("Sizes", "Which sizes?", (Choice("S"), Choice("M")), multiple=True)


def ask(request: PermissionRequest | QuestionRequest, **changes: object) -> Ask:
    return replace(Ask(AskId("a1"), RunId(7), key(), request, NOW), **changes)  # type: ignore[arg-type]


def buttons(asking: view_ask.Asking) -> list[list[str]]:
    return [[button.id for button in row] for row in asking.rows]


def labels(asking: view_ask.Asking) -> list[str]:
    return [button.label for row in asking.rows for button in row]


def test_a_permission_can_be_allowed_and_rejected_with_a_reason() -> None:
    asking = view_ask.asking(ask(BASH))
    assert asking.markdown == "**#14** May it use **bash**?\n```\ngit push origin\n```"
    assert buttons(asking) == [["a1:once", "a1:always"], ["a1:reject", "a1:why"]]


def test_a_long_command_is_cut_and_cannot_end_its_fence() -> None:
    asking = view_ask.asking(ask(replace(BASH, detail="```\n@everyone " + "x" * 5000)))
    assert len(asking.markdown) < 1700
    assert "````\n```\n@everyone" in asking.markdown
    assert asking.markdown.endswith("…\n````")


def test_a_single_question_is_answered_by_one_press() -> None:
    asking = view_ask.asking(ask(QuestionRequest("q", SES, (COLOUR,))))
    assert buttons(asking) == [["a1:q0c1"], ["a1:q0c2"], ["a1:reject"]]
    assert all(len(label) <= LABEL for label in labels(asking))
    assert "Which \\*colour\\*?\n1. red – like blood" in asking.markdown


def test_several_questions_are_one_form() -> None:
    asking = view_ask.asking(ask(QuestionRequest("q", SES, (COLOUR, SIZES))))
    assert buttons(asking) == [["a1:q0c1"], ["a1:q0c2"], ["a1:q1c1"], ["a1:q1c2"], ["a1:send"], ["a1:reject"]]
    assert labels(asking)[0] == "1 ○ red"
    assert labels(asking)[2] == "2 ☐ S"
    assert labels(asking)[4] == "Send (2 open)"
    assert "**2** Which sizes? (several)\n☐ S\n☐ M" in asking.markdown


def test_a_form_of_single_choices_goes_with_the_last_of_them() -> None:
    asking = view_ask.asking(ask(QuestionRequest("q", SES, (COLOUR, COLOUR))))
    assert "a1:send" not in [button for row in buttons(asking) for button in row]


def test_a_form_shows_what_is_chosen() -> None:
    chosen = {0: ("red",), 1: ("M", "a *own* one")}
    asking = view_ask.asking(ask(QuestionRequest("q", SES, (COLOUR, SIZES)), answers=chosen))
    assert "◉ red – like blood" in asking.markdown
    assert "☐ S\n☑ M\n✎ a \\*own\\* one" in asking.markdown
    assert labels(asking)[-2:] == ["Send", "Do not answer"]


def test_several_choices_of_one_question_are_a_form_too() -> None:
    asking = view_ask.asking(ask(QuestionRequest("q", SES, (SIZES,)), answers={0: ("S",)}))
    assert labels(asking) == ["☑ S", "☐ M", "Send", "Do not answer"]


@pytest.mark.parametrize(
    ("decision", "by", "words"),
    [
        (Decision("once"), "Ann", "**Allowed once** by Ann at 12:05 UTC"),
        (Decision("always"), "Ann", "**Always allowed** by Ann at 12:05 UTC"),
        (Decision("reject", message="too _early_"), "Ann", "**Rejected** by Ann at 12:05 UTC: too \\_early\\_"),
        (Decision("reject", message="Nobody came. Go on."), "", "**Rejected** at 12:05 UTC: Nobody came"),
        (Decision("withdrawn"), "", "**No longer asked** at 12:05 UTC"),
    ],
)
def test_a_permission_says_who_decided_what_and_when(decision: Decision, by: str, words: str) -> None:
    settled = view_ask.settled(ask(BASH, decision=decision, decided_at=NOW + timedelta(minutes=5)), by)
    assert settled.endswith(words)


def test_a_form_does_too() -> None:
    request = QuestionRequest("q", SES, (COLOUR, COLOUR))
    answered = ask(request, decision=Decision("answer", (("red",), ("a*", "b"))), decided_at=NOW)
    said = view_ask.settled(answered, "Ann")
    assert "**red**" in said
    assert said.endswith("**a\\*, b** – answered by Ann at 12:00 UTC")
    rejected = ask(request, decision=Decision("reject", message="x"), decided_at=NOW)
    assert "**Rejected** by Ann" in view_ask.settled(rejected, "Ann")
    assert view_ask.asked_again(answered).endswith("**Asked again below**")
    assert "git push" in view_ask.asked_again(ask(BASH))


@given(st.text(min_size=1))
def test_nothing_an_agent_says_can_format_our_sentences(text: str) -> None:
    question = replace(COLOUR, text=text, choices=())
    asking = view_ask.asking(ask(QuestionRequest("q", SES, (question,))))
    said = asking.markdown.removeprefix("**#14** ").rpartition("\n\nReply")[0]
    unescaped = said.replace("\\\\", "")
    for mark in "`*_[<>~|#":
        assert unescaped.count(mark) == unescaped.count(f"\\{mark}")
    assert "\n" not in said
