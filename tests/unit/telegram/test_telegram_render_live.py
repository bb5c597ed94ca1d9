from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from test_telegram_render_rules import check, parts
from test_telegram_render_split import documents

from adapters.telegram.render import LIMIT, render_live

HEAD = "**#14** run 3 · running · 12 s"
LINES = ["⚙ read `core/model.py` ✓", "⚙ bash `pytest -q`"]


@settings(deadline=None, max_examples=300)
@given(documents, st.lists(documents, max_size=5), documents, st.integers(64, 400))
def test_always_one_message(head: str, lines: list[str], body: str, limit: int) -> None:
    check(render_live(head, lines, body, limit), limit)


@settings(deadline=None)
@given(documents, st.integers(0, 400))
def test_at_any_moment(body: str, end: int) -> None:
    check(render_live(HEAD, LINES, body[:end], 200), 200)


def test_all_of_it_while_there_is_room() -> None:
    page = render_live(HEAD, LINES, "Text **so** far.")
    assert page.text == ("#14 run 3 · running · 12 s\n⚙ read core/model.py ✓\n⚙ bash pytest -q\n\nText so far.")
    assert parts(page) == [("bold", "#14"), ("code", "core/model.py"), ("code", "pytest -q"), ("bold", "so")]


def test_head_alone() -> None:
    assert render_live(HEAD, [], "").text == "#14 run 3 · running · 12 s"
    assert render_live("", [], "").text == "…"


def test_the_end_of_a_long_text() -> None:
    body = "".join(f"Line {number} of the text.\n" for number in range(1000)) + "The **end"
    page = render_live(HEAD, LINES, body)
    check(page, LIMIT)
    assert len(page.text) > 3000
    assert page.text.startswith("#14 run 3")
    assert "\n\n…\nLine " in page.text
    assert page.text.endswith("Line 999 of the text.\nThe end")
    assert parts(page)[-1] == ("bold", "end")


def test_within_code() -> None:
    body = "Look:\n\n```python\n" + "".join(f"    x_{number} = 1\n" for number in range(1000)) + "    y ="
    page = render_live(HEAD, [], body)
    check(page, LIMIT)
    kind, code, language = parts(page)[-1]
    assert (kind, language) == ("pre", "python")
    assert code.startswith("    x_")
    assert code.endswith("    x_999 = 1\n    y =")
    assert "\n\n…\n    x_" in page.text


def test_code_that_ended_before_is_over() -> None:
    body = "```py\nx\n```\n" + "Some words. " * 400 + "*end*"
    assert {entity.type for entity in render_live(HEAD, [], body).entities} == {"bold", "italic"}


def test_words_without_lines() -> None:
    page = render_live(HEAD, [], "word " * 2000)
    assert "\n\n… word word" in page.text or "\n\n…\nword word" in page.text


def test_the_oldest_lines_go() -> None:
    lines = [f"⚙ bash command number {number}" for number in range(200)]
    page = render_live(HEAD, lines, "text " * 2000)
    check(page, LIMIT)
    assert page.text.startswith("#14 run 3 · running · 12 s\n…\n⚙ bash command number")
    assert "number 199\n\n…" in page.text
    assert page.text.count("⚙") > 60
    assert 2000 < len(page.text.split("\n\n…")[1]) < 2200


def test_one_long_line_is_shortened() -> None:
    page = render_live(HEAD, ["⚙ " + "x" * 9000], "the text")
    check(page, LIMIT)
    assert page.text.endswith("xxx…\n\nthe text")


def test_marks_do_not_flicker() -> None:
    assert render_live("h", [], "a **b").text == "h\n\na b"
    assert render_live("h", [], "a **").text == "h\n\na"
    assert parts(render_live("h", [], "a `b")) == [("code", "b")]
    assert render_live("h", [], "a\n``").text == "h\n\na"
    assert render_live("h", [], "a\n```").text == "h\n\na"
    assert parts(render_live("h", [], "```py\nx = `a")) == [("pre", "x = `a", "py")]
