"""Events of opencode: what is read, what is skipped, and that nothing in them is fatal."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from adapters.opencode import translate
from adapters.opencode.wire import (
    MessageUpdated,
    Part,
    PartDelta,
    PermissionAsked,
    QuestionRejected,
    SessionErrored,
    SessionSeen,
    StatusChanged,
    ToolState,
    WireDecoder,
)
from core.events import StepState
from core.model import SessionId


def event(kind: str, **properties) -> bytes:
    return json.dumps({"directory": "/p", "payload": {"type": kind, "properties": properties}}).encode()


def test_the_kinds_a_run_needs():
    decode = WireDecoder().decode
    info = {"id": "msg_2", "role": "assistant", "sessionID": "ses_1", "parentID": "msg_1", "future": {"a": [1]}}
    message = decode(event("message.updated", sessionID="ses_1", info=info))
    assert isinstance(message, MessageUpdated)
    assert (message.session, message.info.parent, message.info.completed) == ("ses_1", "msg_1", False)
    delta = decode(event("message.part.delta", sessionID="ses_1", messageID="m", partID="p", field="text", delta="Hi"))
    assert isinstance(delta, PartDelta)
    assert (delta.part, delta.delta) == ("p", "Hi")
    child = decode(event("session.created", sessionID="ses_2", info={"id": "ses_2", "parentID": "ses_1"}))
    assert isinstance(child, SessionSeen)
    assert child.info.parent == "ses_1"
    retry = decode(event("session.status", sessionID="s", status={"type": "retry", "attempt": 2, "next": 1.5e12}))
    assert isinstance(retry, StatusChanged)
    assert retry.status.attempt == 2
    rejected = decode(event("question.rejected", sessionID="s", requestID="que_1"))
    assert isinstance(rejected, QuestionRejected)
    assert rejected.rejected


def test_a_summary_is_true_on_answers_and_an_object_on_prompts():
    decode = WireDecoder().decode
    for summary, expected in ((True, True), (False, False), ({"diffs": [1]}, False)):
        info = {"id": "m", "role": "user", "summary": summary}
        message = decode(event("message.updated", info=info))
        assert isinstance(message, MessageUpdated)
        assert message.info.is_summary is expected


def test_an_error_without_a_session_and_with_a_stack_trace():
    decoded = WireDecoder().decode(event("session.error", error={"name": "E", "data": {"message": "Boom\n at x"}}))
    assert isinstance(decoded, SessionErrored)
    assert (decoded.session, decoded.error.data.message) == ("", "Boom\n at x")


def test_the_unknown_is_counted():
    decoder = WireDecoder()
    assert decoder.decode(event("tui.toast.show", title="x")) is None
    assert decoder.decode(b'{"payload": {"type": "sync", "syncEvent": {}}}') is None
    assert decoder.decode(event("message.updated", info=3)) is None
    assert decoder.decode(b"not json") is None
    assert dict(decoder.skipped) == {"tui.toast.show": 1, "sync": 1, "unreadable message.updated": 1, "unreadable": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = ["message.updated", "message.part.updated", "session.status", "permission.asked", "todo.updated", "sync"]


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(["info", "part", "sessionID", "id"]), json_values))
def test_no_event_is_fatal(kind, properties):
    WireDecoder().decode(event(kind, **properties))


@given(st.binary(max_size=60))
def test_no_bytes_are_fatal(data):
    WireDecoder().decode(data)


# ── translation ────────────────────────────────────────────────────────────────────────────────


def tool(name: str, arguments: object, **state) -> Part:
    raw = json.dumps(arguments).encode()
    return Part("prt_1", "tool", tool=name, state=ToolState(**{"status": "running", "input": raw, **state}))


def title(name: str, arguments: object, **state) -> str:
    step = translate.step(tool(name, arguments, **state), Path("/src/tree"))
    assert step is not None
    return step.title


def test_the_most_telling_line():
    assert title("write", {"content": "x", "filePath": "/src/tree/a/b.py"}) == "a/b.py"
    assert title("read", {"filePath": "/etc/passwd"}) == "/etc/passwd"
    assert title("read", {"filePath": "/src/tree-too/x"}) == "/src/tree-too/x"
    assert title("bash", {"description": "List", "command": "\n  ls -l\n  pwd"}) == "ls -l"
    assert title("grep", {"pattern": "def .*", "path": "/src/tree"}) == "def .*"
    assert title("task", {"description": "Look", "prompt": "long"}) == "Look"
    assert title("mcp_tool", {"depth": 3, "term": "moon"}) == "moon"
    assert title("todowrite", {"todos": []}, title="2 todos") == "2 todos"
    assert title("bash", '{"comm') == ""
    assert title("bash", {"command": "x" * 500}) == "x" * 199 + "…"


def test_a_step_whole():
    step = translate.step(tool("bash", {}, status="error", error="No"), Path("/p"), SessionId("ses_child"))
    assert step is not None
    assert (step.state, step.error, step.sub_agent) == (StepState.ERROR, "No", "ses_child")
    assert translate.step(tool("bash", {}, status="dreaming"), Path("/p")) is None


def test_long_output_keeps_both_ends():
    output = translate.clipped("a" * 50_000 + "z" * 50_000)
    assert len(output) < 20_100
    assert output.startswith("aaa")
    assert output.endswith("zzz")
    assert "80000 characters" in output
    assert translate.clipped("short") == "short"


def test_what_a_person_needs_to_decide():
    for metadata, detail in (
        ({"command": "rm -rf x"}, "rm -rf x"),
        ({"filepath": "/etc/hosts", "diff": "…"}, "/etc/hosts"),
        ({"url": "https://example.org"}, "https://example.org"),
        ({}, "/tmp/*, /var/*"),
    ):
        asked = PermissionAsked("per_1", "ses_1", "p", ["/tmp/*", "/var/*"], metadata, ["/tmp/*"])
        assert translate.permission_request(asked).detail == detail
