"""What the agent asks: by rule, by people, by nobody; decided exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.asks import to_decision
from core.errors import AgentUnavailable, UsageError
from core.events import Asked, Finished, Outcome, Said, Settled
from core.model import (
    Choice,
    Decision,
    PermissionRequest,
    PermissionRule,
    Place,
    Question,
    QuestionRequest,
    Refusal,
    RunState,
    SessionId,
    SessionState,
)
from tests.fakes.agent import Ask, Script
from tests.fakes.chat import FakeChat
from tests.fakes.world import BOB, VIEWER, Outside, World, key

SES = SessionId("ses")
BASH = PermissionRequest("per_1", SES, "bash", ("git push",), "git push origin", ("git *",))
OTHER = PermissionRequest("per_2", SES, "webfetch", ("https://example.org",))
WEBFETCH = Refusal("webfetch https://example.org", "webfetch", ("https://example.org",))
COLOUR = Question("Colour", "Which colour?", (Choice("red"), Choice("green"), Choice("blue")))
SIZES = Question("Sizes", "Which sizes?", (Choice("S"), Choice("M")), multiple=True)
ASKS_COLOUR = QuestionRequest("que_1", SES, (COLOUR,))


def asking(*requests: PermissionRequest | QuestionRequest) -> Script:
    return [*(Ask(request) for request in requests), Said("p", "done"), Finished(Outcome.DONE)]


async def start(world: World, *requests: PermissionRequest | QuestionRequest) -> None:
    world.agent.scripts.append(asking(*requests))
    assert (await world.say("/start shoko/kugetsu#14 do it")).ok


# ── what was typed ─────────────────────────────────────────────────────────────────────────────


def test_permissions_take_their_replies() -> None:
    assert to_decision(BASH, "once", "") == Decision("once")
    assert to_decision(BASH, "always", "") == Decision("always")
    assert to_decision(BASH, "reject", "too early") == Decision("reject", message="too early")
    for reply in ("answer", "", "yes", "ONCE"):
        with pytest.raises(UsageError):
            to_decision(BASH, reply, "1")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("2", ("green",)),
        (" 3 ", ("blue",)),
        ("something warmer", ("something warmer",)),
        ("4", ("4",)),
        ("0", ("0",)),
        ("red, but darker", ("red, but darker",)),
        ("line one\nline two", ("line one\nline two",)),
        ("٢", ("green",)),
    ],
)
def test_one_choice_or_own_words(text: str, answers: tuple[str, ...]) -> None:
    assert to_decision(ASKS_COLOUR, "answer", text) == Decision("answer", (answers,))


def test_several_choices_only_where_the_question_takes_them() -> None:
    with pytest.raises(UsageError, match="one choice"):
        to_decision(ASKS_COLOUR, "answer", "1,2")
    assert to_decision(QuestionRequest("q", SES, (SIZES,)), "answer", "1, 2").answers == (("S", "M"),)
    assert to_decision(QuestionRequest("q", SES, (SIZES,)), "answer", "1, L").answers == (("1, L",),)


def test_several_questions_take_a_line_each() -> None:
    request = QuestionRequest("q", SES, (COLOUR, SIZES, Question("", "Why?")))
    assert to_decision(request, "answer", "1\n\n1,2\nbecause\n").answers == (("red",), ("S", "M"), ("because",))
    for text in ("1\n2", "1\n2\n3\n4", "", "\n\n"):
        with pytest.raises(UsageError, match="3 answers"):
            to_decision(request, "answer", text)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_answer_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        to_decision(ASKS_COLOUR, "answer", text)


def test_questions_take_no_permission_replies() -> None:
    with pytest.raises(UsageError):
        to_decision(ASKS_COLOUR, "once", "")
    assert to_decision(ASKS_COLOUR, "reject", "").reply == "reject"


@given(st.text("0123456789,² ab\n", max_size=12))
def test_any_text_is_an_answer_or_refused_with_a_sentence(text: str) -> None:
    try:
        (answer,) = to_decision(QuestionRequest("q", SES, (SIZES,)), "answer", text).answers
    except UsageError:
        return
    assert answer
    assert all(answer)


# ── by rule ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def outside(outside: Outside) -> Outside:
    rules = (PermissionRule("bash", "*", "deny"), PermissionRule("bash", "git *", "allow"))
    outside.project = replace(outside.project, permissions=rules)
    return outside


async def test_rules_answer_without_anybody(world: World) -> None:
    denied = PermissionRequest("per_9", SES, "bash", ("rm x",))
    await start(world, BASH, denied)
    await world.quiet()
    (allowed_id, allowed), (denied_id, refused) = world.agent.decisions
    assert (allowed_id, allowed) == ("per_1", Decision("once"))
    assert (denied_id, refused.reply) == ("per_9", "reject")
    assert "rm x" in refused.message
    assert world.chat.of("ask") == []
    (run,) = await world.run_list()
    assert run.refused == (Refusal("bash rm x"),)  # no button gets around the project's rules
    assert run.state is RunState.DONE


# ── by people ──────────────────────────────────────────────────────────────────────────────────


async def test_a_person_allows_once(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    (run,) = await world.run_list()
    assert (run.state, (await world.session()).state) == (RunState.ASKING, SessionState.ASKING)
    reply = await world.press(ask, "once", person=BOB)
    assert reply.ok
    assert "Allowed once" in reply.document.markdown
    await world.quiet()
    assert world.agent.decisions == [("per_2", Decision("once"))]
    (settled,) = world.chat.of("settle_ask")
    assert (settled.decided_by, settled.decision) == (BOB.id, Decision("once"))
    assert world.chat.answer_texts() == ["done"]
    assert await world.store.open_asks() == []
    (run,) = await world.run_list()
    assert (run.state, run.refused) == (RunState.DONE, ())


async def test_always_is_kept_and_answers_the_next_one(world: World) -> None:
    await start(world, OTHER)
    await world.press(await world.chat.asked(), "always")
    await world.quiet()
    assert (await world.session()).rules == (PermissionRule("webfetch", "https://example.org", "allow"),)
    world.agent.scripts.append(asking(OTHER))
    await world.say("/continue shoko/kugetsu#14 again")
    await world.quiet()
    assert len(world.chat.of("ask")) == 1
    assert [decision.reply for _, decision in world.agent.decisions] == ["always", "once"]


async def test_a_reject_carries_its_reason(world: World) -> None:
    await start(world, OTHER)
    await world.press(await world.chat.asked(), "reject", "not today")
    await world.quiet()
    assert world.agent.decisions == [("per_2", Decision("reject", message="not today"))]


async def test_questions_are_answered(world: World) -> None:
    await start(world, ASKS_COLOUR)
    ask = await world.chat.asked()
    wrong = await world.press(ask, "answer", "")
    assert not wrong.ok
    assert (await world.press(ask, "answer", "2")).ok
    await world.quiet()
    assert world.agent.decisions == [("que_1", Decision("answer", (("green",),)))]


async def test_of_two_people_at_once_one_decides(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    replies = await asyncio.gather(world.press(ask, "once"), world.press(ask, "reject", person=BOB))
    await world.quiet()
    assert sorted(reply.ok for reply in replies) == [False, True]
    assert len(world.agent.decisions) == 1
    assert len(world.chat.of("settle_ask")) == 1
    late = await world.press(ask, "once")
    assert not late.ok
    assert late.code == "not_found"


async def test_a_place_slow_to_show_the_decision_does_not_hold_up_the_run(outside: Outside) -> None:
    slow = outside.chats["slow"] = FakeChat("slow")
    slow.hanging["settle_ask"] = asyncio.Event()
    world = await World(outside).open()
    await start(world, OTHER)
    await world.audience.attach(Place("slow", "c"), key())
    pressing = asyncio.create_task(world.press(await world.chat.asked(), "once"))
    await world.quiet()
    assert world.chat.answer_texts() == ["done"]
    assert not pressing.done()
    slow.hanging["settle_ask"].set()
    assert (await pressing).ok
    await world.close()


async def test_only_drivers_decide(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    assert (await world.press(ask, "once", person=VIEWER)).code == "not_allowed"
    assert world.agent.decisions == []
    assert (await world.press(ask, "once", person=BOB)).ok


@pytest.mark.parametrize("button", ["", ":", "once", "unknown:once", "x" * 5000, ":" * 50])
async def test_a_forged_button_is_refused(world: World, button: str) -> None:
    assert not (await world.press_button(button)).ok


async def test_nobody_answers_in_time(world: World) -> None:
    await start(world, OTHER)
    await world.chat.asked()
    await world.outside.clock.asleep(24 * 3600)
    world.outside.clock.advance(timedelta(hours=23))
    assert world.agent.decisions == []
    world.outside.clock.advance(timedelta(hours=1))
    await world.quiet()
    ((_, decision),) = world.agent.decisions
    assert decision.reply == "reject"
    assert "24 h" in decision.message
    (settled,) = world.chat.of("settle_ask")
    assert settled.decided_by is None
    (run,) = await world.run_list()
    assert run.refused == (WEBFETCH,)


async def test_a_press_while_the_time_runs_out_does_not_decide_twice(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    await world.outside.clock.asleep(24 * 3600)
    world.agent.hanging["decide"] = asyncio.Event()
    world.outside.clock.advance(timedelta(hours=24))
    while "decide" not in world.agent.calls:
        await asyncio.sleep(0)
    pressing = asyncio.create_task(world.press(ask, "once"))
    await asyncio.sleep(0)
    world.agent.hanging["decide"].set()
    assert not (await pressing).ok
    await world.quiet()
    assert [decision.reply for _, decision in world.agent.decisions] == ["reject"]
    assert len(world.chat.of("settle_ask")) == 1


async def test_where_nobody_can_be_asked_it_is_rejected_and_listed(world: World) -> None:
    world.chat.somebody = False
    await start(world, OTHER, ASKS_COLOUR)
    await world.quiet()
    assert [decision.reply for _, decision in world.agent.decisions] == ["reject", "reject"]
    (run,) = await world.run_list()
    assert run.refused == (WEBFETCH, Refusal("question: Which colour?"))
    assert world.chat.of("ask") == []


async def test_one_place_with_somebody_is_enough(outside: Outside) -> None:
    outside.chats["other"] = FakeChat("other")
    outside.chats["other"].somebody = False
    world = await World(outside).open()
    await start(world, OTHER)
    await world.say("/watch shoko/kugetsu#14", place=Place("other", "c"))
    await world.press(await world.chat.asked(), "once")
    await world.quiet()
    assert world.chat.answer_texts() == ["done"]
    await world.close()


async def test_answered_by_another_client_of_the_agent(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    world.agent.answer_elsewhere("per_2")
    await world.quiet()
    (settled,) = world.chat.of("settle_ask")
    assert settled.decision == Decision("withdrawn")
    assert not (await world.press(ask, "once")).ok
    assert world.chat.answer_texts() == ["done"]
    assert await world.store.open_asks() == []


async def test_a_request_that_is_settled_before_it_was_shown(world: World) -> None:
    script: Script = [Asked(OTHER), Settled("per_2"), Said("p", "done"), Finished(Outcome.DONE)]
    world.agent.scripts.append(script)
    await world.say("/start shoko/kugetsu#14 do it")
    await world.quiet()
    assert world.chat.answer_texts() == ["done"]
    assert await world.store.open_asks() == []
    assert len(world.chat.of("ask")) == len(world.chat.of("settle_ask"))


async def test_a_run_that_ends_with_the_request_still_open(world: World) -> None:
    world.agent.scripts.append([Asked(OTHER), Said("p", "done"), Finished(Outcome.DONE)])
    await world.say("/start shoko/kugetsu#14 do it")
    await world.quiet()
    assert world.chat.answer_texts() == ["done"]
    assert await world.store.open_asks() == []
    (settle,) = world.chat.of("settle")
    assert settle[0].asking == ()


async def test_two_requests_at_once(world: World) -> None:
    await start(world, OTHER)
    first = await world.chat.asked()
    world.agent.scripts.append(asking(ASKS_COLOUR))
    await world.say("/start shoko/kugetsu#15 do it")
    second = await world.chat.asked(2)
    await world.press(second, "answer", "1")
    await world.press(first, "once")
    await world.quiet()
    assert [request for request, _ in world.agent.decisions] == ["que_1", "per_2"]
    assert world.chat.answer_texts() == ["done", "done"]


async def test_a_decision_the_agent_could_not_be_told_can_be_made_again(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    world.agent.raising["decide"] = AgentUnavailable("opencode does not answer")
    failed = await world.press(ask, "once")
    assert failed.code == "agent_unavailable"
    assert world.chat.of("settle_ask") == []
    assert (await world.press(ask, "once", person=BOB)).ok
    await world.quiet()
    assert world.chat.answer_texts() == ["done"]


async def test_a_stop_withdraws_what_is_asked(world: World) -> None:
    await start(world, OTHER)
    ask = await world.chat.asked()
    assert (await world.say("/stop shoko/kugetsu#14")).ok
    await world.quiet()
    assert not (await world.press(ask, "once")).ok
    (settled,) = world.chat.of("settle_ask")
    assert settled.decision == Decision("withdrawn")
    (run,) = await world.run_list()
    assert run.state is RunState.STOPPED
    assert await world.store.open_asks() == []


async def test_a_stop_the_agent_is_deaf_to_withdraws_too(world: World) -> None:
    await start(world, OTHER)
    await world.chat.asked()
    world.agent.raising["stop"] = AgentUnavailable("opencode does not answer")
    await world.say("/stop shoko/kugetsu#14")
    await world.quiet()
    assert len(world.chat.of("settle_ask")) == 1
    assert await world.store.open_asks() == []


async def test_leaving_withdraws_too(outside: Outside) -> None:
    world = await World(outside).open()
    await start(world, OTHER)
    await world.chat.asked()
    await world.mailboxes.close()
    assert await world.store.open_asks() == []
    assert len(world.chat.of("settle_ask")) == 1
    await world.store.close()


@pytest.mark.parametrize("method", ["ask", "settle_ask", "can_ask"])
async def test_a_failing_place_does_not_keep_others_from_deciding(outside: Outside, method: str) -> None:
    broken = outside.chats["broken"] = FakeChat("broken")
    broken.failing.add(method)
    world = await World(outside).open()
    await start(world, OTHER)
    await world.audience.attach(Place("broken", "c"), key())
    world.agent.scripts.append(asking(ASKS_COLOUR))
    await world.press(await world.chat.asked(), "once")
    await world.quiet()
    await world.say("/continue shoko/kugetsu#14 more")
    assert (await world.press(await world.chat.asked(2), "answer", "1")).ok
    await world.quiet()
    assert world.chat.answer_texts() == ["done", "done"]
    await world.close()
