"""Runs, received text, asks, deliveries and operations through the port."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from store_values import ANNA, HERE, KEY, THERE, WHEN, fork, session

from core.errors import NotFound
from core.model import (
    AskId,
    Choice,
    Decision,
    MessageId,
    PermissionRequest,
    PersonId,
    Place,
    Question,
    QuestionRequest,
    Refusal,
    RunId,
    RunState,
    SessionId,
    Tokens,
)
from core.ports import Ask, Chunk, Delivery, Store


async def test_runs_are_numbered_within_their_session_also_when_added_at_once(store: Store) -> None:
    added = await asyncio.gather(*(store.add_run(key, "go", ANNA, HERE) for key in (KEY, fork("a")) * 10))
    for key in (KEY, fork("a")):
        runs = await store.runs(key)
        assert [run.number for run in runs] == list(range(1, 11))
        assert sorted(run.id for run in runs) == sorted(run.id for run in added if run.session == key)


async def test_numbers_go_on_when_a_session_is_made_again(store: Store) -> None:
    await store.add_session(session())
    assert (await store.add_run(KEY, "one", ANNA, HERE)).number == 1
    await store.remove_session(KEY)
    await store.add_session(session())
    assert (await store.add_run(KEY, "two", ANNA, HERE)).number == 2


async def test_a_new_run_is_queued_and_a_saved_one_comes_back_whole(store: Store) -> None:
    run = await store.add_run(KEY, "mach's \x00 ’gut’ 👍", ANNA, THERE)
    assert (run.state, run.prompt, run.person, run.place, run.session) == (
        RunState.QUEUED,
        "mach's \x00 ’gut’ 👍",
        ANNA,
        THERE,
        KEY,
    )
    assert run.created.utcoffset() == timedelta(0)
    assert await store.run(run.id) == run
    over = replace(
        run,
        state=RunState.DONE,
        message_id=MessageId("msg_1"),
        started=WHEN.astimezone(timezone(timedelta(hours=5, minutes=30))),
        ended=WHEN + timedelta(seconds=1.5),
        text="Done.",
        error="e",
        error_code="c",
        model="mock/m1",
        cost=0.1 + 0.2,
        tokens=Tokens(1, 2, 3, 4, 5),
        refused=(Refusal("bash: rm *", "bash", ("rm *", "rm")), Refusal("question: why?")),
        snapshot_before="a" * 40,
        snapshot_after="b" * 40,
    )
    await store.save_run(over)
    assert await store.run(run.id) == over
    assert await store.runs(KEY) == [over]


@pytest.mark.parametrize("state", RunState)
async def test_unfinished_runs_are_those_that_are_not_over(store: Store, state: RunState) -> None:
    first = await store.add_run(fork("a"), "1", ANNA, HERE)
    second = replace(await store.add_run(KEY, "2", ANNA, HERE), state=state)
    await store.save_run(second)
    assert await store.unfinished_runs() == ([first] if state.over else [first, second])


async def test_what_is_not_there_is_not_saved(store: Store) -> None:
    run = await store.add_run(KEY, "go", ANNA, HERE)
    assert await store.run(RunId(run.id + 1)) is None
    with pytest.raises(NotFound):
        await store.save_run(replace(run, id=RunId(run.id + 1)))
    with pytest.raises(NotFound):
        await store.save_delivery(Delivery(1, "run:1:x", HERE, run.id, "sent"))
    with pytest.raises(NotFound):
        await store.save_ask(Ask(AskId("a"), run.id, KEY, QuestionRequest("q", SessionId("s"), ()), WHEN))


async def test_received_text_is_the_parts_in_order_until_the_run_is_over(store: Store) -> None:
    run = await store.add_run(KEY, "go", ANNA, HERE)
    other = await store.add_run(KEY, "go", ANNA, HERE)
    assert await store.received_text(run.id) == ""
    await store.append_text([])
    await store.append_text(
        [
            Chunk(run.id, "p2", ""),  # opened, nothing said yet
            Chunk(run.id, "p1", "Hel"),
            Chunk(other.id, "p1", "other"),
            Chunk(run.id, "p2", "Second"),
            Chunk(run.id, "p1", "lo"),
        ]
    )
    await store.append_text([Chunk(run.id, "p3", "\n\n"), Chunk(run.id, "p1", " wörld 👋")])
    assert await store.received_text(run.id) == "Hello wörld 👋\n\nSecond"
    await store.append_text([Chunk(run.id, "p1", "Bye", whole=True), Chunk(run.id, "p1", "!")])
    assert await store.received_text(run.id) == "Bye!\n\nSecond"
    await store.append_text([Chunk(run.id, "p4", "whole at once", whole=True)])
    assert await store.received_text(run.id) == "Bye!\n\nSecond\n\nwhole at once"
    await store.save_run(replace(run, state=RunState.RUNNING))
    assert await store.received_text(run.id) != ""
    await store.save_run(replace(run, state=RunState.CUT, text="Bye!"))
    assert await store.received_text(run.id) == ""
    await store.append_text([Chunk(run.id, "p4", "late"), Chunk(other.id, "p1", " text")])
    assert await store.received_text(run.id) == ""
    assert await store.received_text(other.id) == "other text"


async def test_half_an_emoji_does_not_cost_the_rest(store: Store) -> None:
    run = await store.add_run(KEY, "\ud83d\ude00 \ud83d", ANNA, HERE)
    await store.append_text([Chunk(run.id, "p", "before \ud83d"), Chunk(run.id, "p", " after")])
    assert await store.received_text(run.id) == "before \ufffd after"
    stored = await store.run(run.id)
    assert stored is not None
    assert stored.prompt == "😀 \ufffd"
    assert run == stored


PERMISSION = PermissionRequest("per_1", SessionId("ses_s"), "bash", ("git *", "rm *"), "git push", ("git *",))
QUESTION = QuestionRequest(
    "que_1",
    SessionId("ses_q"),
    (Question("Which?", "Which one", (Choice("A", "first"), Choice("B")), multiple=True), Question("", "Why?")),
)


@pytest.mark.parametrize("request_", [PERMISSION, QUESTION], ids=["permission", "question"])
async def test_asks(store: Store, request_: PermissionRequest | QuestionRequest) -> None:
    run = await store.add_run(KEY, "go", ANNA, HERE)
    ask = Ask(AskId("k1"), run.id, KEY, request_, WHEN)
    later = replace(ask, id=AskId("a0"), created=WHEN + timedelta(seconds=1))
    await store.add_ask(later)
    await store.add_ask(ask)
    assert await store.open_asks() == [ask, later]
    decision = Decision("answer", (("A", "free text"), ()), "because")
    await store.save_ask(replace(ask, decision=decision, decided_by=PersonId("console:local"), decided_at=WHEN))
    assert await store.open_asks() == [later]


async def test_deliveries_are_queued_once_a_place(store: Store) -> None:
    run = await store.add_run(KEY, "go", ANNA, HERE)
    assert await store.enqueue(run.id, []) == []
    queued = await store.enqueue(run.id, [THERE, HERE])
    assert [(row.key, row.place, row.run, row.state) for row in queued] == [
        (f'run:{run.id}:["console", "local", ""]', THERE, run.id, "pending"),
        (f'run:{run.id}:["telegram", "-100", "7"]', HERE, run.id, "pending"),
    ]
    await store.save_delivery(replace(queued[0], state="sending"))
    new = Place("matrix", "!r:example.org")
    again = await store.enqueue(run.id, [new, HERE, THERE])
    assert again[1:] == [queued[1], replace(queued[0], state="sending")]
    assert await store.pending_deliveries() == [again[2], again[1], again[0]]
    await store.save_delivery(replace(again[2], state="sent"))
    await store.save_delivery(replace(again[1], state="unknown"))
    assert await store.pending_deliveries() == [replace(again[1], state="unknown"), again[0]]
    assert (await store.enqueue(run.id, [THERE]))[0].state == "sent"


async def test_operations_go_on_where_they_stopped(store: Store) -> None:
    begun = await store.begin("start", KEY.key, {"branch": "b", "tries": [1, None, {"x": True}]})
    other = await store.begin("base", "p", {})
    assert (begun.kind, begun.subject, begun.done) == ("start", KEY.key, ())
    assert await store.open_operations() == [begun, other]
    assert await store.open_operations(kind="base") == [other]
    assert await store.open_operations(subject=KEY.key) == [begun]
    assert await store.open_operations(kind="base", subject=KEY.key) == []
    forked = await store.step_done(begun, "worktree")
    forked = await store.step_done(begun, "fork", {"session": "ses_1", "branch": "c"})
    assert forked.done == ("worktree", "fork")
    assert forked.data == {"branch": "c", "tries": [1, None, {"x": True}], "session": "ses_1"}
    assert await store.step_done(forked, "fork") == forked
    assert await store.open_operations() == [forked, other]
    await store.end(begun)
    await store.end(begun)
    assert await store.open_operations() == [other]
    with pytest.raises(NotFound):
        await store.step_done(begun, "prompt")
    await store.end(other)
    assert (await store.begin("start", "again", {})).id > other.id


async def test_only_json_is_kept_with_an_operation(store: Store) -> None:
    with pytest.raises(TypeError):
        await store.begin("start", KEY.key, {"path": object()})
    assert await store.open_operations() == []


async def test_audit(store: Store) -> None:
    await store.audit(ANNA, "destroy", KEY.key, HERE, "forced")
    await store.audit(ANNA, "destroy", KEY.key, None)
