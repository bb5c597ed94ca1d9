"""The fold: the same events give the same progress, and nothing changes that nobody can see."""

from dataclasses import replace
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from core.events import (
    AgentEvent,
    Asked,
    Finished,
    Metered,
    Outcome,
    Planned,
    Retrying,
    Said,
    Settled,
    Started,
    Step,
    StepState,
    Todo,
)
from core.model import MessageId, PermissionRequest, SessionId, Tokens
from core.progress import Progress, Text, fold

TEXT = st.text("ab \n", max_size=6)
STEP = st.builds(
    Step, st.sampled_from(["c1", "c2", "c3"]), st.just("bash"), st.sampled_from(StepState), st.sampled_from(["", "ls"])
)
REQUESTS = [PermissionRequest(f"per_{n}", SessionId("s"), "bash", ("ls",)) for n in range(3)]
ASKED = st.sampled_from(REQUESTS).map(Asked)
SETTLED = st.sampled_from(REQUESTS).map(lambda request: Settled(request.id))
SAID = st.builds(Said, st.sampled_from(["p1", "p2", "p3"]), TEXT, st.booleans(), st.just(False))
EVENTS = st.lists(
    st.one_of(
        SAID,
        STEP,
        ASKED,
        SETTLED,
        st.builds(Started, st.just(SessionId("s")), st.just(MessageId("m")), st.sampled_from(["", "a/b"])),
        st.builds(Planned, st.lists(st.builds(Todo, TEXT, st.just("pending")), max_size=2).map(tuple)),
        st.builds(Retrying, st.integers(1, 3), st.just("busy"), st.just(2.0)),
        st.builds(Metered, st.builds(Tokens, st.integers(0, 9), st.integers(0, 9)), st.just(0.0)),
    ),
    max_size=20,
)


def folded(events: list[AgentEvent]) -> Progress:
    return reduce(fold, events, Progress())


@given(EVENTS, st.lists(TEXT, max_size=6))
def test_text_only_grows_at_its_end_while_the_newest_part_is_written(
    before: list[AgentEvent], deltas: list[str]
) -> None:
    progress = folded(before)
    for delta in deltas:
        grown = fold(progress, Said("newest", delta))
        assert grown.text.startswith(progress.text)
        progress = grown


@given(EVENTS, STEP | ASKED | SETTLED | st.just(Finished(Outcome.DONE)))
def test_telling_it_twice_changes_nothing(before: list[AgentEvent], event: AgentEvent) -> None:
    once = fold(folded(before), event)
    assert fold(once, event) == once
    if not isinstance(event, Finished):
        assert fold(once, event) is once


@given(
    EVENTS, st.one_of(SAID, STEP, ASKED, SETTLED, st.just(Retrying(1, "busy", 2.0)), st.just(Metered(Tokens(), 0.0)))
)
def test_an_equal_progress_is_the_same_object(before: list[AgentEvent], event: AgentEvent) -> None:
    progress = folded(before)
    after = fold(progress, event)
    assert (after == progress) == (after is progress)


@given(st.lists(TEXT, max_size=8), EVENTS)
def test_the_whole_text_after_its_deltas_is_what_they_were(deltas: list[str], between: list[AgentEvent]) -> None:
    by_delta = folded([Said("newest", delta) for delta in deltas])
    whole = Said("newest", "".join(deltas), whole=True)
    assert fold(by_delta, whole) is by_delta
    assert folded([*between, whole]).text == folded([*between, *(Said("newest", delta) for delta in deltas)]).text


def test_items_stay_where_they_first_appeared() -> None:
    progress = folded(
        [
            Said("p1", "one"),
            Step("c1", "bash", StepState.PENDING),
            Said("p2", "two"),
            Step("c1", "bash", StepState.COMPLETED),
            Said("p1", "ONE", whole=True),
        ]
    )
    assert progress.items == (Text("p1", "ONE"), Step("c1", "bash", StepState.COMPLETED), Text("p2", "two"))
    assert progress.text == "ONE\n\ntwo"
    assert progress.steps == (Step("c1", "bash", StepState.COMPLETED),)


def test_reasoning_and_blank_parts_are_no_answer() -> None:
    progress = folded([Said("p0", "hm", reasoning=True), Said("p1", "\n"), Said("p2", "\nyes\n"), Said("p3", "")])
    assert progress.text == "yes"
    assert len(progress.items) == 3


def test_what_was_said_to_its_end_is_known_until_something_follows() -> None:
    going_on = folded([Said("p0", "hm", reasoning=True, final=True), Said("p1", "Hel")])
    assert going_on.said == ""
    said = folded([Said("p0", "hm", reasoning=True, final=True), Said("p1", "Hel"), Said("p1", "lo", final=True)])
    assert (said.said, said.text) == ("p1", "Hello")
    assert fold(said, Said("p1", "", final=True)) is said
    assert fold(said, Step("c", "bash", StepState.PENDING)).said == ""


def test_a_sub_agent_that_reuses_a_part_name_for_a_tool_stays_apart() -> None:
    progress = folded([Said("x", "text"), Step("x", "bash", StepState.RUNNING), Said("x", " more")])
    assert progress.text == "text more"


def test_usage_adds_up() -> None:
    progress = folded([Metered(Tokens(1, 2, 3, 4, 5), 0.25), Metered(Tokens(1, 1, 1, 1, 1), 0.5)])
    assert progress.tokens == Tokens(2, 3, 4, 5, 6)
    assert progress.cost == 0.75


def test_a_retry_is_shown_until_something_comes() -> None:
    retrying = folded([Retrying(1, "overloaded", 4.0)])
    assert retrying.retrying
    assert fold(retrying, Said("p", "on")).retrying is None
    assert fold(retrying, Step("c", "bash", StepState.RUNNING)).retrying is None


def test_the_model_once_known_stays() -> None:
    known = folded([Started(SessionId("s"), MessageId("m"), "a/b")])
    assert fold(known, Started(SessionId("s"), MessageId("m"))).model == "a/b"


@given(EVENTS)
def test_the_end_clears_what_was_asked_and_keeps_what_was_said(before: list[AgentEvent]) -> None:
    progress = folded(before)
    ended = fold(progress, Finished(Outcome.FAILED, "APIError", "no credit"))
    assert (ended.outcome, ended.error_code, ended.error) == (Outcome.FAILED, "APIError", "no credit")
    assert ended.asking == ()
    assert ended.retrying is None
    assert (
        replace(ended, outcome=None, error_code="", error="", asking=progress.asking, retrying=progress.retrying)
        == progress
    )
