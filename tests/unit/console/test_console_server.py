from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from console_bot import KEY, NOW, PLACE, THREAD, Script, console, header, newest, permission, question, report, session

from adapters.console import wire
from adapters.console.client import ConnectionLost, ConsoleClient, NotRunning
from adapters.console.server import ConsoleChat
from core.errors import StoreError
from core.events import Said, Step, StepState
from core.model import LOCAL_PERSON, Button, Choice, Decision, Document, Inbound, Place, Question, RunId
from core.ports import Press, Reply
from core.progress import Progress, fold

LIMIT = 5.0  # seconds a test waits for something that should be there at once


@pytest.fixture
async def intake() -> Script:
    return Script()


@pytest.fixture
async def chat(tmp_path: Path, intake: Script) -> AsyncIterator[ConsoleChat]:
    chat = console()
    await chat.start(tmp_path / "k.sock", intake)
    yield chat
    await chat.stop()


async def connect(path: Path, *, interactive: bool = False, every: bool = False) -> ConsoleClient:
    return await ConsoleClient.connect(
        path / "k.sock", wire.Hello("ada", interactive, every, "/src/kugetsu", debug=True)
    )


async def take(client: ConsoleClient, count: int) -> list[wire.Event]:
    events: list[wire.Event] = []
    async with asyncio.timeout(LIMIT):
        async for event in client.events():
            events.append(event)
            if len(events) == count:
                break
    return events


async def attached(client: ConsoleClient) -> None:
    """Everything the client has written was read: requests of one client are taken in order."""
    await client.say("/whoami")


async def test_hello_tells_what_is_there(chat: ConsoleChat, tmp_path: Path) -> None:
    async with await connect(tmp_path) as client:
        assert client.welcome.version == "1.2.3"
        assert THREAD in client.welcome.refs
        assert "start" in {hint.name for hint in client.welcome.commands}
    assert stat.S_IMODE((tmp_path / "k.sock").stat().st_mode) == 0o600


async def test_a_line_reaches_the_intake_and_is_answered(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    async with await connect(tmp_path) as client:
        reply = await client.say("hello", THREAD)
        await client.say("again")
    assert (reply.ok, reply.text, reply.thread) == (True, "heard hello", None)
    first, second = intake.said
    assert first == Inbound("console", first.event_id, PLACE, first.person, "hello", NOW, Path("/src/kugetsu"), True)
    assert (first.person.id, first.person.name) == (LOCAL_PERSON, "ada")
    assert second.place == Place("console", "local")
    assert first.event_id != second.event_id


async def test_event_ids_differ_between_terminals(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    for _ in range(2):
        async with await connect(tmp_path) as client:
            await client.say("same")
    assert len({inbound.event_id for inbound in intake.said}) == 2


async def test_a_stop_does_not_wait_behind_a_start(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    go = asyncio.Event()

    async def receive(inbound: Inbound) -> Reply:
        if inbound.text == "/start":
            await go.wait()
        return Reply(Document(inbound.text))

    intake.on_say = receive
    async with await connect(tmp_path) as client:
        starting = asyncio.create_task(client.say("/start"))
        await asyncio.sleep(0)
        assert (await client.say("/stop")).text == "/stop"
        assert [inbound.text for inbound in intake.said] == ["/start", "/stop"]
        go.set()
        assert (await starting).text == "/start"


async def test_a_run_is_streamed_to_who_was_told_its_thread(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    """Also what happened before the reply was out: the run, its text, a question, a notice."""
    message = chat.live(PLACE, header(17))

    async def receive(_: Inbound) -> Reply:
        progress = fold(Progress(), Said("p", "Hel"))
        await chat.send(PLACE, Document("setting up"))
        await message.update(newest(progress))
        await chat.ask(PLACE, permission(number=17))
        return Reply(Document("on it"), place=PLACE, run=RunId(17))

    intake.on_say = receive
    async with await connect(tmp_path) as client:
        reply = await client.say("/start x do it")
        assert (reply.thread, reply.run) == (THREAD, 17)
        progress = fold(fold(Progress(), Said("p", "Hello")), Step("s", "read", StepState.RUNNING, "README.md"))
        await message.settle(progress, report(17, text="Hello", cost=0.5))
        events = await take(client, 7)
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Notice", "Started", "Text", "Permission", "Text", "Tool", "Finished"]
    assert events[1] == wire.Started(
        THREAD,
        *(17, 17, str(KEY.ref), "", "ses_1", "ses_0", "/w/14", "kugetsu/14", "implement the login form", "do it"),
        asker="console:local",
    )
    assert [event.text for event in events if isinstance(event, wire.Text)] == ["Hel", "lo"]
    finished = events[-1]
    assert isinstance(finished, wire.Finished)
    assert (finished.ok, finished.ref, finished.session, finished.text, finished.cost) == (
        *(True, str(KEY.ref), "ses_1", "Hello", 0.5),
    )


async def test_a_run_that_ended_before_its_reply_is_told_whole(
    chat: ConsoleChat, intake: Script, tmp_path: Path
) -> None:
    async def receive(_: Inbound) -> Reply:
        await chat.live(PLACE, header(3)).settle(fold(Progress(), Said("p", "quick")), report(3, text="quick"))
        return Reply(Document(""), place=PLACE, run=RunId(3))

    intake.on_say = receive
    async with await connect(tmp_path) as client:
        await client.say("/start x")
        events = await take(client, 3)
    assert [type(event).__name__ for event in events] == ["Started", "Text", "Finished"]


async def test_only_watched_sessions_are_sent(chat: ConsoleChat, tmp_path: Path) -> None:
    other = replace(KEY, name="other")
    async with await connect(tmp_path) as one, await connect(tmp_path, every=True) as every:
        one.watch(THREAD.upper())  # refs compare whatever their case
        await attached(one)
        await chat.send(Place("console", "local", str(other)), Document("elsewhere"))
        await chat.send(PLACE, Document("here", (Button("b", "Go"),)))
        assert await take(one, 1) == [wire.Notice(THREAD, "here", (Button("b", "Go"),))]
        assert [event.text for event in await take(every, 2) if isinstance(event, wire.Notice)] == ["elsewhere", "here"]


async def test_live_messages_opened_twice_do_not_repeat_themselves(chat: ConsoleChat, tmp_path: Path) -> None:
    async with await connect(tmp_path, every=True) as client:
        progress = fold(Progress(), Said("p", "one"))
        await chat.live(PLACE, header(1)).update(newest(progress))
        await chat.live(PLACE, header(1)).update(newest(fold(progress, Said("p", " two"))))
        events = await take(client, 3)
    assert [type(event).__name__ for event in events] == ["Started", "Text", "Text"]


async def test_requests_are_pressed_and_settled(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    ask = permission()

    async def press(pressed: Press) -> Reply:
        decided = replace(ask, decision=Decision("always"), decided_by=LOCAL_PERSON, decided_at=NOW)
        await chat.settle_ask(PLACE, decided, "Ann")
        return Reply(Document("noted"))

    intake.on_press = press
    await chat.ask(PLACE, ask)
    async with await connect(tmp_path) as client:
        client.watch(THREAD)
        [asked] = await take(client, 1)
        assert isinstance(asked, wire.Permission)
        assert [button.id for button in asked.buttons] == ["a1:once", "a1:always", "a1:reject"]
        assert (await client.press("a1:always", "because")).text == "noted"
        assert await take(client, 1) == [wire.Decided(THREAD, "a1", LOCAL_PERSON, "always", NOW)]
        [pressed] = intake.pressed
        assert (pressed.button, pressed.text, pressed.place) == ("a1:always", "because", PLACE)
    async with await connect(tmp_path, every=True) as late:
        await attached(late)
        await chat.ask(PLACE, question(Question("", "Which?", (Choice("red"),))))
        [asked] = await take(late, 1)
        assert isinstance(asked, wire.Questions)  # and not the decided one
        assert [button.id for button in asked.buttons] == ["q1:answer", "q1:reject"]


async def test_an_ended_run_asks_nothing_any_more(chat: ConsoleChat, tmp_path: Path) -> None:
    message = chat.live(PLACE, header(1))
    await chat.ask(PLACE, permission(number=1))
    await message.settle(Progress(), report(1))
    async with await connect(tmp_path, every=True) as client:
        await attached(client)
        await chat.send(PLACE, Document("first thing"))
        assert await take(client, 1) == [wire.Notice(THREAD, "first thing")]


async def test_who_can_be_asked(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    assert not chat.can_ask(PLACE)
    async with await connect(tmp_path, every=True) as script:
        await attached(script)
        assert not chat.can_ask(PLACE)
    async with await connect(tmp_path, interactive=True) as person:
        await attached(person)
        assert not chat.can_ask(PLACE)
        person.watch(THREAD)
        await attached(person)
        assert chat.can_ask(PLACE)
    asked: list[bool] = []

    async def receive(_: Inbound) -> Reply:
        asked.append(chat.can_ask(PLACE))
        return Reply(Document(""))

    intake.on_say = receive
    async with await connect(tmp_path, interactive=True) as starting:
        await starting.say("/start x")
        assert asked == [True]  # the start may turn out to be this session
        assert not chat.can_ask(PLACE)


async def test_open_thread_names_the_session(chat: ConsoleChat) -> None:
    assert await chat.open_thread(Place("console", "local"), session(), "") == PLACE


async def test_a_broken_intake_is_a_reply(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    async def known(_: Inbound) -> Reply:
        raise StoreError("the disk is full", "Make room.")

    async def unknown(_: Inbound) -> Reply:
        raise ZeroDivisionError

    async with await connect(tmp_path) as client:
        intake.on_say = known
        reply = await client.say("x")
        assert (reply.ok, reply.code, reply.text) == (False, "store", "the disk is full\nMake room.")
        intake.on_say = unknown
        reply = await client.say("x")
        assert (reply.ok, reply.code) == (False, "failed")
        assert "ZeroDivisionError" in reply.text


async def test_garbage_gets_an_error_and_harms_nobody(chat: ConsoleChat, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "k.sock")
    writer.write(b'nonsense\n\n{"op":"say","id":7,"text":"still here"}\n{"op":"sa')
    async with asyncio.timeout(LIMIT):
        refusal, reply = json.loads(await reader.readline()), json.loads(await reader.readline())
    assert (refusal["id"], refusal["ok"], refusal["code"]) == (0, False, "usage")
    assert (reply["id"], reply["text"]) == (7, "heard still here")
    writer.transport.abort()  # in the middle of a line
    async with await connect(tmp_path) as client:
        assert (await client.say("x")).ok


async def test_a_line_too_long_is_refused(chat: ConsoleChat, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "k.sock")
    for _ in range(17):
        writer.write(b"x" * 2**20)
        await writer.drain()
    writer.write(b'x\n{"op":"say","id":7,"text":"still here"}\n')
    async with asyncio.timeout(LIMIT):
        refusal, reply = json.loads(await reader.readline()), json.loads(await reader.readline())
    assert "longer than 16 MB" in refusal["text"]
    assert reply["text"] == "heard still here"
    writer.close()


async def test_a_terminal_that_does_not_read_is_dropped_and_blocks_nobody(chat: ConsoleChat, tmp_path: Path) -> None:
    _, sleepy = await asyncio.open_unix_connection(tmp_path / "k.sock", limit=1024)
    sleepy.write(wire.encode(wire.Hello("sleepy", interactive=True, all=True)))
    async with await connect(tmp_path) as awake:
        await attached(awake)
        assert chat.can_ask(PLACE)
        big = "x" * 2**20
        for _ in range(66):
            await chat.send(PLACE, Document(big))
        async with asyncio.timeout(LIMIT):
            while chat.can_ask(PLACE):
                await asyncio.sleep(0)
        assert (await awake.say("x")).ok
    sleepy.close()


async def test_what_was_said_is_done_though_its_terminal_went(
    chat: ConsoleChat, intake: Script, tmp_path: Path
) -> None:
    go, done = asyncio.Event(), asyncio.Event()

    async def receive(_: Inbound) -> Reply:
        await go.wait()
        done.set()
        return Reply(Document(""), place=PLACE)

    intake.on_say = receive
    client = await connect(tmp_path)
    saying = asyncio.create_task(client.say("/start x"))
    async with asyncio.timeout(LIMIT):
        while not intake.said:
            await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ConnectionLost):
        await saying
    go.set()
    async with asyncio.timeout(LIMIT):
        await done.wait()


async def test_a_stop_lets_replies_out_and_hangs_up(tmp_path: Path, intake: Script) -> None:
    chat, arrived = console(), asyncio.Event()

    async def receive(_: Inbound) -> Reply:
        arrived.set()
        await asyncio.sleep(0.01)
        return Reply(Document("late"))

    intake.on_say = receive
    await chat.start(tmp_path / "k.sock", intake)
    async with await connect(tmp_path) as client:
        saying = asyncio.create_task(client.say("x"))
        await arrived.wait()
        await chat.stop()
        assert (await saying).text == "late"
        with pytest.raises(ConnectionLost):
            await take(client, 1)
        with pytest.raises(ConnectionLost):
            await client.say("more")
    assert not (tmp_path / "k.sock").exists()
    with pytest.raises(NotRunning):
        await connect(tmp_path)


async def test_a_socket_left_behind_is_replaced_and_other_files_are_not(tmp_path: Path, intake: Script) -> None:
    path = tmp_path / "k.sock"
    first = console()
    await first.start(path, intake)
    path.rename(tmp_path / "dead")
    await first.stop()
    (tmp_path / "dead").rename(path)  # nobody listens on it: what a killed process leaves
    with pytest.raises(NotRunning):
        await connect(tmp_path)
    second = console()
    await second.start(path, intake)
    async with await connect(tmp_path) as client:
        assert (await client.say("x")).ok
    await second.stop()
    path.write_text("precious")
    with pytest.raises(StoreError):
        await console().start(path, intake)
    assert path.read_text() == "precious"


async def test_a_path_too_long_for_a_socket_works_at_both_ends(tmp_path: Path, intake: Script) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    chat = console()
    await chat.start(folder / "k.sock", intake)
    async with await connect(folder) as client:
        assert (await client.say("x")).ok
    await chat.stop()
    assert not (folder / "k.sock").exists()


# ── with the token of a session ────────────────────────────────────────────────────────────────


async def with_token(path: Path, token: str = "token-of-14", directory: str = "/w/14") -> ConsoleClient:
    hello = wire.Hello("agent", interactive=True, all=True, directory=directory, token=token)
    return await ConsoleClient.connect(path / "k.sock", hello)


async def test_a_token_lets_files_be_sent(chat: ConsoleChat, intake: Script, tmp_path: Path) -> None:
    async with await with_token(tmp_path) as client:
        assert (await client.say("/send a.txt")).ok
        assert (await client.say("!send a.txt")).ok
    assert [(said.text, said.directory) for said in intake.said] == [
        ("/send a.txt", Path("/w/14")),
        ("!send a.txt", Path("/w/14")),
    ]


@pytest.mark.parametrize(
    "line",
    ["/list", "/destroy -y o/r#14", "go on", "/sender x", "/", "send a.txt", "/stop\n/send a.txt", "//send a"],
)
async def test_a_token_lets_nothing_else_be_done(chat: ConsoleChat, intake: Script, tmp_path: Path, line: str) -> None:
    async with await with_token(tmp_path) as client:
        refused = await client.say(line)
        pressed = await client.press("a1:always")
    assert (refused.ok, refused.code, pressed.code) == (False, "not_allowed", "not_allowed")
    assert "`send` alone" in refused.text
    assert (intake.said, intake.pressed) == ([], [])


@pytest.mark.parametrize(("token", "directory"), [("wrong", "/w/14"), ("token-of-14", "/w/15"), ("token-of-14", "")])
async def test_a_token_that_is_not_that_of_the_worktree(
    chat: ConsoleChat, intake: Script, tmp_path: Path, token: str, directory: str
) -> None:
    async with await with_token(tmp_path, token, directory) as client:
        refused = await client.say("/send a.txt")
    assert (refused.ok, refused.code) == (False, "not_allowed")
    assert "not the token" in refused.text
    assert intake.said == []


async def test_who_has_a_token_hears_nothing_and_cannot_be_asked(chat: ConsoleChat, tmp_path: Path) -> None:
    async with await with_token(tmp_path) as client:
        assert client.welcome.refs == ()
        client.watch(THREAD)
        await client.say("/send a.txt", THREAD)
        assert not chat.can_ask(PLACE)
        await chat.send(PLACE, Document("something private"))
        await chat.send(Place("console", "local"), Document("for everyone"))
        client._writer.write(wire.encode(wire.Hello("ada")))
        assert not (await client.say("/list")).ok
        assert client._events.empty()
