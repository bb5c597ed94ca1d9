"""`btw`: answered on the side, by a fork that is gone afterwards whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from core.asides import ASIDE, AT_ONCE
from core.errors import AgentSessionGone, AgentUnavailable, StoreError, WrongDirectory
from core.events import Finished, Metered, Outcome, Said
from core.model import Decision, PermissionRequest, SessionId, Tokens
from core.ports import AgentRun
from tests.fakes.agent import Ask, Script
from tests.fakes.world import BOB, VIEWER, Outside, World

REF = "github.com/shoko/kugetsu#14"
GIT = PermissionRequest("r1", SessionId("ses"), "bash", ("git push",), "git push")


@pytest.fixture
async def begun(world: World) -> World:
    world.agent.scripts.append([Said("p", "done"), Metered(Tokens(1), 0.5), Finished(Outcome.DONE)])
    await world.say(f"/start {REF} one")
    await world.quiet()
    return world


async def clean(world: World) -> None:
    """Nothing is left of any question."""
    session = await world.session()
    assert set(world.agent.sessions) == {session.agent_id, *(base.agent_id for base in await world.store.bases())}
    assert await world.store.open_operations() == []


def asked(world: World) -> AgentRun:
    """What was sent to the agent last."""
    return [*world.agent.messages.values()][-1].run


async def test_an_answer_and_nothing_else(begun: World) -> None:
    session = await begun.session()
    begun.agent.scripts.append([Said("p", "three files"), Metered(Tokens(1), 0.25), Finished(Outcome.DONE)])
    reply = await begun.say(f"/btw {REF} which files?", BOB)
    assert reply.document.markdown == "three files\n\n💬 #14 · on the side · $0.25"
    assert reply.data == {"ref": REF, "question": "which files?", "text": "three files", "cost": 0.25}
    await clean(begun)
    run = asked(begun)
    assert run.session != session.agent_id
    assert (run.prompt, run.directory, run.read_only) == ("which files?", session.directory, True)
    assert begun.agent.conversation(session.agent_id) == ["one"]
    assert await begun.session() == session
    assert [run.prompt for run in await begun.run_list()] == ["one"]
    assert await begun.store.spent_in(session.key) == 0.75


async def test_it_is_asked_with_what_was_chosen_for_the_session(begun: World) -> None:
    await begun.say(f"/model {REF} m2 high")
    await begun.say(f"/agent {REF} plan")
    await begun.say(f"/btw {REF} which files?")
    run = asked(begun)
    assert (run.model, run.variant, run.agent) == ("mock/m2", "high", "plan")


async def test_a_run_that_goes_on_is_not_disturbed(begun: World) -> None:
    gate = asyncio.Event()
    begun.agent.scripts.append([Said("p", "half"), gate, Said("p", " whole"), Finished(Outcome.DONE)])
    await begun.say(f"/continue {REF} two")
    await begun.chat.until(lambda: any(progress.text == "half" for progress in begun.chat.of("update")))
    assert (await begun.say(f"/btw {REF} what is it?")).ok
    await clean(begun)
    gate.set()
    await begun.quiet()
    assert begun.chat.answer_texts() == ["done", "half whole"]
    assert begun.agent.stops == []


async def test_what_it_asks_is_rejected_and_nobody_sees_it(begun: World) -> None:
    begun.agent.scripts.append([Ask(GIT), Said("p", "no need"), Finished(Outcome.DONE)])
    assert (await begun.say(f"/btw {REF} could you push?")).ok
    ((request, decision),) = begun.agent.decisions
    assert (request, decision.reply) == ("r1", Decision("reject").reply)
    assert begun.chat.of("ask") == []
    await clean(begun)


# ── refused ────────────────────────────────────────────────────────────────────────────────────


async def test_who_may_not_and_what_is_nothing(begun: World) -> None:
    assert (await begun.say(f"/btw {REF} why?", VIEWER)).code == "not_allowed"
    for question in ("", "   ", "a\0b"):
        assert (await begun.say(f"/btw {REF} {question}")).code == "usage"
    assert (await begun.say("/btw github.com/shoko/kugetsu#99 why?")).code == "not_found"
    assert (await begun.say("/btw why?")).code == "usage"
    assert begun.agent.prompts == ["one"]


async def test_before_its_session_has_begun(world: World) -> None:
    gate = world.agent.hanging["fork_session"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while "fork_session" not in world.agent.calls:
        await asyncio.sleep(0)
    assert "has not begun" in (await world.say(f"/btw {REF} why?")).document.markdown
    gate.set()
    await world.quiet()


async def test_several_wait_for_their_turn_and_for_what_may_be_spent(begun: World) -> None:
    await begun.say(f"/budget {REF} 1$")
    gate = asyncio.Event()
    script: Script = [gate, Said("p", "yes"), Metered(Tokens(1), 0.5), Finished(Outcome.DONE)]
    begun.agent.scripts.extend([list(script) for _ in range(AT_ONCE)])
    asking = [asyncio.create_task(begun.say(f"/btw {REF} {number}?")) for number in range(AT_ONCE + 2)]
    while len(begun.agent.prompts) < 1 + AT_ONCE:
        await asyncio.sleep(0)
    gate.set()
    replies = [await each for each in asking]
    assert [reply.code for reply in replies] == [""] * AT_ONCE + ["over_budget"] * 2
    assert len(begun.agent.prompts) == 1 + AT_ONCE
    await clean(begun)


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("fork_session", AgentSessionGone("no such session")),
        ("rename_session", AgentUnavailable("opencode does not answer")),
        ("settle_directory", WrongDirectory("elsewhere")),
        ("run", AgentUnavailable("opencode does not answer")),
    ],
)
async def test_a_failure_on_the_way_leaves_nothing(begun: World, method: str, error: Exception) -> None:
    begun.agent.raising[method] = error
    reply = await begun.say(f"/btw {REF} why?")
    assert not reply.ok
    assert str(error) in reply.document.markdown
    await clean(begun)
    assert (await begun.say(f"/btw {REF} why?")).ok


@pytest.mark.parametrize("end", [Finished(Outcome.FAILED, "api", "the provider is down"), Finished(Outcome.DONE)])
async def test_without_an_answer_it_says_so_and_what_it_cost_counts(begun: World, end: Finished) -> None:
    begun.agent.scripts.append([Metered(Tokens(1), 0.25), end])
    reply = await begun.say(f"/btw {REF} why?")
    assert "could not be answered" in reply.document.markdown
    assert await begun.store.spent_in((await begun.session()).key) == 0.75
    await clean(begun)


@pytest.mark.looptime
async def test_an_answer_that_does_not_come_is_not_waited_for_and_what_it_cost_counts(begun: World) -> None:
    begun.agent.scripts.append([Metered(Tokens(1), 0.25), asyncio.Event(), Finished(Outcome.DONE)])
    reply = await begun.say(f"/btw {REF} why?")
    assert "no answer within 10 min" in reply.document.markdown
    await clean(begun)
    assert await begun.store.spent_in((await begun.session()).key) == 0.75


@pytest.mark.parametrize("method", ["fork_session", "settle_directory", "run"])
async def test_a_process_that_leaves_takes_its_fork_along(begun: World, method: str) -> None:
    gate = begun.agent.hanging[method] = asyncio.Event()
    before = begun.agent.calls.count(method)
    asking = asyncio.create_task(begun.say(f"/btw {REF} why?"))
    while begun.agent.calls.count(method) == before:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait([asking])
    assert asking.cancelled()
    await clean(begun)


async def test_what_a_dead_process_left_is_deleted_by_the_next(outside: Outside) -> None:
    world = await World(outside).open()
    await world.say(f"/start {REF} one")
    await world.quiet()
    session = await world.session()
    left = await world.agent.fork_session(session.agent_id, session.directory)
    operation = await world.store.begin(ASIDE, session.key.key, {})
    await world.store.step_done(operation, "forked", {"agent_id": left.id})
    await world.store.begin(ASIDE, session.key.key, {})  # one that had not forked yet
    await world.close()
    world = await World(outside).open()
    await world.asides.clean_up()
    await clean(world)
    await world.close()


async def test_what_is_asked_meanwhile_is_left_alone(begun: World) -> None:
    gate = asyncio.Event()
    begun.agent.scripts.append([gate, Said("p", "yes"), Finished(Outcome.DONE)])
    asking = asyncio.create_task(begun.say(f"/btw {REF} why?"))
    while len(begun.agent.prompts) < 2:
        await asyncio.sleep(0)
    await begun.asides.clean_up()
    assert asked(begun).session in begun.agent.sessions
    gate.set()
    assert (await asking).ok
    await clean(begun)


async def test_what_cannot_be_deleted_is_tried_again_later(begun: World) -> None:
    begun.store.failing.add("end")
    assert (await begun.say(f"/btw {REF} why?")).ok, "the answer is there all the same"
    assert isinstance(begun.complaints[0][1], StoreError)
    begun.store.failing.clear()
    assert len(await begun.store.open_operations(kind=ASIDE)) == 1
    await begun.asides.clean_up()
    await clean(begun)
