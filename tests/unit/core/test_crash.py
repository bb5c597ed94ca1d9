"""A process may die at any instant: whatever was done is found again, and nothing is done twice.

The process dies after every effect in turn (every call of a port that changes something), at every event of the agent
and at every fault point. Then a new one comes up on the same disk, agent, git and chats, and the person repeats the
command.
"""

from __future__ import annotations

import asyncio
import copy
import random
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from adapters.store.sql import FILE
from core.events import Finished, Outcome, Said, Started
from core.model import MessageId, RunState, SessionId, SessionState
from tests.fakes.agent import Script
from tests.fakes.chat import PATIENCE
from tests.fakes.world import Outside, World

REF = "github.com/shoko/kugetsu#14"
Scenario = Callable[[World], Awaitable[None]]


class Crash(BaseException):
    """The process is gone: nothing that handles errors may see it."""


class Death:
    """Comes at the call it was told; from then on nothing gets out of the process."""

    def __init__(self, at: int | str) -> None:
        self._at = at
        self.armed = False
        self.dead = False
        self.passed: list[str] = []
        self.came = asyncio.Event()

    def __call__(self, point: str) -> None:
        """`point` is empty where nothing has changed since the last one."""
        if self.dead:
            raise Crash(point)
        if not self.armed or not point:
            return
        self.passed.append(point)
        if self._at in {len(self.passed), point}:
            self.dead = True
            self.came.set()
            raise Crash(point)


async def live_and_die(outside: Outside, scenario: Scenario, at: int | str) -> Death:
    """One process that dies at `at`, if it comes that far."""
    death = Death(at)
    world = await World(outside, death).open()
    before = asyncio.all_tasks()
    death.armed = True

    async def life() -> None:
        await world.resume()
        await scenario(world)
        await world.quiet()

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # the dead complain to nobody
    living = asyncio.create_task(life())
    dying = asyncio.create_task(death.came.wait())
    try:
        await asyncio.wait([living, dying], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    finally:
        death.dead = True
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(living, dying, *left, return_exceptions=True)
        await world.store._target.close()
        asyncio.get_running_loop().set_exception_handler(None)
    return death


class Beginnings:
    """The same outside again and again, without making it each time."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._database = outside.folder / "state" / FILE
        self._kept = outside.folder / "kept.db"

    async def prepare(self, scenario: Scenario | None) -> Beginnings:
        self._outside.project = replace(self._outside.project, setup="make", base_prompt="Read the README.")
        if scenario:
            world = await World(self._outside).open()
            await scenario(world)
            await world.quiet()
            await world.close()
        shutil.copyfile(self._database, self._kept)
        return self

    def again(self) -> Outside:
        for file in self._database.parent.glob(f"{FILE}*"):
            file.unlink()
        shutil.copyfile(self._kept, self._database)
        return copy.deepcopy(self._outside)


async def come_back(outside: Outside, scenario: Scenario) -> World:
    world = await World(outside).open()
    await world.resume()
    await world.quiet()
    await scenario(world)
    await world.quiet()
    return world


async def consistent(world: World, sessions: int, prompt: str) -> None:
    agent, workspace = world.agent, world.outside.workspace
    records = await world.store.sessions()
    ours = {session.agent_id for session in records}
    assert len(records) == sessions
    assert set(agent.origins) == ours, "every fork the agent has is a session's, and none is shared"
    assert len(ours) == sessions
    (base,) = await world.store.bases()
    assert set(agent.sessions) == ours | {base.agent_id}, "one base session"
    assert len(workspace.added) == len(set(workspace.added)) == sessions
    assert {session.directory for session in records} == set(workspace.added)
    for session in records:
        assert agent.sessions[session.agent_id].directory == session.directory
        assert agent.sessions[session.agent_id].title.startswith(f"kugetsu {session.key}")
        assert session.state in {SessionState.IDLE, SessionState.STOPPED}
    assert agent.prompts.count(prompt) == 1, "a prompt reaches the agent exactly once"
    assert await world.store.open_operations() == []
    assert await world.store.unfinished_runs() == []
    assert await world.store.open_asks() == []
    assert await world.store.pending_deliveries() == []
    (run,) = [run for session in records for run in await world.store.runs(session.key) if run.prompt == prompt]
    assert run.state in {RunState.DONE, RunState.CUT}
    shown = "\n".join([*world.chat.answer_texts(), world.chat.sentences()])
    if run.state is RunState.DONE:
        assert world.chat.answer_texts().count(f"answer to {prompt}") == 1
    else:
        assert run.text in shown, "what was received before the cut is shown"
    assert world.complaints == []


async def start(world: World) -> None:
    await world.say(f"/start {REF} do it")


async def fork(world: World) -> None:
    await world.say(f"/fork {REF} --name idea try it")


async def more(world: World) -> None:
    if not any(run.prompt == "go on" for run in await world.run_list()):
        await world.say(f"/continue {REF} go on")


@pytest.mark.parametrize(
    ("scenario", "prepare", "sessions", "prompt"),
    [(start, None, 1, "do it"), (fork, start, 2, "try it"), (more, start, 1, "go on")],
    ids=["start", "fork", "continue"],
)
async def test_a_death_at_any_point_loses_and_repeats_nothing(
    outside: Outside, scenario: Scenario, prepare: Scenario | None, sessions: int, prompt: str
) -> None:
    beginnings = await Beginnings(outside).prepare(prepare)
    passed = (await live_and_die(beginnings.again(), scenario, at=-1)).passed
    if scenario is fork:  # from the prompt on, it is a start like any other
        passed = passed[: passed.index("fault prompt recorded")]
    assert len(passed) > 15
    failures = []
    for at in range(1, len(passed) + 1):
        outside = beginnings.again()
        death = await live_and_die(outside, scenario, at)
        world = await come_back(outside, scenario)
        try:
            await consistent(world, sessions, prompt)
        except AssertionError as error:
            failures.append(f"died at {at}, {death.passed[-1]} after {death.passed[-4:-1]}: {error}")
        finally:
            await world.close()
    assert not failures, "\n\n".join(failures)


async def test_a_second_death_while_the_first_is_repaired(outside: Outside) -> None:
    beginnings = await Beginnings(outside).prepare(None)
    passed = (await live_and_die(beginnings.again(), start, at=-1)).passed
    draw = random.Random(14)
    for _ in range(10):
        outside = beginnings.again()
        at = [draw.randrange(1, len(passed)) for _ in range(2)]
        died = [(await live_and_die(outside, start, point)).passed[-1:] for point in at]
        world = await come_back(outside, start)
        try:
            await consistent(world, 1, "do it")
        except AssertionError as error:
            raise AssertionError(f"died at {at}, {died}: {error}") from error
        finally:
            await world.close()


async def test_two_starts_that_died_while_forking_adopt_one_fork_each(outside: Outside) -> None:
    outside.project = replace(outside.project, base_prompt="Read the README.")

    async def both(world: World) -> None:
        await asyncio.gather(world.say("/start shoko/kugetsu#1 one"), world.say("/start shoko/kugetsu#2 two"))

    class AfterBothForked(Death):
        def __call__(self, point: str) -> None:
            if self.armed and not self.dead and point == "fault fork made":
                self.passed.append(point)
                raise Crash(point)
            super().__call__(point)

    world = await World(outside, death := AfterBothForked("never")).open()
    death.armed = True
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    await both(world)
    await world.quiet()
    asyncio.get_running_loop().set_exception_handler(None)
    death.armed = False
    assert death.passed.count("fault fork made") == 2
    await world.store.close()
    assert len(outside.agent.origins) == 2

    world = await World(outside).open()
    await world.resume()
    await world.quiet()
    assert len(outside.agent.origins) == 2, "both were found again"
    assert {session.agent_id for session in await world.store.sessions()} == set(outside.agent.origins)
    assert sorted(outside.agent.prompts) == ["Read the README.", "one", "two"]
    await world.close()


async def test_received_text_survives(outside: Outside) -> None:
    gate = asyncio.Event()
    script: Script = [Started(SessionId(""), MessageId("")), Said("p", "half"), gate, Finished(Outcome.DONE)]
    outside.agent.scripts.append(script)

    async def watched(world: World) -> None:
        await world.say(f"/start {REF} do it")
        await world.chat.until(lambda: any(progress.text == "half" for progress in world.chat.of("update")))
        while (await world.run_list())[0].state is not RunState.RUNNING:
            await asyncio.sleep(0)
        raise Crash("now")

    await live_and_die(outside, watched, at=-1)
    outside.agent.die()
    outside.choices = replace(outside.choices, auto_resume=False)
    world = await World(outside).open()
    await world.resume()
    await world.quiet()
    (report,) = world.chat.of("answer")
    assert (report.run.state, report.run.text) == (RunState.CUT, "half")
    assert (await world.session()).state is SessionState.STOPPED
    assert (await world.say(f"/retry {REF}")).ok
    await world.quiet()
    assert world.chat.answer_texts() == ["half", "answer to do it"]
    await world.close()
