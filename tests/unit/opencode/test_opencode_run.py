"""The decisions of one run, on the orders of events that were seen with real servers (and some that were not)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from adapters.opencode.run import RunMachine
from adapters.opencode.wire import (
    CacheTokens,
    ErrorData,
    Message,
    MessageUpdated,
    Part,
    PartDelta,
    PartUpdated,
    PermissionAsked,
    RequestSettled,
    SessionDeleted,
    SessionErrored,
    SessionIdle,
    SessionInfo,
    Status,
    StatusChanged,
    StepTokens,
    StoredMessage,
    Time,
    WireError,
)
from core.events import Asked, Finished, Metered, Outcome, Retrying, Said, Settled, Started, Trouble
from core.model import MessageId, SessionId
from core.ports import AgentRun
from core.progress import Progress, fold

ROOT, OURS = "ses_root", "msg_05"
RUN = AgentRun(SessionId(ROOT), Path("/p"), MessageId(OURS), "hello")
DONE = Finished(Outcome.DONE)
ABORTED = WireError("MessageAbortedError", ErrorData("Aborted"))
IDLE = SessionIdle(ROOT)
GRACE = 3.0


def machine() -> RunMachine:
    return RunMachine(RUN, GRACE, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def user(number: int | str = OURS) -> MessageUpdated:
    name = number if isinstance(number, str) else f"msg_{number:02}"
    return MessageUpdated(Message(name, "user", ROOT))


def answer(number: int, parent: str = OURS, *, done: bool = False, **more) -> MessageUpdated:
    time = Time(completed=1.0 if done else None)
    return MessageUpdated(Message(f"msg_{number:02}", "assistant", ROOT, parent, "mock", "m1", time, **more))


def text(number: int, content: str, *, end: bool = False, part: str = "prt_1", kind: str = "text") -> PartUpdated:
    return PartUpdated(Part(part, kind, ROOT, f"msg_{number:02}", content, Time(end=1.0 if end else None)))


def delta(content: str, part: str = "prt_1") -> PartDelta:
    return PartDelta(ROOT, part, "text", content)


def fed(run: RunMachine, *events) -> list:
    return [told for event in events for told in run.feed(event)]


def stored(*events) -> list[StoredMessage]:
    messages: dict[str, StoredMessage] = {}
    for event in events:
        if isinstance(event, MessageUpdated):
            messages[event.info.id] = StoredMessage(event.info, [])
        else:
            messages[event.part.message].parts.append(event.part)
    return list(messages.values())


def said(events: list) -> str:
    progress = Progress()
    for event in events:
        progress = fold(progress, event)
    return progress.text


def test_a_plain_answer():
    run = machine()
    events = fed(
        run,
        user(),
        text(5, "hello"),
        answer(6),
        text(6, ""),
        delta("Hi"),
        delta(" there"),
        text(6, "Hi there", end=True),
        answer(6, done=True, finish="stop"),
        IDLE,
        IDLE,
    )
    assert events == [
        Started(RUN.session, RUN.message_id, "mock/m1"),
        Said("prt_1", "Hi"),
        Said("prt_1", " there"),
        Said("prt_1", "", final=True),
        DONE,
    ]


def test_what_the_deltas_did_not_give():
    run = machine()
    events = fed(run, user(), answer(6), text(6, ""), delta("Hi "), text(6, "Hi", end=True))
    assert events[-1] == Said("prt_1", "Hi", whole=True, final=True)
    assert said(events) == "Hi"
    assert fed(run, delta("late")) == []


def test_updates_that_lag_take_nothing_back():
    run = machine()
    fed(run, user(), answer(6), text(6, ""), delta("Hello"))
    assert fed(run, text(6, "He"), text(6, "")) == []


def test_reasoning_is_marked_and_is_no_answer():
    run = machine()
    events = fed(
        run, user(), answer(6), text(6, "", kind="reasoning"), delta("Hm"), answer(6, done=True, finish="stop")
    )
    assert events[-1] == Said("prt_1", "Hm", reasoning=True)
    assert fed(run, IDLE)[0].error_code == "no_answer"


def test_idles_of_the_prompt_before_end_nothing():
    run = machine()
    assert fed(run, IDLE, user(), IDLE) == []
    fed(run, answer(6), text(6, ""))
    assert fed(run, IDLE, delta("Hi"))[-1] == Said("prt_1", "Hi")
    assert fed(run, answer(6, done=True, finish="stop"), IDLE) == [DONE]


def test_answers_of_the_prompt_before_are_not_ours():
    run = machine()
    before = answer(4, "msg_03", done=True, finish="stop")
    assert fed(run, before, text(4, "old", end=True), user(), before) == []


def test_an_idle_between_two_steps_is_looked_into():
    run = machine()
    step = answer(6, done=True, finish="tool-calls")
    fed(run, user(), answer(6), step, IDLE)
    assert run.check_in == 0.0
    assert run.reconcile(stored(user(), step), busy=True, settled=False) == []
    assert fed(run, answer(7), text(7, "x"), answer(7, done=True, finish="stop"), IDLE)[-1] == DONE


def test_a_lost_idle_is_found_out():
    run = machine()
    last = answer(6, done=True, finish="stop")
    fed(run, user(), answer(6), text(6, "x", end=True), last)
    assert run.check_in == GRACE
    assert run.reconcile(stored(user(), last), busy=False, settled=True) == [DONE]


def test_an_abort_comes_in_two_parts():
    run = machine()
    run.stopping = True
    assert fed(run, user(), answer(6), SessionErrored(ROOT, ABORTED), IDLE)[1:] == []
    assert fed(run, answer(6, done=True, error=ABORTED), IDLE) == [Finished(Outcome.STOPPED)]


def test_an_abort_before_the_beginning_is_repeated():
    run = machine()
    run.stopping = True
    fed(run, user(), answer(6))
    assert run.abort_again


def test_what_it_says_after_a_stop_is_no_answer():
    run = machine()
    fed(run, user(), answer(6))
    run.stopping = True
    fed(run, answer(6, done=True, finish="tool-calls"), answer(7), text(7, "Late", end=True))
    assert fed(run, answer(7, done=True, finish="stop"), IDLE) == [Finished(Outcome.STOPPED)]


def test_an_answer_that_was_there_before_the_stop_counts():
    run = machine()
    fed(run, user(), answer(6), text(6, "Quick", end=True))
    run.stopping = True
    assert fed(run, answer(6, done=True, finish="stop"), IDLE) == [DONE]


def test_a_deleted_session():
    run = machine()
    fed(run, user(), answer(6))
    assert fed(run, SessionDeleted(SessionInfo(ROOT)))[0].error_code == "session_gone"


def test_an_abort_that_drops_what_waits():
    run = machine()
    fed(run, user(), SessionErrored(ROOT, ABORTED), IDLE)
    assert run.reconcile(stored(user()), busy=False, settled=False) == []
    assert run.reconcile(stored(user()), busy=False, settled=True) == [Finished(Outcome.STOPPED)]


def test_an_abort_while_it_waits_to_retry_has_no_error():
    run = machine()
    retry = StatusChanged(ROOT, Status("retry", 1, "Overloaded", 1767225602000))
    events = fed(run, user(), answer(6), retry, answer(6, done=True), IDLE)
    assert Retrying(1, "Overloaded", 2.0, Trouble.OVERLOADED) in events
    assert events[-1] == Finished(Outcome.STOPPED)


def test_an_error_and_its_stack_trace():
    run = machine()
    error = WireError("UnknownError", ErrorData("Model not found: mock/nope."))
    trace = WireError("UnknownError", ErrorData("ProviderModelNotFoundError: Model\n at x"))
    end = fed(run, user(), SessionErrored(ROOT, error), IDLE)
    assert end == [Finished(Outcome.FAILED, Trouble.UNKNOWN_MODEL, "Model not found: mock/nope.")]
    following = machine()
    fed(following, SessionErrored(ROOT, trace), user(), answer(6), text(6, "x"))
    assert fed(following, answer(6, done=True, finish="stop"), IDLE) == [DONE]


def test_an_error_instead_of_the_prompt():
    run = machine()
    fed(run, SessionErrored(ROOT, WireError("UnknownError", ErrorData("Agent not found: nope"))))
    assert run.check_in == GRACE
    assert run.reconcile([], busy=False, settled=True)[0].error == "Agent not found: nope"


@pytest.mark.parametrize(("messages", "code"), [((), "not_taken"), ((user(),), "no_answer")])
def test_nothing_happens(messages, code):
    run = machine()
    fed(run, IDLE)
    assert run.reconcile(stored(*messages), busy=True, settled=True) == []
    assert run.reconcile(stored(*messages), busy=False, settled=False) == []
    assert run.check_in == GRACE
    assert run.reconcile(stored(*messages), busy=False, settled=True)[0].error_code == code


def test_a_restart_cuts_what_was_not_over():
    for messages in ((), (user(),), (user(), answer(6)), (user(), answer(6, done=True, finish="tool-calls"))):
        end = machine().reconcile(stored(*messages), busy=False, settled=False, restarted=True)[-1]
        assert (end.outcome, end.error_code) == (Outcome.CUT, "agent_died")
    over = stored(user(), answer(6, done=True, finish="stop"), text(6, "x", end=True))
    assert machine().reconcile(over, busy=False, settled=False, restarted=True)[-1] == DONE


def test_after_a_restart_the_empty_text_takes_nothing_back():
    run = machine()
    fed(run, user(), answer(6), text(6, ""), delta("Received"))
    events = run.reconcile(stored(user(), answer(6), text(6, "")), busy=False, settled=False, restarted=True)
    assert [type(event) for event in events] == [Finished]


def test_compaction_is_followed_and_not_told():
    full = WireError("ContextOverflowError", ErrorData("Too long"))
    compaction = PartUpdated(Part("prt_c", "compaction", ROOT, "msg_07", auto=True))
    history = (
        user(),
        answer(6, done=True),
        user(7),
        compaction,
        answer(8, "msg_07", done=True, finish="stop", summary=b"true"),
        text(8, "A summary", part="prt_s", end=True),
        user(9),
        answer(10, "msg_09", done=True, finish="stop"),
        text(10, "After", end=True),
    )
    run = machine()
    events = fed(run, *history[:2], SessionErrored(ROOT, full), *history[2:], IDLE)
    assert said(events) == "After"
    assert events[-1] == DONE
    late = machine()
    events = late.reconcile(stored(*history, user(11), answer(12, "msg_11")), busy=False, settled=False)
    assert said(events) == "After"
    assert events[-1] == DONE
    again = machine()
    fed(again, *history)
    again.reconcile(stored(*history), busy=True, settled=False)
    assert fed(again, user(11), answer(12, "msg_11"))[-1] == DONE  # the next prompt is not taken for a replay


def test_a_manual_compaction_is_another_prompt():
    run = machine()
    fed(run, user(), answer(6), text(6, "x", end=True), answer(6, done=True, finish="stop"))
    manual = PartUpdated(Part("prt_c", "compaction", ROOT, "msg_07"))
    assert fed(run, user(7), manual, answer(8, "msg_07", summary=b"true")) == [DONE]


def test_another_prompt_takes_over_between_steps():
    run = machine()
    fed(run, user(), answer(6), answer(6, done=True, finish="tool-calls"), user(7))
    assert fed(run, answer(8, "msg_07"))[0].error_code == "overtaken"


def test_rejecting_without_a_reason():
    run = machine()
    asked = PermissionAsked("per_1", "ses_child", "bash", ["rm *"])
    events = fed(run, user(), answer(6), asked, asked, RequestSettled("ses_child", "per_1", "reject"))
    assert [type(event) for event in events] == [Started, Asked, Settled]
    fed(run, answer(6, done=True, finish="tool-calls"), IDLE)
    end = run.reconcile(stored(user(), answer(6, done=True, finish="tool-calls")), busy=False, settled=False)[-1]
    assert (end.outcome, end.error_code) == (Outcome.STOPPED, "rejected")


def test_use_is_counted_once_and_sub_agents_count():
    used = StepTokens(100, 20, 3, CacheTokens(4, 5))
    own = PartUpdated(Part("prt_f", "step-finish", ROOT, "msg_06", tokens=used, cost=0.5))
    childs = PartUpdated(Part("prt_g", "step-finish", "ses_child", "msg_x", tokens=used, cost=0.25))
    run = machine()
    events = fed(run, user(), answer(6), own, own, childs)
    assert [event.cost for event in events if isinstance(event, Metered)] == [0.5, 0.25]
    assert events[-1].tokens.cache_write == 5
    assert [event.context for event in events if isinstance(event, Metered)] == [132, 0]


def test_after_a_summary_the_conversation_is_as_long_as_that():
    used = StepTokens(100_000, 200)
    run = machine()
    fed(run, user(), answer(6, summary=Raw(b"true")))
    events = fed(run, PartUpdated(Part("prt_f", "step-finish", ROOT, "msg_06", tokens=used)))
    assert [event.context for event in events] == [200]


EVENTS = [
    user(),
    user(7),
    answer(6),
    answer(6, done=True, finish="tool-calls"),
    answer(6, done=True, finish="stop"),
    answer(6, done=True, error=ABORTED),
    answer(8),
    answer(8, "msg_07", done=True, finish="stop"),
    text(6, ""),
    delta("Hi"),
    text(6, "Hi", end=True),
    SessionErrored(ROOT, ABORTED),
    SessionErrored(ROOT, WireError()),
    IDLE,
    PermissionAsked("per_1", ROOT),
    RequestSettled(ROOT, "per_1", "reject"),
    PartUpdated(Part("prt_c", "compaction", ROOT, "msg_07", auto=True)),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=25), st.booleans())
def test_however_it_goes_there_is_one_end_and_it_is_last(events, restarted):
    run = machine()
    told = fed(run, *events)
    messages = stored(*(event for event in events if isinstance(event, MessageUpdated)))
    told += run.reconcile(messages, busy=False, settled=True, restarted=restarted)
    assert run.over
    assert [event for event in told if isinstance(event, Finished)] == told[-1:]
    assert run.reconcile(messages, busy=False, settled=True) == []
