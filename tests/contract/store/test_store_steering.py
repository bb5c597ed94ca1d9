"""What people choose, what is spent, and runs taken back, through the port."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from store_values import ANNA, HERE, KEY, THERE, fork, session

from core.model import PersonId, RunState, Verbosity
from core.ports import DayBudget, Store

BOB = PersonId("telegram:2")


async def test_what_was_chosen_for_a_session_comes_back(store: Store) -> None:
    await store.add_session(session(model="mock/m1", variant="high", agent="plan", budget=2.5))
    found = await store.session(KEY)
    assert found is not None
    assert (found.model, found.variant, found.agent, found.budget) == ("mock/m1", "high", "plan", 2.5)


async def test_what_became_of_a_run_comes_back(store: Store) -> None:
    await store.add_session(session())
    run = await store.add_run(KEY, "do", ANNA, HERE)
    assert (run.undone, run.context, run.context_limit, run.urgent) == ("", 0, 0, False)
    await store.save_run(replace(run, undone="c0ffee", context=10, context_limit=100, urgent=True))
    [found] = await store.runs(KEY)
    assert (found.undone, found.context, found.context_limit, found.urgent) == ("c0ffee", 10, 100, True)


async def test_a_place_shows_as_much_as_was_chosen_while_it_is_attached(store: Store) -> None:
    await store.add_session(session())
    await store.set_verbosity(HERE, Verbosity.QUIET)  # nothing is shown there
    await store.attach(HERE, KEY)
    assert await store.verbosity(HERE) is Verbosity.NORMAL
    await store.set_verbosity(HERE, Verbosity.DETAILED)
    await store.attach(HERE, KEY)
    await store.attach(THERE, KEY)
    assert await store.verbosity(HERE) is Verbosity.DETAILED
    assert await store.verbosity(THERE) is Verbosity.NORMAL
    assert await store.verbosities(KEY) == {HERE: Verbosity.DETAILED, THERE: Verbosity.NORMAL}
    assert list(await store.verbosities(KEY)) == await store.places(KEY)
    await store.detach(HERE)
    assert await store.verbosity(HERE) is Verbosity.NORMAL


async def test_costs_add_up_by_session_and_by_person_and_time(store: Store) -> None:
    other = fork("other")
    await store.add_session(session())
    await store.add_session(session(other))
    for key, person, cost in ((KEY, ANNA, 1.0), (KEY, BOB, 2.0), (other, ANNA, 4.0)):
        run = await store.add_run(key, "do", person, HERE)
        await store.save_run(replace(run, state=RunState.DONE, cost=cost))
    await store.add_aside(KEY, ANNA, "why?", "because", 8.0)
    assert await store.spent_in(KEY) == 11.0
    assert await store.spent_in(other) == 4.0
    begin = run.created - timedelta(hours=1)
    assert await store.spent_by(ANNA, begin) == 13.0
    assert await store.spent_by(BOB, begin) == 2.0
    assert await store.spent_by(ANNA, run.created) == 12.0
    assert await store.spent_by(ANNA, begin + timedelta(days=1)) == 0.0


async def test_a_budget_for_a_day_is_replaced_and_removed(store: Store) -> None:
    assert await store.day_budget(ANNA) is None
    for budget in (DayBudget(5.0, BOB), DayBudget(7.5, ANNA)):
        await store.save_day_budget(ANNA, budget)
        assert await store.day_budget(ANNA) == budget
    await store.save_day_budget(ANNA, None)
    assert await store.day_budget(ANNA) is None
