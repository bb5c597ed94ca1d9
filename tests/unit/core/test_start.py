"""From `start` to the answer, the queue behind it, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import AgentError, AgentSessionGone, AgentUnavailable, FolderGone, WorkspaceError
from core.events import Finished, Metered, Outcome, Said, Started
from core.model import MessageId, Place, RunState, SessionId, SessionState, Tokens
from core.run_state import Choices
from tests.fakes.agent import says
from tests.fakes.world import BOB, PROJECT, VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"


async def test_a_start_makes_worktree_fork_and_answer(world: World) -> None:
    world.outside.workspace.changed = 3
    world.agent.scripts.append(
        [
            Started(SessionId("s"), MessageId("m"), "mock/m1"),
            Said("p", "thinking", reasoning=True),
            Said("q", "all "),
            Said("q", "done"),
            Metered(Tokens(10, 2), 0.5),
            Finished(Outcome.DONE),
        ]
    )
    reply = await world.say(f"/start {REF} do it")
    assert reply.ok
    assert reply.place == Place("fake", "lobby", REF)
    assert "kugetsu/14" in reply.document.markdown
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert (report.run.text, report.run.model, report.run.cost) == ("all done", "mock/m1", 0.5)
    assert report.files_changed == 3
    session = await world.session()
    assert session.state is SessionState.IDLE
    assert session.directory == world.outside.folder / "state/worktrees/github.com-shoko-kugetsu-14"
    assert world.outside.workspace.worktrees == {session.directory: "kugetsu/14"}
    agent_session = world.agent.sessions[session.agent_id]
    assert agent_session.directory == session.directory
    assert agent_session.title == f"kugetsu {REF}: do it"
    base = await world.store.base(PROJECT)
    assert base is not None
    assert world.agent.origins == {session.agent_id: (base.agent_id, None)}
    (run,) = await world.run_list()
    assert (run.state, run.number, run.person, run.prompt) == (RunState.DONE, 1, "fake:ann", "do it")
    assert run.snapshot_before
    assert run.snapshot_after
    assert await world.store.open_operations() == []
    assert world.complaints == []


async def test_a_message_in_the_thread_is_the_next_prompt(world: World) -> None:
    thread = (await world.say(f"/start {REF} do it")).place
    assert thread
    await world.quiet()
    assert (await world.say("now add tests", place=thread)).ok
    await world.quiet()
    assert world.agent.prompts == ["do it", "now add tests"]
    assert world.chat.answer_texts() == ["answer to do it", "answer to now add tests"]
    assert len(world.outside.workspace.added) == 1


async def test_prompts_queue_and_are_answered_in_order(world: World) -> None:
    gate = asyncio.Event()
    world.agent.scripts.append([gate, *says("first")])
    await world.say(f"/start {REF} one")
    second = await world.say(f"/continue {REF} two")
    third = await world.say(f"/continue {REF} three", person=BOB)
    assert "Queued at 1" in second.document.markdown
    assert "Queued at 2" in third.document.markdown
    gate.set()
    await world.quiet()
    assert world.agent.prompts == ["one", "two", "three"]
    assert [run.number for run in await world.run_list()] == [1, 2, 3]
    assert world.chat.answer_texts() == ["first", "answer to two", "answer to three"]


async def test_the_queue_has_an_end(outside: Outside) -> None:
    outside.queue_depth = 2
    world = await World(outside).open()
    gate = asyncio.Event()
    outside.agent.scripts.append([gate, *says("x")])
    await world.say(f"/start {REF} 0")
    while not outside.agent.prompts:
        await asyncio.sleep(0)
    replies = [await world.say(f"/continue {REF} {n}") for n in range(1, 4)]
    assert [reply.ok for reply in replies] == [True, True, False]
    assert replies[2].code == "queue_full"
    gate.set()
    await world.quiet()
    assert outside.agent.prompts == ["0", "1", "2"]
    await world.close()


async def test_the_queue_has_an_end_for_many_at_once(outside: Outside) -> None:
    outside.queue_depth = 2
    world = await World(outside).open()
    gate = asyncio.Event()
    outside.agent.scripts.append([gate, *says("x")])
    await world.say(f"/start {REF} 0")
    while not outside.agent.prompts:
        await asyncio.sleep(0)
    replies = await asyncio.gather(*(world.say(f"/continue {REF} {n}") for n in range(6)))
    assert sum(reply.ok for reply in replies) == 2
    gate.set()
    await world.quiet()
    await world.close()


async def test_sessions_do_not_wait_for_each_other_up_to_the_limit(outside: Outside) -> None:
    outside.choices = Choices(max_concurrent=2)
    world = await World(outside).open()
    gates = [asyncio.Event() for _ in range(3)]
    for gate in gates:
        outside.agent.scripts.append([gate, *says("x")])
    for number in (1, 2, 3):
        await world.say(f"/start shoko/kugetsu#{number} n{number}")
    await world.chat.until(lambda: "runs.max_concurrent" in world.chat.sentences())
    assert len(outside.agent.prompts) <= 2
    assert not (await world.say("/stop shoko/kugetsu#9")).ok
    while len(outside.agent.prompts) < 2:
        await asyncio.sleep(0)
    gates[0].set()
    gates[1].set()
    gates[2].set()
    await world.quiet()
    assert sorted(outside.agent.prompts) == ["n1", "n2", "n3"]
    assert len(world.chat.answer_texts()) == 3
    await world.close()


async def test_sessions_that_share_the_checkout_take_turns_and_keep_no_slot(outside: Outside) -> None:
    outside.project = replace(outside.project, worktrees=False)
    outside.choices = Choices(max_concurrent=2)
    world = await World(outside).open()
    gate = asyncio.Event()
    outside.agent.scripts.append([gate, *says("x")])
    await world.say("/start shoko/kugetsu#1 one")
    while not outside.agent.prompts:
        await asyncio.sleep(0)
    await world.say("/start shoko/kugetsu#2 two")
    await world.say("/start shoko/kugetsu#3 three")
    for _ in range(200):
        await asyncio.sleep(0.001)
        if "runs.max_concurrent" in world.chat.sentences():
            break
    assert outside.agent.prompts == ["one"]
    assert "runs.max_concurrent" not in world.chat.sentences()
    gate.set()
    await world.quiet()
    assert sorted(outside.agent.prompts) == ["one", "three", "two"]
    assert outside.workspace.added == []
    assert (await world.session(key(2))).branch == ""
    await world.close()


# ── a second start ─────────────────────────────────────────────────────────────────────────────


async def test_a_second_start_says_where_the_session_lives(world: World) -> None:
    await world.say(f"/start {REF} do it")
    await world.quiet()
    reply = await world.say("/start GITHUB.com/Shoko/KUGETSU#14 -- something else", person=BOB)
    assert not reply.ok
    assert reply.code == "exists"
    assert f"fake:lobby/{REF}" in reply.document.markdown
    assert [button.label for button in reply.document.buttons] == ["Continue here", "Fork", "Watch"]
    assert reply.data["session"] == (await world.session()).agent_id
    assert len(world.agent.forks_of_issues()) == 1
    await world.press_button(reply.document.buttons[0].id, person=BOB)
    await world.quiet()
    assert world.agent.prompts == ["do it", "something else"]
    await world.press_button(reply.document.buttons[1].id, person=BOB)
    await world.quiet()
    assert len(world.agent.forks_of_issues()) == 2
    assert not (await world.press_button(reply.document.buttons[1].id, person=VIEWER)).ok


async def test_two_starts_at_once_make_one_session(world: World) -> None:
    replies = await asyncio.gather(
        world.say(f"/start {REF} mine"), world.say(f"/start {REF.upper()} yours", person=BOB)
    )
    await world.quiet()
    assert sorted(reply.ok for reply in replies) == [False, True]
    assert {reply.code for reply in replies} == {"", "exists"}
    assert len(world.agent.forks_of_issues()) == len(world.outside.workspace.added) == 1
    assert len(world.agent.prompts) == 1


async def test_a_second_start_while_the_first_is_being_made(world: World) -> None:
    world.agent.hanging["fork_session"] = asyncio.Event()
    await world.say(f"/start {REF} mine")
    while "fork_session" not in world.agent.calls:
        await asyncio.sleep(0)
    reply = await world.say(f"/start {REF} yours", person=BOB)
    assert reply.code == "exists"
    world.agent.hanging["fork_session"].set()
    await world.quiet()
    assert world.agent.prompts == ["mine"]


async def test_a_replayed_event_changes_nothing(world: World) -> None:
    for _ in range(2):
        await world.say(f"/start {REF} do it", event="same")
    await world.quiet()
    await world.say(f"/start {REF} do it", event="same")
    await world.quiet()
    assert world.agent.prompts == ["do it"]


# ── starts that fail ───────────────────────────────────────────────────────────────────────────


async def test_a_start_refused_at_once_leaves_no_record(world: World) -> None:
    world.outside.workspace.raising["inspect"] = WorkspaceError("no git repository")
    reply = await world.say(f"/start {REF} do it")
    assert reply.code == "workspace"
    assert await world.store.sessions() == []
    assert await world.store.open_operations() == []
    assert (await world.say(f"/start {REF} do it")).ok


async def test_a_start_that_failed_before_any_effect_leaves_no_record(world: World) -> None:
    world.outside.workspace.raising["add_worktree"] = WorkspaceError("disk on fire")
    await world.say(f"/start {REF} do it")
    await world.quiet()
    assert await world.store.sessions() == []
    assert await world.store.open_operations() == []
    (report,) = world.chat.of("answer")
    assert "disk on fire" in report.run.error
    assert (await world.say(f"/start {REF} do it")).ok
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to do it"


async def test_a_prompt_queued_behind_a_start_that_fails_is_not_lost(world: World) -> None:
    world.outside.workspace.raising["add_worktree"] = WorkspaceError("disk on fire")
    world.agent.hanging["find_session"] = asyncio.Event()
    world.chat.hanging["settle"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while not world.chat.of("update"):
        await asyncio.sleep(0)
    assert (await world.say(f"/continue {REF} two")).ok
    world.chat.hanging["settle"].set()
    world.agent.hanging["find_session"].set()
    await world.quiet()
    assert world.agent.prompts == ["two"]
    assert world.chat.answer_texts() == ["", "answer to two"]


@pytest.mark.parametrize("way", ["/retry", "/start"])
@pytest.mark.parametrize("method", ["create_session", "fork_session", "rename_session", "settle_directory", "set_up"])
async def test_a_start_that_failed_after_an_effect_is_continued(outside: Outside, method: str, way: str) -> None:
    outside.project = replace(outside.project, setup="make", base_prompt="Read the README.")
    world = await World(outside).open()
    port = outside.workspace if method == "set_up" else outside.agent
    port.raising[method] = WorkspaceError("no") if method == "set_up" else AgentUnavailable("no answer")
    await world.say(f"/start {REF} do it")
    await world.quiet()
    session = await world.session()
    assert session.state is SessionState.FAILED
    (run,) = await world.run_list()
    assert run.state is RunState.FAILED
    reply = await world.say(f"/retry {REF}" if way == "/retry" else f"/start {REF} do it")
    assert reply.ok, reply
    await world.quiet()
    assert world.chat.answer_texts() == ["", "answer to do it"]
    assert len(outside.workspace.added) == 1
    assert len(outside.agent.forks_of_issues()) == 1
    assert outside.workspace.set_ups == 1
    assert outside.agent.prompts == ["Read the README.", "do it"]
    session = await world.session()
    assert outside.agent.sessions[session.agent_id].title.startswith("kugetsu ")
    assert await world.store.open_operations() == []
    await world.close()


async def test_a_stop_in_the_middle_of_a_start_can_be_started_over(world: World) -> None:
    world.agent.hanging["fork_session"] = asyncio.Event()
    await world.say(f"/start {REF} do it")
    while "fork_session" not in world.agent.calls:
        await asyncio.sleep(0)
    assert (await world.say(f"/stop {REF}")).ok
    await world.quiet()
    world.agent.hanging.clear()
    assert (await world.say(f"/start {REF} do it")).ok
    await world.quiet()
    assert world.chat.answer_texts() == ["", "answer to do it"]


async def test_a_stop_before_the_start_began_can_be_started_over(outside: Outside) -> None:
    outside.choices = Choices(max_concurrent=1)
    world = await World(outside).open()
    gate = asyncio.Event()
    outside.agent.scripts.append([gate, *says("x")])
    await world.say("/start shoko/kugetsu#1 one")
    while not outside.agent.prompts:
        await asyncio.sleep(0)
    await world.say(f"/start {REF} do it")
    await world.chat.until(lambda: "runs.max_concurrent" in world.chat.sentences())
    assert (await world.say(f"/stop {REF}")).ok
    gate.set()
    await world.quiet()
    assert (await world.say(f"/start {REF} do it")).ok
    await world.quiet()
    assert outside.agent.prompts == ["one", "do it"]
    await world.close()


# ── the base session ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def taught(outside: Outside) -> Outside:
    outside.project = replace(outside.project, base_prompt="Read the README.")
    return outside


async def test_the_base_is_prompted_once_for_all(taught: Outside) -> None:
    world = await World(taught).open()
    await asyncio.gather(*(world.say(f"/start shoko/kugetsu#{n} do") for n in (1, 2, 3)))
    await world.quiet()
    assert taught.agent.prompts.count("Read the README.") == 1
    assert "Preparing the base session" in world.chat.sentences()
    assert len({source for source, _ in taught.agent.origins.values()}) == 1
    await world.close()


async def test_a_lost_base_is_made_again_and_said(taught: Outside) -> None:
    world = await World(taught).open()
    await world.say("/start shoko/kugetsu#1 do")
    await world.quiet()
    lost = await world.store.base(PROJECT)
    assert lost
    await taught.agent.delete_session(lost.agent_id)
    await world.say("/start shoko/kugetsu#2 do")
    await world.quiet()
    assert "no longer has the base session" in world.chat.sentences()
    made = await world.store.base(PROJECT)
    assert made
    assert made.agent_id != lost.agent_id
    assert taught.agent.prompts.count("Read the README.") == 2
    assert world.chat.answer_texts() == ["answer to do", "answer to do"]
    await world.close()


async def test_a_refused_base_prompt_fails_the_start_and_can_be_retried(taught: Outside) -> None:
    world = await World(taught).open()
    taught.agent.scripts.append([Finished(Outcome.FAILED, "APIError", "no credit")])
    await world.say(f"/start {REF} do it")
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert "no credit" in report.run.error
    assert "base_prompt" in report.run.error
    await world.say(f"/retry {REF}")
    await world.quiet()
    assert taught.agent.prompts == ["Read the README.", "Read the README.", "do it"]
    assert (
        sum(s.title.startswith("kugetsu base") and "fork" not in s.title for s in taught.agent.sessions.values()) == 1
    )
    await world.close()


async def test_init_makes_the_base_and_force_makes_it_anew(taught: Outside) -> None:
    world = await World(taught).open()
    first = await world.say("/init shoko/kugetsu")
    again = await world.say("/init")
    forced = await world.say("/init shoko/kugetsu --force")
    assert not forced.ok or forced.data["session"] != first.data["session"]
    anew = await world.say("/init --force shoko/kugetsu")
    assert first.ok
    assert first.data["session"] == again.data["session"]
    assert anew.data["session"] != first.data["session"]
    assert (await world.say("/init nobody/nothing")).code == "not_found"
    assert (await world.say("/init", person=BOB)).code == "not_allowed"
    await world.close()


async def test_an_old_base_is_said(world: World) -> None:
    await world.say("/start shoko/kugetsu#1 do")
    await world.quiet()
    world.outside.clock.advance(timedelta(days=31))
    await world.say("/start shoko/kugetsu#2 do")
    await world.quiet()
    assert "--force" in world.chat.sentences()


# ── forks ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_fork_has_files_branch_and_session_of_its_own(world: World) -> None:
    await world.say(f"/start {REF} do it")
    await world.quiet()
    reply = await world.say(f"/fork {REF} --name idea try a queue")
    assert reply.ok
    await world.quiet()
    parent, fork = await world.session(), await world.session(key(name="idea"))
    assert (fork.branch, fork.parent, fork.parent_id) == ("kugetsu/14-idea", parent.key, parent.agent_id)
    assert fork.directory.name == "github.com-shoko-kugetsu-14~idea"
    (restored,) = world.outside.workspace.restored
    assert restored[0] == fork.directory
    assert world.outside.workspace.snapshots[restored[1]][0] == parent.directory
    assert world.agent.prompts == ["do it", "try a queue"]
    assert world.agent.sessions[fork.agent_id].directory == fork.directory


async def test_a_fork_without_a_message_is_ready_at_once(world: World) -> None:
    await world.say(f"/start {REF} do it")
    await world.quiet()
    first, second = await asyncio.gather(world.say(f"/fork {REF}"), world.say(f"/fork {REF}"))
    assert {first.data["name"], second.data["name"]} == {"fork-1", "fork-2"}
    fork = await world.session(key(name="fork-1"))
    assert (fork.state, fork.title) == (SessionState.IDLE, "do it")
    assert world.agent.prompts == ["do it"]


async def test_a_prompt_to_a_fork_that_is_being_made_waits_for_it(world: World) -> None:
    await world.say(f"/start {REF} do it")
    await world.quiet()
    world.agent.hanging["fork_session"] = asyncio.Event()
    forking = asyncio.create_task(world.say(f"/fork {REF} --name idea"))
    while world.agent.calls.count("fork_session") < 2:
        await asyncio.sleep(0)
    await world.say(f"/continue {REF}~idea go")
    for _ in range(50):
        await asyncio.sleep(0.001)
    world.agent.hanging["fork_session"].set()
    assert (await forking).ok
    await world.quiet()
    assert len(world.agent.forks_of_issues()) == 2
    assert world.agent.prompts == ["do it", "go"]


async def test_a_fork_without_a_message_that_failed_at_once_leaves_no_record(world: World) -> None:
    await world.say(f"/start {REF} do it")
    await world.quiet()
    world.outside.workspace.raising["snapshot"] = WorkspaceError("disk on fire")
    assert (await world.say(f"/fork {REF} --name idea")).code == "workspace"
    assert await world.store.session(key(name="idea")) is None
    assert (await world.say(f"/fork {REF} --name idea")).ok


async def test_a_fork_at_a_run_takes_its_files_and_what_was_said_until_then(world: World) -> None:
    thread = (await world.say(f"/start {REF} one")).place
    assert thread
    await world.say("two", place=thread)
    await world.say("three", place=thread)
    await world.quiet()
    one, two, _ = await world.run_list()
    assert (await world.say("/fork --at 1 --name back", place=thread)).ok
    await world.quiet()
    fork = await world.session(key(name="back"))
    assert world.agent.origins[fork.agent_id][1] == two.message_id
    assert world.outside.workspace.restored == [(fork.directory, one.snapshot_after)]
    assert (await world.say("/fork --at 9", place=thread)).code == "not_found"


async def test_a_fork_at_a_run_goes_by_the_id_that_the_agent_gave_the_prompt(world: World) -> None:
    """Where a prompt carries no id of ours, the recorded one is only that until its run has begun."""
    await world.say(f"/start {REF} one")
    await world.quiet()
    theirs = [Started(SessionId("s"), MessageId("msg_theirs")), Said("p", "2"), Finished(Outcome.DONE)]
    world.agent.scripts.append(theirs)
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert (await world.say(f"/fork {REF} --name back --at 1")).ok
    fork = await world.session(key(name="back"))
    assert world.agent.origins[fork.agent_id][1] == "msg_theirs"


async def test_fork_names_are_taken_once(world: World) -> None:
    await world.say(f"/start {REF} do it")
    await world.quiet()
    replies = await asyncio.gather(*(world.say(f"/fork {REF} --name {name}") for name in ("idea", "IDEA")))
    assert sorted(reply.ok for reply in replies) == [False, True]
    assert (await world.say(f"/fork {REF} --name ../x")).code == "ref"
    assert (await world.say(f"/start {REF}~idea do")).code == "ref"


async def test_without_worktrees_there_are_no_forks(outside: Outside) -> None:
    outside.project = replace(outside.project, worktrees=False)
    world = await World(outside).open()
    await world.say(f"/start {REF} do it")
    await world.quiet()
    reply = await world.say(f"/fork {REF}")
    assert (reply.ok, reply.code) == (False, "usage")
    assert "worktrees" in reply.document.markdown
    await world.close()


# ── sessions that are gone ─────────────────────────────────────────────────────────────────────


async def test_a_session_gone_behind_our_back_is_said_and_can_be_started_again(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    session = await world.session()
    await world.agent.delete_session(session.agent_id)
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert (await world.session()).state is SessionState.GONE
    (_, report) = world.chat.of("answer")
    assert report.run.error_code == "session_gone"
    refused = await world.say(f"/continue {REF} three")
    assert refused.code == "not_found"
    assert "/start" in refused.document.markdown
    assert (await world.say(f"/start {REF} four")).ok
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to four"
    assert len(world.outside.workspace.added) == 1, "the worktree is the same"
    assert await world.store.open_operations() == []


async def test_a_new_start_of_a_gone_session_that_fails_keeps_its_record(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    await world.agent.delete_session((await world.session()).agent_id)
    await world.say(f"/continue {REF} two")
    await world.quiet()
    world.outside.workspace.raising["add_worktree"] = WorkspaceError("disk on fire")
    await world.say(f"/start {REF} three")
    await world.quiet()
    assert await world.store.session(key())
    await world.say(f"/start {REF} four")
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to four"
    assert len(await world.store.sessions()) == 1


async def test_a_session_gone_while_it_was_being_started(world: World) -> None:
    world.agent.raising["settle_directory"] = AgentSessionGone("gone already")
    await world.say(f"/start {REF} one")
    await world.quiet()
    assert (await world.session()).state is SessionState.GONE
    assert (await world.say(f"/start {REF} two")).ok
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to two"
    assert await world.store.open_operations() == []


# ── runs that fail ─────────────────────────────────────────────────────────────────────────────


async def test_an_agent_that_is_not_there_fails_the_run_and_the_next_one_works(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    world.agent.raising["run"] = AgentUnavailable("opencode does not answer", "Start it.")
    await world.say(f"/continue {REF} two")
    await world.quiet()
    (_, report) = world.chat.of("answer")
    assert (report.run.state, report.run.error_code) == (RunState.FAILED, "agent_unavailable")
    assert "Start it." in report.run.error
    assert (await world.session()).state is SessionState.FAILED
    await world.say(f"/retry {REF}")
    await world.quiet()
    assert world.chat.answer_texts()[-1] == "answer to two"


async def test_a_defect_in_the_stream_fails_the_run_stops_the_agent_and_the_next_one_works(world: World) -> None:
    world.agent.scripts.append([Said("p", "half"), ValueError("a bug")])
    await world.say(f"/start {REF} one")
    await world.say(f"/continue {REF} two")
    await world.quiet()
    first, second = world.chat.of("answer")
    assert (first.run.state, first.run.error_code, first.run.text) == (RunState.FAILED, "internal", "half")
    assert "a bug" not in first.run.error
    assert isinstance(world.complaints[0][1], ValueError)
    assert world.agent.stops, "nobody listens to it any more"
    assert second.run.text == "answer to two"


async def test_an_agent_error_as_an_event(world: World) -> None:
    world.agent.scripts.append([Said("p", "half"), Finished(Outcome.FAILED, "APIError", "no credit")])
    await world.say(f"/start {REF} one")
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert (report.run.error_code, report.run.error, report.run.text) == ("APIError", "no credit", "half")
    assert world.agent.stops == []


async def test_a_stream_that_just_ends_is_a_failure_and_says_so(world: World) -> None:
    world.agent.scripts.append([Said("p", "half")])
    await world.say(f"/start {REF} one")
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert report.run.state is RunState.FAILED
    assert report.run.error


@pytest.mark.parametrize("method", ["snapshot", "changed_files"])
async def test_git_trouble_costs_neither_run_nor_answer(world: World, method: str) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    world.outside.workspace.raising[method] = WorkspaceError("index.lock exists")
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert world.chat.answer_texts() == ["answer to one", "answer to two"]


async def test_a_failed_agent_before_the_first_prompt_of_all(world: World) -> None:
    world.agent.raising["create_session"] = AgentError("refused")
    await world.say(f"/start {REF} one")
    await world.quiet()
    assert world.agent.prompts == []
    (report,) = world.chat.of("answer")
    assert "refused" in report.run.error


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["a\0b", "x" * (3 * 1024 * 1024)])
async def test_prompts_that_cannot_be(world: World, text: str) -> None:
    for line in (f"/start {REF} {text}", f"/continue {REF} {text}", f"/fork {REF} {text}"):
        reply = await world.say(line)
        assert not reply.ok
        assert len(reply.document.markdown) < 1000
    assert await world.store.sessions() == []


async def test_prompts_that_cannot_be_in_a_thread(world: World) -> None:
    thread = (await world.say(f"/start {REF} one")).place
    assert thread
    await world.quiet()
    for text in ("", "  \n", "a\0b", "x" * (3 * 1024 * 1024)):
        assert (await world.say(text, place=thread)).code == "usage"
    elsewhere = Place("fake", "elsewhere")
    assert not (await world.say(f"/continue {REF} a\0b", place=elsewhere)).ok
    assert Place("fake", "elsewhere", REF) not in await world.store.places(key()), "a refused prompt attaches nothing"
    assert world.agent.prompts == ["one"]


async def test_who_may_what(world: World) -> None:
    assert (await world.say(f"/start {REF} one", person=VIEWER)).code == "not_allowed"
    thread = (await world.say(f"/start {REF} one", person=BOB)).place
    assert thread
    await world.quiet()
    assert (await world.say("two", person=VIEWER, place=thread)).code == "not_allowed"
    assert (await world.say("/status", person=VIEWER, place=thread)).ok
    stranger = replace(VIEWER, id="fake:stranger")
    assert (await world.say("/list", person=stranger)).code == "not_allowed"
    assert (await world.say("/whoami", person=stranger)).ok


async def test_where_no_session_is_shown(world: World) -> None:
    assert (await world.say("hello")).code == "usage"
    for line in ("/stop", "/status", "/retry", "/continue x", "/fork"):
        reply = await world.say(line)
        assert (reply.ok, reply.code) == (False, "usage")
        assert "For example" in reply.document.markdown
    assert (await world.say("/status shoko/kugetsu#99")).code == "not_found"
    assert (await world.say("/start nobody/nothing#1 x")).code == "not_found"


async def test_retry_is_for_what_failed(world: World) -> None:
    thread = (await world.say(f"/start {REF} one")).place
    assert thread
    await world.quiet()
    assert (await world.say("/retry", place=thread)).code == "usage"


async def test_status_list_watch_and_unwatch(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    await world.say(f"/fork {REF} --name idea")
    status = await world.say(f"/status {REF}")
    assert (status.data["state"], status.data["waiting"]) == ("idle", 0)
    assert [run["text"] for run in status.data["runs"]] == ["answer to one"]
    listed = await world.say("/list")
    assert [entry["name"] for entry in listed.data] == ["", "idea"]
    assert "└ " in listed.document.markdown
    side = Place("fake", "side")
    assert (await world.say(f"/watch {REF}", place=side)).ok
    await world.say(f"/continue {REF} two")
    await world.quiet()
    shown = [shown.place for shown in world.chat if shown.kind == "answer"]
    assert Place("fake", "side", REF) in shown
    assert (await world.say("/unwatch", place=Place("fake", "side", REF))).ok
    assert Place("fake", "side", REF) not in await world.store.places(key())


async def test_the_debug_log_is_switched_on_for_the_session(world: World) -> None:
    await world.say(f"/start {REF} one", debug=True)
    assert world.debugged == ["github.com-shoko-kugetsu-14"]
    await world.quiet()


async def test_a_number_alone_is_understood_in_the_thread(world: World) -> None:
    thread = (await world.say(f"/start {REF} one")).place
    assert thread
    await world.quiet()
    assert (await world.say("/start #15 two", place=thread)).ok
    await world.quiet()
    assert await world.store.session(key(15))


async def test_projects_of_another_instance(outside: Outside) -> None:
    outside.project = replace(outside.project, ref=replace(PROJECT, instance="forge"))
    outside.default_instance = "forge"
    world = await World(outside).open()
    reply = await world.say("/start shoko/kugetsu#14 do it")
    assert reply.ok, reply.document
    await world.quiet()
    assert (await world.say("/fork shoko/kugetsu#14 go")).ok
    await world.quiet()
    assert outside.agent.prompts == ["do it", "go"]
    await world.close()


# ── a worktree deleted by hand ─────────────────────────────────────────────────────────────────


async def test_a_worktree_deleted_by_hand_is_made_again_and_said(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    world.outside.workspace.raising["snapshot"] = FolderGone("it does not exist")
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert world.outside.workspace.opened == [(await world.session()).directory]
    assert "was gone; it is made again" in world.chat.sentences()
    assert world.agent.prompts == ["one", "two"]


async def test_one_that_cannot_be_made_again_is_said_and_nothing_is_sent(world: World) -> None:
    await world.say(f"/start {REF} one")
    await world.quiet()
    workspace = world.outside.workspace
    workspace.raising |= {"snapshot": FolderGone("gone"), "open_worktree": WorkspaceError("checked out in /mine")}
    await world.say(f"/continue {REF} two")
    await world.quiet()
    assert world.agent.prompts == ["one"]
    assert "/mine" in world.chat.of("answer")[-1].run.error
    assert (await world.say(f"/retry {REF}")).ok
    await world.quiet()
    assert world.agent.prompts == ["one", "two"]


async def test_a_checkout_that_is_gone_is_not_made_again(outside: Outside) -> None:
    outside.project = replace(outside.project, worktrees=False)
    outside.workspace.raising["snapshot"] = FolderGone("it does not exist")
    world = await World(outside).open()
    await world.say(f"/start {REF} one")
    await world.quiet()
    assert world.agent.prompts == []
    assert world.outside.workspace.opened == []
    await world.close()
