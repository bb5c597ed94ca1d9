"""What steps wait for and press, on the simulator of Telegram and on the real socket of terminals alike."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.model import Button, Document, Place
from tests.e2e.harness import git
from tests.soak import scenario
from tests.soak.console import ConsoleDriver
from tests.soak.runner import _Runner
from tests.soak.telegram import TelegramDriver
from tests.unit.console.console_bot import Script, console

REF = "github.com/shoko/kugetsu#14"


class Telegram:
    """Shows messages as a bot there does."""

    def __init__(self, folder: Path) -> None:
        self.driver = TelegramDriver()

    async def open(self) -> None:
        await self.driver.open()

    async def close(self) -> None:
        await self.driver.close()

    async def show(self, text: str, *labels: str) -> Any:
        buttons = [[{"text": label, "callback_data": label} for label in labels]]
        return await self._call("sendMessage", text=text, reply_markup={"inline_keyboard": buttons})

    async def change(self, message: Any, text: str) -> None:
        await self._call("editMessageText", message_id=message["message_id"], text=text)

    async def send(self, name: str, content: bytes) -> None:
        form = aiohttp.FormData({"chat_id": str(self._chat)})
        form.add_field("document", content, filename=name)
        await self._post("sendDocument", data=form)

    async def acknowledge(self) -> None:
        """Answer the first press, as a bot must: else whoever pressed waits for it."""
        await self.driver.wait(lambda: self.driver.sim.core.presses, 5.0)
        number = next(iter(self.driver.sim.core.presses))
        await self._post("answerCallbackQuery", json={"callback_query_id": number})

    async def pressed(self) -> list[str]:
        return [press.data for press in self.driver.sim.core.presses.values()]

    @property
    def _chat(self) -> int:
        return self.driver._places["phone"].id

    async def _call(self, method: str, **fields: Any) -> Any:
        return await self._post(method, json={"chat_id": self._chat} | fields)

    async def _post(self, method: str, **body: Any) -> Any:
        url = f"{self.driver.sim.base_url}{self.driver.sim.token}/{method}"
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, **body) as answer:
            told = await answer.json()
        assert told["ok"], told
        return told["result"]


class Terminals:
    """The same behind the socket."""

    def __init__(self, folder: Path) -> None:
        self.driver = ConsoleDriver()
        self._folder = folder
        self._script = Script()
        self._chat = console()

    async def open(self) -> None:
        self.driver.settings(self._folder)
        await self._chat.start(self._folder / "kugetsu.sock", self._script)

    async def close(self) -> None:
        await self.driver.close()
        await self._chat.stop()

    async def show(self, text: str, *labels: str) -> None:
        buttons = tuple(Button(label, label) for label in labels)
        await self._chat.send(Place("console", "local"), Document(text, buttons))

    async def send(self, name: str, content: bytes) -> None:
        file = self._folder / name
        file.write_bytes(content)
        await self._chat.send_file(Place("console", "local"), file, name)

    async def acknowledge(self) -> None:
        """The reply to a press does."""

    async def pressed(self) -> list[str]:
        return [press.button for press in self._script.pressed]


Stand = Telegram | Terminals


class Alive:
    alive = True

    def must_live(self) -> None:
        """It does."""


@dataclass
class Request:
    user_text: str = ""
    tool_results: Sequence[str] = ()
    turn: int = 0
    body: dict[str, Any] = field(default_factory=lambda: {"tools": [1]})


@dataclass
class Model:
    requests: list[Request] = field(default_factory=list)
    _rules: list[Any] = field(default_factory=list)


@dataclass
class World:
    driver: Any
    database: Path
    bot: Alive = field(default_factory=Alive)
    model: Model = field(default_factory=Model)

    def new_issue(self) -> str:
        return REF


@dataclass
class Played:
    """Steps, one by one."""

    stand: Any
    world: World

    def __post_init__(self) -> None:
        raw = {"title": "t", "places": {"phone": "direct"}, "steps": ["calm"]}
        self._runner = _Runner(self.world, scenario.parse(raw))  # type: ignore[arg-type]

    async def do(self, **step: Any) -> None:
        await self._runner._do(scenario._step(1, step))

    async def fails(self, said: str, **step: Any) -> None:
        verb, args = next(iter(step.items()))
        with pytest.raises(AssertionError, match=said):
            await self.do(**{verb: args | {"within": 0.05}})


@pytest.fixture
async def open_stand(tmp_path: Path) -> AsyncIterator[Callable[[type[Stand]], Any]]:
    opened: list[Stand] = []

    async def play(kind: type[Stand]) -> Played:
        stand = kind(tmp_path)
        await stand.open()
        opened.append(stand)
        stand.driver.begin()
        stand.driver.add_place("phone", "direct", ["alice"])
        if isinstance(stand, Terminals):
            await stand.driver._window("phone", "").ready()
        return Played(stand, World(stand.driver, tmp_path / "kugetsu.db"))

    yield play
    for stand in opened:
        await stand.close()


@pytest.fixture(params=[Telegram, Terminals], ids=["telegram", "console"])
async def played(request: pytest.FixtureRequest, open_stand: Any) -> Played:
    return await open_stand(request.param)


async def test_a_button_is_known_by_a_part_of_its_label(played: Played) -> None:
    await played.stand.show("Which?", "All of them", "All", "None")
    await played.stand.show("Which else?")
    await played.do(wait={"in": "phone", "for": "Which?", "button": "Non"})
    await played.fails(
        "no “Some” on “Which” in phone; there is .*'None'", wait={"in": "phone", "for": "Which", "button": "Some"}
    )
    await played.fails("no “Some”", press={"in": "phone", "message": "Which", "button": "Some"})
    press = played.do(press={"in": "phone", "message": "Which", "button": "All"})  # the one that is called just so
    await asyncio.gather(press, played.stand.acknowledge())
    assert await played.stand.pressed() == ["All"]


async def test_buttons_are_waited_for_until_they_are_gone(played: Played) -> None:
    await played.stand.show("First", "Go")
    await played.fails("still has “Go”", wait={"in": "phone", "for": "First", "lacks": "Go"})
    await played.do(wait={"in": "phone", "for": "First", "lacks": "Stop"})
    await played.fails("or is not there", wait={"in": "phone", "for": "Second", "lacks": ""})
    await played.stand.show("First again")
    await played.do(wait={"in": "phone", "for": "First", "lacks": ""})


async def test_a_file_is_known_by_its_name_and_by_what_is_in_it(played: Played) -> None:
    await played.fails("no such file came", wait={"in": "phone", "file": ".patch"})
    await played.stand.send("kugetsu-14.patch", b"--- a\n+++ b\n+new line\n")
    await played.do(wait={"in": "phone", "file": ".patch"})
    await played.do(wait={"in": "phone", "file": "14", "content": "+new line"})
    await played.fails("no such file came", wait={"in": "phone", "file": ".patch", "content": "+other"})


async def test_a_message_that_changed_in_place(open_stand: Any) -> None:
    played = await open_stand(Telegram)
    message = await played.stand.show("Asked", "Go")
    await played.fails("was not shown", wait={"in": "phone", "for": "Asked", "first": "Asked"})
    await played.stand.change(message, "Allowed")
    await played.do(wait={"in": "phone", "first": "Asked", "for": "Allowed", "lacks": ""})
    await played.fails("was not shown", wait={"in": "phone", "first": "Other", "for": "Allowed"})


async def test_what_the_model_was_told(played: Played) -> None:
    played.world.model.requests.append(Request(tool_results=["The answer is Europa"]))
    await played.do(wait={"told": "Europa"})
    await played.fails("was not told", wait={"told": "Io"})


async def test_a_worktree_and_its_history(played: Played, tmp_path: Path) -> None:
    await played.fails("there is None", wait={"worktree": "a.txt", "for": "x"})
    await played.do(wait={"worktree": "a.txt", "absent": True})
    folder = tmp_path / "worktree"
    folder.mkdir()
    with sqlite3.connect(played.world.database) as db:
        db.execute("CREATE TABLE sessions (key TEXT, directory TEXT)")
        db.execute("INSERT INTO sessions VALUES (?, ?)", (REF.casefold(), str(folder)))
    db.close()
    git(folder, "init", "-q", ".")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "Add a file")

    await played.do(wait={"git": "log --oneline", "for": "Add a file"})
    await played.do(wait={"git": "log --format='%s %an'", "for": "Add a file a"})
    await played.do(wait={"git": "status --short", "absent": "a.txt"})
    await played.do(wait={"worktree": "a.txt", "for": "one"})
    await played.do(wait={"worktree": "a.txt", "absent": "two", "of": REF})
    await played.fails("there is 'one", wait={"worktree": "a.txt", "absent": True})
    await played.fails("there is .* Add a file", wait={"git": "log --oneline", "absent": "Add"})
    await played.fails("of other#1 there is None", wait={"git": "log", "for": "Add", "of": "other#1"})
