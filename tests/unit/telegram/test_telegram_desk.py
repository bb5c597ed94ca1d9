"""In which order core hears what, and what it never waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from adapters.telegram.calls import Calls
from adapters.telegram.desk import Desk
from adapters.telegram.menu import entries
from adapters.telegram.presses import Presses
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.traffic import REMEMBERED, Traffic
from core import commands
from core.access import Role
from core.model import Document, Inbound, Place
from core.ports import Press, Reply
from tests.unit.telegram.telegram_updates import FORUM, GROUP, ME, membership, message, press


class Log:
    """A `core.messages.Mail` that keeps what it hears in order."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def take(self, inbounds: Sequence[Inbound], *, more: bool = False) -> None:
        self.heard.append(([inbound.text for inbound in inbounds], more))

    async def press(self, press: Press) -> Reply:
        self.heard.append("press")
        await asyncio.Event().wait()
        return Reply(Document(""))

    async def moved(self, platform: str, chat: str, to: str) -> None:
        self.heard.append("moved")

    async def lost(self, place: Place, why: str) -> None:
        self.heard.append("lost")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def desk(log: Log, told: list[str]) -> Desk:
    async def tell(place: Place, message: str, text: str) -> None:
        told.append(f"{place} {message}")

    calls = Calls(TelegramSettings("1:T", api_base="http://127.0.0.1:1"))
    return Desk(log, ME, Presses(calls, log), Traffic(), tell)


async def test_the_order_within_a_batch(desk: Desk, log: Log) -> None:
    moved = message(chat=GROUP, migrate_to_chat_id=FORUM["id"])
    batch = [press(), membership("kicked"), message("one"), moved, {"x": 1}, message("two", FORUM), None]
    await desk.take(batch, more=False)
    assert log.heard == ["moved", (["one", "two"], False), "lost"]
    await asyncio.sleep(0.01)
    assert log.heard[-1] == "press"
    assert desk.ignored == {"an update of a kind nobody asked for: x": 1, "broken": 1}


async def test_the_end_of_a_backlog_is_told_even_without_messages(desk: Desk, log: Log) -> None:
    await desk.take([message("one")], more=True)
    await desk.take([press()], more=True)
    await desk.take([press()], more=False)
    await desk.take([press()], more=False)
    takes = [heard for heard in log.heard if isinstance(heard, tuple)]
    assert takes == [(["one"], True), ([], False)]


async def test_people_are_told_once_a_chat(desk: Desk, told: list[str]) -> None:
    await desk.take([message("/status", GROUP, sender_chat=GROUP)] * 3, more=False)
    await desk.take([message(poll={}), message(poll={})], more=False)
    await asyncio.sleep(0.01)
    assert told == ["telegram:-5001 42", "telegram:1001 42"]


def test_what_a_process_remembers_of_messages() -> None:
    traffic = Traffic()
    traffic.sent("5", "10", "key")
    assert traffic.sent_as("5", "key") == "10"
    assert traffic.sent_as("6", "key") is None
    assert traffic.knows("6", "10")  # private chats share their numbers
    assert not traffic.knows("-1005", "10")  # supergroups do not
    for number in range(2 * REMEMBERED):
        traffic.sent("-1005", str(number), str(number))
    assert not traffic.knows("-1005", "1")
    assert traffic.knows("-1005", str(2 * REMEMBERED - 1))


async def test_sends_run_beside_each_other_and_never_beside_a_probe() -> None:
    traffic, going, most = Traffic(), {"send": 0, "probe": 0}, {"send": 0, "probe": 0}

    async def go(kind: str, chat: str = "5") -> None:
        async with traffic.sending(chat) if kind == "send" else traffic.probing(chat):
            going[kind] += 1
            most[kind] = max(most[kind], going[kind])
            assert not (going["probe"] and going["send"])
            await asyncio.sleep(0.001)
            going[kind] -= 1

    await asyncio.gather(*(go(kind) for kind in ["send", "send", "probe", "send", "probe", "send", "send"] * 5))
    assert most == {"send": most["send"], "probe": 1}
    assert most["send"] > 1


async def test_a_cancelled_probe_lets_sends_go_on() -> None:
    traffic = Traffic()
    async with traffic.sending("5"):
        probe = asyncio.create_task(traffic.probing("5").__aenter__())
        await asyncio.sleep(0)
        probe.cancel()
        await asyncio.sleep(0)
        async with asyncio.timeout(1), traffic.sending("5"):
            pass


def test_the_menus() -> None:
    private, group = entries(commands.TABLE, group=False), entries(commands.TABLE, group=True)
    admins = {spec.name for spec in commands.TABLE if spec.role is Role.ADMIN}
    assert {name for name, _ in private} - {name for name, _ in group} == admins
    odd = [
        commands.Spec(name, summary, commands.Group.LOOK, Role.NONE)
        for name, summary in (("Odd-Name", "x"), ("long", "x" * 300))
    ]
    assert entries(odd, group=False) == (("long", "x" * 256),)
