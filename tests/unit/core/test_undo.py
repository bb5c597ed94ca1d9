"""`undo` and `redo`: files and conversation go together, whoever presses what how often, and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import AgentError, AgentUnavailable, WorkspaceError
from core.events import Finished, Outcome, Said
from core.model import Inbound, RunState
from core.ports import Reply
from core.standing import FOR_GOOD
from core.undo import REDONE, UNDONE
from tests.fakes.agent import Script
from tests.fakes.world import ANN, BOB, LOBBY, VIEWER, Outside, World, key
from tests.unit.core.test_crash import Beginnings, come_back, live_and_die

REF = "github.com/shoko/kugetsu#14"


@pytest.fixture
async def three(world: World) -> World:
    """Runs `one`, `two` and `three`, each of which has added its prompt to the files."""
    writes(world)
    await world.say(f"/start {REF} one")
    await world.quiet()
    await prompted(world, "two", "three")
    return world


def writes(world: World) -> None:
    files = world.outside.workspace.files
    world.agent.working = lambda run: files.update({run.directory: f"{files.get(run.directory, '')} {run.prompt}"})


async def prompted(world: World, *prompts: str) -> None:
    for prompt in prompts:
        assert (await world.say(f"/continue {REF} {prompt}")).ok
        await world.quiet()


async def holds(world: World, *prompts: str) -> None:
    """Files and conversation are as if just these had been run, and it is recorded so."""
    session = await world.session()
    assert world.outside.workspace.files[session.directory].split() == [*prompts]
    assert world.agent.conversation(session.agent_id) == [*prompts]
    assert [run.prompt for run in await world.run_list() if run.started and not run.undone] == [*prompts]


def button(reply: Reply) -> str:
    (only,) = reply.document.buttons
    return only.id


# ── as people use it ───────────────────────────────────────────────────────────────────────────


async def test_the_last_run_is_taken_back_and_brought_again(three: World) -> None:
    undone = await three.say(f"/undo {REF}")
    assert "run 3 is taken back: three" in undone.document.markdown
    assert undone.data == {"ref": REF, "run": 3}
    await holds(three, "one", "two")
    redone = await three.say(f"/redo {REF}")
    assert "run 3 is back" in redone.document.markdown
    await holds(three, "one", "two", "three")
    assert await three.store.open_operations() == []


async def test_several_are_taken_back_and_come_back_in_their_order(three: World) -> None:
    for left in (["one", "two"], ["one"], []):
        assert (await three.say(f"/undo {REF}")).ok
        await holds(three, *left)
    nothing = await three.say(f"/undo {REF}")
    assert (nothing.ok, nothing.code) == (False, "not_found")
    for there in (["one"], ["one", "two"], ["one", "two", "three"]):
        assert (await three.say(f"/redo {REF}")).ok
        await holds(three, *there)
    assert (await three.say(f"/redo {REF}")).code == "not_found"


async def test_the_next_prompt_builds_on_what_is_left(three: World) -> None:
    await three.say(f"/undo {REF}")
    await prompted(three, "four")
    await holds(three, "one", "two", "four")
    gone = await three.say(f"/redo {REF}")
    assert "gone for good" in gone.document.markdown
    await holds(three, "one", "two", "four")


async def test_what_is_gone_for_good_stays_so_when_more_is_taken_back(three: World) -> None:
    await three.say(f"/undo {REF}")
    await prompted(three, "four")
    await three.say(f"/undo {REF}")
    await three.say(f"/undo {REF}")
    await holds(three, "one")
    await three.say(f"/redo {REF}")
    await holds(three, "one", "two")
    await three.say(f"/redo {REF}")
    await holds(three, "one", "two", "four")
    assert [run.undone for run in await three.run_list()] == ["", "", FOR_GOOD, ""]


async def test_what_was_done_by_hand_is_kept(three: World) -> None:
    directory = (await three.session()).directory
    workspace = three.outside.workspace
    workspace.files[directory] += " mine"
    await three.say(f"/undo {REF}")
    await three.say(f"/redo {REF}")
    assert workspace.files[directory] == " one two three mine"


async def test_pressed_twice_it_is_done_once(three: World) -> None:
    redo = button(await three.say(f"/undo {REF}"))
    undo = button(await three.press_button(redo))
    again = await three.press_button(redo)
    assert (again.ok, "brought back already" in again.document.markdown) == (False, True)
    assert (await three.press_button(undo)).ok
    again = await three.press_button(undo)
    assert (again.ok, "taken back already" in again.document.markdown) == (False, True)
    await holds(three, "one", "two")


async def test_pressed_by_two_at_once_it_is_done_once(three: World) -> None:
    redo = button(await three.say(f"/undo {REF}"))
    replies = await asyncio.gather(three.press_button(redo, ANN), three.press_button(redo, BOB))
    assert sorted(reply.ok for reply in replies) == [False, True]
    await holds(three, "one", "two", "three")


async def test_two_who_undo_at_once_take_one_run_back(three: World) -> None:
    replies = await asyncio.gather(three.say(f"/undo {REF}", ANN), three.say(f"/undo {REF}", BOB))
    assert sorted(reply.code for reply in replies) == ["", "busy"]
    await holds(three, "one", "two")


async def test_an_old_button_does_not_mean_another_run(three: World) -> None:
    redo = button(await three.say(f"/undo {REF}"))
    undo = button(await three.press_button(redo))
    await prompted(three, "four")
    late = await three.press_button(undo)
    assert "not the turn of run 3" in late.document.markdown
    assert "run 4" in late.document.markdown
    await holds(three, "one", "two", "three", "four")
    await three.say(f"/undo {REF}")
    await prompted(three, "five")
    assert (await three.press_button(redo)).code == "usage"
    await holds(three, "one", "two", "three", "five")


@pytest.mark.parametrize("command", ["undo", "redo"])
@pytest.mark.parametrize("number", ["0", "9", "x", "-1", "9" * 5000, "٣"])
async def test_a_run_that_is_not_there(three: World, command: str, number: str) -> None:
    await three.say(f"/undo {REF}")
    reply = await three.say(f"/{command} --run {number} {REF}")
    assert reply.code == "usage"
    await holds(three, "one", "two")
    assert three.complaints == []


async def test_a_viewer_takes_nothing_back(three: World) -> None:
    assert (await three.say(f"/undo {REF}", VIEWER)).code == "not_allowed"
    redo = button(await three.say(f"/undo {REF}"))
    assert (await three.press_button(redo, VIEWER)).code == "not_allowed"
    await holds(three, "one", "two")


async def test_it_waits_for_no_run_and_disturbs_none(three: World) -> None:
    gate = asyncio.Event()
    three.agent.scripts.append([Said("p", "half"), gate, Finished(Outcome.DONE)])
    await three.say(f"/continue {REF} four")
    await three.chat.until(lambda: any(progress.text == "half" for progress in three.chat.of("update")))
    for command in ("undo", "redo"):
        assert (await three.say(f"/{command} {REF}")).code == "busy"
    gate.set()
    await three.quiet()
    await holds(three, "one", "two", "three", "four")


async def test_prompts_said_meanwhile_wait_and_then_run(three: World) -> None:
    gate = three.agent.hanging["revert"] = asyncio.Event()
    undoing = asyncio.create_task(three.say(f"/undo {REF}"))
    while "revert" not in three.agent.calls:
        await asyncio.sleep(0)
    assert (await three.say(f"/continue {REF} four")).ok
    gate.set()
    assert (await undoing).ok
    await three.quiet()
    await holds(three, "one", "two", "four")


async def test_a_new_session_can_be_made_meanwhile(three: World) -> None:
    gate = three.agent.hanging["revert"] = asyncio.Event()
    undoing = asyncio.create_task(three.say(f"/undo {REF}"))
    while "revert" not in three.agent.calls:
        await asyncio.sleep(0)
    assert (await three.say("/new something else")).ok
    gate.set()
    assert (await undoing).ok
    await three.quiet()
    assert three.complaints == []


# ── runs that went badly ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STOPPED, Outcome.CUT])
async def test_a_run_that_did_not_come_through_is_taken_back_like_others(three: World, outcome: Outcome) -> None:
    three.agent.scripts.append([Said("p", "half"), Finished(outcome)])
    await prompted(three, "four")
    assert (await three.say(f"/undo {REF}")).ok
    await holds(three, "one", "two", "three")
    assert (await three.say(f"/redo {REF}")).ok
    await holds(three, "one", "two", "three", "four")


async def test_a_run_the_agent_never_got(three: World) -> None:
    three.agent.raising["run"] = AgentUnavailable("opencode does not answer")
    await prompted(three, "four")
    assert (await three.run_list())[-1].state is RunState.FAILED
    assert (await three.say(f"/undo {REF}")).ok
    await holds(three, "one", "two", "three")
    assert (await three.say(f"/undo {REF}")).ok
    await holds(three, "one", "two")
    assert (await three.say(f"/redo {REF}")).ok, "the agent cannot go back to before a prompt it never got"
    await holds(three, "one", "two", "three")
    assert (await three.say(f"/redo {REF}")).ok


async def test_a_run_taken_out_of_the_queue_is_none(three: World) -> None:
    gate = asyncio.Event()
    three.agent.scripts.append([Said("p", "half"), gate, Finished(Outcome.DONE)])
    await three.say(f"/continue {REF} four")
    await three.say(f"/continue {REF} five")
    await three.say(f"/queue {REF} clear")
    gate.set()
    await three.quiet()
    assert "run 4" in (await three.say(f"/undo {REF}")).document.markdown
    await holds(three, "one", "two", "three")


async def test_without_a_snapshot_it_is_not_possible(three: World) -> None:
    three.outside.workspace.raising["snapshot"] = WorkspaceError("git is broken")
    await prompted(three, "four")
    reply = await three.say(f"/undo {REF}")
    assert "not recorded" in reply.document.markdown
    await holds(three, "one", "two", "three", "four")


# ── what fails half-way ────────────────────────────────────────────────────────────────────────


def failing(world: World, method: str) -> None:
    if method in {"lookup", "revert"}:
        world.agent.raising[method] = AgentUnavailable("opencode does not answer")
    else:
        world.outside.workspace.raising[method] = WorkspaceError("git is broken")


STEPS = ["snapshot", "changes", "lookup", "revert", "rewind", "rewind's end"]


@pytest.mark.parametrize("method", STEPS)
async def test_an_undo_that_fails_is_not_half_recorded_and_goes_on_when_said_again(three: World, method: str) -> None:
    failing(three, method)
    failed = await three.say(f"/undo {REF}")
    assert not failed.ok
    assert [run.undone for run in await three.run_list()] == ["", "", ""]
    again = await three.say(f"/undo {REF}")
    assert "run 3" in again.document.markdown
    await holds(three, "one", "two")
    await three.say(f"/redo {REF}")
    await holds(three, "one", "two", "three")
    assert await three.store.open_operations() == []


@pytest.mark.parametrize("method", ["snapshot", "revert", "rewind", "rewind's end"])
async def test_a_redo_that_fails_goes_on_when_said_again(three: World, method: str) -> None:
    await three.say(f"/undo {REF}")
    three.outside.workspace.files[(await three.session()).directory] += " mine"
    failing(three, method)
    assert not (await three.say(f"/redo {REF}")).ok
    assert "run 3" in (await three.say(f"/redo {REF}")).document.markdown
    await holds(three, "one", "two", "three")
    workspace = three.outside.workspace
    kept = [made for made, (_, name) in workspace.snapshots.items() if name.endswith("/3/redone")]
    assert [workspace.held(made).split() for made in kept] == [["one", "two", "mine"]], "work by hand leaves a trace"


async def test_what_was_begun_for_another_run_is_forgotten(three: World) -> None:
    failing(three, "rewind's end")
    await three.say(f"/undo {REF}")
    await prompted(three, "four")
    await three.say(f"/undo {REF}")
    await three.say(f"/redo {REF}")
    assert three.outside.workspace.files[(await three.session()).directory].split() == ["one", "two", "four"]
    assert await three.store.open_operations() == []


@pytest.mark.parametrize("command", ["undo", "redo"])
async def test_a_message_decided_again_after_a_crash_means_the_same_run(three: World, command: str) -> None:
    await three.say(f"/undo {REF}")
    await three.say(f"/undo {REF}")
    before = [run.undone for run in await three.run_list()]
    said = Inbound("fake", "e-crash", LOBBY, ANN, f"/{command} {REF}", three.outside.clock.now())
    row = await three.store.receive(said)
    assert row is not None
    assert (await three.reception.decide(row, said)).ok
    once = [run.undone for run in await three.run_list()]
    assert once != before
    again = await three.reception.decide(row, said)  # as after a crash before the row was closed
    assert [run.undone for run in await three.run_list()] == once
    await three.reception.close(row, again)
    assert await three.store.open_operations() == []


async def test_a_crash_in_the_middle_is_gone_on_with(outside: Outside) -> None:
    world = await World(outside).open()
    writes(world)
    await world.say(f"/start {REF} one")
    await world.quiet()
    await prompted(world, "two")
    said = Inbound("fake", "e-crash", LOBBY, ANN, f"/undo {REF}", outside.clock.now())
    row = await world.store.receive(said)
    assert row is not None
    outside.agent.hanging["revert"] = asyncio.Event()
    dying = asyncio.create_task(world.reception.decide(row, said))
    while "revert" not in outside.agent.calls:
        await asyncio.sleep(0)
    dying.cancel()
    await asyncio.wait([dying])
    await world.close()
    outside.agent.hanging.clear()
    world = await World(outside).open()
    assert (await world.reception.decide(row, said)).ok
    await holds(world, "one")
    assert (await world.say(f"/redo {REF}")).ok
    await holds(world, "one", "two")
    await world.close()


@pytest.mark.parametrize("command", ["undo", "redo"])
async def test_a_death_at_any_point_loses_no_file(outside: Outside, command: str) -> None:
    async def prepared(world: World) -> None:
        writes(world)
        await world.say(f"/start {REF} one")
        await world.quiet()
        await prompted(world, "two")
        world.agent.working = lambda _run: None
        if command == "redo":
            await world.say(f"/undo {REF}")

    async def again(world: World) -> None:
        if bool((await world.run_list())[-1].undone) is (command == "redo"):
            await world.say(f"/{command} {REF}")

    beginnings = await Beginnings(outside).prepare(prepared)
    passed = (await live_and_die(beginnings.again(), again, at=-1)).passed
    assert len(passed) > 6
    for at in range(1, len(passed) + 1):
        outside = beginnings.again()
        await live_and_die(outside, again, at)
        world = await come_back(outside, again)
        await holds(world, *(["one"] if command == "undo" else ["one", "two"]))
        if command == "undo":
            await world.say(f"/redo {REF}")
            await holds(world, "one", "two")
        left = await world.store.open_operations()
        assert {operation.kind for operation in left} <= {UNDONE, REDONE}, passed[at - 1]
        await world.close()


# ── beside it ──────────────────────────────────────────────────────────────────────────────────


async def test_a_fork_does_not_have_what_was_taken_back(three: World) -> None:
    await three.say(f"/undo {REF}")
    await three.say(f"/undo {REF}")
    second = (await three.run_list())[1]
    assert (await three.say(f"/fork {REF} --name idea")).ok
    fork = await three.session(key(name="idea"))
    assert three.agent.origins[fork.agent_id][1] == second.message_id


async def test_a_question_on_the_side_does_not_have_it_either(three: World) -> None:
    await three.say(f"/undo {REF}")
    await three.say(f"/btw {REF} what have you done?")
    assert [*three.agent.origins.values()][-1][1] == (await three.run_list())[-1].message_id


async def test_it_can_be_tried_again(three: World) -> None:
    await three.say(f"/undo {REF}")
    assert (await three.say(f"/retry {REF}")).ok
    await three.quiet()
    await holds(three, "one", "two", "three")
    assert "gone for good" in (await three.say(f"/redo {REF}")).document.markdown


async def test_a_session_of_the_same_name_has_nothing_of_the_one_destroyed(three: World) -> None:
    redo = button(await three.say(f"/undo {REF}"))
    assert (await three.say(f"/destroy -y --force {REF}")).ok
    assert (await three.press_button(redo)).code == "not_found"
    three.outside.clock.advance(timedelta(minutes=1))
    await three.say(f"/start {REF} anew")
    await three.quiet()
    assert not (await three.press_button(redo)).ok
    assert "run 4" in (await three.say(f"/undo {REF}")).document.markdown
    assert (await three.say(f"/undo {REF}")).code == "not_found"


async def test_an_archived_session_is_brought_back_first(three: World) -> None:
    assert (await three.say(f"/archive {REF}")).ok
    assert (await three.say(f"/undo {REF}")).ok
    assert three.outside.workspace.opened != []
    await holds(three, "one", "two")


async def test_before_anything_ran(world: World) -> None:
    assert (await world.say("/undo")).code == "usage"
    assert (await world.say(f"/undo {REF}")).code == "not_found"
    gate = world.agent.hanging["fork_session"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while "fork_session" not in world.agent.calls:
        await asyncio.sleep(0)
    assert (await world.say(f"/undo {REF}")).code == "usage"
    gate.set()
    await world.quiet()


# ── one checkout for all ───────────────────────────────────────────────────────────────────────


@pytest.fixture
async def shared(outside: Outside) -> AsyncIterator[World]:
    outside.project = replace(outside.project, worktrees=False)
    world = await World(outside).open()
    writes(world)
    yield world
    await world.close()


async def worked(world: World, *steps: tuple[int, str]) -> None:
    for number, prompt in steps:
        world.outside.clock.advance(timedelta(minutes=1))
        known = await world.store.session(key(number))
        await world.say(f"/{'continue' if known else 'start'} {key(number)} {prompt}")
        await world.quiet()


def files(world: World) -> list[str]:
    directory: Path = world.outside.project.path.resolve()
    return world.outside.workspace.files.get(directory, "").split()


async def test_another_sessions_work_is_not_taken_back(shared: World) -> None:
    await worked(shared, (14, "a"), (15, "b"))
    reply = await shared.say(f"/undo {key(14)}")
    assert "#15 has worked in the same checkout" in reply.document.markdown
    assert files(shared) == ["a", "b"]
    assert (await shared.say(f"/undo {key(15)}")).ok
    assert files(shared) == ["a"]


async def test_another_sessions_work_is_not_written_over(shared: World) -> None:
    await worked(shared, (14, "a"))
    await shared.say(f"/undo {key(14)}")
    await worked(shared, (15, "b"))
    reply = await shared.say(f"/redo {key(14)}")
    assert "#15 has worked in the same checkout" in reply.document.markdown
    assert files(shared) == ["b"]


async def test_another_session_at_work_is_waited_for(shared: World) -> None:
    await worked(shared, (14, "a"))
    gate = asyncio.Event()
    script: Script = [Said("p", "half"), gate, Finished(Outcome.DONE)]
    shared.agent.scripts.append(script)
    await shared.say(f"/start {key(15)} b")
    await shared.chat.until(lambda: any(progress.text == "half" for progress in shared.chat.of("update")))
    assert (await shared.say(f"/undo {key(14)}")).code == "busy"
    gate.set()
    await shared.quiet()


async def test_what_the_agent_refuses_is_said(three: World) -> None:
    three.agent.raising["revert"] = AgentError("opencode does not have this prompt", "It was taken back before")
    reply = await three.say(f"/undo {REF}")
    assert "does not have this prompt" in reply.document.markdown
    assert [run.undone for run in await three.run_list()] == ["", "", ""]
