"""Messages on their way, who is paired, and runs changed in place, through the port."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from store_values import ANNA, HERE, KEY, WHEN, inbound, session

from core.errors import NotFound
from core.messages import Page, Post, PostKind, PostState
from core.model import AskId, Button, Person, PersonId, Place, RunState
from core.ports import MADE, Store, source_of

TOPIC = Place("telegram", "-100", "8")


def post(key: str, **changes: object) -> Post:
    made = Post(key, HERE, PostKind.NOTICE, Page("text 𝔘", '[{"type": "bold"}]'), WHEN)
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_a_message_comes_back_as_it_was_put(store: Store) -> None:
    await store.add_session(session())
    run = await store.add_run(KEY, "do", ANNA, HERE)
    full = post(
        "k",
        kind=PostKind.ASK,
        buttons=((Button("a:once", "Allow once"), Button("a:reject", "Reject")), (Button("x", "…"),)),
        silent=False,
        reply_to="7",
        file="/w/report.pdf",
        file_name="report.pdf",
        run=run.id,
        ask=AskId("a"),
        state=PostState.UNKNOWN,
        message="12",
        attempts=3,
        repeat=True,
        after="11",
        note="why",
    )
    [stored] = await store.add_posts([full])
    assert stored == replace(full, id=stored.id)
    assert await store.post("k") == stored
    assert await store.post("other") is None


async def test_a_key_is_added_once_and_comes_back_as_it_is_now(store: Store) -> None:
    first, second = await store.add_posts([post("1"), post("2")])
    assert first.id < second.id
    await store.save_post(replace(first.in_state(PostState.SENT), message="9"))
    again, third = await store.add_posts([post("1", page=Page("another text")), post("3")])
    assert (again.state, again.message, again.page.text) == (PostState.SENT, "9", "text 𝔘")
    assert third.id > second.id
    assert await store.add_posts([]) == []


async def test_many_at_once_keep_their_order(store: Store) -> None:
    stored = await store.add_posts([post(str(number)) for number in range(50)])
    assert [each.key for each in stored] == [str(number) for number in range(50)]
    assert [each.id for each in stored] == sorted(each.id for each in stored)
    both = await asyncio.gather(*(store.add_posts([post("same")]) for _ in range(5)))
    assert len({each.id for [each] in both}) == 1


async def test_what_was_never_added_cannot_be_saved(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.save_post(post("k", id=99))


async def test_open_ones_are_to_be_sent_or_to_be_closed(store: Store) -> None:
    states = {}
    for kind in (PostKind.NOTICE, PostKind.ASK, PostKind.LIVE, PostKind.ANSWER):
        for state in PostState:
            states[f"{kind}/{state}"] = (kind, state)
    await store.add_posts([post(key, kind=kind, state=state) for key, (kind, state) in states.items()])
    await store.add_posts([post("elsewhere", place=Place("discord", "1"))])
    found = await store.open_posts("telegram")
    assert [each.id for each in found] == sorted(each.id for each in found)
    closable = {PostKind.ASK, PostKind.LIVE}
    waiting = {PostState.PENDING, PostState.SENDING, PostState.UNKNOWN}
    expected = {
        key
        for key, (kind, state) in states.items()
        if state in waiting or (state is PostState.SENT and kind in closable)
    }
    assert {each.key for each in found} == expected


async def test_they_are_found_by_message_by_run_and_by_request(store: Store) -> None:
    await store.add_session(session())
    run = await store.add_run(KEY, "do", ANNA, HERE)
    await store.add_posts(
        [
            post("1", run=run.id, message="5", state=PostState.SENT),
            post("2", run=run.id, ask=AskId("a"), place=TOPIC, message="6", state=PostState.SENT),
            post("3", message="5", place=Place("telegram", "-200"), state=PostState.SENT),
        ]
    )
    found = await store.post_at("telegram", "-100", "6")
    assert found
    assert (found.key, found.place) == ("2", TOPIC)
    assert await store.post_at("discord", "-100", "6") is None
    assert await store.post_at("telegram", "-100", "7") is None
    assert [each.key for each in await store.posts_of(run=run.id)] == ["1", "2"]
    assert [each.key for each in await store.posts_of(ask=AskId("a"))] == ["2"]


async def test_the_newest_message_known_in_a_chat(store: Store) -> None:
    assert await store.newest_message("telegram", "-100") == ""
    await store.receive(inbound("1", message="99"))
    assert await store.newest_message("telegram", "-100") == "99"
    await store.add_posts([post("1", message="100", place=TOPIC, state=PostState.SENT), post("2", message="")])
    assert await store.newest_message("telegram", "-100") == "100", "numbers, not texts"
    assert await store.newest_message("telegram", "-200") == ""


async def test_a_chat_moves_with_all_that_is_in_it(store: Store) -> None:
    await store.add_session(session())
    await store.attach(HERE, KEY)
    run = await store.add_run(KEY, "do", ANNA, HERE, message="5")
    [sent] = await store.add_posts([post("1", message="6", state=PostState.SENT)])
    row = await store.receive(inbound("1", message="5"))
    assert row
    await store.move_chat("telegram", "-100", "-200")
    moved = replace(HERE, chat="-200")
    assert await store.places(KEY) == [moved]
    kept = await store.run(run.id)
    assert kept
    assert kept.place == moved
    assert await store.post_at("telegram", "-200", "6") == replace(sent, place=moved)
    received = await store.inbound_of("telegram", "-200", "5")
    assert received
    assert received.inbound.place == moved
    await store.move_chat("telegram", "-200", "-200")


async def test_a_place_that_is_taken_already_is_not_moved_onto(store: Store) -> None:
    await store.add_session(session())
    await store.attach(HERE, KEY)
    await store.attach(replace(HERE, chat="-200"), KEY)
    await store.move_chat("telegram", "-100", "-200")
    assert replace(HERE, chat="-200") in await store.places(KEY)


# ── the inbox of chats ─────────────────────────────────────────────────────────────────────────


async def test_several_are_received_together_and_only_once(store: Store) -> None:
    first = await store.receive_all([inbound("1", message="1"), inbound("2", message="2"), inbound("1")])
    assert [each.inbound.event_id for each in first] == ["1", "2"]
    assert first[0].row < first[1].row
    again = await store.receive_all([inbound("2"), inbound("3")])
    assert [each.inbound.event_id for each in again] == ["3"]


async def test_what_belongs_together_is_closed_together(store: Store) -> None:
    await store.add_session(session())
    run = await store.add_run(KEY, "do", ANNA, HERE)
    one, two, three = await store.receive_all([inbound(str(n), message=str(n)) for n in range(3)])
    await store.begin(MADE, source_of(one.row), {"session": "x"})
    other = await store.begin(MADE, source_of(three.row), {"session": "y"})
    await store.close_inbound(one.row, "accepted", "", run.id, [two.row])
    assert [each.row for each in await store.open_inbound("telegram")] == [three.row]
    part = await store.inbound_of("telegram", "-100", "1")
    assert part
    assert (part.outcome, part.run) == ("accepted", run.id)
    assert await store.open_operations() == [other], "what it was about to make is forgotten with it"
    with pytest.raises(NotFound):
        await store.close_inbound(three.row, "accepted", "", None, [99])
    assert [each.row for each in await store.open_inbound("telegram")] == [three.row], "all or nothing"


async def test_messages_are_held_for_a_question_and_let_go(store: Store) -> None:
    one, two = await store.receive_all([inbound("1"), inbound("2")])
    await store.hold_inbound([one.row, two.row], "q")
    assert [each.held for each in await store.open_inbound("telegram")] == ["q", "q"]
    await store.hold_inbound([two.row], "")
    assert [each.held for each in await store.open_inbound("telegram")] == ["q", ""]
    await store.close_inbound(one.row, "ignored", "discarded")
    assert [each.row for each in await store.open_inbound("telegram")] == [two.row]


async def test_the_last_message_of_a_person_is_the_one_to_explain(store: Store) -> None:
    assert await store.last_inbound(ANNA, HERE) is None
    await store.receive_all(
        [
            inbound("1", text="one"),
            inbound("2", text="two"),
            inbound("3", text="edited", edited=True),
            inbound("4", text="/why"),
            inbound("5", text="!why"),
            inbound("6", text="elsewhere", place=TOPIC),
            inbound("7", text="not hers", person=Person(PersonId("telegram:2"), "Bo")),
        ]
    )
    last = await store.last_inbound(ANNA, HERE)
    assert last
    assert last.inbound.text == "two", "also while it is worked out"


# ── people, and runs ───────────────────────────────────────────────────────────────────────────


async def test_roles_are_added_and_replaced(store: Store) -> None:
    await store.save_role(Person(ANNA, "Anna"), "viewer")
    await store.save_role(Person(PersonId("telegram:2"), "Bo"), "admin")
    await store.save_role(Person(ANNA, "Anna B."), "driver")
    assert await store.roles() == {ANNA: "driver", PersonId("telegram:2"): "admin"}


async def test_a_run_is_changed_in_one_go(store: Store) -> None:
    await store.add_session(session())
    run = await store.add_run(KEY, "0", ANNA, HERE)

    async def more() -> None:
        await store.change_run(run.id, lambda now: replace(now, prompt=f"{int(now.prompt) + 1}"))

    await asyncio.gather(*(more() for _ in range(20)))
    kept = await store.run(run.id)
    assert kept
    assert (kept.prompt, kept.state) == ("20", RunState.QUEUED)
    assert await store.change_run(replace(run, id=99).id, lambda now: now) is None  # type: ignore[arg-type]


async def test_what_a_message_made_is_made_once(store: Store) -> None:
    await store.add_session(session())
    first = await store.add_run(KEY, "do", ANNA, HERE, source=source_of(1))
    assert await store.add_run(KEY, "do", ANNA, HERE, source=source_of(1)) == first
    assert await store.run_of_source(source_of(1)) == first
    assert await store.run_of_source(source_of(2)) is None
    assert source_of(None) == ""
    later = await store.add_run(KEY, "more", ANNA, TOPIC)
    last = await store.last_run_in(ANNA, "telegram", "-100")
    assert last == later
    assert await store.last_run_in(PersonId("telegram:2"), "telegram", "-100") is None
    assert timedelta(0) < later.created - WHEN
