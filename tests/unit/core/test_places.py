"""Who sees a session: all its places the same, and none suffers from another."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.events import Finished, Outcome, Said
from core.model import Document, PersonId, Place, RunState
from tests.fakes.agent import Script
from tests.fakes.chat import FakeChat
from tests.fakes.world import ANN, Outside, World, key

REF = "github.com/shoko/kugetsu#14"
BROKEN = Place("broken", "c")


@pytest.fixture
def outside(outside: Outside) -> Outside:
    outside.chats["broken"] = FakeChat("broken")
    return outside


def slow(gate: asyncio.Event) -> Script:
    return [Said("p", "half"), gate, Said("p", " and half"), Finished(Outcome.DONE)]


async def start_in_both(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    await world.audience.attach(BROKEN, key())


@pytest.mark.parametrize("method", ["live", "update", "settle", "answer", "send"])
async def test_a_place_that_fails_affects_neither_run_nor_other_places(world: World, method: str) -> None:
    await start_in_both(world)
    world.outside.chats["broken"].failing.add(method)
    await world.say(f"/continue {REF} two")
    await world.audience.tell(key(), Document("a notice"))
    await world.quiet()
    assert [run.state for run in await world.run_list()] == [RunState.DONE, RunState.DONE]
    assert world.chat.answer_texts() == ["answer to one", "answer to two"]
    assert "a notice" in world.chat.sentences()
    assert world.complaints
    assert all("broken" in str(error) for _, error in world.complaints)


async def test_a_place_that_cannot_open_a_thread_shows_the_run_itself(world: World) -> None:
    world.chat.failing.add("open_thread")
    reply = await world.say(f"/start {REF} one")
    assert reply.place == Place("fake", "lobby")
    await world.quiet()
    assert [shown.place for shown in world.chat if shown.kind == "answer"] == [Place("fake", "lobby")]


async def test_an_answer_a_place_could_not_show_is_brought_later(world: World) -> None:
    await start_in_both(world)
    world.outside.chats["broken"].failing.add("answer")
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert [row.place for row in await world.store.pending_deliveries()] == [BROKEN]
    world.outside.chats["broken"].failing.clear()
    await world.recovery.deliver()
    assert world.outside.chats["broken"].answer_texts() == ["answer to two"]
    assert world.chat.answer_texts() == ["answer to one", "answer to two"]
    assert await world.store.pending_deliveries() == []


async def test_a_place_that_is_switched_off_is_passed_over(world: World) -> None:
    await start_in_both(world)
    await world.audience.attach(Place("nowhere", "c"), key())
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to two"


async def test_a_place_that_hangs_does_not_delay_what_others_see_of_the_run(world: World) -> None:
    await start_in_both(world)
    world.outside.chats["broken"].hanging["update"] = asyncio.Event()
    gate = asyncio.Event()
    world.agent.scripts.append(slow(gate))
    await world.say(f"/continue {REF} two")
    await world.chat.until(lambda: any(progress.text == "half" for progress in world.chat.of("update")))
    gate.set()
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "half and half"
    assert world.outside.chats["broken"].answer_texts() == ["half and half"]


async def test_a_place_that_joins_a_run_under_way_sees_it_from_there(world: World) -> None:
    gate = asyncio.Event()
    world.agent.scripts.append(slow(gate))
    await world.say(f"/start {REF} one")
    await world.chat.until(lambda: any(progress.text == "half" for progress in world.chat.of("update")))
    side = Place("fake", "side", REF)
    assert (await world.say(f"/watch {REF}", place=Place("fake", "side"))).ok
    await world.chat.until(lambda: any(shown.place == side for shown in world.chat))
    gate.set()
    await world.quiet()
    (first, *_) = [shown for shown in world.chat if shown.place == side]
    assert first.what.text == "half"
    assert {shown.place for shown in world.chat if shown.kind == "answer"} == {side, Place("fake", "lobby", REF)}
    assert sum(shown.kind == "settle" for shown in world.chat) == 2


async def test_a_place_that_joins_just_as_the_run_begins_has_one_live_message(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    await world.say(f"/continue {REF} two")
    for number in range(20):
        await world.audience.attach(Place("fake", f"c{number}"), key())
        await asyncio.sleep(0)
    await world.quiet()
    for number in range(20):
        settled = [s for s in world.chat if s.kind == "settle" and s.place == Place("fake", f"c{number}")]
        assert len(settled) <= 1
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if "LiveSlot" in repr(task)]


async def test_a_place_that_leaves_during_a_run_sees_no_more(world: World) -> None:
    gate = asyncio.Event()
    world.agent.scripts.append(slow(gate))
    thread = (await world.say(f"/start {REF} one")).place
    assert thread
    await world.chat.until(lambda: world.chat.of("update"))
    await world.say("/unwatch", place=thread)
    seen = len(world.chat.shown)
    gate.set()
    await world.quiet()
    assert len(world.chat.shown) == seen
    assert (await world.run_list())[0].text == "half and half"


async def test_a_place_has_one_session(world: World) -> None:
    here = Place("fake", "c")
    await world.say("/start shoko/kugetsu#1 one")
    await world.say("/start shoko/kugetsu#2 two")
    await world.quiet()
    await world.audience.attach(here, key(1))
    await world.audience.attach(here, key(2))
    assert await world.store.session_at(here) == key(2)
    assert here not in await world.store.places(key(1))


async def test_shown_is_never_more_than_what_is_on_disk(world: World) -> None:
    gate = asyncio.Event()
    world.agent.scripts.append(slow(gate))
    await world.say(f"/start {REF} one")
    await world.chat.until(lambda: any(progress.text == "half" for progress in world.chat.of("update")))
    (run,) = await world.run_list()
    assert await world.store.received_text(run.id) == "half"
    gate.set()
    await world.quiet()


async def test_messages_of_unknown_people_get_no_further(world: World) -> None:
    stranger = replace(ANN, id=PersonId("fake:x"))
    thread = (await world.say(f"/start {REF} one")).place
    assert thread
    await world.quiet()
    assert (await world.say("hello", person=stranger, place=thread)).code == "not_allowed"
    assert world.agent.prompts == ["one"]
