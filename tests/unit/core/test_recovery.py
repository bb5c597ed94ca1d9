"""What a process finds that starts after another one died, on a chat platform."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from core import view
from core.backlog import CATCH_UP
from core.delivery import BacklogPolicy
from core.errors import ChatDoubt, ChatUnreachable
from core.events import Finished, Outcome, Said
from core.messages import PostKind, PostState, Traits
from core.model import Choice, Inbound, PermissionRequest, Question, QuestionRequest, RunState, SessionId
from tests.fakes.agent import Ask, Script
from tests.fakes.messenger import Message, limited
from tests.fakes.phone import Phone, labels, settle
from tests.fakes.world import Outside, World, key
from tests.unit.core.conftest import leave

pytestmark = pytest.mark.looptime

START = "/start shoko/kugetsu#14 do it"
SES = SessionId("ses")
SEEDS = int(os.environ.get("KUGETSU_SEEDS", "10"))  # more of them: a soak without opencode
BASH = PermissionRequest("per_1", SES, "bash", ("git push",), "git push origin")
COLOUR = Question("Colour", "Which colour?", (Choice("red"), Choice("green")))
SIZE = Question("Size", "Which size?", (Choice("S"), Choice("M")))


class Crash(BaseException):
    """The process is gone."""


async def dies(outside: Outside, when: str, script: Script | None = None, point: str = "") -> None:
    """A process that starts a run and dies as soon as `when` is shown, or comes to the fault `point`."""
    dead = False

    def passed(at: str) -> None:
        nonlocal dead
        if dead or (point and at == f"fault {point}"):
            dead = True
            raise Crash(at)

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    before = asyncio.all_tasks()
    world = await World(outside, passed).open()
    await world.resume()
    if script:
        outside.agent.scripts.append(script)
    phone = Phone(world)
    living = asyncio.create_task(phone.write(START))
    await asyncio.wait([living])
    if when:
        await phone.messenger.until(lambda: phone.messenger.find_text(when), 100)
    await asyncio.sleep(2)
    dead = True
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(living, *left, return_exceptions=True)
    await world.store._target.close()
    asyncio.get_running_loop().set_exception_handler(None)


async def comes_back(outside: Outside) -> tuple[World, Phone]:
    world = await World(outside).open()
    await world.resume()
    return world, Phone(world)


def at_work(phone: Phone) -> list[Message]:
    """Messages that still offer to stop a run."""
    return [m for m in phone.messenger.messages if "Stop #14" in labels(m.now) and not m.deleted]


def answers(phone: Phone, text: str) -> list[Message]:
    return [m for m in phone.messenger.messages if m.out.page.text.startswith(text) and not m.out.buttons]


async def test_a_run_that_goes_on_is_attached_to_again(chats: Outside) -> None:
    gate = asyncio.Event()
    await dies(chats, "half", [Said("p", "half"), gate, Said("p", ", whole"), Finished(Outcome.DONE)])
    next(iter(chats.agent.messages.values())).position = 1  # still at the gate
    world, phone = await comes_back(chats)
    await asyncio.sleep(3)
    assert len(at_work(phone)) == 1, "the live message of the dead process is taken over"
    gate.set()
    await settle(world)
    assert len(answers(phone, "half, whole")) == 1
    assert at_work(phone) == []
    assert chats.agent.prompts == ["do it"]
    await leave(world)


async def test_a_run_that_ended_meanwhile_is_finished_from_what_is_stored(chats: Outside) -> None:
    gate = asyncio.Event()
    await dies(chats, "half", [Said("p", "half"), gate, Said("p", ", whole"), Finished(Outcome.DONE)])
    message = next(iter(chats.agent.messages.values()))
    message.played += [Said("p", ", whole"), Finished(Outcome.DONE)]
    message.position, message.over = len(message.script), True
    world, phone = await comes_back(chats)
    await settle(world)
    assert len(answers(phone, "half, whole")) == 1
    assert at_work(phone) == []
    await leave(world)


async def test_a_run_that_was_cut_off_is_reported_with_its_text_and_carried_on_once(chats: Outside) -> None:
    await dies(chats, "half", [Said("p", "half"), asyncio.Event(), Finished(Outcome.DONE)])
    chats.agent.die()
    world, phone = await comes_back(chats)
    await settle(world)
    [cut] = answers(phone, "half")
    assert "The agent is told to carry on" in cut.text
    assert chats.agent.prompts == ["do it", view.CARRY_ON]
    assert [run.state for run in await world.run_list()] == [RunState.CUT, RunState.DONE]
    assert at_work(phone) == []
    await leave(world)
    world, _ = await comes_back(chats)
    await settle(world)
    assert len(chats.agent.prompts) == 2
    await leave(world)


async def test_or_offered_where_that_is_how_it_is_wanted(chats: Outside) -> None:
    chats.choices = replace(chats.choices, auto_resume=False)
    await dies(chats, "half", [Said("p", "half"), asyncio.Event(), Finished(Outcome.DONE)])
    chats.agent.die()
    world, phone = await comes_back(chats)
    await settle(world)
    assert chats.agent.prompts == ["do it"]
    assert (await phone.press("Retry")).ok
    await settle(world)
    assert chats.agent.prompts == ["do it", "do it"]
    await leave(world)


async def test_a_request_is_shown_again_and_its_buttons_work(chats: Outside) -> None:
    await dies(chats, "May it use", [Ask(BASH), Said("p", "done"), Finished(Outcome.DONE)])
    message = next(iter(chats.agent.messages.values()))
    message.position = 0  # opencode asks whoever listens next
    message.played.clear()
    world, phone = await comes_back(chats)
    await asyncio.sleep(3)
    first, again = phone.messenger.find_text("May it use")
    assert "Asked again below" in first.text
    assert first.now.buttons == ()
    assert not again.out.silent
    assert (await phone.press("Allow once")).ok
    await settle(world)
    assert "Allowed once** by Ann" in again.text
    assert answers(phone, "done")
    assert await world.store.open_asks() == []
    await leave(world)


async def test_answers_given_before_still_count(chats: Outside) -> None:
    request = QuestionRequest("q", SES, (COLOUR, SIZE))
    world, phone = await comes_back(chats)
    chats.agent.scripts.append([Ask(request), Said("p", "done"), Finished(Outcome.DONE)])
    await phone.write(START)
    await phone.messenger.until(lambda: phone.messenger.find_text("Which colour"), 100)
    assert (await phone.press("1 ○ green", phone.messenger.find_text("Which colour")[0])).ok
    await asyncio.sleep(1)
    world.runs.hand_over()
    await leave(world)
    message = next(iter(chats.agent.messages.values()))
    message.position = 0
    message.played.clear()
    world, phone = await comes_back(chats)
    await asyncio.sleep(3)
    form = phone.messenger.find_text("Which colour")[-1]
    assert "◉ green" in form.text
    assert (await phone.press("2 ○ M", form)).ok
    await settle(world)
    assert chats.agent.decisions[-1][1].answers == (("green",), ("M",))
    assert await world.store.open_operations() == []
    await leave(world)


async def test_a_request_whose_run_is_over_is_settled_not_sent(chats: Outside) -> None:
    await dies(chats, "May it use", [Ask(BASH), Said("p", "done"), Finished(Outcome.DONE)])
    world = await World(chats).open()
    [run] = await world.run_list()
    await world.store.save_run(replace(run, state=RunState.DONE, ended=chats.clock.now(), text="done"))
    await world.resume()
    phone = Phone(world)
    await settle(world)
    [request] = phone.messenger.find_text("May it use")
    assert "No longer asked" in request.text
    assert request.now.buttons == ()
    assert at_work(phone) == []
    assert await world.store.open_posts("fake") == []
    await leave(world)


@pytest.mark.parametrize(
    "point",
    [
        "prompt recorded",
        "live message noted",
        "live message sent",
        "live message recorded",
        "agent finished",
        "answer recorded",
        "posts recorded",
        "post sending",
        "post sent",
        "post sent and recorded",
        "post closed",
    ],
)
async def test_dead_at_any_point_of_a_run_it_is_answered_once(chats: Outside, point: str) -> None:
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(4, gate.set)
    await dies(chats, "", [Said("p", "words"), gate, Said("p", ", whole"), Finished(Outcome.DONE)], point)
    await asyncio.sleep(10)
    world, phone = await comes_back(chats)
    await asyncio.sleep(10)
    await settle(world)
    assert len(answers(phone, "words, whole")) == 1
    # What was not found may still be there, for all one can tell; what can be found is found.
    assert bool(phone.messenger.find_text(view.MAY_BE_A_REPEAT)) == (point == "post sending")
    assert at_work(phone) == []
    assert chats.agent.prompts == ["do it"]
    posts = await world.store.posts_of(run=(await world.run_list())[0].id)
    assert {post.state for post in posts if post.kind is PostKind.LIVE} <= {PostState.CLOSED, PostState.DROPPED}
    assert await world.store.open_posts("fake") == []
    assert await world.store.pending_deliveries() == []
    await leave(world)


async def test_a_live_message_whose_session_is_gone_is_closed(chats: Outside) -> None:
    await dies(chats, "half", [Said("p", "half"), asyncio.Event(), Finished(Outcome.DONE)])
    world = await World(chats).open()
    for run in await world.store.unfinished_runs():
        await world.store.save_run(replace(run, state=RunState.STOPPED, ended=chats.clock.now()))
    await world.store.remove_session(key())
    await world.resume()
    await settle(world)
    assert at_work(Phone(world)) == []
    await leave(world)


async def test_a_drained_bot_hands_over_and_the_next_goes_on(chats: Outside) -> None:
    gate = asyncio.Event()
    world, phone = await comes_back(chats)
    chats.agent.scripts.append([Said("p", "half"), gate, Said("p", ", whole"), Finished(Outcome.DONE)])
    await phone.write(START)
    await phone.messenger.until(lambda: phone.messenger.find_text("half"), 100)
    await world.inbox.close()
    [handed] = world.runs.hand_over()
    await world.audience.tell(handed, view.handed_over(handed))
    await leave(world)
    calls = len(phone.messenger.calls)
    await asyncio.sleep(60)
    assert len(phone.messenger.calls) == calls, "a process that has left shows nothing more"
    assert phone.messenger.find_text("goes on when it is back")
    world, phone = await comes_back(chats)
    await asyncio.sleep(3)
    gate.set()
    await settle(world)
    assert len(answers(phone, "half, whole")) == 1
    assert at_work(phone) == []
    await leave(world)


async def test_many_open_runs_are_all_up_to_date_soon(chats: Outside) -> None:
    chats.choices = replace(chats.choices, max_concurrent=200)
    chats.stall_after = timedelta(days=1)
    chats.messengers["fake"].chat_limit = (1, 1.0)
    chats.messengers["fake"].account_limit = (30, 1.0)
    gate = asyncio.Event()
    world, _ = await comes_back(chats)
    runs = 30
    for number in range(1, runs + 1):
        chats.agent.scripts.append([Said("p", "half"), gate, Said("p", ", whole"), Finished(Outcome.DONE)])
        await Phone(world, chat=str(number)).write(f"/start shoko/kugetsu#{number} do {number}")
    await asyncio.sleep(10)
    world.runs.hand_over()
    await leave(world)
    world, phone = await comes_back(chats)
    gate.set()
    began = asyncio.get_running_loop().time()
    await settle(world)
    answered = [m for m in phone.messenger.messages if m.text.startswith("half, whole")]
    assert len(answered) == runs
    assert max(m.at for m in answered) - began < 5
    assert not any(label.startswith("Stop") for m in phone.messenger.messages for label in labels(m.now))
    await leave(world)


async def life(outside: Outside, waiting: list[Inbound], draw: random.Random, *, dies: bool) -> World | None:
    """A process that takes in what waits at the platform, and may die over it. None when it did."""
    dead, left = False, draw.randrange(1, 40)

    def passed(at: str) -> None:
        nonlocal dead, left
        left -= at.startswith("fault")
        if dead or (dies and left == 0):
            dead = True
            raise Crash(at)

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    before = asyncio.all_tasks()
    world = await World(outside, passed).open()

    async def live() -> None:
        await world.resume()
        for inbound in list(waiting):
            await world.inbox.take([replace(inbound, at=outside.clock.now())], more=inbound is not waiting[-1])
            waiting.remove(inbound)  # confirmed
            await asyncio.sleep(draw.choice([0.0, 0.1, 3.0]))
        await asyncio.sleep(CATCH_UP + 1)
        await settle(world)

    living = asyncio.create_task(live())
    await asyncio.wait([living], timeout=600 if not dies else draw.choice([1, 5, 60]))
    if not dies:
        await living
        return world
    dead = True
    tasks = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(living, *tasks, return_exceptions=True)
    violations = world.store.violations
    await world.store._target.close()
    assert violations == []
    await asyncio.sleep(draw.choice([0.5, 20.0]))
    return None


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_dies_and_fails_everything_is_answered_once(chats: Outside, seed: int) -> None:
    draw, messenger = random.Random(seed), chats.messengers["fake"]
    messenger.traits = Traits(drafts=draw.random() < 0.3, draft_life=30.0)
    for method in ("send", "edit", "react"):
        for _ in range(draw.randrange(4)):
            error = draw.choice([ChatUnreachable("down"), ChatDoubt("?"), limited(draw.choice([1.0, 20.0]))])
            messenger.fail(method, error, after=draw.random() < 0.5 and isinstance(error, ChatDoubt))
    chats.backlog = BacklogPolicy(ask_after=timedelta(days=1), ask_above=100)
    world = World(chats)
    waiting: list[Inbound] = []
    for chat in ("1", "2", "group"):
        phone = Phone(world, chat=chat)
        waiting.append(phone.inbound(f"/new make {chat}"))
        waiting += [phone.inbound(f"prompt {chat} {n}") for n in range(2)] if chat != "group" else []
    waiting.append(Phone(world).inbound("/status"))
    everything = list(waiting)
    for _ in range(draw.randrange(1, 5)):
        chats.agent.scripts.clear()
        await life(chats, waiting, draw, dies=True)
    world = await life(chats, waiting, draw, dies=False)  # type: ignore[assignment]
    assert world.store.violations == []
    assert len({inbound.event_id for inbound in everything}) == len(everything)

    sessions = await world.store.sessions()
    runs = [run for session in sessions for run in await world.store.runs(session.key)]
    prompts = sorted(run.prompt for run in runs)
    assert prompts == sorted(
        [*(f"make {c}" for c in ("1", "2", "group")), *(f"prompt {c} {n}" for c in "12" for n in (0, 1))]
    )
    assert sorted(chats.agent.prompts) == prompts, "each prompt reaches the agent once"
    for run in runs:
        assert run.state is RunState.DONE
        copies = [m for m in messenger.messages if m.out.page.text.startswith(f"answer to {run.prompt}\n")]
        live = [m for m in copies if m.out.buttons]
        unmarked = [m for m in copies if m not in live and view.MAY_BE_A_REPEAT not in m.out.page.text]
        assert [m for m in copies if m not in live], f"{run.prompt} was not answered"
        assert len(unmarked) <= 1, f"{run.prompt} was answered twice"
    assert not any(label.startswith("Stop") for m in messenger.messages for label in labels(m.now)), (
        "a run seems at work"
    )
    assert await world.store.open_inbound("fake") == []
    assert await world.store.open_posts("fake") == []
    assert await world.store.open_operations() == []
    assert await world.store.pending_deliveries() == []
    await leave(world)
