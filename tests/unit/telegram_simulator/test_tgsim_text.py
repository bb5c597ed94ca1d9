"""Entities and markup: known cases and what must hold for any text."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.telegram import Refused
from tests.simulators.telegram.entities import find, finish, utf16_len, utf16_slice
from tests.simulators.telegram.markup import parse

KINDS = ["bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre", "blockquote", "text_link"]
TEXTS = st.text(st.sampled_from("ab \n😀é/@_*`[]()<>&.!|~#+-=\\{}"), max_size=40)


def shown(text: str, entities: Any) -> list[tuple[str, str]]:
    return [(e["type"], utf16_slice(text, e["offset"], e["length"])) for e in entities]


def test_what_telegram_finds_by_itself() -> None:
    text = "/start@kugetsu_bot x #tag @alice a@b.org https://e.org/a?b=1. 1/2 /é /stop"
    assert shown(text, find(text)) == [
        ("bot_command", "/start@kugetsu_bot"),
        ("hashtag", "#tag"),
        ("mention", "@alice"),
        ("email", "a@b.org"),
        ("url", "https://e.org/a?b=1"),
        ("bot_command", "/stop"),
    ]


LINKS = '<a href="https://e.org">e</a> <a href="tg://user?id=7">u</a>'
QUOTE = "<blockquote expandable>q</blockquote><tg-spoiler>s</tg-spoiler>"
STYLES = "*a _b_* __c__ ~d~ ||e||"
CODE = "```py\nx\n``` `y` [t](https://e.org/\\))"


@pytest.mark.parametrize(
    ("mode", "text", "plain", "entities"),
    [
        ("HTML", "<b>a<i>b</i></b>&lt;&amp;&#33;", "ab<&!", "bold:ab italic:b"),
        ("HTML", '<pre><code class="language-py">x</code></pre>', "x", "pre:x"),
        ("HTML", LINKS, "e u", "text_link:e text_mention:u"),
        ("HTML", QUOTE, "qs", "expandable_blockquote:q spoiler:s"),
        ("MarkdownV2", STYLES, "a b c d e", "bold:a_b italic:b underline:c strikethrough:d spoiler:e"),
        ("MarkdownV2", CODE, "x\n y t", "pre:x_ code:y text_link:t"),
        ("MarkdownV2", ">q\n>r\nrest", "q\nr\nrest", "blockquote:q_r_"),
        ("MarkdownV2", ">q\n>r||\nrest", "q\nr\nrest", "expandable_blockquote:q_r_"),
        ("Markdown", "*a* _b_ `c` [t](https://e.org)", "a b c t", "bold:a italic:b code:c text_link:t"),
    ],
)
def test_markup(mode: str, text: str, plain: str, entities: str) -> None:
    """Entities as kind and text, blanks as underscores."""
    got, found = parse(text, mode)
    found.sort(key=lambda e: (e["offset"], -e["length"]))
    assert got == plain
    pairs = [f"{kind}:" + re.sub(r"\s", "_", said) for kind, said in shown(got, found)]
    assert " ".join(pairs) == entities


def test_trimming_moves_entities() -> None:
    said = finish(" \n hello  \n", [{"type": "bold", "offset": 3, "length": 8}])
    assert (said.text, shown(said.text, said.entities)) == ("hello", [("bold", "hello")])


def test_nothing_lives_inside_code() -> None:
    entities = [{"type": "code", "offset": 2, "length": 3}, {"type": "bold", "offset": 0, "length": 8}]
    said = finish("ab@cdefgh", entities)
    assert shown(said.text, said.entities) == [("bold", "ab"), ("code", "@cd"), ("bold", "efg")]


@given(TEXTS, st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_entities_end_up_inside_the_text_and_nested(text: str, raw: list[tuple[str, int, int]]) -> None:
    entities = [
        {"type": kind, "offset": offset, "length": length, "url": "https://e.org"} for kind, offset, length in raw
    ]
    try:
        said = finish(text, entities)
    except Refused:
        return
    assert said.text == said.text.rstrip()
    for entity in said.entities:
        assert entity["length"] > 0
        assert 0 <= entity["offset"] <= entity["offset"] + entity["length"] <= utf16_len(said.text)
    for one, other in combinations([e for e in said.entities if e["type"] in KINDS], 2):
        assert not one["offset"] < other["offset"] < one["offset"] + one["length"] < other["offset"] + other["length"]


@given(TEXTS, st.sampled_from(["HTML", "MarkdownV2", "Markdown"]))
def test_markup_is_taken_or_refused_never_broken(text: str, mode: str) -> None:
    try:
        plain, entities = parse(text, mode)
    except Refused as error:
        refused = error.description
        plain, entities = "", []
    else:
        refused = ""
    assert not refused or refused.startswith("Bad Request: can't parse entities: ")
    for entity in entities:
        assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= utf16_len(plain)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_escaped_text_comes_out_as_it_went_in(text: str) -> None:
    escaped = "".join(f"\\{char}" if char in "_*[]()~`>#+-=|{}.!\\" else char for char in text)
    assert parse(escaped, "MarkdownV2") == (text, [])
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert parse(escaped, "HTML") == (text, [])
