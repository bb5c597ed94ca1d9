from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_telegram_render_rules import check, mentions, parts, size

from adapters.telegram import markdown as reader
from adapters.telegram.render import Entity, Page, plain, render, render_live

UNSEEN = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc\U000e0000-\U000e0fff]"
)

# fmt: off
snippets = st.sampled_from([
    "**", "*", "_", "`", "```", "```py\n", "~~", "> ", "- ", "  - ", "1. ", "# ", "\n", "\n\n", "---\n", "    ", "\t",
    "| a | b |\n|---|---|\n", "| c | d |\n", "[x](https://x.org/y)", "![a](b)", "@bob", "$x^2$", "\\[a_1\\]", "<b>",
    "👍", "👩\u200d👩\u200d👧", "🇩🇪", "e\u0301", "中文", "word ", "Sentence. ",
    "\u2060", "\u200d", "\u202e", "\ud800", "\r\n", "__x__", "https://x.org/_a_ ",
])
hostile = [
    "[" * 3000, "*a" * 3000, "`" * 3000, "> " * 3000, "[a](" * 2000, "**a" * 2000, "$x" * 3000, "- " * 2000, "<" * 5000,
    "| a " * 2000 + "\n" + "|-" * 2000, "\\[" * 3000, "@" * 5000, "~" * 5000, "```\n" * 2000, "![" * 2000, "_a" * 3000,
    "\n" * 9000, " " * 9000, "`" + " " * 9000 + "x`", "\u0301" * 9000, "a\u200d" * 5000, "👍\u200d" * 5000,
    "://" * 3000,
]
# fmt: on
documents = st.lists(snippets | st.text(max_size=12), max_size=60).map("".join)


def seen(text: str) -> str:
    return UNSEEN.sub("", text)


@settings(deadline=None, max_examples=300)
@given(documents, st.integers(64, 300))
@example("```py\n" + "    x = 1\n" * 40 + "```", 64)
@example("> " + "word " * 100, 64)
@example("`" + " " * 300 + "x`", 64)
@example("👍" * 200, 65)
@example("[x](https://x.org/y)@bob", 64)
@example("**`\n`_", 64)
def test_every_page_is_a_message_and_nothing_is_lost(markdown: str, limit: int) -> None:
    pages = render(markdown, limit)
    for page in pages:
        check(page, limit)
        assert size(plain(page, limit)) <= limit
        assert not mentions(Page(plain(page, limit)))
    whole = reader.parse(markdown).text
    assert "".join(seen(page.text) for page in pages) == seen(whole)
    assert len(pages) <= 1 + 6 * size(whole) / limit


@settings(deadline=None)
@given(documents, st.integers(-3, 63))
def test_it_ends_with_any_limit(markdown: str, limit: int) -> None:
    pages = render(markdown, limit)
    assert all(size(page.text) <= max(limit, 2) for page in pages)
    assert len(pages) <= len(reader.parse(markdown))


@settings(deadline=None)
@given(st.text("abc *_`>-#\n|[]<&$!:1.", max_size=80).filter(lambda text: "```" not in text))
def test_no_letter_is_lost_in_markdown(markdown: str) -> None:
    letters = re.sub(r"[^abc]", "", markdown)
    assert re.sub(r"[^abc]", "", reader.parse(markdown).text) == letters


@settings(deadline=None)
@given(documents, st.integers(0, 200))
def test_any_beginning_can_be_rendered(markdown: str, end: int) -> None:
    for page in render(markdown[:end]):
        check(page, 4096)


def test_paragraphs_first() -> None:
    pages = render("One two. Three.\nFour five six.\n\n" + "Seven eight. Nine ten.\n" * 3, 60)
    assert [page.text for page in pages] == [
        "One two. Three.\nFour five six.",
        "Seven eight. Nine ten.\nSeven eight. Nine ten.",
        "Seven eight. Nine ten.",
    ]


def test_then_sentences_words_and_anywhere() -> None:
    assert [page.text for page in render("First one is short. Second goes on and on", 30)] == [
        "First one is short.",
        "Second goes on and on",
    ]
    assert [page.text for page in render("one two three four", 10)] == ["one two", "three four"]
    assert [page.text for page in render("x" * 25, 10)] == ["x" * 10, "x" * 10, "x" * 5]


def test_no_character_is_torn() -> None:
    family = "👩‍👩‍👧"  # 8 units
    assert [page.text for page in render(family * 3, 20)] == [family * 2, family]
    assert [page.text for page in render("e\u0301" * 5, 5)] == ["e\u0301" * 2, "e\u0301" * 2, "e\u0301"]
    assert [page.text for page in render("🇩🇪" * 3, 6)] == ["🇩🇪"] * 3


def test_code_goes_on_with_language_and_indentation() -> None:
    code = "".join(f"    line_{number} = {number}\n" for number in range(20))
    pages = render(f"Text:\n\n```python\n{code}```\nEnd.", 100)
    assert pages[0].text.startswith("Text:")
    assert all(page.entities[-1].language == "python" for page in pages)
    assert all(page.text.startswith("    line_") for page in pages[1:])
    lines = [line for page in pages for line in page.text.splitlines()]
    assert [line for line in lines if line.startswith("    ")] == code.splitlines()


def test_code_that_fits_stays_whole() -> None:
    code = "\n".join(["x = 1"] * 10)
    first, second = render(f"{'Some words. ' * 5}\n```py\n{code}\n```", 90)
    assert first.text == ("Some words. " * 5).strip()
    assert parts(second) == [("pre", code, "py")]


def test_quotes_and_emphasis_go_on() -> None:
    pages = render("> **" + "many words " * 30 + "end**", 100)
    assert len(pages) > 3
    for page in pages:
        assert [entity.type for entity in page.entities] == ["expandable_blockquote", "bold"]
        assert page.entities[0] == Entity("expandable_blockquote", 0, size(page.text))


@pytest.mark.parametrize("text", hostile)
def test_no_text_takes_for_ever(text: str) -> None:
    began = time.process_time()
    render(text)
    render_live("head", [text], text)
    assert time.process_time() - began < 5
