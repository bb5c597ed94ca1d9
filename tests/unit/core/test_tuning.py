"""`model`, `agent`, `compact`, `verbosity`: what was chosen holds from the next prompt on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.errors import AgentError, AgentUnavailable
from core.events import Finished, Outcome, Said
from core.model import PermissionRule, Place, RunState, Verbosity
from core.ports import AgentModel, Reply
from core.run_state import Choices
from tests.fakes.agent import Script
from tests.fakes.world import ANN, BOB, LOBBY, VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"
MODELS = [
    AgentModel("anthropic/claude-opus", "Claude Opus", 200_000, ("high", "max")),
    AgentModel("anthropic/claude-sonnet", "Claude Sonnet", 200_000),
    AgentModel("openai/gpt", "GPT", 100_000, ("low",)),
    AgentModel("proxy/gpt", "GPT by proxy", 100_000),
    AgentModel("mock/m1", "M1", 1000),
]
FULL: Script = [Said("p", "half"), Finished(Outcome.FAILED, "context_full", "too long")]


@pytest.fixture
async def begun(world: World) -> World:
    world.agent.known_models = MODELS
    await world.say(f"/start {REF} one")
    await world.quiet()
    return world


def labels(reply: Reply) -> list[str]:
    return [button.label for button in reply.document.buttons]


def button(reply: Reply, label: str) -> str:
    return next(each.id for each in reply.document.buttons if each.label == label)


async def chosen(world: World) -> tuple[str, str]:
    session = await world.session()
    return session.model, session.variant


async def sent(world: World, prompt: str = "more") -> tuple[str, str, str]:
    """What the next prompt is sent with."""
    assert (await world.say(f"/continue {REF} {prompt}")).ok
    await world.quiet()
    run = [*world.agent.messages.values()][-1].run
    return run.model, run.variant, run.agent


# ── model ──────────────────────────────────────────────────────────────────────────────────────


async def test_what_there_is_with_buttons(begun: World) -> None:
    reply = await begun.say(f"/model {REF}")
    assert "works with `mock/m1`, holds 1,000 tokens" in reply.document.markdown
    assert all(f"`{model.id}`" in reply.document.markdown for model in MODELS)
    assert labels(reply) == ["Claude Opus", "Claude Sonnet", "GPT", "GPT by proxy"]
    assert reply.data["model"] == "mock/m1"
    assert [model["id"] for model in reply.data["models"]] == [model.id for model in MODELS]
    pressed = await begun.press_button(button(reply, "Claude Opus"), BOB)
    assert "works with `anthropic/claude-opus` from now on" in pressed.document.markdown
    assert labels(pressed) == ["high", "max"]
    assert (await begun.press_button(button(pressed, "max"))).ok
    assert await sent(begun) == ("anthropic/claude-opus", "max", "")
    assert labels(await begun.say(f"/model {REF}"))[:2] == ["Claude Opus · high", "Claude Opus · max"]


@pytest.mark.parametrize(
    ("words", "model", "variant"),
    [
        ("anthropic/claude-opus", "anthropic/claude-opus", ""),
        ("opus", "anthropic/claude-opus", ""),
        ("OPUS max", "anthropic/claude-opus", "max"),
        ("claude-sonnet", "anthropic/claude-sonnet", ""),
        ("openai/gpt low", "openai/gpt", "low"),
        ("proxy", "proxy/gpt", ""),
        ("m1", "mock/m1", ""),
    ],
)
async def test_names_and_parts_of_them(begun: World, words: str, model: str, variant: str) -> None:
    assert (await begun.say(f"/model {REF} {words}")).ok
    assert await chosen(begun) == (model, variant)
    assert (await sent(begun))[:2] == (model, variant)


@pytest.mark.parametrize("words", ["claude", "gpt", "gpt low", "a"])
async def test_what_may_be_several_is_asked_about(begun: World, words: str) -> None:
    reply = await begun.say(f"/model {REF} {words}")
    assert await chosen(begun) == ("", "")
    assert len(reply.document.buttons) >= 2
    assert "M1" not in labels(reply)


@pytest.mark.parametrize("words", ["opsu", "nothing/like it", "anthropic/claude-opus/max", "*", "`", "x" * 3000])
async def test_what_there_is_not(begun: World, words: str) -> None:
    reply = await begun.say(f"/model {REF} {words}")
    assert reply.code == "not_found"
    assert "There are `" in reply.document.markdown
    assert len(reply.document.markdown) < 400
    assert await chosen(begun) == ("", "")


async def test_variants(begun: World) -> None:
    unknown = await begun.say(f"/model {REF} opus huge")
    assert unknown.code == "not_found"
    assert "`high`, `max`" in unknown.document.markdown
    assert "none" in (await begun.say(f"/model {REF} sonnet high")).document.markdown
    assert await chosen(begun) == ("", "")
    await begun.say(f"/model {REF} opus")
    assert (await begun.say(f"/model --variant high {REF}")).ok
    assert await chosen(begun) == ("anthropic/claude-opus", "high")
    await begun.say(f"/model {REF} sonnet")
    assert await chosen(begun) == ("anthropic/claude-sonnet", ""), "another model has other variants"


async def test_back_to_the_default(outside: Outside) -> None:
    outside.choices = Choices(model="openai/gpt")
    world = await World(outside).open()
    world.agent.known_models = MODELS
    await world.say(f"/start {REF} one")
    await world.quiet()
    await world.say(f"/model {REF} opus max")
    reply = await world.say(f"/model {REF} Default")
    assert "goes back to `openai/gpt`" in reply.document.markdown
    assert await chosen(world) == ("", "")
    assert (await sent(world))[:2] == ("openai/gpt", "")
    await world.close()


async def test_a_model_that_is_gone_is_said_and_another_can_be_chosen(begun: World) -> None:
    await begun.say(f"/model {REF} opus")
    begun.agent.known_models = MODELS[1:]
    assert "works with `anthropic/claude-opus`" in (await begun.say(f"/model {REF}")).document.markdown
    assert (await begun.say(f"/model --variant high {REF}")).code == "not_found"
    assert (await begun.say(f"/model {REF} sonnet")).ok


async def test_while_a_run_goes_on_the_next_prompt_has_it(begun: World) -> None:
    gate = asyncio.Event()
    begun.agent.scripts.append([Said("p", "half"), gate, Finished(Outcome.DONE)])
    await begun.say(f"/continue {REF} two")
    await begun.chat.until(lambda: any(progress.text == "half" for progress in begun.chat.of("update")))
    await begun.say(f"/continue {REF} three")
    reply = await begun.say(f"/model {REF} opus")
    assert "from the next prompt on; the run under way goes on as it is" in reply.document.markdown
    gate.set()
    await begun.quiet()
    assert [message.run.model for message in begun.agent.messages.values()] == ["", "", "anthropic/claude-opus"]


async def test_what_is_chosen_while_a_session_is_made_is_not_lost(world: World) -> None:
    world.agent.known_models = MODELS
    gate = world.agent.hanging["settle_directory"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while "settle_directory" not in world.agent.calls:
        await asyncio.sleep(0)
    for line in ("/model {} opus", "/agent {} plan", "/budget {} 2$", "/permissions {} allow bash git *"):
        assert (await world.say(line.format(REF))).ok
    gate.set()
    await world.quiet()
    session = await world.session()
    assert (session.model, session.agent, session.budget) == ("anthropic/claude-opus", "plan", 2.0)
    assert session.rules == (PermissionRule("bash", "git *", "allow"),)
    assert await sent(world) == ("anthropic/claude-opus", "", "plan")


async def test_a_fork_has_what_was_chosen_for_what_it_comes_from(begun: World) -> None:
    await begun.say(f"/model {REF} opus max")
    await begun.say(f"/agent {REF} plan")
    await begun.say(f"/fork {REF} --name idea try")
    await begun.quiet()
    run = [*begun.agent.messages.values()][-1].run
    assert (run.prompt, run.model, run.variant, run.agent) == ("try", "anthropic/claude-opus", "max", "plan")


async def test_who_may_not_and_what_is_not_there(begun: World) -> None:
    reply = await begun.say(f"/model {REF}")
    assert (await begun.press_button(button(reply, "GPT"), VIEWER)).code == "not_allowed"
    for command in ("model", "agent", "compact", "verbosity"):
        assert (await begun.say(f"/{command} {REF}".removesuffix(REF), VIEWER)).code == "not_allowed"
    begun.agent.raising["models"] = AgentUnavailable("opencode does not answer")
    assert (await begun.say(f"/model {REF} opus")).code == "agent_unavailable"
    await begun.say(f"/destroy -y --force {REF}")
    assert (await begun.press_button(button(reply, "GPT"))).code == "not_found"


async def test_pressed_by_two_at_once_the_last_counts(begun: World) -> None:
    reply = await begun.say(f"/model {REF}")
    presses = [(button(reply, "GPT"), ANN), (button(reply, "Claude Opus"), BOB)]
    await asyncio.gather(*(begun.press_button(each, person) for each, person in presses))
    assert (await chosen(begun))[0] in {"openai/gpt", "anthropic/claude-opus"}


# ── agent ──────────────────────────────────────────────────────────────────────────────────────


async def test_agents(begun: World) -> None:
    reply = await begun.say(f"/agent {REF}")
    assert "opencode’s default agent" in reply.document.markdown
    assert labels(reply) == ["build", "plan"]
    assert (await begun.press_button(button(reply, "plan"))).ok
    assert (await sent(begun))[2] == "plan"
    assert labels(await begun.say(f"/agent {REF}")) == ["build"]
    assert (await begun.say(f"/agent {REF} BUILD")).ok
    assert (await sent(begun))[2] == "build"
    unknown = await begun.say(f"/agent {REF} planner")
    assert unknown.code == "not_found"
    assert "`plan`" in unknown.document.markdown
    assert (await begun.say(f"/agent {REF} default")).ok
    assert (await sent(begun))[2] == ""


# ── compact ────────────────────────────────────────────────────────────────────────────────────


async def test_a_summary_makes_what_was_taken_back_final(begun: World) -> None:
    await begun.say(f"/continue {REF} more")
    await begun.quiet()
    assert (await begun.say(f"/undo {REF}")).ok
    assert (await begun.say(f"/compact {REF}")).ok
    refused = await begun.say(f"/redo {REF}")
    assert "gone for good" in refused.document.markdown


async def compacting(world: World) -> tuple[asyncio.Event, asyncio.Task[Reply]]:
    gate = world.agent.hanging["compact"] = asyncio.Event()
    task = asyncio.create_task(world.say(f"/compact {REF}"))
    while "compact" not in world.agent.calls:
        await asyncio.sleep(0)
    return gate, task


async def test_a_summary_by_the_model_of_the_session(begun: World) -> None:
    session = await begun.session()
    assert (await begun.say(f"/compact {REF}")).ok
    await begun.say(f"/model {REF} opus")
    assert (await begun.say(f"/compact {REF}")).ok
    assert begun.agent.compacted == [(session.agent_id, "mock/m1"), (session.agent_id, "anthropic/claude-opus")]
    assert "is being summarised" in begun.chat.sentences()


async def test_it_waits_for_no_run(begun: World) -> None:
    gate = asyncio.Event()
    begun.agent.scripts.append([Said("p", "half"), gate, Finished(Outcome.DONE)])
    await begun.say(f"/continue {REF} two")
    await begun.chat.until(lambda: any(progress.text == "half" for progress in begun.chat.of("update")))
    assert (await begun.say(f"/compact {REF}")).code == "busy"
    gate.set()
    await begun.quiet()
    assert begun.agent.compacted == []


async def test_what_is_said_meanwhile_waits_and_then_runs(begun: World) -> None:
    gate, task = await compacting(begun)
    assert (await begun.say(f"/continue {REF} two")).ok
    assert (await begun.say(f"/continue {REF} three")).ok
    assert (await begun.say(f"/compact {REF}")).code == "busy"
    assert (await begun.say(f"/undo {REF}")).code == "busy"
    assert begun.agent.prompts == ["one"]
    gate.set()
    assert (await task).ok
    await begun.quiet()
    assert begun.agent.prompts == ["one", "two", "three"]


async def test_stop_ends_it(begun: World) -> None:
    gate, task = await compacting(begun)
    begun.agent.raising["compact"] = AgentError("The summary was stopped", "The conversation is as it was")
    await begun.say(f"/continue {REF} two")
    assert "Stopped" in (await begun.say(f"/stop {REF}")).document.markdown
    assert begun.agent.stops == [(await begun.session()).agent_id]
    gate.set()
    assert "The conversation is as it was" in (await task).document.markdown
    await begun.quiet()
    assert begun.agent.prompts == ["one", "two"]
    assert "Nothing is running" in (await begun.say(f"/stop {REF}")).document.markdown


async def test_one_that_fails_leaves_the_session_free(begun: World) -> None:
    begun.agent.raising["compact"] = AgentError("There is nothing to summarise yet")
    assert not (await begun.say(f"/compact {REF}")).ok
    await sent(begun)
    assert (await begun.say(f"/compact {REF}")).ok


async def test_sessions_in_one_checkout_wait_for_each_other(outside: Outside) -> None:
    outside.project = replace(outside.project, worktrees=False)
    world = await World(outside).open()
    for number in (14, 15):
        await world.say(f"/start {key(number)} one")
        await world.quiet()
    gate, task = await compacting(world)
    await world.say(f"/continue {key(15)} two")
    assert (await world.say(f"/compact {key(15)}")).code == "busy"
    gate.set()
    assert (await task).ok
    await world.quiet()
    assert world.agent.prompts == ["one", "one", "two"]
    await world.close()


async def test_a_full_conversation_is_summarised_and_the_prompt_run_again_once(begun: World) -> None:
    begun.agent.scripts.append(FULL)
    await begun.say(f"/continue {REF} two")
    await begun.quiet()
    report = begun.chat.of("answer")[-1]
    again = next(each.id for each in report.buttons if each.label == "Compact and retry")
    assert (await begun.press_button(again, VIEWER)).code == "not_allowed"
    assert (await begun.press_button(again)).ok
    await begun.quiet()
    assert begun.agent.prompts == ["one", "two", "two"]
    await sent(begun, "three")
    late = await begun.press_button(again)
    assert late.code == "usage"
    assert "was answered" in late.document.markdown
    await begun.quiet()
    assert begun.agent.prompts == ["one", "two", "two", "three"]


async def test_what_has_not_begun_has_nothing_to_summarise(world: World) -> None:
    assert (await world.say("/compact")).code == "usage"
    gate = world.agent.hanging["fork_session"] = asyncio.Event()
    await world.say(f"/start {REF} one")
    while "fork_session" not in world.agent.calls:
        await asyncio.sleep(0)
    assert (await world.say(f"/compact {REF}")).code == "usage"
    gate.set()
    await world.quiet()
    assert (await world.run_list())[0].state is RunState.DONE


# ── verbosity ──────────────────────────────────────────────────────────────────────────────────


async def test_verbosity_is_a_places(begun: World) -> None:
    place = (await begun.store.places(key()))[0]
    reply = await begun.say("/verbosity", place=place)
    assert labels(reply) == ["quiet", "detailed"]
    pressed = await begun.press_button(button(reply, "quiet"), place=place)
    assert pressed.data == {"verbosity": "quiet"}
    await sent(begun)
    assert begun.chat.verbosities[place] is Verbosity.QUIET
    assert (await begun.say("/verbosity DETAILED", place=place)).ok
    assert await begun.store.verbosity(place) is Verbosity.DETAILED
    assert (await begun.say("/verbosity loud", place=place)).code == "usage"
    assert (await begun.say("/verbosity quiet", place=Place("fake", "elsewhere"))).code == "usage"
    assert (await begun.press_button(button(reply, "quiet"), place=LOBBY)).code == "usage"
