"""Runs that say nothing for long: told, again and again, and who is to blame."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.errors import AgentUnavailable
from core.events import Finished, Outcome, Said
from core.model import PermissionRequest, RunState, SessionId
from tests.fakes.agent import Ask, Script
from tests.fakes.phone import Phone, labels, settle
from tests.fakes.world import Outside, World

pytestmark = pytest.mark.looptime

START = "/start shoko/kugetsu#14 do it"
BASH = PermissionRequest("per_1", SessionId("ses"), "bash", ("git push",))


@pytest.fixture
def chats(chats: Outside) -> Outside:
    chats.stall_after = timedelta(minutes=10)
    return chats


async def quiet_run(bot: World, script: Script, minutes: float) -> Phone:
    await bot.resume()
    bot.agent.scripts.append(script)
    phone = Phone(bot)
    await phone.write(START)
    await asyncio.sleep(minutes * 60)
    return phone


def told(phone: Phone) -> list[str]:
    return [m.text for m in phone.messenger.find_text("nothing was heard")]


async def test_a_slow_model_is_told_again_and_again_with_stop_and_wait(bot: World) -> None:
    phone = await quiet_run(bot, [Said("p", "hm"), asyncio.Event(), Finished(Outcome.DONE)], 9)
    assert told(phone) == []
    await asyncio.sleep(4 * 60)
    [first] = told(phone)
    assert "for 10 min" in first
    assert "it is the model or a tool" in first
    assert labels(phone.messenger.find_text("nothing was heard")[0].out) == ["Stop #14", "Wait"]
    assert (await phone.press("Wait")).ok
    await asyncio.sleep(10 * 60)
    assert "for 20 min" in told(phone)[1]
    assert (await phone.press("Stop #14")).ok
    await settle(bot)
    [run] = await bot.run_list()
    assert run.state is RunState.STOPPED


@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_a_hung_server_is_told_from_a_slow_model(bot: World, how: str) -> None:
    phone = await quiet_run(bot, [Said("p", "hm"), asyncio.Event(), Finished(Outcome.DONE)], 5)
    if how == "hangs":
        bot.agent.hanging["lookup"] = asyncio.Event()
    else:
        bot.agent.raising["lookup"] = AgentUnavailable("gone")
    await asyncio.sleep(8 * 60)
    assert "opencode itself does not answer" in told(phone)[0]
    assert (await phone.press("Stop #14")).ok


async def test_waiting_for_people_is_no_stall(bot: World) -> None:
    phone = await quiet_run(bot, [Ask(BASH), Said("p", "x"), Finished(Outcome.DONE)], 60)
    assert told(phone) == []
    await phone.press("Reject")
    await settle(bot)


async def test_any_event_is_life(bot: World) -> None:
    gates = [asyncio.Event() for _ in range(5)]
    script: Script = []
    for gate in gates:
        script += [Said("p", "x", reasoning=True), gate]
    phone = await quiet_run(bot, [*script, Finished(Outcome.DONE)], 0)
    for gate in gates:
        await asyncio.sleep(7 * 60)
        gate.set()
    await settle(bot)
    assert told(phone) == []


async def test_a_notice_that_cannot_be_recorded_does_not_end_the_run(bot: World) -> None:
    gate = asyncio.Event()
    phone = await quiet_run(bot, [Said("p", "hm"), gate, Finished(Outcome.DONE)], 5)
    bot.store.failing = {"places"}
    await asyncio.sleep(8 * 60)
    bot.store.failing = set()
    gate.set()
    await settle(bot)
    [run] = await bot.run_list()
    assert run.state is RunState.DONE
    assert phone.messenger.find_text("hm")
