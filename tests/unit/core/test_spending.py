"""`budget`: warned of at 80 %, ended at 100 %, for a session and for a person and day."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.errors import StoreError
from core.events import Finished, Metered, Outcome, Said
from core.model import Person, RunState, Tokens
from core.ports import Reply
from tests.fakes.agent import Script
from tests.fakes.world import ANN, BOB, LOBBY, VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"
OTHER = "github.com/shoko/kugetsu#15"


def costs(*steps: float | asyncio.Event) -> Script:
    """Each step is paid for; an event is waited for."""
    paid = [Metered(Tokens(1), step) if isinstance(step, float | int) else step for step in steps]
    return [Said("p", "half"), *paid, Finished(Outcome.DONE)]


async def begun(world: World, *steps: float, ref: str = REF, person: Person = ANN) -> None:
    """The session's first run, over, with its steps paid."""
    world.agent.scripts.append(costs(*steps))
    assert (await world.say(f"/start {ref} one", person)).ok
    await world.quiet()


async def more(world: World, *steps: float | asyncio.Event, ref: str = REF, person: Person = ANN) -> Reply:
    world.agent.scripts.append(costs(*steps))
    return await world.say(f"/continue {ref} more", person)


async def settled(world: World) -> None:
    await world.quiet()
    await counted()


async def paid(world: World, amount: float) -> None:
    """Until a run under way has cost that much, and all that follows."""
    await world.chat.until(lambda: any(progress.cost == pytest.approx(amount) for progress in world.chat.of("update")))
    await counted()


async def counted() -> None:
    """What is looked up beside the runs is."""
    while any(getattr(task.get_coro(), "__qualname__", "") == "Runs._spent" for task in asyncio.all_tasks()):
        await asyncio.sleep(0)


def warnings(world: World) -> int:
    return world.chat.sentences().count("⚠")


# ── a session's ────────────────────────────────────────────────────────────────────────────────


async def test_without_a_budget_nothing_is_counted_against(world: World) -> None:
    await begun(world, 100.0)
    reply = await world.say(f"/budget {REF}")
    assert "has cost $100." in reply.document.markdown
    assert "no budget" in reply.document.markdown
    assert reply.data == {"ref": REF, "budget": 0.0, "spent": 100.0}
    assert (await more(world, 100.0)).ok


async def test_one_is_warned_once_at_four_fifths(world: World) -> None:
    await begun(world, 0.1)
    await world.say(f"/budget {REF} 1$")
    await more(world, 0.6, 0.1, 0.05, 0.05)
    await settled(world)
    assert warnings(world) == 1
    assert "of $1 of the budget of #14 are spent" in world.chat.sentences()
    await more(world, 0.05)
    await settled(world)
    assert warnings(world) == 1


async def test_another_budget_is_warned_of_anew(world: World) -> None:
    await begun(world, 0.1)
    await world.say(f"/budget {REF} 1$")
    await more(world, 0.8)
    await settled(world)
    await world.say(f"/budget {REF} 2$")
    await more(world, 0.8)
    await settled(world)
    assert warnings(world) == 2


async def test_what_was_spent_beside_runs_is_warned_of_with_the_next_step(world: World) -> None:
    await begun(world, 0.1)
    await world.say(f"/budget {REF} 1$")
    world.agent.scripts.append(costs(0.75))
    assert (await world.say(f"/btw {REF} what for?")).ok
    await more(world, 0.01)
    await settled(world)
    assert warnings(world) == 1


@pytest.mark.parametrize("steps", [(1.0,), (0.5, 0.6), tuple([0.1] * 10), (5.0,)])
async def test_at_the_end_of_it_the_run_is_stopped(world: World, steps: tuple[float, ...]) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 1$")
    await more(world, *steps, asyncio.Event(), 100.0)
    await settled(world)
    run = (await world.run_list())[-1]
    assert run.state is RunState.STOPPED
    assert "The budget of #14 is used up" in run.error
    assert run.text == "half"
    assert run.cost == pytest.approx(sum(steps))
    assert len(world.agent.stops) == 1


async def test_then_a_prompt_is_refused_and_says_how_to_go_on(world: World) -> None:
    await begun(world, 1.0)
    await world.say(f"/budget {REF} 1$")
    for line in (f"/continue {REF} more", f"/btw {REF} why?"):
        refused = await world.say(line)
        assert refused.code == "over_budget"
        assert f"`/budget {REF} 5$` raises it" in refused.document.markdown
    assert (await world.say(f"/budget {REF} 5$")).ok
    assert (await more(world, 0.1)).ok
    await settled(world)
    assert [run.state for run in await world.run_list()] == [RunState.DONE, RunState.DONE]


async def test_what_waited_is_not_begun_once_it_is_used_up(world: World) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 1$")
    gate = asyncio.Event()
    await more(world, gate, 1.0, asyncio.Event())
    assert (await world.say(f"/continue {REF} and then")).ok
    gate.set()
    await settled(world)
    assert world.agent.prompts == ["one", "more"]
    run = (await world.run_list())[-1]
    assert (run.state, run.error_code) == (RunState.FAILED, "over_budget")
    assert f"/budget {REF} 5$" in run.error
    report = world.chat.of("answer")[-1]
    await world.say(f"/budget {REF} off")
    assert (await world.press_button(report.buttons[0].id)).ok
    await settled(world)
    assert world.agent.prompts == ["one", "more", "and then"]


async def test_raised_while_the_run_goes_on_it_goes_on(world: World) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 1$")
    gate = asyncio.Event()
    await more(world, 0.9, gate, 0.9)
    await paid(world, 0.9)
    shown = await world.say(f"/budget {REF}")
    assert "#14: $0.90 of $1" in shown.document.markdown, "what goes on is counted"
    assert (await world.say(f"/budget {REF} 2")).ok
    gate.set()
    await settled(world)
    assert (await world.run_list())[-1].state is RunState.DONE


async def test_lowered_while_the_run_goes_on_the_next_step_is_the_last(world: World) -> None:
    await begun(world, 0.0)
    gate = asyncio.Event()
    await more(world, 0.9, gate, 0.1, asyncio.Event())
    await paid(world, 0.9)
    assert (await world.say(f"/budget {REF} 0.5")).ok
    gate.set()
    await settled(world)
    assert (await world.run_list())[-1].state is RunState.STOPPED


async def test_a_run_counts_once_while_its_answer_is_being_shown(world: World) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 1$")
    gate = world.chat.hanging["answer"] = asyncio.Event()
    await more(world, 0.6)
    while (await world.run_list())[-1].state is not RunState.DONE:
        await asyncio.sleep(0)
    await counted()
    assert (await more(world, 0.1)).ok
    gate.set()
    await settled(world)
    assert [run.state for run in await world.run_list()] == [RunState.DONE] * 3


async def test_failed_runs_count_as_well(world: World) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 1$")
    world.agent.scripts.append([Metered(Tokens(1), 0.95), Finished(Outcome.FAILED, "api", "down")])
    await world.say(f"/continue {REF} more")
    await settled(world)
    assert "$0.95 of $1" in (await world.say(f"/budget {REF}")).document.markdown


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "1e9", "inf", "two", "1,000", "2 3"])
async def test_what_is_no_amount_changes_nothing(world: World, amount: str) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 3$")
    assert (await world.say(f"/budget {REF} {amount}")).code == "usage"
    assert (await world.session()).budget == 3


@pytest.mark.parametrize(("said", "amount"), [("2,50", 2.5), ("$2", 2), ("off", 0)])
async def test_amounts(world: World, said: str, amount: float) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 9")
    assert (await world.say(f"/budget {REF} {said}")).data["budget"] == amount
    assert (await world.session()).budget == amount


async def test_a_viewer_neither_sees_nor_sets_one(world: World) -> None:
    await begun(world, 0.0)
    for words in (REF, f"{REF} 2$", "--day", "--day 2$", f"--person {VIEWER.id} off"):
        assert (await world.say(f"/budget {words}", VIEWER)).code == "not_allowed"


async def test_on_a_full_disk_the_run_goes_on(world: World) -> None:
    await begun(world, 0.0)
    await world.say(f"/budget {REF} 1$")
    gate = asyncio.Event()
    await more(world, 0.1, gate, 5.0)
    await paid(world, 0.1)
    world.store.failing.add("spent_in")
    gate.set()
    await settled(world)
    assert (await world.run_list())[-1].state is RunState.DONE
    assert isinstance(world.complaints[0][1], StoreError)


# ── a person's, for a day ──────────────────────────────────────────────────────────────────────


async def test_a_day_is_over_at_midnight(world: World) -> None:
    await begun(world, 1.0, person=BOB)
    assert (await world.say("/budget --day 1$", BOB)).data == {"person": BOB.id, "budget": 1.0, "spent": 1.0}
    refused = await more(world, 1.0, person=BOB)
    assert refused.code == "over_budget"
    assert f"/budget --person {BOB.id} 5$" in refused.document.markdown
    world.agent.scripts.clear()
    assert (await more(world, 0.5)).ok, "another person's is another one"
    await settled(world)
    world.outside.clock.advance(timedelta(hours=12))
    assert (await more(world, 0.5, person=BOB)).ok
    await settled(world)
    assert (await world.say("/budget --day", BOB)).data == {"person": BOB.id, "budget": 1.0, "spent": 0.5}


async def test_two_sessions_of_one_person_share_it(world: World) -> None:
    await begun(world, 0.0, person=BOB)
    await begun(world, 0.0, ref=OTHER, person=BOB)
    await world.say("/budget --day 1$", BOB)
    gate = asyncio.Event()
    await more(world, 0.6, asyncio.Event(), person=BOB)
    await paid(world, 0.6)
    await more(world, gate, 0.5, asyncio.Event(), ref=OTHER, person=BOB)
    gate.set()
    await world.chat.until(lambda: any("used up" in report.run.error for report in world.chat.of("answer")))
    assert (await world.run_list(key(15)))[-1].state is RunState.STOPPED
    assert (await world.run_list())[-1].state is RunState.RUNNING, "it ends with its own next step"
    await world.say(f"/stop {REF}", BOB)
    await settled(world)
    assert (await more(world, 0.1, person=BOB)).code == "over_budget"


async def test_one_persons_end_is_not_the_next_ones(world: World) -> None:
    """Bob's last step uses his budget up just as his run ends: Ann's, which waited, goes on."""
    await begun(world, 0.0)
    await world.say("/budget --day 1$", BOB)
    gate = asyncio.Event()
    await more(world, gate, 1.0, person=BOB)
    await more(world, 0.1)
    gate.set()
    await settled(world)
    assert [run.state for run in await world.run_list()][2] is RunState.DONE


async def test_what_an_admin_set_the_driver_cannot_raise(world: World) -> None:
    await begun(world, 0.0, person=BOB)
    assert (await world.say(f"/budget --person {BOB.id} 1$")).ok
    for words in ("--day 5$", "--day off", "--day 0.5", f"--person {BOB.id} off"):
        refused = await world.say(f"/budget {words}", BOB)
        assert refused.code == "not_allowed", words
    assert (await world.say("/budget --day", BOB)).data["budget"] == 1
    assert (await world.say(f"/budget --person {ANN.id} 1$", BOB)).code == "not_allowed"
    assert (await world.say(f"/budget --person {ANN.id}", BOB)).code == "not_allowed", "nor see what is others'"
    assert (await world.say(f"/budget --person {BOB.id} 2$")).ok
    assert (await world.say("/budget --day", BOB)).data["budget"] == 2
    assert (await world.say(f"/budget --person {BOB.id} off")).ok
    assert (await world.say("/budget --day 9$", BOB)).ok


async def test_nobody_unknown_gets_one(world: World) -> None:
    assert (await world.say("/budget --person fake:nobody 1$")).code == "usage"
    assert (await world.say("/budget --person fake:nobody 1$ --day")).code == "usage"


async def test_both_limits_are_shown_and_the_first_reached_counts(world: World) -> None:
    await begun(world, 0.5, person=BOB)
    await world.say("/budget --day 0.6$", BOB)
    await world.say(f"/budget {REF} 5$", BOB)
    shown = (await world.say(f"/budget {REF}", BOB)).document.markdown
    assert "#14: $0.50 of $5" in shown
    assert "fake:bob today: $0.50 of $0.60" in shown
    await more(world, 0.2, asyncio.Event(), person=BOB)
    await settled(world)
    assert "fake:bob today" in (await world.run_list())[-1].error


async def test_it_holds_after_a_restart(outside: Outside) -> None:
    world = await World(outside).open()
    await begun(world, 1.0, person=BOB)
    await world.say("/budget --day 1$", BOB)
    await world.say(f"/budget {REF} 1$")
    await world.close()
    world = await World(outside).open()
    assert (await more(world, 0.1)).code == "over_budget"
    assert (await more(world, 0.1, person=BOB)).code == "over_budget"
    await world.close()


async def test_who_set_what_is_in_the_audit(world: World) -> None:
    await begun(world, 0.0)
    audited: list[tuple[object, ...]] = []
    audit = world.store.audit

    async def listening(*entry: object) -> None:
        audited.append(entry)
        await audit(*entry)

    world.store.audit = listening
    await world.say(f"/budget {REF} 2$")
    await world.say("/budget --day off", BOB)
    assert [entry[:3] for entry in audited] == [(ANN.id, "budget", key().key), (BOB.id, "budget", BOB.id)]
    assert [entry[3:] for entry in audited] == [(LOBBY, "$2"), (LOBBY, "off")]
