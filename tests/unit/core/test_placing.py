"""Which place a message belongs to, where chats have no threads."""

from __future__ import annotations

import pytest

from core.model import Place
from core.ports import Press
from tests.fakes.phone import Phone, settle
from tests.fakes.world import ANN, BOB, World, key

pytestmark = pytest.mark.looptime


async def two_sessions(bot: World) -> Phone:
    await bot.resume()
    phone = Phone(bot)
    await phone.say("/start shoko/kugetsu#1 one")
    await phone.say("/start shoko/kugetsu#2 two")
    return phone


async def prompts(bot: World, number: int) -> list[str]:
    return [run.prompt for run in await bot.run_list(key(number))]


async def test_a_reply_to_any_of_our_messages_continues_its_session(bot: World) -> None:
    phone = await two_sessions(bot)
    for message in [m for m in phone.messenger.messages if m.place.thread == "r100"]:
        await phone.say(f"to {message.id}", reply_to=message.id)
    assert len(await prompts(bot, 1)) == 3
    assert len(await prompts(bot, 2)) == 1


async def test_a_reply_to_ones_own_message_continues_what_it_began(bot: World) -> None:
    phone = await two_sessions(bot)
    mine = await phone.say("more", reply_to=phone.messenger.find_text("answer to one")[0].id)
    await phone.say("and more", reply_to=mine)
    assert await prompts(bot, 1) == ["one", "more", "and more"]


async def test_what_replies_to_nothing_goes_where_its_author_was_last(bot: World) -> None:
    phone = await two_sessions(bot)
    await phone.say("to the second")
    await phone.say("to the first", reply_to=phone.messenger.find_text("answer to one")[0].id)
    await phone.say("to the first again")
    assert await prompts(bot, 1) == ["one", "to the first", "to the first again"]
    assert await prompts(bot, 2) == ["two", "to the second"]
    assert "#1 · run 3" in phone.messenger.messages[-1].text, "the answer names it"


async def test_commands_about_here_know_where_that_is(bot: World) -> None:
    phone = await two_sessions(bot)
    shown = len(phone.messenger.messages)
    await phone.say("/status")
    await phone.say("/status", reply_to=phone.messenger.find_text("answer to one")[0].id)
    told = "".join(message.text for message in phone.messenger.messages[shown:])
    assert told.index("Run 1 done: two") < told.index("Run 1 done: one")


async def test_somebody_else_has_been_nowhere_yet(bot: World) -> None:
    await two_sessions(bot)
    bob = Phone(bot, BOB)
    await bob.say("hello")
    assert bob.messenger.find_text("No session is shown here")


async def test_in_a_chat_with_threads_only_the_thread_counts(bot: World) -> None:
    await bot.resume()
    phone = Phone(bot, chat="group")
    await phone.say("/start shoko/kugetsu#1 one")
    await phone.say("for nobody in particular")
    assert await prompts(bot, 1) == ["one"]
    assert phone.messenger.find_text("No session is shown here")


async def test_a_reply_to_an_unknown_message_belongs_nowhere(bot: World) -> None:
    phone = await two_sessions(bot)
    await phone.say("what?", reply_to="7")
    assert phone.messenger.find_text("No session is shown here")


async def test_a_button_is_pressed_where_its_message_is(bot: World) -> None:
    phone = await two_sessions(bot)
    shown = phone.messenger.find_text("answer to one")[0]
    await bot.store.add_offer("again", "/continue by button")
    reply = await bot.inbox.press(Press("p", "again", ANN, Place("fake", "1"), message=shown.id))
    await settle(bot)
    assert reply.ok
    assert await prompts(bot, 1) == ["one", "by button"]


async def test_a_destroyed_session_takes_nothing_more(bot: World) -> None:
    phone = await two_sessions(bot)
    await bot.store.remove_session(key(2))
    await phone.say("hello")
    assert phone.messenger.find_text("No session is shown here")
