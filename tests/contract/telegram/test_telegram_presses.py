"""Buttons are answered in time, whatever else goes on."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import NotAllowed
from core.model import Document
from core.ports import Press, Reply
from tests.contract.telegram.telegram_labs import Lab, place
from tests.simulators.telegram import Chat, User


async def question(lab: Lab) -> tuple[User, Chat]:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    return alice, chat


async def test_a_press_is_decided_and_answered(lab: Lab) -> None:
    alice, chat = await question(lab)
    async with lab.listening() as messenger:
        number = await messenger.send(place(chat), lab.saying("Allow?", "Once"), "k")
        press = await lab.sim.press(alice, int(number), "Once", chat=chat)
    assert press.answer == {"text": "Done", "show_alert": False}
    (got,) = lab.mail.presses
    assert (got.button, got.message, got.place, got.person.id) == (
        "id-Once",
        number,
        place(chat),
        f"telegram:{alice.id}",
    )


async def test_a_hanging_press_is_answered_in_time_and_delays_nobody(lab: Lab) -> None:
    alice, chat = await question(lab)
    release = asyncio.Event()

    async def hang(press: Press) -> Reply:
        if press.button == "id-Slow":
            await release.wait()
        return Reply(Document("**At once**"))

    lab.mail.on_press = hang
    async with lab.listening() as messenger:
        number = int(await messenger.send(place(chat), lab.saying("Well?", "Slow", "Fast"), "k"))
        slow, fast = await asyncio.gather(
            lab.sim.press(alice, number, "Slow", chat=chat), lab.sim.press(alice, number, "Fast", chat=chat)
        )
        await lab.sim.say(alice, chat, "meanwhile")
        await lab.mail.texts("hello", "meanwhile")
        release.set()
    assert slow.answer == {"text": "Working on it…", "show_alert": False}
    assert fast.answer == {"text": "At once", "show_alert": False}
    assert slow.waited is not None
    assert slow.waited < 1.0
    assert fast.waited is not None
    assert fast.waited < 0.2


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(Document("Only Bob may."), ok=False), "Only Bob may."),
        (NotAllowed("Only Bob may", "Ask Bob"), "Only Bob may. Ask Bob"),
        (RuntimeError("a bug"), "That went wrong. It is in the log."),
        (Reply(Document("long " * 100), ok=False), "long " * 39 + "long…"),
    ],
)
async def test_failures_are_shown_as_alerts(lab: Lab, reply: Reply | Exception, text: str) -> None:
    alice, chat = await question(lab)

    async def answer(_: Press) -> Reply:
        if isinstance(reply, Exception):
            raise reply
        return reply

    lab.mail.on_press = answer
    async with lab.listening() as messenger:
        number = await messenger.send(place(chat), lab.saying("Allow?", "Once"), "k")
        press = await lab.sim.press(alice, int(number), "Once", chat=chat)
    assert press.answer == {"text": text, "show_alert": True}


async def test_a_press_that_is_too_old_is_decided_all_the_same(lab: Lab) -> None:
    alice, chat = await question(lab)
    async with lab.connected() as messenger:
        number = await messenger.send(place(chat), lab.saying("Allow?", "Once"), "k")
    await lab.sim.press(alice, int(number), "Once", chat=chat, wait=0)
    lab.sim.clock.push(60)
    async with lab.listening():
        await lab.mail.until(lambda mail: mail.presses)
        await lab.sim.say(alice, chat, "go on")
        await lab.mail.texts("hello", "go on")


async def test_a_press_on_a_deleted_message_still_comes(lab: Lab) -> None:
    alice, chat = await question(lab)
    async with lab.listening() as messenger:
        number = int(await messenger.send(place(chat), lab.saying("Allow?", "Once"), "k"))
        await lab.sim.delete(alice, number, chat=chat)
        press = await lab.sim.press(alice, number, data="id-Once", chat=chat)
    assert press.answer is not None
    assert lab.mail.presses[0].message == str(number)


async def test_closing_waits_for_what_is_going_on_but_not_for_ever(lab: Lab) -> None:
    alice, chat = await question(lab)
    ended = []

    async def slowly(_: Press) -> Reply:
        await asyncio.sleep(0.3)
        ended.append(1)
        return Reply(Document("Done"))

    lab.mail.on_press = slowly
    async with lab.listening() as messenger:
        number = int(await messenger.send(place(chat), lab.saying("Allow?", "Once"), "k"))
        await lab.sim.press(alice, number, "Once", chat=chat, wait=0)
        await lab.mail.until(lambda mail: mail.presses)
    assert ended == [1]
