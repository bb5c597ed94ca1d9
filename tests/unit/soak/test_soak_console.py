"""The driver of terminals against the real socket: what a person sees there, can choose, and finds after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.model import Button, Choice, Document, Inbound, Question, RunState
from core.ports import Press, Reply
from core.progress import Progress, Text
from tests.soak.console import ConsoleDriver
from tests.soak.driver import Unsupported
from tests.soak.observed import Shown
from tests.unit.console import console_bot as bot

SOON = 5.0  # seconds
IO = Question("Which moon?", "Moon", (Choice("Io", "hot"), Choice("Europa", "ice")))
YEAR = Question("Which year?", "Year", ())


class Bot:
    """Behind the socket, started and stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = bot.Script(self._told, self._chosen)
        self.chat: Any = None

    async def start(self) -> None:
        self.chat = bot.console()
        await self.chat.start(self.folder / "kugetsu.sock", self.script)

    async def stop(self) -> None:
        await self.chat.stop()

    async def _told(self, inbound: Inbound) -> Reply:
        return Reply(Document(f"heard {inbound.text}"), place=bot.PLACE)

    async def _chosen(self, press: Press) -> Reply:
        return Reply(Document(f"noted {press.button} {press.text}".strip()))

    async def writes(self, text: str, number: int = 1) -> Any:
        live = self.chat.live(bot.PLACE, bot.header(number))
        await live.update(bot.newest(Progress(items=(Text("p", text),))))
        return live


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Bot]:
    behind = Bot(tmp_path)
    await behind.start()
    yield behind
    await behind.stop()


@pytest.fixture
async def driver(there: Bot) -> AsyncIterator[ConsoleDriver]:
    driver = ConsoleDriver()
    assert driver.settings(there.folder) == {}
    await driver.open()
    driver.begin()
    driver.add_place("window", "direct", ["alice"])
    yield driver
    await driver.close()


async def see(driver: ConsoleDriver, text: str, place: str = "window", times: int = 1) -> Shown:
    def found() -> Shown | None:
        here = [shown for shown in driver.shown(place) if text in shown.text]
        return here[-1] if len(here) >= times else None

    return await until(driver, found)


async def until(driver: ConsoleDriver, happened: Callable[[], Any]) -> Any:
    return await driver.wait(happened, SOON)


async def enter(driver: ConsoleDriver, place: str = "window") -> None:
    """Into the session."""
    await driver.say(place, "/start it")
    await see(driver, "heard /start it", place)


async def test_an_answer_is_what_was_streamed_with_its_footer(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    live = await there.writes("One\ntwo")
    await until(driver, lambda: driver.previews("window") == ["One\ntwo"])
    (writing,) = [shown for shown in driver.observed().shown if shown.live]
    assert (writing.run, writing.text) == (1, "One\ntwo")
    done = replace(bot.report(text="One\ntwo"), buttons=(Button("b", "Again"),))
    await live.settle(Progress(items=(Text("p", "One\ntwo"),)), done)
    shown = await see(driver, "One")
    assert shown.text.splitlines()[:2] == ["One", "two"]
    assert "✓" in shown.text
    assert (shown.run, shown.buttons, driver.previews("window")) == (1, ("Again",), [])


async def test_what_is_said_goes_where_one_is_and_is_known_by_its_text(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    await driver.say("window", "more")
    await see(driver, "heard more")
    assert [inbound.place.thread for inbound in there.script.said] == ["", bot.THREAD]
    assert [(said.text, said.event, said.told) for said in driver.observed().said] == [
        ("/start it", "", True),
        ("more", "", True),
    ]
    assert driver.observed().screens == {"window": bot.THREAD}


async def test_what_happens_elsewhere_is_one_line(driver: ConsoleDriver, there: Bot) -> None:
    await driver._window("window", "").ready()
    live = await there.writes("secret")
    await live.settle(Progress(items=(Text("p", "secret"),)), bot.report(text="secret"))
    shown = await see(driver, "✓ finished")
    assert shown.text.startswith("• #14")
    assert not any("secret" in each.text for each in driver.shown("window"))


async def test_a_permission_is_decided_by_its_button(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    await there.chat.ask(bot.PLACE, bot.permission())
    shown = await see(driver, "may it use bash: git push")
    assert (shown.buttons, shown.ask) == (("Allow once", "Always", "Reject"), "a1")
    assert await driver.press("window", shown, "Always") == "noted a1:always"
    with pytest.raises(AssertionError, match="no 'Never' can be chosen"):
        await driver.press("window", shown, "Never")
    await there.chat.settle_ask(bot.PLACE, bot.permission(), "")
    await until(driver, lambda: not any(each.buttons for each in driver.shown("window")))
    with pytest.raises(AssertionError, match="can be chosen"):
        await driver.press("window", shown, "Always")


async def test_questions_are_answered_one_by_one_by_choice_and_by_words(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    await there.chat.ask(bot.PLACE, bot.question(IO, YEAR))
    first = await see(driver, "Which moon?")
    assert first.buttons == ("Io", "Europa", "Reject")
    await driver.press("window", first, "Europa")
    second = await see(driver, "Which year?")
    assert (second.buttons, driver.shown("window")[1].buttons) == (("Reject",), ())
    await driver.say("window", "in 2041", reply=second)
    await until(driver, lambda: there.script.pressed)
    assert [(press.button, press.text) for press in there.script.pressed] == [("q1:answer", "2\nin 2041")]


async def test_a_question_is_refused(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    await there.chat.ask(bot.PLACE, bot.question(IO))
    await driver.press("window", await see(driver, "Which moon?"), "Reject")
    assert [press.button for press in there.script.pressed] == ["q1:reject"]


async def test_only_the_oldest_request_can_be_answered(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    await there.chat.ask(bot.PLACE, bot.permission())
    await there.chat.ask(bot.PLACE, bot.question(IO))
    second = await see(driver, "Which moon?")
    with pytest.raises(AssertionError, match=r"what is typed answers “\? may it use"):
        await driver.press("window", second, "Io")
    with pytest.raises(AssertionError, match=r"what is typed answers “\? may it use"):
        await driver.say("window", "Io", reply=second)


async def test_only_what_was_offered_last_can_be_chosen(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    offers = [Document(text, (Button(text, f"Go {text}"),)) for text in ("one", "two")]
    for offer in offers:
        await there.chat.send(bot.PLACE, offer)
    last = await see(driver, "two")
    assert [shown.buttons for shown in driver.shown("window")[1:]] == [(), ("Go two",)]
    assert await driver.press("window", last, "Go two") == "noted two"
    assert not any(shown.buttons for shown in driver.shown("window"))


async def test_a_file_is_where_it_was(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    (there.folder / "a.patch").write_bytes(b"+x")
    await there.chat.send_file(bot.PLACE, there.folder / "a.patch", "a.patch")
    shown = await see(driver, "a.patch")
    assert (shown.file, driver.content("window", shown)) == ("a.patch", b"+x")


async def test_after_a_restart_the_screen_is_still_there_and_nothing_of_it_can_be_chosen(
    driver: ConsoleDriver, there: Bot
) -> None:
    await enter(driver)
    await there.chat.ask(bot.PLACE, bot.permission())
    asked = await see(driver, "may it use")
    await there.writes("One\ntwo")
    await until(driver, lambda: driver.previews("window"))
    await there.stop()
    await until(driver, lambda: driver.observed().lost)
    assert driver.previews("window") == []
    assert [shown.run for shown in driver.shown("window") if "One" in shown.text] == [None]  # cut off, and so no answer
    assert not any(shown.buttons for shown in driver.shown("window"))

    await there.start()
    await there.chat.ask(bot.PLACE, bot.permission())
    again = await see(driver, "may it use", times=2)
    assert (again.message, again.buttons) != (asked.message, ())
    await driver.say("window", "/more")
    await see(driver, "heard /more")
    texts = [(inbound.text, inbound.place.thread) for inbound in there.script.said[1:]]
    assert texts == [(f"/watch {bot.THREAD}", ""), ("/more", bot.THREAD)]


async def test_who_comes_back_sees_the_run_that_goes_on(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    await there.stop()
    await until(driver, lambda: driver.observed().lost)
    await there.start()
    live = await there.writes("All\nof it")
    await until(driver, lambda: driver.previews("window") == ["All\nof it"])
    await live.settle(Progress(items=(Text("p", "All\nof it"),)), bot.report(state=RunState.DONE, text="All\nof it"))
    assert (await see(driver, "All")).run == 1


async def test_what_was_said_into_a_dying_bot_is_not_counted(driver: ConsoleDriver, there: Bot) -> None:
    async def dies(inbound: Inbound) -> Reply:
        for terminal in there.chat._terminals:
            terminal.writer.transport.abort()
        return Reply(Document("too late"))

    await driver._window("window", "").ready()
    there.script.on_say = dies
    await driver.say("window", "hello?")
    await see(driver, "✗ the")
    assert driver.observed().said == ()


async def test_two_people_have_a_window_each_and_share_the_session(driver: ConsoleDriver, there: Bot) -> None:
    driver.add_place("crowd", "group", ["alice", "bob"])
    await enter(driver, "crowd")
    await there.chat.ask(bot.PLACE, bot.permission())
    shown = await see(driver, "may it use", "crowd")
    assert await driver.press("crowd", shown, "Allow once", by="bob") == "noted a1:once"
    await driver.say("crowd", "3 no", by="bob", reply=shown)
    await until(driver, lambda: len(there.script.pressed) == 2)
    assert [(press.person.name, press.text) for press in there.script.pressed] == [("bob", ""), ("bob", "no")]
    said = [(inbound.person.name, inbound.text) for inbound in there.script.said]
    assert said == [("alice", "/start it"), ("bob", f"/watch {bot.THREAD}")]
    assert driver.observed().screens == {"window": "", "crowd": bot.THREAD, "crowd:bob": bot.THREAD}


async def test_what_terminals_have_not(driver: ConsoleDriver) -> None:
    with pytest.raises(Unsupported):
        driver.add_place("team", "threads", ["alice"])
    with pytest.raises(Unsupported):
        driver.outage(1.0)
    with pytest.raises(Unsupported):
        driver.fault("down", "any", "", 1, 1.0)
    with pytest.raises(Unsupported):
        await driver.happen("removed", "window", "")
    with pytest.raises(Unsupported):
        await driver.edit("x", "y")
    with pytest.raises(Unsupported):
        await driver.send("window", "f", b"", "")
    with pytest.raises(ValueError, match="no place 'nowhere'; there are window"):
        driver.shown("nowhere")


async def test_a_scenario_leaves_nothing_to_the_next(driver: ConsoleDriver, there: Bot) -> None:
    await enter(driver)
    driver.begin()
    driver.add_place("other", "direct", ["alice"])
    await driver.say("other", "x")
    await see(driver, "heard x", "other")
    assert [said.text for said in driver.observed().said] == ["x"]
    assert len(there.chat._terminals) == 1
