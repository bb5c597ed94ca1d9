from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.console import wire
from core.events import Todo
from core.model import Button, Choice, Question, Tokens

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.integers(0, 2**53 - 1)
amounts = st.floats(0, 1e9, allow_nan=False)
times = st.datetimes(timezones=st.just(UTC))
todos = st.builds(Todo, text, text)
buttons = st.lists(st.builds(Button, text, text), max_size=2).map(tuple)
questions = st.lists(
    st.builds(Question, text, text, st.lists(st.builds(Choice, text, text), max_size=2).map(tuple), st.booleans()),
    max_size=2,
).map(tuple)
data = st.recursive(st.none() | st.booleans() | text, lambda v: st.lists(v) | st.dictionaries(text, v), max_leaves=5)
tokens = st.builds(Tokens, numbers, numbers, numbers, numbers, numbers)

requests = (
    st.builds(wire.Hello, text, st.booleans(), st.booleans(), text, st.booleans())
    | st.builds(wire.Say, numbers, text, text)
    | st.builds(wire.Press, numbers, text, text, text)
    | st.builds(wire.Watch, text)
)
responses = (
    st.builds(wire.Welcome, text, st.booleans(), st.tuples(text), st.tuples(st.builds(wire.Hint, text, text)))
    | st.builds(wire.Reply, numbers, st.booleans(), text, text, data, buttons, st.none() | text, st.none() | numbers)
    | st.builds(wire.Started, text, numbers, numbers, *([text] * 9))
    | st.builds(wire.Text, text, numbers, text, text, st.booleans())
    | st.builds(wire.Reasoning, text, numbers, text, text, st.booleans())
    | st.builds(wire.Tool, text, numbers, *([text] * 6))
    | st.builds(wire.Plan, text, numbers, st.tuples(todos))
    | st.builds(wire.Retry, text, numbers, numbers, text, amounts)
    | st.builds(wire.Permission, text, numbers, text, text, st.tuples(text), text, buttons)
    | st.builds(wire.Questions, text, numbers, text, questions, buttons)
    | st.builds(wire.Decided, text, text, text, text, st.none() | times)
    | st.builds(wire.Notice, text, text, buttons)
    | st.builds(
        wire.Finished,
        *(text, st.none() | numbers, st.booleans(), *([text] * 8)),
        amounts,
        tokens,
        amounts,
        st.tuples(text),
    )
)


@settings(deadline=None)
@given(requests)
def test_requests_come_back_as_they_were_on_one_line(request: wire.Request) -> None:
    line = wire.encode(request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert wire.decode_request(line) == request


@settings(deadline=None)
@given(responses)
def test_responses_come_back_as_they_were_on_one_line(response: wire.Response) -> None:
    line = wire.encode(response)
    assert line.count(b"\n") == 1
    assert wire.decode_response(line) == response


@settings(deadline=None)
@given(st.binary(max_size=60) | text.map(str.encode) | st.just(b"[" * 5000))
def test_garbage_is_refused(line: bytes) -> None:
    try:
        wire.decode_request(line)
    except wire.Malformed:
        return


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"op":"fly"}', b'{"op":"say","id":"x"}', b'{"op":"say"}\xff'])
def test_what_is_no_request_is_malformed(line: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode_request(line)


def test_unknown_fields_and_missing_optional_ones_are_fine() -> None:
    assert wire.decode_request(b'{"op":"say","id":3,"text":"x","new":1}') == wire.Say(3, "x")


def test_half_surrogates_become_question_marks() -> None:
    assert wire.decode_request(wire.encode(wire.Say(1, "a\ud800b"))) == wire.Say(1, "a?b")


def test_the_documented_shape_of_the_last_event() -> None:
    finished = wire.Finished("t", 1, ok=True, tokens=Tokens(1, 2, 3, 4, 5))
    assert wire.encode(finished) == (
        b'{"type":"finished","thread":"t","run":1,"ok":true,"ref":"","name":"","session":"","directory":"",'
        b'"branch":"","text":"","error":"","code":"","cost":0.0,'
        b'"tokens":{"input":1,"output":2,"reasoning":3,"cache_read":4,"cache_write":5},"duration":0.0,"refused":[],"buttons":[]}\n'
    )
