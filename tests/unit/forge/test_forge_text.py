"""What other people wrote, made fit to be passed on."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.forge import text


@given(st.text(), st.integers(1, 50))
def test_a_block_is_bounded_and_has_no_controls(written: str, limit: int) -> None:
    shown = text.block(written, limit)
    assert len(shown) <= limit + len(text.CUT)
    assert all(char in "\n\t" or unicodedata.category(char) != "Cc" for char in shown)
    assert text.block(shown, limit + len(text.CUT)) == shown.strip()


@given(st.text(), st.integers(2, 50))
def test_a_line_is_one_and_bounded(written: str, limit: int) -> None:
    shown = text.line(written, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert shown == shown.strip()


def test_what_is_kept() -> None:
    assert text.block(" a\r\n\tb\rc 🧑‍🚒\u202e ", 100) == "a\n\tb\nc 🧑‍🚒\u202e"
    assert text.line("a\n b\u2028c 🧑‍🚒\u202e") == "a b c 🧑‍🚒"
    assert text.block(None, 1) == text.line(None) == ""
    assert text.block("abc", 2) == "ab… (cut)"
    assert text.line("abc", 2) == "a…"


@pytest.mark.parametrize("url", ["https://github.com/a/b/issues/1", "http://[::1]:3000/a/b/issues/1#x"])
def test_links(url: str) -> None:
    assert text.link(url) == url


@pytest.mark.parametrize(
    "url", [None, "", "javascript:x", "https:", "https://a b", "https://a\x1b", "http://[", f"https://{'a' * 2000}"]
)
def test_no_links(url: str | None) -> None:
    assert text.link(url) == ""
