"""What people write: taken in once, worked through in order, never lost, never in each other's way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from adapters.store.tables import inbox
from core.delivery import BacklogPolicy
from core.events import Finished, Outcome, Said
from core.messages import Mark
from core.model import IncomingFile, Person, PersonId, RunState
from core.placing import Placing
from core.ports import Press
from tests.fakes.agent import Script
from tests.fakes.phone import Phone, labels, settle
from tests.fakes.store import WatchedStore
from tests.fakes.world import ANN, BOB, VIEWER, Outside, World
from tests.unit.core.conftest import leave
from tests.unit.core.test_relay import BASH, asking

pytestmark = pytest.mark.looptime

START = "/start shoko/kugetsu#14 do it"
NOBODY = Person(PersonId("fake:nobody"), "Nobody")
MINUTE, DAY = 60.0, 24 * 3600.0


class Crash(BaseException):
    """The process is gone."""


def held(gate: asyncio.Event) -> Script:
    return [Said("p", "working"), gate, Said("p", ", done"), Finished(Outcome.DONE)]


async def prompts(world: World) -> list[str]:
    return [run.prompt for run in await world.run_list()]


async def outcomes(world: World) -> list[tuple[str, str]]:
    """(text, outcome) of everything that was received."""
    store: WatchedStore = world.store
    rows = await store._database.read(lambda db: list(db.execute(select(inbox).order_by(inbox.c.id))))
    return [(row.text, row.outcome or ("held" if row.held else "open")) for row in rows]


async def up(bot: World) -> Phone:
    await bot.resume()
    phone = Phone(bot)
    await phone.write("/help")  # the platform has nothing else waiting
    await settle(bot)
    phone.messenger.messages.clear()
    phone.messenger.marks.clear()
    return phone


# ── once, and in order ─────────────────────────────────────────────────────────────────────────


async def test_what_is_delivered_twice_is_handled_once(bot: World) -> None:
    phone = await up(bot)
    inbound = phone.inbound(START)
    await bot.inbox.take([inbound])
    await bot.inbox.take([inbound, replace(inbound, text="an edit, replayed")])
    await settle(bot)
    await bot.inbox.take([inbound])
    await settle(bot)
    assert await prompts(bot) == ["do it"]
    assert len(phone.messenger.find_text("answer to do it")) == 1


async def test_messages_of_a_chat_keep_their_order(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    for text in ("one", "two", "three"):
        await phone.write(text)
    await settle(bot)
    assert await prompts(bot) == ["do it", "one", "two", "three"]


async def test_a_failing_message_does_not_block_those_behind_it(bot: World, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = await up(bot)
    await phone.say(START)
    place = Placing.of

    async def of(self: Placing, inbound):
        if inbound.text == "poison":
            raise RuntimeError("a defect")
        return await place(self, inbound)

    monkeypatch.setattr(Placing, "of", of)
    await phone.write("poison")
    await phone.write("fine")
    await settle(bot)
    assert await prompts(bot) == ["do it", "fine"]
    assert ("poison", "failed") in await outcomes(bot)
    assert phone.messenger.find_text("Something in kugetsu itself failed")
    assert bot.complaints


async def test_a_full_disk_is_waited_out(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    bot.store.failing = {"add_run"}
    await phone.write("one")
    await phone.write("two")
    await asyncio.sleep(20)
    bot.store.failing = set()
    await settle(bot)
    refused = [text for text, outcome in await outcomes(bot) if outcome == "refused"]
    assert sorted([*await prompts(bot), *refused]) == ["do it", "one", "two"], "accepted or refused with a sentence"


async def test_the_receipt_comes_at_once_whatever_else_is_slow(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    phone.messenger.hanging["fetch"] = asyncio.Event()
    phone.messenger.hanging["send"] = asyncio.Event()
    phone.messenger.files["f"] = b"x"
    await phone.write("slow", files=[IncomingFile("f", "x.txt", "text/plain", 1)])
    began = asyncio.get_running_loop().time()
    message = await phone.write("behind it")
    await phone.messenger.until(lambda: (message, Mark.SEEN) in phone.messenger.marks, 10)
    assert asyncio.get_running_loop().time() - began < 0.3
    phone.messenger.hanging.pop("send").set()
    phone.messenger.hanging.pop("fetch").set()


async def test_marks_tell_how_it_went(bot: World) -> None:
    phone = await up(bot)
    good = await phone.say("/help")
    bad = await phone.say("/nonsense")
    run = await phone.say(START)
    assert [mark for message, mark in phone.messenger.marks if message == good] == [Mark.SEEN, Mark.DONE]
    assert [mark for message, mark in phone.messenger.marks if message == bad] == [Mark.SEEN, Mark.FAILED]
    assert [mark for message, mark in phone.messenger.marks if message == run] == [Mark.SEEN, Mark.DONE]


# ── commands beside the line ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slow", ["/doctor", "/init --force", "/nonsense"])
async def test_a_slow_command_keeps_nothing_waiting(bot: World, slow: str) -> None:
    phone = await up(bot)
    gate = asyncio.Event()
    bot.agent.scripts.append(held(asyncio.Event()))
    await phone.write(START)
    await phone.messenger.until(lambda: phone.messenger.find_text("working"), 100)
    decide = bot.reception.decide

    async def slowly(row, inbound, attachments=()):
        if inbound.text == slow:
            await gate.wait()
        return await decide(row, inbound, attachments)

    bot.reception.decide = slowly
    await phone.write(slow)
    await phone.write("next prompt")
    await phone.write("!stop")
    await phone.messenger.until(lambda: phone.messenger.find_text("Stopped #14"), 100)
    assert "next prompt" in await prompts(bot)
    assert (slow, "open") in await outcomes(bot)
    gate.set()
    await settle(bot)
    assert "open" not in [outcome for _, outcome in await outcomes(bot)]


async def test_a_slow_prompt_does_not_keep_a_command_waiting(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    phone.messenger.files["f"] = b"x"
    phone.messenger.hanging["fetch"] = gate = asyncio.Event()
    phone.messenger.marks.clear()
    await phone.write("slow", files=[IncomingFile("f", "x.txt", "text/plain", 1)])
    await phone.write("/status shoko/kugetsu#14")
    await phone.messenger.until(lambda: phone.messenger.find_text("kugetsu#14 do it\n"), 100)
    gate.set()
    await settle(bot)
    assert await prompts(bot) == ["do it", "slow"]


# ── what belongs together ──────────────────────────────────────────────────────────────────────


async def test_an_album_is_one_prompt(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    for number in range(3):
        phone.messenger.files[str(number)] = b"picture"
        file = IncomingFile(str(number), f"{number}.jpg", "image/jpeg", 7)
        await phone.write("look" if number == 0 else "", files=[file], joins=1.5)
        await asyncio.sleep(0.4)
    await settle(bot)
    run = (await bot.run_list())[-1]
    assert (run.prompt, [file.name for file in run.attachments]) == ("look", ["0.jpg", "1.jpg", "2.jpg"])
    assert [outcome for _, outcome in await outcomes(bot)][-3:] == ["accepted"] * 3


async def test_a_paste_cut_in_pieces_is_put_together_without_a_seam(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    await phone.write("a" * 4000, joins=1.5)
    await phone.write("b" * 4000, joins=1.5)
    await phone.write("c" * 10)
    await settle(bot)
    assert (await prompts(bot))[-1] == "a" * 4000 + "b" * 4000 + "c" * 10


async def test_what_comes_too_late_or_from_somebody_else_does_not_belong(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    await phone.write("forwarded", joins=1.5)
    await asyncio.sleep(3)
    await phone.write("on its own")
    await phone.write("forwarded again", joins=1.5)
    await phone.write("/status shoko/kugetsu#14")
    await settle(bot)
    assert await prompts(bot) == ["do it", "forwarded", "on its own", "forwarded again"]


async def test_somebody_else_in_between_does_not_cut_an_album(bot: World) -> None:
    ann = Phone(bot, ANN, "group")
    await bot.resume()
    await ann.say(START)
    [(thread, _)] = ann.messenger.threads
    ann, bob = Phone(bot, ANN, "group", thread.thread), Phone(bot, BOB, "group", thread.thread)
    await ann.write("one", joins=1.5)
    await bob.write("meanwhile")
    await ann.write("two", joins=0.0)
    await settle(bot)
    assert await prompts(bot) == ["do it", "one\ntwo", "meanwhile"]


# ── edits ──────────────────────────────────────────────────────────────────────────────────────


async def busy(bot: World) -> tuple[Phone, asyncio.Event]:
    phone, gate = await up(bot), asyncio.Event()
    bot.agent.scripts.append(held(gate))
    await phone.write(START)
    await phone.messenger.until(lambda: phone.messenger.find_text("working"), 100)
    return phone, gate


async def test_editing_a_message_changes_the_entry_that_waits(bot: World) -> None:
    phone, gate = await busy(bot)
    message = await phone.write("wrong")
    await phone.write("right", edits=message)
    await phone.write("quite right", edits=message)
    await asyncio.sleep(1)
    gate.set()
    await settle(bot)
    assert bot.agent.prompts == ["do it", "quite right"]
    assert phone.messenger.find_text("will get the edited text")


async def test_editing_what_is_at_work_is_said_to_be_too_late(bot: World) -> None:
    phone, gate = await busy(bot)
    await phone.write("/start shoko/kugetsu#14 something else", edits=phone.messenger.marks[0][0])
    await asyncio.sleep(1)
    assert phone.messenger.find_text("has the text as it was")
    gate.set()
    await settle(bot)
    assert bot.agent.prompts == ["do it"]


async def test_editing_a_refused_message_tries_it_again_once(bot: World) -> None:
    phone, gate = await busy(bot)
    message = await phone.write("/continu shoko/kugetsu#14 more")
    await asyncio.sleep(1)
    assert phone.messenger.find_text("There is no command")
    await phone.write("/continue shoko/kugetsu#14 more", edits=message)
    await asyncio.sleep(1)
    assert await prompts(bot) == ["do it", "more"]
    await phone.write("and more", edits=message)
    await asyncio.sleep(1)
    assert await prompts(bot) == ["do it", "and more"], "the second edit changes what the first made"
    gate.set()
    await settle(bot)


async def test_editing_one_part_of_a_joined_message_leaves_the_others(bot: World) -> None:
    phone, gate = await busy(bot)
    await phone.write("one", joins=1.5)
    second = await phone.write("two")
    await asyncio.sleep(3)
    await phone.write("2", edits=second)
    await asyncio.sleep(1)
    assert (await prompts(bot))[-1] == "one\n2"
    gate.set()
    await settle(bot)


async def test_an_edit_that_comes_as_the_prompt_is_sent_never_sends_it_twice(bot: World) -> None:
    phone = await up(bot)
    message = await phone.write(START)
    for number in range(20):
        await phone.write(f"{number}", edits=message)
    await settle(bot)
    assert len(bot.agent.prompts) == 1
    assert len(await bot.run_list()) == 1


async def test_an_edit_of_a_command_that_made_no_prompt_changes_nothing(bot: World) -> None:
    phone = await up(bot)
    message = await phone.say("/help")
    shown = len(phone.messenger.messages)
    await phone.say("/help start", edits=message)
    assert len(phone.messenger.messages) == shown


# ── strangers and groups ───────────────────────────────────────────────────────────────────────


async def test_a_stranger_gets_one_line_once_and_no_receipt(bot: World) -> None:
    await up(bot)
    stranger = Phone(bot, NOBODY, "2")
    await stranger.say("hello")
    await stranger.say("hello?")
    await stranger.say(START)
    [line] = stranger.messenger.messages
    assert "fake:nobody" in line.text
    assert stranger.messenger.marks == []
    assert await bot.store.sessions() == []
    assert [outcome for text, outcome in await outcomes(bot) if "hello" in text] == ["refused", "ignored"]


async def test_in_groups_strangers_are_not_answered(bot: World) -> None:
    await up(bot)
    await Phone(bot, NOBODY, "group").say(START)
    assert bot.outside.messengers["fake"].messages == []


async def test_in_groups_only_what_is_meant_for_kugetsu_is_taken(bot: World) -> None:
    await up(bot)
    phone = Phone(bot, chat="group")
    await phone.say("chatter", addressed=False)
    assert (phone.messenger.messages, phone.messenger.marks) == ([], [])
    assert ("chatter", "ignored") in await outcomes(bot)
    await phone.say(START)
    [(thread, _)] = phone.messenger.threads
    inside = Phone(bot, BOB, "group", thread.thread)
    message = await inside.say("and this", addressed=False)
    assert await prompts(bot) == ["do it", "and this"]
    assert (message, Mark.SEEN) in phone.messenger.marks, "in its own threads everything is seen"
    elsewhere = Phone(bot, BOB, "group", "t9")
    await elsewhere.say("chatter", addressed=False)
    assert len(await bot.run_list()) == 2


async def test_viewers_watch_and_are_told_what_they_lack(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    viewer = Phone(bot, VIEWER, "3")
    await viewer.say("/continue shoko/kugetsu#14 more")
    assert viewer.messenger.find_text("needs the role driver")
    await viewer.say("/status shoko/kugetsu#14")
    assert viewer.messenger.find_text("kugetsu#14 do it\n")


# ── what came while nobody read ────────────────────────────────────────────────────────────────


async def back(outside: Outside, *messages: tuple[str, float], person: Person = ANN) -> tuple[World, Phone]:
    """A bot that comes up while `messages` (text, seconds ago) wait at the platform."""
    world = await World(outside).open()
    await world.resume()
    phone = Phone(world, person)
    waiting = [phone.inbound(text, age=age) for text, age in messages]
    for number, inbound in enumerate(waiting):
        await world.inbox.take([inbound], more=number < len(waiting) - 1)
    await asyncio.sleep(0.2)
    return world, phone


async def once(outside: Outside) -> None:
    world, phone = await back(outside, (START, 0.0))
    await settle(world)
    await leave(world)
    phone.messenger.messages.clear()


async def test_a_few_recent_ones_are_run_in_order(chats: Outside) -> None:
    await once(chats)
    world, _ = await back(chats, ("one", 300), ("two", 200), ("three", 1))
    await settle(world)
    assert await prompts(world) == ["do it", "one", "two", "three"]
    await leave(world)


async def test_what_is_new_stays_behind_what_has_waited(chats: Outside) -> None:
    await once(chats)
    world = await World(chats).open()
    await world.resume()
    phone = Phone(world)
    await world.inbox.take([phone.inbound("old", age=60)], more=True)
    message = await phone.write("new")
    await settle(world)
    assert await prompts(world) == ["do it", "old", "new"]
    assert (message, Mark.SEEN) in phone.messenger.marks
    await leave(world)


async def test_a_platform_that_never_says_it_is_through_is_not_waited_for(chats: Outside) -> None:
    await once(chats)
    world = await World(chats).open()
    await world.resume()
    await world.inbox.take([Phone(world).inbound("one", age=60)], more=True)
    await asyncio.sleep(10)
    await settle(world)
    assert await prompts(world) == ["do it", "one"]
    await leave(world)


@pytest.mark.parametrize(
    ("choice", "run"), [("Run in order", ["one", "two"]), ("Only the last", ["two"]), ("Discard", [])]
)
async def test_old_ones_are_asked_about(chats: Outside, choice: str, run: list[str]) -> None:
    await once(chats)
    world, phone = await back(chats, ("one", 20 * MINUTE), ("two", 15 * MINUTE))
    await settle(world)
    assert await prompts(world) == ["do it"]
    [question] = phone.messenger.messages
    assert not question.out.silent
    assert [outcome for _, outcome in await outcomes(world)][1:] == ["held", "held"]
    await leave(world)

    world = await World(chats).open()  # the buttons outlive a restart
    await world.resume()
    await settle(world)
    assert len(phone.messenger.messages) == 1
    viewer = Phone(world, VIEWER)
    assert not (await viewer.press(choice)).ok
    phone = Phone(world)
    replies = await asyncio.gather(phone.press(choice), Phone(world, BOB).press(choice))
    assert sorted(reply.ok for reply in replies) == [False, True], "one decides"
    await settle(world)
    assert await prompts(world) == ["do it", *run]
    assert "decided by" in question.text
    assert question.now.buttons == ()
    assert "held" not in [outcome for _, outcome in await outcomes(world)]
    await leave(world)


async def test_many_are_asked_about_and_one_alone_has_no_last(chats: Outside) -> None:
    await once(chats)
    world, phone = await back(chats, *((f"m{n}", 60.0) for n in range(4)))
    await settle(world)
    assert labels(phone.messenger.messages[-1].now) == ["Run in order", "Only the last", "Discard"]
    await leave(world)
    chats.backlog = BacklogPolicy(ask_above=0)
    world, phone = await back(chats, ("alone", 60.0))
    await settle(world)
    assert labels(phone.messenger.messages[-1].now) == ["Run it", "Discard"]
    await leave(world)


async def test_the_last_one_keeps_its_edits(chats: Outside) -> None:
    await once(chats)
    chats.backlog = BacklogPolicy(ask_above=0)
    world = await World(chats).open()
    await world.resume()
    phone = Phone(world)
    one, two = phone.inbound("one", age=60), phone.inbound("two", age=50)
    edit = phone.inbound("two!", edits=two.message, age=40)
    await world.inbox.take([one, two, edit])
    await asyncio.sleep(1)
    await phone.press("Only the last")
    await settle(world)
    assert "one" not in await prompts(world)
    assert world.agent.prompts[-1] in {"two", "two!"}
    assert len(world.agent.prompts) == 2
    await leave(world)


async def test_very_old_ones_are_not_run_and_that_is_said(chats: Outside) -> None:
    await once(chats)
    world, phone = await back(chats, ("ancient", DAY + 60), ("recent", 60))
    await settle(world)
    assert await prompts(world) == ["do it", "recent"]
    assert "ancient" in phone.messenger.messages[0].text
    assert ("ancient", "ignored") in await outcomes(world)
    await leave(world)


async def test_strangers_and_chatter_are_no_backlog(chats: Outside) -> None:
    await once(chats)
    world, phone = await back(chats, ("let me in", 20 * MINUTE), person=NOBODY)
    await settle(world)
    assert "fake:nobody" in phone.messenger.messages[-1].text
    assert not any(labels(m.out) for m in phone.messenger.messages)
    await leave(world)


async def test_a_question_of_several_pages_is_settled_where_its_buttons_are(chats: Outside) -> None:
    await once(chats)
    world, phone = await back(chats, *((f"message number {n} " * 3, 60.0 - n) for n in range(8)))
    await settle(world)
    assert len(phone.messenger.messages) > 1
    await phone.press("Discard")
    await settle(world)
    assert not any(m.now.buttons for m in phone.messenger.messages)
    await leave(world)


async def test_a_full_disk_while_catching_up_loses_nothing(chats: Outside) -> None:
    await once(chats)
    world = await World(chats).open()
    await world.resume()
    world.store.failing = {"hold_inbound"}
    phone = Phone(world)
    await world.inbox.take([phone.inbound("one", age=20 * MINUTE)])
    await asyncio.sleep(12)
    world.store.failing = set()
    await asyncio.sleep(12)
    await phone.press("Run it")
    await settle(world)
    assert await prompts(world) == ["do it", "one"]
    await leave(world)


async def test_what_a_dead_process_had_decided_is_not_asked_about(chats: Outside) -> None:
    world = await World(chats).open()
    await world.resume()
    phone = Phone(world)
    world.store.failing = {"close_inbound"}
    await phone.write(START)
    await asyncio.sleep(2)
    assert await prompts(world) == ["do it"]
    await world.mailboxes.quiet()
    world.store.failing = set()
    await leave_open(world)
    await asyncio.sleep(20 * MINUTE)
    world = await World(chats).open()
    await world.resume()
    await asyncio.sleep(10)
    await settle(world)
    assert not any("while kugetsu was not there" in m.text for m in phone.messenger.messages)
    assert await prompts(world) == ["do it"]
    assert [outcome for _, outcome in await outcomes(world)] == ["accepted"]
    await leave(world)


async def leave_open(world: World) -> None:
    for task in world.inbox._under_way():
        task.cancel()
    world.inbox._closed = True
    await leave(world)


# ── dying ──────────────────────────────────────────────────────────────────────────────────────


POINTS = ["messages received", "message decided", "posts recorded", "reply recorded", "message closed"]


async def die_at(outside: Outside, point: str, *texts: str, joins: float = 0.0) -> None:
    """A process that dies when it comes to `point`, while it handles `texts`."""
    dead = False

    def passed(at: str) -> None:
        nonlocal dead
        if dead or at == f"fault {point}":
            dead = True
            raise Crash(at)

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    before = asyncio.all_tasks()
    world = await World(outside, passed).open()
    await world.resume()
    phone = Phone(world)

    async def life() -> None:
        for text in texts:
            await phone.write(text, joins=joins)
        await settle(world)

    living = asyncio.create_task(life())
    await asyncio.wait([living], timeout=20)
    dead = True
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(living, *left, return_exceptions=True)
    await world.store._target.close()
    asyncio.get_running_loop().set_exception_handler(None)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("text", [START, "/new try it", "/fork shoko/kugetsu#14", "/fork shoko/kugetsu#14 go", "/help"])
async def test_whatever_a_message_makes_it_makes_once(chats: Outside, point: str, text: str) -> None:
    if text != START:
        await once(chats)
    await die_at(chats, point, text)
    await asyncio.sleep(1)
    world = await World(chats).open()
    await world.resume()
    await asyncio.sleep(10)
    await settle(world)
    sessions = await world.store.sessions()
    assert len(sessions) == (2 if text.startswith(("/new", "/fork")) else 1)
    runs = [run for session in sessions for run in await world.store.runs(session.key)]
    assert len(world.agent.prompts) == len(runs)
    assert len(world.agent.prompts) == len(set(world.agent.prompts))
    assert "open" not in [outcome for _, outcome in await outcomes(world)]
    assert await world.store.open_operations() == []
    shown = [m.text for m in chats.messengers["fake"].messages if not m.out.buttons]
    assert len(shown) == len(set(shown)), "no reply twice"
    await leave(world)


@pytest.mark.parametrize("point", POINTS)
async def test_what_belongs_together_stays_together(chats: Outside, point: str) -> None:
    await once(chats)
    await die_at(chats, point, "one", "two", joins=1.5)
    world = await World(chats).open()
    await world.resume()
    await asyncio.sleep(10)
    await settle(world)
    assert (await prompts(world))[1:] in (["one\ntwo"], ["one"])
    assert len([1 for text in world.agent.prompts if "one" in text]) == 1
    assert "open" not in [outcome for _, outcome in await outcomes(world)]
    await leave(world)


async def test_an_answer_to_a_request_is_not_taken_for_a_prompt_after_a_crash(chats: Outside) -> None:
    """The row is open, the request was decided by it."""
    world, phone = await back(chats)
    chats.agent.scripts.append(asking(BASH))
    await phone.write(START)
    await phone.messenger.until(lambda: phone.messenger.find_text("May it use"), 100)
    [request] = phone.messenger.find_text("May it use")
    world.store.failing = {"close_inbound"}
    await phone.write("yes", reply_to=request.id)
    await asyncio.sleep(2)
    world.store.failing = set()
    await leave_open(world)
    world = await World(chats).open()
    await world.resume()
    await asyncio.sleep(10)
    await settle(world)
    assert await prompts(world) == ["do it"]
    await leave(world)


# ── leaving, and links ─────────────────────────────────────────────────────────────────────────


async def test_a_bot_that_leaves_finishes_what_it_decides_and_takes_nothing_up(bot: World) -> None:
    phone = await up(bot)
    decide = bot.reception.decide

    async def slowly(row, inbound, attachments=()):
        await asyncio.sleep(1)
        return await decide(row, inbound, attachments)

    bot.reception.decide = slowly
    await phone.write(START)
    await asyncio.sleep(0.5)
    await bot.inbox.close()
    assert [outcome for text, outcome in await outcomes(bot) if text == START] == ["accepted"]
    await phone.write("later")
    await asyncio.sleep(1)
    assert ("later", "open") in await outcomes(bot)
    press = Press("p1", "stop:1", ANN, phone.place)
    assert not (await bot.inbox.press(press)).ok


async def test_a_link_that_opens_kugetsu_says_what_it_was_made_for(bot: World) -> None:
    phone = await up(bot)
    await phone.say(START)
    await bot.store.add_offer("tok3n", "/watch shoko/kugetsu#14")
    other = Phone(bot, BOB, "2")
    await other.say("/start tok3n")
    assert other.messenger.find_text("This place shows")
    await other.say("/start unknown")
    assert "unknown" in other.messenger.messages[-1].text
    await other.say("/start")
    assert "Which issue?" in other.messenger.messages[-1].text


async def test_what_is_lost_or_moved_is_noted(bot: World) -> None:
    phone = await up(bot)
    await bot.inbox.lost(phone.place, "the bot was removed")
    assert any("the bot was removed" in what for what, _ in bot.complaints)
    await bot.inbox.moved("elsewhere", "1", "2")


async def test_two_new_sessions_at_once_get_two_names(bot: World) -> None:
    await up(bot)
    one, two = Phone(bot, ANN, "5"), Phone(bot, BOB, "6")
    await asyncio.gather(one.write("/new one"), two.write("/new two"))
    await settle(bot)
    assert sorted(session.title for session in await bot.store.sessions()) == ["one", "two"]
    runs = [run for session in await bot.store.sessions() for run in await bot.store.runs(session.key)]
    assert [run.state for run in runs] == [RunState.DONE] * 2
