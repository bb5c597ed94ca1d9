"""Faults, outages and limits by raw HTTP."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.simulators.telegram import Limits, TelegramSimulator

from .conftest import Api


@pytest.fixture
def chat_id(sim: TelegramSimulator) -> int:
    return sim.private(sim.user("Alice")).id


async def test_errors_as_html_and_json(sim: TelegramSimulator, api: Api, chat_id: int) -> None:
    sim.faults.add("error", method="sendMessage", code=502)
    async with api.session.post(f"{sim.base_url}{sim.token}/sendMessage", json={"chat_id": chat_id, "text": "hi"}) as r:
        assert (r.status, r.content_type) == (502, "text/html")
    sim.faults.add("error", code=500, description="Internal Server Error: restart")
    assert (await api.refused("sendMessage", chat_id=chat_id, text="hi"))["error_code"] == 500
    await api("sendMessage", chat_id=chat_id, text="hi")
    assert len(sim.messages(chat_id)) == 1


async def test_too_many(sim: TelegramSimulator, api: Api, chat_id: int) -> None:
    sim.faults.add("too_many", chat=chat_id, retry_after=7, times=2)
    await api("getMe")
    for _ in range(2):
        body = await api.refused("sendMessage", chat_id=chat_id, text="hi")
        assert body["parameters"] == {"retry_after": 7}
    await api("sendMessage", chat_id=chat_id, text="hi")


@pytest.mark.parametrize(("kind", "done"), [("drop", 0), ("drop_after", 1)])
async def test_dropped_connections(sim: TelegramSimulator, api: Api, chat_id: int, kind: str, done: int) -> None:
    sim.faults.add(kind, method="sendMessage")
    with pytest.raises(aiohttp.ClientError):
        await api("sendMessage", chat_id=chat_id, text="hi")
    assert len(sim.messages(chat_id)) == done
    assert (sim.calls("sendMessage")[0].outcome, sim.calls("sendMessage")[0].fault) == ("dropped", kind)


@pytest.mark.parametrize(("kind", "done"), [("hang", 0), ("hang_after", 1)])
async def test_hanging(sim: TelegramSimulator, api: Api, chat_id: int, kind: str, done: int) -> None:
    sim.faults.add(kind, method="sendMessage")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(api("sendMessage", chat_id=chat_id, text="hi"), 0.2)
    assert len(sim.messages(chat_id)) == done
    assert sim.calls("sendMessage")[0].answered is None


async def test_slow_calls_are_done_though_nobody_listens(sim: TelegramSimulator, api: Api, chat_id: int) -> None:
    sim.faults.add("slow", method="sendMessage", seconds=0.2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(api("sendMessage", chat_id=chat_id, text="hi"), 0.05)
    await sim.wait_for(lambda s: s.messages(chat_id))
    sim.faults.add("slow_after", method="sendMessage", seconds=0.2)
    sending = asyncio.create_task(api("sendMessage", chat_id=chat_id, text="ho"))
    await sim.wait_for(lambda s: len(s.messages(chat_id)) == 2)
    assert not sending.done()
    await sending


async def test_garbage(sim: TelegramSimulator, api: Api) -> None:
    sim.faults.add("garbage")
    with pytest.raises(aiohttp.ContentTypeError):
        await api("getMe")


async def test_outage_breaks_what_waits(sim: TelegramSimulator, api: Api) -> None:
    poll = asyncio.create_task(api("getUpdates", timeout=20))
    await sim.wait_for(lambda s: s.updates.poll)
    sim.outage(duration=30)
    with pytest.raises(aiohttp.ClientError):
        await poll
    with pytest.raises(aiohttp.ClientError):
        await api("getMe")
    sim.clock.push(31)
    await api("getMe")


async def test_faults_by_duration_and_removal(sim: TelegramSimulator, api: Api) -> None:
    fault = sim.faults.add("error", code=500, description="Internal Server Error", times=None)
    await api.refused("getMe")
    sim.faults.remove(fault)
    await api("getMe")
    with pytest.raises(ValueError, match="no fault 'fire'"):
        sim.faults.add("fire")


async def test_private_limit(sim: TelegramSimulator, api: Api, chat_id: int) -> None:
    sim.set_limits(Limits())
    for _ in range(3):
        last = await api("sendMessage", chat_id=chat_id, text="hi")
    edit = {"chat_id": chat_id, "message_id": last["message_id"], "text": "ho"}
    assert (await api.refused("editMessageText", **edit))["parameters"] == {"retry_after": 1}
    await api("sendMessageDraft", chat_id=chat_id, draft_id=1, text="drafts are free")
    sim.clock.push(1)
    await api("editMessageText", **edit)


async def test_group_limit_counts_topics_and_edits_together(sim: TelegramSimulator, api: Api) -> None:
    sim.set_limits(Limits(overall_per_second=0))
    alice = sim.user("Alice")
    forum = sim.forum("Team", [alice])
    topics = [(await sim.topic(forum, str(n), alice)).id for n in range(2)]
    sent = await api("sendMessage", chat_id=forum.id, text="0")
    for number in range(10):
        await api("sendMessage", chat_id=forum.id, text="hi", message_thread_id=topics[number % 2])
    for number in range(9):
        await api("editMessageText", chat_id=forum.id, message_id=sent["message_id"], text=f"edit {number}")
    refused = await api.refused("sendMessage", chat_id=forum.id, text="hi")
    assert 55 <= refused["parameters"]["retry_after"] <= 60
    sim.clock.push(refused["parameters"]["retry_after"])
    await api("sendMessage", chat_id=forum.id, text="hi")


async def test_overall_limit(sim: TelegramSimulator, api: Api) -> None:
    sim.set_limits(Limits(overall_per_second=5))
    answers = [(await api.raw("getMe"))[0] for _ in range(6)]
    assert answers == [200] * 5 + [429]
    assert (await api.raw("getUpdates"))[0] == 200
