"""Sentences people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import view
from core.access import Role
from core.commands import TABLE
from core.errors import KugetsuError
from core.model import (
    PermissionRequest,
    Person,
    PersonId,
    Place,
    Question,
    QuestionRequest,
    Run,
    RunId,
    RunState,
    Session,
    SessionId,
    SessionState,
)
from core.sessions import session_title, title_of
from tests.fakes.world import key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAIN = Session(key(), Path("/w/14"), "kugetsu/14", "s", "do it", SessionState.IDLE, NOW, NOW)


def fork(name: str, parent: Session) -> Session:
    return replace(MAIN, key=key(name=name), parent=parent.key)


def test_an_error_says_what_failed_and_what_to_do() -> None:
    assert view.error(KugetsuError("It failed.", "Try again.")).markdown == "It failed.\nTry again."
    assert view.error(KugetsuError("It failed.")).markdown == "It failed."


def test_forks_are_listed_below_what_they_were_forked_from() -> None:
    idea = fork("idea", MAIN)
    deep = fork("deep", idea)
    other = replace(MAIN, key=key(15))
    lines = view.sessions([MAIN, other, deep, idea], NOW).markdown.splitlines()
    assert [line.split(" · ")[0] for line in lines] == [
        "github.com/shoko/kugetsu#14",
        "  └ github.com/shoko/kugetsu#14~idea",
        "    └ github.com/shoko/kugetsu#14~deep",
        "github.com/shoko/kugetsu#15",
    ]


def test_nobody_is_missing_from_the_list_when_a_parent_is_gone() -> None:
    idea = fork("idea", MAIN)
    deep = fork("deep", idea)
    deepest = fork("deepest", deep)
    listed = view.sessions([idea, deep, deepest], NOW).markdown
    assert "parent is gone" in listed
    for session in (idea, deep, deepest):
        assert sum(f"{session.key} " in f"{line} " for line in listed.splitlines()) == 1


def test_an_empty_list_says_how_to_begin() -> None:
    assert "/start" in view.sessions([], NOW).markdown


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3, minutes=59), "3 h ago"),
        (timedelta(days=40), "40 d ago"),
        (timedelta(seconds=-5), "just now"),
    ],
)
def test_ages(age: timedelta, said: str) -> None:
    assert said in view.sessions([replace(MAIN, updated=NOW - age)], NOW).markdown


def test_status_names_what_a_person_needs() -> None:
    place = Place("fake", "c")
    run = Run(RunId(1), key(), 1, "do it", PersonId("p"), place, RunState.FAILED, NOW, error="no credit", cost=0.25)
    said = view.status(MAIN, [run], 2, [place], ["https://t.me/c/1/2"], 0.25, NOW).markdown
    for part in ("github.com/shoko/kugetsu#14", "do it", "idle", "/w/14", "kugetsu/14", "2 waiting", "fake:c", "$0.25"):
        assert part in said
    assert "no credit" in said


def test_help_shows_what_a_person_may() -> None:
    for role in Role:
        said = view.help_all(role).markdown
        for spec in TABLE:
            assert (f"/{spec.name}" in said.split()) == (role >= spec.role)
        assert all(len(line) <= 100 for line in said.splitlines())
        assert len(said.splitlines()) <= 12  # what a phone shows without scrolling


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.name)
def test_help_of_a_command_has_its_options_and_examples(spec: object) -> None:
    said = view.help_one(spec).markdown  # type: ignore[arg-type]
    for example in spec.examples:  # type: ignore[attr-defined]
        assert f"/{example}" in said
    for option in spec.options:  # type: ignore[attr-defined]
        assert f"--{option.name}" in said


@pytest.mark.parametrize(
    ("person", "line"), [("telegram:1", "[telegram:1]"), ("matrix:@a:example.org", '["matrix:@a:example.org"]')]
)
def test_whoami_is_a_line_for_the_configuration(person: str, line: str) -> None:
    assert f"access: {{admins: {line}}}" in view.whoami(Person(PersonId(person), "A"), Role.NONE).markdown


def test_requests_in_a_line() -> None:
    session = SessionId("s")
    assert view.request_line(PermissionRequest("p", session, "bash", ("a", "b"))) == "bash a b"
    assert view.request_line(PermissionRequest("p", session, "bash", ("a",), "a --all")) == "bash a --all"
    assert view.request_line(PermissionRequest("p", session, "webfetch", ())) == "webfetch"
    assert view.request_line(QuestionRequest("q", session, (Question("", "A?"), Question("", "B?")))) == (
        "question: A? / B?"
    )


@given(st.text(max_size=200))
def test_titles_are_one_short_line(message: str) -> None:
    title = title_of(message)
    assert len(title) <= 60
    assert len(title.splitlines()) <= 1
    assert session_title(replace(MAIN, title=title)).startswith(f"kugetsu {key()}")
