"""Standing permission rules."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import PermissionRequest, PermissionRule, SessionId
from core.rules import verdict


def asks(permission: str, *patterns: str) -> PermissionRequest:
    return PermissionRequest("per_1", SessionId("ses_1"), permission, patterns)


def rule(permission: str, pattern: str, action: str) -> PermissionRule:
    return PermissionRule(permission, pattern, action)


def test_without_a_matching_rule_people_are_asked() -> None:
    assert verdict(asks("bash", "ls"), []) == "ask"
    assert verdict(asks("bash", "ls"), [rule("edit", "*", "allow")]) == "ask"


def test_the_last_match_wins() -> None:
    rules = [rule("bash", "*", "allow"), rule("bash", "rm *", "deny"), rule("*", "rm -i *", "ask")]
    assert verdict(asks("bash", "ls"), rules) == "allow"
    assert verdict(asks("bash", "rm x"), rules) == "deny"
    assert verdict(asks("bash", "rm -i x"), rules) == "ask"
    assert verdict(asks("bash", "rm x"), [*rules, rule("bash", "*", "allow")]) == "allow"


def test_all_patterns_must_be_allowed_and_one_denied_is_enough() -> None:
    rules = [rule("bash", "git *", "allow"), rule("bash", "rm *", "deny")]
    assert verdict(asks("bash", "git status", "git log"), rules) == "allow"
    assert verdict(asks("bash", "git status", "ls"), rules) == "ask"
    assert verdict(asks("bash", "git status", "ls", "rm x"), rules) == "deny"


def test_a_request_without_patterns_is_one_for_everything() -> None:
    assert verdict(asks("webfetch"), [rule("webfetch", "*", "allow")]) == "allow"
    assert verdict(asks("webfetch"), [rule("webfetch", "https://*", "allow")]) == "ask"


@pytest.mark.parametrize(
    ("wildcard", "text", "matches"),
    [
        ("*", "", True),
        ("*", "any/thing\nat all", True),
        ("/tmp/*", "/tmp/a/b", True),
        ("/tmp/*", "/tmp", False),
        ("/tmp/*", "/tmpx/a", False),
        ("file?.py", "file1.py", True),
        ("file?.py", "file.py", False),
        ("file?.py", "file12.py", False),
        ("git *", "git", True),
        ("git *", "git status --short", True),
        ("git *", "github", False),
        ("git status *", "git status", True),
        ("[ab].py", "[ab].py", True),
        ("[ab].py", "a.py", False),
        ("a.b", "axb", False),
        ("(x|y)+$", "(x|y)+$", True),
        ("^a", "a", False),
        ("LS", "ls", False),
    ],
)
def test_wildcards(wildcard: str, text: str, matches: bool) -> None:
    answer = verdict(asks("bash", text), [rule("bash", wildcard, "allow")])
    assert answer == ("allow" if matches else "ask")


@given(st.text("ab*?/. ", max_size=8), st.text("ab/. ", max_size=8))
def test_wildcards_are_those_of_a_shell_without_brackets(wildcard: str, text: str) -> None:
    expected = fnmatch.fnmatchcase(text, wildcard)
    if wildcard.endswith(" *"):
        expected = expected or fnmatch.fnmatchcase(text, wildcard[:-2])
    # A request whose pattern is empty still is one.
    assert (verdict(asks("bash", text), [rule("bash", wildcard, "allow")]) == "allow") == expected


@given(st.text(max_size=20))
def test_a_pattern_of_plain_characters_matches_itself(text: str) -> None:
    plain = text.replace("*", "").replace("?", "")
    assert verdict(asks("bash", plain), [rule("bash", plain, "deny")]) == "deny"
