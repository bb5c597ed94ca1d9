"""`why`: what became of a message, from what is stored."""

from __future__ import annotations

import asyncio

import pytest

from core.delivery import BacklogPolicy
from core.errors import AgentUnavailable, ChatDoubt
from tests.fakes.phone import Phone
from tests.fakes.world import BOB, Outside, World
from tests.unit.core.conftest import leave
from tests.unit.core.test_inbox import START, busy, up

pytestmark = pytest.mark.looptime


async def why(phone: Phone, reply_to: str = "") -> str:
    before = len(phone.messenger.messages)
    await phone.write("/why", reply_to=reply_to)
    await phone.messenger.until(lambda: len(phone.messenger.messages) > before, 100)
    await asyncio.sleep(1)
    return "".join(m.text for m in phone.messenger.messages[before:])


async def test_what_waits_says_how_much_is_before_it(bot: World) -> None:
    phone, gate = await busy(bot)
    await phone.write("one")
    two = await phone.write("two")
    await asyncio.sleep(1)
    assert "“two”" in await why(phone)
    said = await why(phone, two)
    assert "run 3 of #14, which is queued" in said
    assert "waits for 2 runs before it" in said
    gate.set()


async def test_what_was_refused_says_so_with_the_reason(bot: World) -> None:
    phone = await up(bot)
    await phone.say("/nonsense")
    said = await why(phone)
    assert "refused: usage: There is no command `nonsense`" in said


async def test_what_was_ignored_too(bot: World) -> None:
    await up(bot)
    phone = Phone(bot, chat="group")
    await phone.say("chatter", addressed=False)
    assert "ignored: not for kugetsu" in await why(phone)


async def test_what_failed_names_the_failure(bot: World) -> None:
    phone = await up(bot)
    bot.agent.raising["run"] = AgentUnavailable("opencode does not answer")
    message = await phone.say(START)
    said = await why(phone, message)
    assert "which is failed" in said
    assert "opencode does not answer" in said


async def test_what_was_answered_can_be_asked_about_by_its_answer(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    said = await why(phone, phone.messenger.find_text("answer to do it")[0].id)
    assert "“/start shoko/kugetsu#14 do it”" in said
    assert "which is done" in said


async def test_an_answer_nobody_knows_to_have_arrived(bot: World) -> None:
    phone = await up(bot)
    message = await phone.say(START)
    phone.messenger.fail("send", *[ChatDoubt("no answer came")])
    phone.messenger.hanging["find"] = asyncio.Event()
    again = await phone.write("again", reply_to=message)
    await phone.messenger.until(lambda: "find" in phone.messenger.hanging and len(phone.messenger.of("send")) > 2, 100)
    await asyncio.sleep(3)
    reply = await bot.reception.receive(phone.inbound("/why", reply_to=again))
    assert "Its answer is unknown: no answer came" in reply.document.markdown
    phone.messenger.hanging.pop("find").set()


async def test_what_is_held_says_what_it_waits_for(chats: Outside) -> None:
    chats.backlog = BacklogPolicy(ask_above=0)
    world = await World(chats).open()
    await world.resume()
    phone = Phone(world)
    await world.inbox.take([phone.inbound(START, age=60)])
    await asyncio.sleep(1)
    assert "waits for the answer to the question above" in await why(phone)
    await leave(world)


async def test_what_is_being_worked_out(bot: World) -> None:
    phone = await up(bot)
    bot.store.failing = {"session_at"}
    await phone.write("slow")
    await asyncio.sleep(0.5)
    bot.store.failing = set()
    assert "It is being worked out" in await why(phone)


async def test_only_ones_own_messages_and_only_known_ones(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    bob = Phone(bot, BOB, "2")
    assert "No message of yours is known here" in await why(bob)
