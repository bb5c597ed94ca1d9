"""What becomes of a message after each thing that can happen to it; and docs/delivery.md against the code."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import delivery
from core.delivery import (
    FEW,
    FRESH,
    LONGEST,
    MOVES,
    BacklogPolicy,
    after_crash,
    after_failure,
    not_found,
    outdated,
    pause,
)
from core.errors import (
    ChatDenied,
    ChatDoubt,
    ChatError,
    ChatFormat,
    ChatLimited,
    ChatUnreachable,
    KugetsuError,
    PlaceGone,
)
from core.messages import Page, Post, PostKind, PostState
from core.model import Button, Inbound, Person, PersonId, Place

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE, ELSEWHERE = Place("fake", "1", "t1"), Place("fake", "1")
BUTTONS = ((Button("b", "B"),),)


def post(state: PostState = PostState.SENDING, kind: PostKind = PostKind.ANSWER, **changes: object) -> Post:
    made = Post("k", HERE, kind, Page("text", "formatted"), NOW, buttons=BUTTONS, state=state, attempts=2)
    return replace(made, **changes)  # type: ignore[arg-type]


ERRORS: list[KugetsuError] = [
    ChatUnreachable("down"),
    ChatDoubt("?"),
    ChatLimited("slow", 30.0),
    ChatDenied("revoked"),
    ChatFormat("entities"),
    ChatError("no"),
    PlaceGone("gone"),
    PlaceGone("gone", instead=ELSEWHERE),
    PlaceGone("gone", instead=HERE),
]
S = PostState


@pytest.mark.parametrize(
    ("error", "sending", "unknown"),
    [
        (ChatUnreachable("x"), S.PENDING, S.UNKNOWN),
        (ChatDoubt("x"), S.UNKNOWN, S.UNKNOWN),
        (ChatLimited("x", 30.0), S.PENDING, S.UNKNOWN),
        (ChatDenied("x"), S.PENDING, S.UNKNOWN),
        (ChatFormat("x"), S.PENDING, S.PENDING),
        (ChatError("x"), S.DROPPED, S.PENDING),
        (PlaceGone("x"), S.DROPPED, S.DROPPED),
        (PlaceGone("x", instead=ELSEWHERE), S.PENDING, S.PENDING),
        (PlaceGone("x", instead=HERE), S.DROPPED, S.DROPPED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, KugetsuError) else str(value),
)
def test_every_state_and_error(error: KugetsuError, sending: PostState, unknown: PostState) -> None:
    now, _ = after_failure(post(S.SENDING), error)
    assert (now.state, now.attempts, now.note) == (sending, 3, "x")
    assert not now.repeat, "it is known not to be there"
    sought, _ = after_failure(post(S.UNKNOWN), error)
    assert sought.state is unknown
    assert sought.repeat == (unknown is S.PENDING), "what may be there already and is sent again says so"


@given(st.sampled_from([S.SENDING, S.UNKNOWN]), st.sampled_from(ERRORS), st.integers(0, 10**6), st.booleans())
def test_moves_are_kept_and_pauses_bounded(state: PostState, error: KugetsuError, attempts: int, repeat: bool) -> None:
    before = post(state, attempts=attempts, repeat=repeat)
    after, seconds = after_failure(before, error)
    assert after.state is state or after.state in MOVES[state]
    assert 0.0 <= seconds <= LONGEST
    assert (after.key, after.id, after.kind) == (before.key, before.id, before.kind)
    assert after.repeat or not repeat, "a doubt is never forgotten"


def test_a_message_that_is_refused_again_and_again_comes_to_an_end() -> None:
    now, seen = post(), []
    while now.state is not S.DROPPED:
        seen.append((now.page.format, now.buttons))
        now, seconds = after_failure(replace(now, state=S.SENDING), ChatFormat("no"))
        assert seconds == 0.0
        assert now.page.text == "text"
    assert seen == [("formatted", BUTTONS), ("", BUTTONS), ("", ())]


def test_a_place_that_moves_takes_the_message_along() -> None:
    now, seconds = after_failure(post(), PlaceGone("gone", instead=ELSEWHERE))
    assert (now.place, now.state, seconds) == (ELSEWHERE, S.PENDING, 0.0)


@given(st.integers(0, 10**9))
def test_pauses_grow_and_are_bounded(attempts: int) -> None:
    assert pause(attempts) <= pause(attempts + 1) <= LONGEST
    assert pause(0) == 0.5


def test_after_a_crash_only_what_was_being_sent_is_in_doubt() -> None:
    for state in PostState:
        left = after_crash(post(state))
        assert left.state is (S.UNKNOWN if state is S.SENDING else state)
        assert left.state is state or left.state in MOVES[state]
    assert not_found(post(S.UNKNOWN)).repeat
    assert not_found(post(S.UNKNOWN)).state in MOVES[S.UNKNOWN]


@given(st.lists(st.tuples(st.sampled_from(PostKind), st.integers(0, 3600)), max_size=20))
def test_only_old_news_is_ever_summed_up_and_only_when_there_is_much(waiting: list[tuple[PostKind, int]]) -> None:
    posts = [
        post(S.PENDING, kind, key=str(n), created=NOW - timedelta(seconds=age)) for n, (kind, age) in enumerate(waiting)
    ]
    old = outdated(posts, NOW)
    assert not old or len(old) > FEW
    assert all(each.kind in {PostKind.NOTICE, PostKind.REPLY} and NOW - each.created > FRESH for each in old)
    news = [p for p in posts if p.kind in {PostKind.NOTICE, PostKind.REPLY} and NOW - p.created > FRESH]
    assert old == (news if len(news) > FEW else [])


# ── what came while nobody read ────────────────────────────────────────────────────────────────


def sent(minutes: float) -> Inbound:
    return Inbound(
        "fake", str(minutes), HERE, Person(PersonId("fake:ann"), "Ann"), "do", NOW - timedelta(minutes=minutes)
    )


@pytest.mark.parametrize(
    ("ages", "dropped", "ask"),
    [
        ([], 0, False),
        ([1], 0, False),
        ([9, 5, 1], 0, False),
        ([9, 8, 7, 6], 0, True),
        ([11], 0, True),
        ([11, 1], 0, True),
        ([25 * 60], 1, False),
        ([25 * 60, 1], 1, False),
        ([26 * 60, 25 * 60, 11], 2, True),
    ],
)
def test_the_policy_for_what_came_while_nobody_read(ages: list[float], dropped: int, ask: bool) -> None:
    found = delivery.backlog([sent(age) for age in ages], NOW, BacklogPolicy())
    assert (found.dropped, found.ask) == (dropped, ask)


@given(
    st.lists(st.integers(0, 3000), max_size=8).map(lambda ages: sorted(ages, reverse=True)),
    st.integers(0, 5),
    st.integers(0, 60),
    st.integers(60, 3000),
)
def test_nothing_is_dropped_that_could_be_asked_about(ages: list[int], above: int, after: int, drop: int) -> None:
    policy = BacklogPolicy(timedelta(minutes=after), above, timedelta(minutes=drop))
    found = delivery.backlog([sent(age) for age in ages], NOW, policy)
    assert found.dropped == sum(age > drop for age in ages)
    kept = ages[found.dropped :]
    assert found.ask == bool(kept and (len(kept) > above or max(kept) > after))


# ── the picture ────────────────────────────────────────────────────────────────────────────────

DOCS = Path(__file__).parents[3] / "docs" / "delivery.md"


def drawn(heading: str) -> dict[str, set[str]]:
    """The moves of the mermaid diagram below `heading`."""
    text = DOCS.read_text()
    diagram = re.search(rf"### {heading}\n.*?```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    assert diagram, f"docs/delivery.md has no diagram of {heading}"
    moves: dict[str, set[str]] = {}
    for line in diagram[1].splitlines():
        if move := re.match(r"\s*(\w+|\[\*\]) --> (\w+|\[\*\])", line):
            moves.setdefault(move[1], set()).add(move[2])
    return moves


def test_the_documented_states_of_a_message_are_those_of_the_code() -> None:
    moves = drawn("A message on its way out")
    assert moves.pop("[*]") == {"pending"}
    for state in PostState:
        ends = {"[*]"} if not MOVES[state] else set()
        assert moves.get(state.value, set()) - {"[*]"} == {move.value for move in MOVES[state]}, state
        assert moves.get(state.value, set()) >= ends, state
    assert set(moves) <= {state.value for state in PostState}


def test_every_promise_names_tests_that_exist() -> None:
    table = re.findall(r"^\| .* \| .* \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    named = [name for cell in table for name in re.findall(r"`(tests/[^`]+)`", cell)]
    assert len(named) >= 15
    for name in named:
        file, _, test = name.partition("::")
        path = Path(__file__).parents[3] / file
        assert path.exists(), name
        assert not test or f"def {test}" in path.read_text(), name
