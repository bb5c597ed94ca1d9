from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from console_bot import KEY, NOW, PLACE, THREAD, Script, console, header, newest, permission, question, report

from adapters.console import terminal, wire
from adapters.console.client import ConsoleClient, NotRunning
from adapters.console.script import one_shot
from adapters.console.server import ConsoleChat
from core.events import Said, Step, StepState
from core.model import LOCAL_PERSON, Button, Choice, Decision, Document, Inbound, Question, RunId, RunState
from core.ports import Ask, Press, Reply
from core.progress import Progress, fold


class Bot:
    """Plays runs: every message that is no command is answered `echo: …`."""

    def __init__(self) -> None:
        self.chat: ConsoleChat = console()
        self.intake = Script(self.receive, self.press)
        self.runs = 0
        self.ask: Ask | None = None
        self.decided = asyncio.Event()
        self.stopped = asyncio.Event()
        self.stoppable = False
        self.replies: dict[str, Reply] = {}
        self.refuses_press: list[Reply] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def receive(self, inbound: Inbound) -> Reply:
        if inbound.text in self.replies:
            return self.replies[inbound.text]
        if inbound.text == "/stop":
            self.stopped.set()
            return Reply(Document("Stopped."))
        self.runs += 1
        self.tasks.append(asyncio.create_task(self.work(self.runs, inbound.text)))
        place = None if inbound.place.thread else PLACE
        return Reply(
            Document("Starting." if inbound.text.startswith("/start") else ""), place=place, run=RunId(self.runs)
        )

    async def press(self, pressed: Press) -> Reply:
        if self.refuses_press:
            return self.refuses_press.pop()
        if self.ask:
            reply = pressed.button.rpartition(":")[2]
            settled = replace(self.ask, decision=Decision(reply), decided_by=LOCAL_PERSON, decided_at=NOW)
            await self.chat.settle_ask(PLACE, settled, "Ann")
            self.decided.set()
        return self.replies.get(pressed.button, Reply(Document("noted")))

    async def work(self, number: int, text: str) -> None:
        live = self.chat.live(PLACE, header(number))
        progress = fold(Progress(), Step("s", "read", StepState.COMPLETED, "README.md"))
        await live.update(newest(progress))
        for piece in ("echo:", " \x1b[31m", text, "\n", "bye"):
            progress = fold(progress, Said("p", piece))
            await live.update(newest(progress))
            await asyncio.sleep(0)
        if self.ask:
            await self.chat.ask(PLACE, self.ask)
            await self.decided.wait()
        if self.stoppable:
            await self.stopped.wait()
        failed = "fail" in text or self.stoppable
        state = RunState.FAILED if failed else RunState.DONE
        await live.settle(progress, report(number, state, text=progress.text, error="boom" if failed else ""))


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    bot = Bot()
    await bot.chat.start(tmp_path / "k.sock", bot.intake)
    yield bot
    for task in bot.tasks:
        task.cancel()
    await asyncio.gather(*bot.tasks, return_exceptions=True)
    await bot.chat.stop()


Shot = Callable[..., Any]


@pytest.fixture
def shot(bot: Bot, tmp_path: Path) -> Shot:
    async def shot(text: str, *, json: bool = False, wait: bool = True, answers: list[str] | None = None) -> Any:
        out, err, left = io.StringIO(), io.StringIO(), list(answers or [])

        async def ask(prompt: str) -> str:
            if not left:
                raise EOFError
            return left.pop(0)

        hello = wire.Hello("ada", interactive=answers is not None)
        async with asyncio.timeout(10), await ConsoleClient.connect(tmp_path / "k.sock", hello) as client:
            code = await one_shot(
                client, text, "", json=json, wait=wait, out=out, err=err, ask=None if answers is None else ask
            )
        return code, out.getvalue(), err.getvalue()

    return shot


async def test_a_run_is_printed_as_text(shot: Shot) -> None:
    code, out, err = await shot("/start github.com/o/r#14 hi")
    assert (code, err) == (0, "")
    assert out == ("Starting.\n⚙ read README.md ✓\necho: /start github.com/o/r#14 hi\nbye\n✓ 0.0 s\n")


async def test_a_run_is_printed_as_json(shot: Shot) -> None:
    code, out, err = await shot("/start github.com/o/r#14 hi", json=True)
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [event["type"] for event in events] == ["started", "tool", *["text"] * 5, "finished"]
    assert events[0]["session"] == "ses_1"
    assert events[-1]["ok"] is True
    assert events[-1]["ref"] == str(KEY.ref)
    assert "".join(event["text"] for event in events if event["type"] == "text") == events[-1]["text"]


async def test_a_failed_run_is_exit_code_1(shot: Shot) -> None:
    code, out, _ = await shot("fail")
    assert (code, out.splitlines()[-2:]) == (1, ["✗ boom", "  0.0 s · /retry runs it again"])
    code, out, _ = await shot("fail", json=True)
    assert (code, json.loads(out.splitlines()[-1])["error"]) == (1, "boom")


async def test_without_waiting_the_reply_is_all(shot: Shot) -> None:
    assert await shot("/start x", wait=False) == (0, "Starting.\n", "")
    code, out, _ = await shot("/start x", wait=False, json=True)
    assert (code, json.loads(out)["run"]) == (0, 2)


async def test_data_is_printed_for_scripts_and_text_for_people(bot: Bot, shot: Shot) -> None:
    bot.replies["/list"] = Reply(Document("**none**"), data=[])
    assert await shot("/list") == (0, "**none**\n", "")
    assert await shot("/list", json=True) == (0, "[]\n", "")


@pytest.mark.parametrize(("code", "exits"), [("usage", 2), ("ref", 2), ("configuration", 2), ("not_found", 1)])
async def test_refusals(bot: Bot, shot: Shot, code: str, exits: int) -> None:
    bot.replies["/start x"] = bot.replies["/list"] = Reply(Document("No.\nDo this."), ok=False, code=code)
    assert await shot("/start x") == (exits, "", "✗ No.\n  Do this.\n")
    status, out, _ = await shot("/start x", json=True)
    finished = json.loads(out)
    assert (status, finished["type"], finished["ok"], finished["code"]) == (exits, "finished", False, code)
    assert finished["error"] == "No.\nDo this."
    status, out, _ = await shot("/list", json=True)
    assert (status, json.loads(out)) == (exits, {"ok": False, "code": code, "error": "No.\nDo this."})


async def test_a_permission_is_asked_on_the_terminal(bot: Bot, shot: Shot) -> None:
    bot.ask = permission(number=1)
    code, out, _ = await shot("push it", answers=["", "what?", "3 not today"])
    assert code == 0
    assert out.count("? may it use bash: git push") == 2  # an empty line is no answer
    assert "  refused\n" in out
    [pressed] = bot.intake.pressed
    assert (pressed.button, pressed.text) == ("a1:reject", "not today")


async def test_a_question_not_understood_is_put_again(bot: Bot, shot: Shot) -> None:
    bot.ask = question(Question("", "Which?", (Choice("red"), Choice("blue"))))
    bot.refuses_press = [Reply(Document("One only."), ok=False, code="usage")]
    code, out, _ = await shot("hi", answers=["1,2", "2"])
    assert code == 0
    assert out.count("Which?") == 2
    assert [pressed.text for pressed in bot.intake.pressed] == ["1,2", "2"]


async def test_offers_are_chosen_by_number(bot: Bot, shot: Shot) -> None:
    offers = (Button("b1", "Continue here"), Button("b2", "Fork"))
    bot.replies["/start x"] = Reply(Document("It exists.", offers), ok=False, code="exists")
    bot.replies["b2"] = Reply(Document("Forked."))
    code, out, err = await shot("/start x", answers=["2"])
    assert (code, out, err) == (0, "  1  Continue here\n  2  Fork\nForked.\n", "✗ It exists.\n")
    assert (await shot("/start x", answers=[]))[0] == 1


async def test_the_bot_going_away_is_told(bot: Bot, shot: Shot) -> None:
    bot.stoppable = True
    running = asyncio.create_task(shot("hi", json=True))
    while not bot.tasks:
        await asyncio.sleep(0)
    await bot.chat.stop()
    code, out, _ = await running
    finished = json.loads(out.splitlines()[-1])
    assert (code, finished["type"], finished["ok"], finished["code"]) == (1, "finished", False, "connection_lost")


async def interrupt_when(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)


async def test_an_interrupt_stops_the_run_and_waits_for_its_end(bot: Bot, shot: Shot) -> None:
    bot.stoppable = True
    before = signal.getsignal(signal.SIGINT)
    running = asyncio.create_task(shot("hi"))
    await interrupt_when(lambda: _streamed(bot))
    code, out, _ = await running
    assert code == 1
    assert out.endswith("✗ boom\n  0.0 s · /retry runs it again\n")
    assert signal.getsignal(signal.SIGINT) is before


async def test_the_second_interrupt_leaves(bot: Bot, shot: Shot) -> None:
    bot.stoppable = True
    waiting, enough = asyncio.Event(), asyncio.Event()

    async def never(inbound: Inbound) -> Reply:
        if inbound.text == "/stop":
            waiting.set()
            await enough.wait()
        return await bot.receive(inbound)

    bot.intake.on_say = never
    running = asyncio.create_task(shot("hi", json=True))
    await interrupt_when(lambda: _streamed(bot))
    await interrupt_when(waiting.is_set)
    code, out, _ = await running
    enough.set()
    assert code == 1
    assert json.loads(out.splitlines()[-1])["code"] == "left"


def _streamed(bot: Bot) -> bool:
    return any(run.shown and run.shown.text.endswith("bye") for run in bot.chat._runs.values())


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_nobody_reading_ends_quietly(bot: Bot, tmp_path: Path) -> None:
    async with await ConsoleClient.connect(tmp_path / "k.sock", wire.Hello()) as client:
        assert await one_shot(client, "hi", "", json=False, wait=True, out=Closed(), err=io.StringIO()) == 1


# ── a chat through a pipe ──────────────────────────────────────────────────────────────────────


async def piped(tmp_path: Path, text: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    async with asyncio.timeout(10):
        code = await terminal.chat(
            tmp_path / "k.sock",
            history=tmp_path / "history",
            banner=["never through a pipe"],
            first=["/list"],
            stdin=io.StringIO(text),
            stdout=out,
            stderr=err,
        )
    return code, out.getvalue(), err.getvalue()


async def test_lines_are_done_one_after_the_other(bot: Bot, tmp_path: Path) -> None:
    bot.replies["/list"] = Reply(Document("none"))
    code, out, err = await piped(tmp_path, "/start x one\n\ntwo\n")
    assert (code, err) == (0, "")
    assert out == (
        "none\nStarting.\n"
        "⚙ read README.md ✓\necho: /start x one\nbye\n✓ 0.0 s\n"
        "⚙ read README.md ✓\necho: two\nbye\n✓ 0.0 s\n"
    )
    assert [inbound.place.thread for inbound in bot.intake.said] == ["", "", THREAD]
    assert not bot.chat.can_ask(PLACE)
    assert not (tmp_path / "history").exists()


async def test_the_worst_outcome_is_the_exit_code(bot: Bot, tmp_path: Path) -> None:
    bot.replies["/list"] = Reply(Document("none"))
    bot.replies["/bad"] = Reply(Document("no"), ok=False, code="usage")
    assert (await piped(tmp_path, "fail\nfine"))[0] == 1
    code, _, err = await piped(tmp_path, "/bad\nfine\n")
    assert (code, err) == (2, "✗ no\n")
    assert (await piped(tmp_path, ""))[0] == 0


async def test_without_a_bot_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        await piped(tmp_path, "hi\n")


def test_the_history_is_private(tmp_path: Path) -> None:
    (tmp_path / "history").touch(0o644)
    terminal.private_history(tmp_path / "history")
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o600
