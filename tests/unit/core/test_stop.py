"""`stop` and leaving, in every phase of a run."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import AgentUnavailable
from core.events import Finished, Outcome, Said
from core.model import RunState, SessionState
from core.run_state import Choices
from tests.fakes.chat import FakeChat
from tests.fakes.world import Outside, World, key

REF = "github.com/shoko/kugetsu#14"


async def going(world: World, text: str = "half") -> None:
    """A run that has said something and goes on until it is stopped."""
    world.agent.scripts.append([Said("p", text), asyncio.Event(), Said("p", " never"), Finished(Outcome.DONE)])
    await world.say(f"/start {REF} one")
    await world.chat.until(lambda: any(progress.text == text for progress in world.chat.of("update")))


async def test_a_stop_keeps_what_was_said_and_can_be_retried(world: World) -> None:
    await going(world)
    reply = await world.say(f"/stop {REF}")
    assert "Stopped" in reply.document.markdown
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert (report.run.state, report.run.text) == (RunState.STOPPED, "half")
    assert report.run.snapshot_after
    assert (await world.session()).state is SessionState.STOPPED
    assert world.agent.stops == [(await world.session()).agent_id]
    await world.say(f"/retry {REF}")
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to one"


async def test_the_queue_goes_on_after_a_stop(world: World) -> None:
    await going(world)
    await world.say(f"/continue {REF} two")
    await world.say(f"/stop {REF}")
    await world.quiet()
    assert world.chat.answer_texts() == ["half", "answer to two"]


async def test_nothing_to_stop(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    reply = await world.say(f"/stop {REF}")
    assert reply.ok
    assert "Nothing is running" in reply.document.markdown
    assert world.agent.stops == []


async def test_a_stop_waits_for_no_prompt(world: World) -> None:
    """The control lane: many prompts wait, the stop is done at once."""
    await going(world)
    for number in range(9):
        await world.say(f"/continue {REF} {number}")
    assert (await world.say(f"/stop {REF}")).ok
    assert world.chat.of("answer") == [] or world.chat.answer_texts()[0] == "half"
    await world.quiet()
    assert len(world.chat.answer_texts()) == 10


async def test_a_stop_before_the_prompt_is_sent(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    world.agent.hanging["run"] = asyncio.Event()
    await world.say(f"/continue {REF} two")
    while world.agent.calls.count("run") < 2:
        await asyncio.sleep(0)
    world.agent.deaf = True
    world.outside.choices = Choices()
    stopping = asyncio.create_task(world.say(f"/stop {REF}"))
    while not world.agent.stops:
        await asyncio.sleep(0)
    world.agent.hanging["run"].set()  # the abort came before the prompt did: it is sent after all
    world.agent.deaf = False
    await world.agent.stop((await world.session()).agent_id, (await world.session()).directory)
    await stopping
    await world.quiet()
    assert (await world.run_list())[1].state in {RunState.STOPPED, RunState.DONE}


async def test_a_stop_while_the_session_is_made(world: World) -> None:
    world.agent.hanging["settle_directory"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while "settle_directory" not in world.agent.calls:
        await asyncio.sleep(0)
    assert (await world.say(f"/stop {REF}")).ok
    await world.quiet()
    (run,) = await world.run_list()
    assert run.state is RunState.STOPPED
    assert world.agent.prompts == []
    assert world.agent.stops == [], "no prompt was sent, there is nothing to abort"
    world.agent.hanging.clear()
    await world.say(f"/retry {REF}")
    await world.quiet()
    assert world.agent.prompts == ["one"]
    assert len(world.agent.forks_of_issues()) == 1


async def test_a_stop_after_the_agent_finished_stops_nothing(world: World) -> None:
    world.chat.hanging["settle"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    await world.say(f"/continue {REF} two")
    while not (runs := await world.run_list()) or runs[0].state is not RunState.DONE:
        await asyncio.sleep(0.001)
    reply = await world.say(f"/stop {REF}")
    assert "Nothing is running" in reply.document.markdown
    world.chat.hanging["settle"].set()
    await world.quiet()
    assert world.agent.stops == []
    assert world.chat.answer_texts() == ["answer to one", "answer to two"]


@pytest.fixture
def impatient(outside: Outside) -> Outside:
    outside.choices = Choices(stop_patience=0.05)
    return outside


async def test_a_stop_the_agent_does_not_confirm(impatient: Outside) -> None:
    world = await World(impatient).open()
    await going(world)
    impatient.agent.deaf = True
    assert (await world.say(f"/stop {REF}")).ok
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert (report.run.state, report.run.text) == (RunState.STOPPED, "half")
    assert "did not confirm" in world.complaints[0][0]
    impatient.agent.deaf = False
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to two"
    await world.close()


async def test_a_stop_the_agent_cannot_take(world: World) -> None:
    await going(world)
    world.agent.raising["stop"] = AgentUnavailable("opencode does not answer")
    assert (await world.say(f"/stop {REF}")).ok
    await world.quiet()
    assert (await world.run_list())[0].state is RunState.STOPPED


async def test_two_stops_at_once(world: World) -> None:
    await going(world)
    replies = await asyncio.gather(world.say(f"/stop {REF}"), world.say(f"/stop {REF}"))
    await world.quiet()
    assert all(reply.ok for reply in replies)
    assert world.chat.answer_texts() == ["half"]


# ── leaving ────────────────────────────────────────────────────────────────────────────────────


async def test_leaving_in_the_middle_records_and_shows_a_cut(outside: Outside) -> None:
    world = await World(outside).open()
    await going(world)
    await world.say(f"/continue {REF} two")
    await world.close()
    (report,) = world.chat.of("answer")
    assert (report.run.state, report.run.text, report.run.error_code) == (RunState.CUT, "half", "cut")
    again = await World(outside).open()
    assert [run.state for run in await again.run_list()] == [RunState.CUT, RunState.QUEUED]
    await again.resume()
    await again.quiet()
    assert again.chat.answer_texts() == ["half", "answer to two"]
    await again.close()


async def test_leaving_before_the_prompt_keeps_it_queued(outside: Outside) -> None:
    world = await World(outside).open()
    outside.agent.hanging["fork_session"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while "fork_session" not in outside.agent.calls:
        await asyncio.sleep(0)
    await world.close()
    assert world.chat.of("answer") == []
    outside.agent.hanging.clear()
    again = await World(outside).open()
    await again.resume()
    await again.quiet()
    assert outside.agent.prompts == ["one"]
    assert again.chat.answer_texts() == ["answer to one"]
    await again.close()


async def test_leaving_while_an_answer_is_being_shown_lets_it_be_shown(outside: Outside) -> None:
    world = await World(outside).open()
    outside.chats["fake"].hanging["answer"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while (await world.session()).state is not SessionState.IDLE or not (await world.run_list())[0].state.over:
        await asyncio.sleep(0)
    closing = asyncio.create_task(world.close())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done()
    outside.chats["fake"].hanging["answer"].set()
    await closing
    assert world.chat.answer_texts() == ["answer to one"]
    again = await World(outside).open()
    assert [run.state for run in await again.run_list()] == [RunState.DONE]
    assert await again.store.pending_deliveries() == []
    await again.close()


async def test_leaving_while_a_stop_is_under_way_starts_nothing_more(impatient: Outside) -> None:
    impatient.choices = Choices(stop_patience=60)
    world = await World(impatient).open()
    await going(world)
    await world.say(f"/continue {REF} two")
    impatient.agent.deaf = True
    stopping = asyncio.create_task(world.say(f"/stop {REF}"))
    while not impatient.agent.stops:
        await asyncio.sleep(0)
    await world.mailboxes.close()
    assert (await stopping).ok
    assert impatient.agent.prompts == ["one"]
    assert [run.state for run in await world.run_list()] == [RunState.STOPPED, RunState.QUEUED]
    await world.store.close()


async def test_a_worker_that_is_waiting_for_a_slot_can_be_left(outside: Outside) -> None:
    outside.choices = Choices(max_concurrent=1)
    outside.chats["other"] = FakeChat("other")
    world = await World(outside).open()
    await going(world)
    await world.say("/start shoko/kugetsu#15 two")
    await world.chat.until(lambda: "runs.max_concurrent" in world.chat.sentences())
    await world.close()
    again = await World(outside).open()
    await again.resume()
    await again.quiet()
    assert (await again.run_list(key(15)))[0].state is RunState.DONE
    await again.close()
