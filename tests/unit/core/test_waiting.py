"""`queue`: what waits is listed, taken out, or sent at once; by command and by the buttons below a receipt."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.events import Finished, Outcome, Said
from core.model import PermissionRequest, Run, RunState, SessionId
from core.ports import Reply
from core.turns import turn
from core.view import CARRY_ON
from tests.fakes.agent import Ask, Script
from tests.fakes.world import ANN, BOB, LOBBY, VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"
GIT = PermissionRequest("r1", SessionId("ses"), "bash", ("git push",), "git push")


def held(gate: asyncio.Event | None = None) -> Script:
    """Half an answer, and the rest when the gate opens or never."""
    return [Said("p", "half"), gate or asyncio.Event(), Finished(Outcome.DONE)]


async def going(world: World, gate: asyncio.Event | None = None) -> None:
    world.agent.scripts.append(held(gate))
    await world.say(f"/start {REF} one")
    await world.chat.until(lambda: any(progress.text == "half" for progress in world.chat.of("update")))
    while (await world.run_list())[0].state is not RunState.RUNNING:
        await asyncio.sleep(0)


async def queued(world: World, *prompts: str) -> list[Reply]:
    return [await world.say(f"/continue {REF} {prompt}") for prompt in prompts]


async def calls(world: World, method: str, times: int = 1) -> None:
    while world.agent.calls.count(method) < times:
        await asyncio.sleep(0)


def button(reply: Reply, label: str) -> str:
    return next(button.id for button in reply.document.buttons if button.label == label)


async def states(world: World) -> list[RunState]:
    return [run.state for run in await world.run_list()]


# ── listed ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_waits_is_listed_in_its_order(world: World) -> None:
    await going(world)
    await queued(world, "two", "three")
    reply = await world.say(f"/queue {REF}")
    assert reply.document.markdown.splitlines()[1:] == ["1. run 2: two", "2. run 3: three"]
    labels = [button.label for button in reply.document.buttons]
    assert labels == ["Cancel 2", "Send 2 now", "Cancel 3", "Send 3 now"]
    assert [run["number"] for run in reply.data] == [2, 3]
    await world.say(f"/stop {REF}")
    await world.quiet()


async def test_many_are_listed_with_buttons_for_the_first(outside: Outside) -> None:
    world = await World(outside).open()
    await going(world)
    await queued(world, *map(str, range(10)))
    reply = await world.say(f"/queue {REF}")
    assert len(reply.document.markdown.splitlines()) == 11
    assert len(reply.document.buttons) == 10
    await world.close()


@pytest.mark.parametrize("words", ["", "clear"])
async def test_nothing_waits(world: World, words: str) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    reply = await world.say(f"/queue {REF} {words}")
    assert reply.ok
    assert "Nothing wait" in reply.document.markdown


@pytest.mark.parametrize("word", ["cancel", "now"])
async def test_nothing_to_choose_from(world: World, word: str) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    assert (await world.say(f"/queue {REF} {word}")).code == "usage"
    assert (await world.say(f"/queue {REF} {word} 1")).code == "not_found"


# ── taken out ──────────────────────────────────────────────────────────────────────────────────


async def test_one_is_taken_out_by_its_button(world: World) -> None:
    gate = asyncio.Event()
    await going(world, gate)
    two, three = await queued(world, "two", "three")
    reply = await world.press_button(button(two, "Cancel"), BOB)
    assert reply.document.markdown == "Run 2 is taken out of the queue of #14."
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["one", "three"]
    assert await states(world) == [RunState.DONE, RunState.STOPPED, RunState.DONE]
    late = await world.press_button(button(three, "Cancel"))
    assert late.code == "not_found"
    assert world.agent.stops == []


async def test_the_only_one_needs_no_number(world: World) -> None:
    gate = asyncio.Event()
    await going(world, gate)
    await queued(world, "two")
    assert (await world.say(f"/queue {REF} cancel")).ok
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["one"]


async def test_of_several_one_must_be_named(world: World) -> None:
    await going(world)
    await queued(world, "two", "three")
    for words in ("cancel", "now", "cancel x", "now -1", "cancel 2 3", "away", "clear all"):
        assert (await world.say(f"/queue {REF} {words}")).code == "usage", words
    for number in ("1", "4", "0", "9" * 5000):
        assert (await world.say(f"/queue {REF} cancel {number}")).code == "not_found", number
    assert world.complaints == []
    assert (await world.say(f"/queue {REF} CANCEL #3")).ok
    await world.say(f"/queue {REF} clear")
    await world.say(f"/stop {REF}")
    await world.quiet()


async def test_pressed_twice_or_by_two_at_once(world: World) -> None:
    gate = asyncio.Event()
    await going(world, gate)
    two, three = await queued(world, "two", "three")
    await asyncio.gather(*(world.press_button(button(two, "Cancel"), person) for person in (ANN, BOB)))
    assert (await world.press_button(button(three, "Cancel"))).ok
    assert (await world.press_button(button(three, "Cancel"))).code == "not_found"
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["one"]


async def test_all_are_taken_out_and_the_run_goes_on(world: World) -> None:
    gate = asyncio.Event()
    await going(world, gate)
    await queued(world, "two", "three")
    reply = await world.say(f"/queue {REF} clear")
    assert reply.document.markdown == "Runs 2, 3 are taken out of the queue of #14."
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["one"]
    assert await states(world) == [RunState.DONE, RunState.STOPPED, RunState.STOPPED]
    assert world.chat.answer_texts() == ["half"], "nothing is said again in the thread"


async def test_what_was_taken_out_can_be_run_after_all(world: World) -> None:
    gate = asyncio.Event()
    await going(world, gate)
    await queued(world, "two")
    await world.say(f"/queue {REF} clear")
    gate.set()
    await world.quiet()
    assert (await world.say(f"/retry {REF}")).ok
    await world.quiet()
    assert world.agent.prompts == ["one", "two"]


async def test_a_viewer_changes_nothing(world: World) -> None:
    await going(world)
    (two,) = await queued(world, "two")
    for label in ("Cancel", "Send now"):
        assert (await world.press_button(button(two, label), VIEWER)).code == "not_allowed"
    assert (await world.say(f"/queue {REF} clear", VIEWER)).code == "not_allowed"
    assert await states(world) == [RunState.RUNNING, RunState.QUEUED]
    await world.say(f"/queue {REF} clear")
    await world.say(f"/stop {REF}")
    await world.quiet()


async def test_after_its_session_is_destroyed_a_button_does_nothing(world: World) -> None:
    gate = asyncio.Event()
    await going(world, gate)
    (two,) = await queued(world, "two")
    gate.set()
    await world.quiet()
    assert (await world.say(f"/destroy -y --force {REF}")).ok
    for label in ("Cancel", "Send now"):
        assert (await world.press_button(button(two, label))).code == "not_found"
    await world.say(f"/start {REF} anew")
    for label in ("Cancel", "Send now"):
        assert (await world.press_button(button(two, label))).code == "not_found"
    await world.quiet()
    assert world.agent.prompts == ["one", "two", "anew"]


async def test_taken_out_while_it_is_prepared_it_is_not_sent(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    gate = world.outside.workspace.hanging["snapshot"] = asyncio.Event()
    await queued(world, "two")
    await world.outside.workspace.reached("snapshot")
    assert (await world.say(f"/queue {REF} cancel 2")).ok
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["one"]
    assert await states(world) == [RunState.DONE, RunState.STOPPED]
    assert world.chat.answer_texts() == ["answer to one"]
    assert "two" not in (await world.say(f"/queue {REF}")).document.markdown


async def test_once_it_is_sent_it_is_too_late(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    gate = world.agent.hanging["run"] = asyncio.Event()
    await queued(world, "two")
    await calls(world, "run", 2)
    for words in ("cancel 2", "now 2"):
        assert (await world.say(f"/queue {REF} {words}")).code == "not_found"
    gate.set()
    await world.quiet()
    assert world.chat.answer_texts() == ["answer to one", "answer to two"]
    assert world.agent.stops == []


async def test_whichever_comes_first_cancel_or_sending_both_agree(outside: Outside) -> None:
    """At every point between: what was taken out was not sent, what was sent was not taken out."""
    world = await World(outside).open()
    await world.say(f"/start {REF} one")
    await world.quiet()
    outcomes = set()
    for pause in range(40):
        prompt = f"p{pause}"
        await queued(world, prompt)
        number = len(await world.run_list())
        for _ in range(pause * 3):
            await asyncio.sleep(0)
        reply = await world.say(f"/queue {REF} cancel {number}")
        await world.quiet()
        assert (prompt in world.agent.prompts) is not reply.ok
        assert ((await world.run_list())[-1].state is RunState.STOPPED) is reply.ok
        outcomes.add(reply.ok)
    assert world.complaints == []
    assert outcomes <= {True, False}
    await world.close()


# ── sent at once ───────────────────────────────────────────────────────────────────────────────


async def test_one_is_sent_now_and_the_run_under_way_stopped(world: World) -> None:
    await going(world)
    _, three, _ = await queued(world, "two", "three", "four")
    reply = await world.press_button(button(three, "Send now"))
    assert reply.document.markdown == "Run 3 goes now: three"
    await world.quiet()
    assert world.agent.prompts == ["one", "three", "two", "four"]
    first = (await world.run_list())[0]
    assert (first.state, first.text) == (RunState.STOPPED, "half")
    assert first.error == "Stopped, as run 3 was to go first. What was done is kept."
    assert len(world.agent.stops) == 1


async def test_the_order_shows_what_goes_first(world: World) -> None:
    gate = world.agent.hanging["stop"] = asyncio.Event()
    await going(world)
    await queued(world, "two", "three")
    sending = asyncio.create_task(world.say(f"/queue {REF} now 3"))
    await calls(world, "stop")
    listed = (await world.say(f"/queue {REF}")).document.markdown
    assert listed.index("run 3") < listed.index("run 2")
    gate.set()
    assert (await sending).ok
    await world.quiet()


async def test_a_run_that_asks_is_stopped_and_its_request_withdrawn(world: World) -> None:
    world.agent.scripts.append([Ask(GIT), Finished(Outcome.DONE)])
    await world.say(f"/start {REF} one")
    ask = await world.chat.asked()
    await queued(world, "two")
    assert (await world.say(f"/queue {REF} now")).ok
    await world.quiet()
    assert not (await world.press(ask, "once")).ok
    assert await world.store.open_asks() == []
    assert await states(world) == [RunState.STOPPED, RunState.DONE]
    assert world.agent.prompts == ["one", "two"]


async def test_pressed_twice_it_does_not_stop_itself(world: World) -> None:
    await going(world)
    (two,) = await queued(world, "two")
    gate = world.outside.workspace.hanging["snapshot"] = asyncio.Event()
    pressing = asyncio.create_task(world.press_button(button(two, "Send now")))
    await world.outside.workspace.reached("snapshot")  # the one after the run that is stopped
    gate.set()
    assert (await pressing).ok
    gate = world.outside.workspace.hanging["snapshot"] = asyncio.Event()
    await world.outside.workspace.reached("snapshot")  # the one before the run that goes now
    await world.press_button(button(two, "Send now"))
    gate.set()
    await world.quiet()
    assert await states(world) == [RunState.STOPPED, RunState.DONE]
    assert (await world.press_button(button(two, "Send now"))).code == "not_found"


async def test_pressed_by_two_at_once(world: World) -> None:
    await going(world)
    (two,) = await queued(world, "two")
    await asyncio.gather(*(world.press_button(button(two, "Send now"), person) for person in (ANN, BOB)))
    await world.quiet()
    assert await states(world) == [RunState.STOPPED, RunState.DONE]


async def test_the_one_being_prepared_is_not_stopped_by_being_sent_now(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    gate = world.outside.workspace.hanging["snapshot"] = asyncio.Event()
    await queued(world, "two")
    await world.outside.workspace.reached("snapshot")
    assert (await world.say(f"/queue {REF} now 2")).ok
    gate.set()
    await world.quiet()
    assert await states(world) == [RunState.DONE, RunState.DONE]


async def test_sent_now_while_another_is_prepared(world: World) -> None:
    gate = world.agent.hanging["settle_directory"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    await calls(world, "settle_directory")
    await queued(world, "two")
    world.agent.hanging.clear()
    assert (await world.say(f"/queue {REF} now 2")).ok
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["two"]
    assert await states(world) == [RunState.STOPPED, RunState.DONE]


async def test_a_run_that_ends_by_itself_meanwhile_is_no_loss(outside: Outside) -> None:
    """Whichever comes first, the run that was to go now is never the one that is stopped."""
    world = await World(outside).open()
    await going(world, gate := asyncio.Event())
    gate.set()
    await world.quiet()
    for pause in range(0, 60, 3):
        gate = asyncio.Event()
        world.agent.scripts.append(held(gate))
        await queued(world, "first", f"urgent {pause}")
        number = len(await world.run_list())
        await calls(world, "run", world.agent.calls.count("run"))
        gate.set()
        for _ in range(pause):
            await asyncio.sleep(0)
        await world.say(f"/queue {REF} now {number}")
        await world.quiet()
        assert (await world.run_list())[number - 1].state is RunState.DONE
    await world.close()


# ── whose turn it is ───────────────────────────────────────────────────────────────────────────


def test_turns() -> None:
    def waiting(number: int, **changes: object) -> Run:
        run = Run(number, key(), number, "p", ANN.id, LOBBY, RunState.QUEUED, None)  # type: ignore[arg-type]
        return replace(run, **changes)  # type: ignore[arg-type]

    under_way = waiting(9, state=RunState.RUNNING)
    carries_on = waiting(8, prompt=CARRY_ON)
    urgent, urgent_too = waiting(3, urgent=True), waiting(5, urgent=True)
    first, second = waiting(1), waiting(2)
    order = [under_way, carries_on, urgent, urgent_too, first, second]
    mixed = [urgent_too, second, under_way, first, urgent, carries_on]
    assert sorted(mixed, key=turn) == order


async def test_what_was_to_go_first_does_so_after_a_crash(outside: Outside) -> None:
    world = await World(outside).open()
    await going(world)
    await queued(world, "two", "three")
    run = (await world.run_list())[2]
    await world.store.change_run(run.id, lambda now: replace(now, urgent=True))
    await world.close()
    world = await World(outside).open()
    await world.resume()
    await world.quiet()
    assert world.agent.prompts == ["one", "three", "two"]
    await world.close()
