from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from console_bot import PLACE, THREAD, Script, console, header, newest, permission, report
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from adapters.console import render, wire
from adapters.console.asks import Choice
from adapters.console.client import ConsoleClient
from adapters.console.desk import Desk, Say
from adapters.console.server import ConsoleChat
from adapters.console.terminal import Chat
from core.events import Said
from core.model import Button, Document, Inbound, Place, RunId, RunState
from core.ports import Reply
from core.progress import Progress, fold

OTHER = "github.com/shoko/kugetsu#15"


def texts(lines: list[render.Line]) -> list[str]:
    return [render.plain(line) for line in lines]


def started(thread: str, run: int) -> wire.Started:
    return wire.Started(thread, run, 1, thread, "", "", "", "", "", "fix it", "fix it", "")


# ── the desk ───────────────────────────────────────────────────────────────────────────────────


def test_what_came_before_the_reply_is_shown_with_it() -> None:
    desk = Desk()
    assert desk.typed("/start x do it").action == Say("/start x do it")
    desk.said()
    assert desk.feed(started(THREAD, 7)) == []
    assert desk.feed(wire.Text(THREAD, 7, "p", "quick\n")) == []
    assert desk.feed(wire.Finished(THREAD, 7, ok=True)) == []
    assert texts(desk.reply(wire.Reply(1, ok=True, text="on it", thread=THREAD, run=7))) == [
        "on it",
        "quick",
        "✓ 0.0 s",
    ]
    assert not desk.busy
    assert desk.label == "#14 fix it"


def test_other_sessions_say_one_line() -> None:
    desk = Desk()
    desk.said()
    desk.reply(wire.Reply(1, ok=True, thread=THREAD, run=1))
    assert desk.busy
    desk.feed(started(OTHER, 2))
    assert desk.feed(wire.Text(OTHER, 2, "p", "loud\n")) == []
    asked = wire.Permission(OTHER, 2, "a", "bash", ("git push",), "", ())
    assert texts(desk.feed(asked)) == [f"• #15 fix it ? may it use bash git push · /watch {OTHER} goes there"]
    assert desk.typed("1").action == Say("1")
    assert texts(desk.feed(wire.Finished(OTHER, 2, ok=False, error="boom"))) == ["• #15 fix it ✗ boom"]
    assert texts(desk.feed(wire.Finished(THREAD, 1, ok=True))) == ["✓ 0.0 s"]
    assert not desk.busy


def test_going_to_a_live_session_shows_its_run_and_its_question() -> None:
    desk = Desk()
    desk.feed(started(OTHER, 2))
    desk.feed(wire.Text(OTHER, 2, "p", "so far\nand"))
    buttons = (Button("a:once", "Once"), Button("a:always", "Always"), Button("a:reject", "Reject"))
    desk.feed(wire.Permission(OTHER, 2, "a", "bash", ("git push",), "", buttons))
    desk.said()
    shown = texts(desk.reply(wire.Reply(1, ok=True, text="attached", thread=OTHER)))
    assert shown == [
        "attached",
        "so far",
        "and",
        "? may it use bash: git push",
        "  1  Once",
        "  2  Always",
        "  3  Reject",
    ]
    outcome = desk.typed("3 no")
    assert outcome.action == Choice("a:reject", "no")
    assert desk.typed("not an answer").action == Say("not an answer")
    desk.feed(wire.Decided(OTHER, "a", "console:local", "reject", None))
    assert desk.asked is None


def test_offers_hold_for_the_next_line_only() -> None:
    desk = Desk()
    desk.said()
    lines = desk.reply(wire.Reply(1, ok=False, text="it exists", buttons=(Button("b1", "Fork"),)))
    assert texts(lines) == ["✗ it exists", "  1  Fork"]
    assert desk.typed("  ").action is None
    assert desk.typed("1").action == Choice("b1")
    assert desk.typed("1").action == Say("1")


def test_the_end_of_a_run_offers_what_can_be_done_about_it() -> None:
    desk = Desk()
    desk.said()
    desk.reply(wire.Reply(1, ok=True, thread=THREAD, run=1))
    retry = (Button("b1", "Retry"), Button("b2", "Retry with bash git push"))
    ended = wire.Finished(THREAD, 1, ok=False, error="boom", buttons=retry)
    assert texts(desk.feed(ended))[-2:] == ["  1  Retry", "  2  Retry with bash git push"]
    assert desk.typed("2").action == Choice("b2")


def test_what_ended_before_one_came_there_offers_it_too() -> None:
    desk = Desk()
    desk.said()
    desk.feed(started(THREAD, 7))
    desk.feed(wire.Finished(THREAD, 7, ok=False, error="boom", buttons=(Button("b1", "Retry"),)))
    assert desk.typed("1").action == Say("1")  # it is not shown yet
    assert texts(desk.reply(wire.Reply(1, ok=True, thread=THREAD, run=7)))[-1] == "  1  Retry"
    assert desk.typed("1").action == Choice("b1")


# ── the screen ─────────────────────────────────────────────────────────────────────────────────


class Screen:
    """A `Chat` on a terminal of 80×24 that a test types into and reads."""

    def __init__(self, chat: ConsoleChat, intake: Script, client: ConsoleClient, keys: PipeInput) -> None:
        self.bot = chat
        self.intake = intake
        self.keys = keys
        self._out = io.StringIO()
        output = Vt100_Output(self._out, lambda: Size(24, 80), enable_cpr=False)
        self._chat = Chat(client, input=keys, output=output)
        self.done = asyncio.create_task(self._chat.run(["the banner"]))

    @property
    def shown(self) -> str:
        return render.clean(self._out.getvalue())

    @property
    def raw(self) -> str:
        return self._out.getvalue()

    async def until(self, happened: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(5):
                while not happened():
                    await asyncio.sleep(0.005)  # the screen is drawn when prompt_toolkit thinks fit
        except TimeoutError:
            pytest.fail(f"not seen on: {self.shown}")

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.shown)

    async def types(self, text: str) -> None:
        self.keys.send_text(text)


@pytest.fixture
async def screen(tmp_path: Path) -> AsyncIterator[Screen]:
    chat, intake = console(), Script()
    await chat.start(tmp_path / "k.sock", intake)
    hello = wire.Hello("ada", interactive=True, all=True)
    with create_pipe_input() as keys, create_app_session():
        async with await ConsoleClient.connect(tmp_path / "k.sock", hello) as client:
            screen = Screen(chat, intake, client, keys)
            await screen.sees("the banner")
            yield screen
            screen.done.cancel()
            await asyncio.gather(screen.done, return_exceptions=True)
    await chat.stop()


async def test_typing_while_the_answer_streams(screen: Screen) -> None:
    live = screen.bot.live(PLACE, header(1))

    async def receive(inbound: Inbound) -> Reply:
        return Reply(Document("Starting."), place=PLACE, run=RunId(1))

    screen.intake.on_say = receive
    await screen.types("/start x do it\r")
    await screen.sees("Starting.")
    await screen.types("half a mess")
    progress = fold(Progress(), Said("p", "first line\nsecond \x1b]0;evil\x07unfin"))
    await live.update(newest(progress))
    await screen.sees("first line")
    await screen.sees("second unfin")
    await screen.sees("#14 implement the login form › half a mess")
    await screen.types("age\r")
    await screen.until(lambda: len(screen.intake.said) == 2)
    assert [(said.text, said.place.thread) for said in screen.intake.said] == [
        ("/start x do it", ""),
        ("half a message", THREAD),
    ]
    await live.settle(progress, report(1))
    await screen.sees("✓ 0.0 s")
    assert "evil" not in screen.raw


async def test_a_permission_is_answered_by_number(screen: Screen) -> None:
    screen.intake.on_say = lambda _: _reply(Reply(Document(""), place=PLACE, run=RunId(1)))
    await screen.types("/start x\r")
    await screen.until(lambda: bool(screen.intake.said))
    await screen.bot.ask(PLACE, permission())
    await screen.sees("may it use bash: git push")
    await screen.types("2\r")
    await screen.until(lambda: bool(screen.intake.pressed))
    assert screen.intake.pressed[0].button == "a1:always"


async def test_ctrl_c_stops_the_run_and_twice_leaves(screen: Screen) -> None:
    screen.intake.on_say = lambda _: _reply(Reply(Document("on it"), place=PLACE, run=RunId(1)))
    await screen.types("/start x\r")
    await screen.sees("on it")
    await screen.types("\x03")
    await screen.until(lambda: len(screen.intake.said) == 2)
    assert (screen.intake.said[1].text, screen.intake.said[1].place.thread) == ("/stop", THREAD)
    await screen.types("\x03")
    assert await asyncio.wait_for(screen.done, 5) == 0


async def test_ctrl_c_clears_the_line_and_leaves_when_nothing_runs(screen: Screen) -> None:
    await screen.types("typed")
    await screen.sees("typed")
    await screen.types("\x03")
    await asyncio.sleep(0.02)
    assert not screen.done.done()
    await screen.types("\x03")
    assert await asyncio.wait_for(screen.done, 5) == 0
    assert screen.intake.said == []


async def test_ctrl_d_leaves(screen: Screen) -> None:
    await screen.types("\x04")
    assert await asyncio.wait_for(screen.done, 5) == 0


async def test_the_bot_going_away_ends_the_chat(screen: Screen) -> None:
    await screen.bot.stop()
    assert await asyncio.wait_for(screen.done, 5) == 1
    assert "the bot hung up" in screen.shown


async def test_a_session_in_the_background_says_one_line(screen: Screen) -> None:
    place = Place("console", "local", OTHER)
    live = screen.bot.live(place, header(9))
    await live.settle(fold(Progress(), Said("p", "a long story")), report(9, RunState.FAILED, error="boom"))
    await screen.sees("• #15 implement the login form ✗ boom")
    assert "a long story" not in screen.shown


async def _reply(reply: Reply) -> Reply:
    return reply
