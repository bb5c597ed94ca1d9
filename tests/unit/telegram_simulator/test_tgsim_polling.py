"""getUpdates: offsets, conflicts, kinds, and updates spoiled on purpose."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.simulators.telegram import Limits, TelegramSimulator

from .conftest import Api


async def three(sim: TelegramSimulator) -> list[int]:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    for text in ("one", "two", "three"):
        await sim.say(alice, chat, text)
    return [update.id for update in sim.updates.pending]


def ids(updates: list[dict[str, Any]]) -> list[int]:
    return [update["update_id"] for update in updates]


async def test_updates_stay_until_a_higher_offset(sim: TelegramSimulator, api: Api) -> None:
    first, second, third = await three(sim)
    assert ids(await api("getUpdates")) == [first, second, third]
    assert ids(await api("getUpdates", offset=first)) == [first, second, third]
    assert ids(await api("getUpdates", offset=first + 1)) == [second, third]
    assert ids(await api("getUpdates")) == [second, third]
    assert [e.data["update_id"] for e in sim.log.of("confirmed")] == [first]
    assert ids(await api("getUpdates", offset=third + 1)) == []


async def test_limit_and_negative_offset(sim: TelegramSimulator, api: Api) -> None:
    first, second, third = await three(sim)
    assert ids(await api("getUpdates", limit=2)) == [first, second]
    assert ids(await api("getUpdates", offset=-1)) == [third]
    assert ids(await api("getUpdates")) == [third]


async def test_an_offset_far_ahead_is_not_believed(sim: TelegramSimulator, api: Api) -> None:
    numbers = await three(sim)
    assert ids(await api("getUpdates", offset=numbers[-1] + 1000)) == numbers


async def test_long_poll_ends_with_the_first_update(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    poll = asyncio.create_task(api("getUpdates", timeout=5))
    await sim.wait_for(lambda s: s.updates.poll)
    await sim.say(alice, sim.private(alice), "hello")
    (update,) = await poll
    assert update["message"]["text"] == "hello"
    call = sim.calls("getUpdates")[0]
    assert call.duration is not None
    assert call.duration < 2


async def test_the_second_poller_ends_the_first(sim: TelegramSimulator, api: Api) -> None:
    first = asyncio.create_task(api.raw("getUpdates", timeout=5))
    await sim.wait_for(lambda s: s.updates.poll)
    second = asyncio.create_task(api.raw("getUpdates", timeout=5))
    status, body = await first
    assert status == 409
    assert body["description"].startswith("Conflict: terminated by other getUpdates request")
    alice = sim.user("Alice")
    await sim.say(alice, sim.private(alice), "for the second")
    assert (await second)[0] == 200


async def test_a_dead_poll_takes_nothing(sim: TelegramSimulator, api: Api) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(api("getUpdates", timeout=20), 0.2)
    alice = sim.user("Alice")
    await sim.say(alice, sim.private(alice), "hello")
    await sim.wait_for_event("answer", method="getUpdates")
    assert sim.log.of("delivered") == []
    assert sim.calls("getUpdates")[0].outcome == "unheard"
    assert len(await api("getUpdates")) == 1


async def test_kinds_are_remembered(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    message = await sim.say(alice, chat, "hello")
    await sim.react(alice, message, "👍")  # not asked for
    await api("getUpdates", allowed_updates=["message_reaction"])
    await sim.say(alice, chat, "not asked for either")
    await sim.react(alice, message, "👎")
    kinds = [set(u) - {"update_id"} for u in await api("getUpdates")]
    assert kinds == [{"message"}, {"message_reaction"}]
    await api("getUpdates", allowed_updates=[])
    await sim.say(alice, chat, "again")
    assert "message" in (await api("getUpdates"))[-1]


async def test_updates_of_yesterday_are_gone(sim: TelegramSimulator, api: Api) -> None:
    await three(sim)
    sim.clock.push(86_401)
    assert await api("getUpdates") == []


async def test_spoiled_updates(sim: TelegramSimulator, api: Api) -> None:
    numbers = await three(sim)
    await api("getUpdates", offset=numbers[-1] + 1)
    sim.updates.duplicate(numbers[0])
    sim.inject("no object at all")
    sim.inject({"message": {"nonsense": True}})
    sim.inject({"update_id": "seven", "unknown_kind": {}})
    got = await api("getUpdates", offset=numbers[-1] + 1)
    assert got[0]["update_id"] == numbers[0]
    assert got[1:] == [
        "no object at all",
        {"update_id": numbers[-1] + 2, "message": {"nonsense": True}},
        {"update_id": "seven", "unknown_kind": {}},
    ]
    assert len(await api("getUpdates", offset=numbers[-1] + 3)) == 0


async def test_held_and_reordered(sim: TelegramSimulator, api: Api) -> None:
    sim.updates.hold()
    numbers = await three(sim)
    assert await api("getUpdates") == []
    sim.updates.reorder(numbers[::-1])
    sim.updates.release()
    assert ids(await api("getUpdates")) == numbers[::-1]


async def test_short_polls_are_paced_by_default(api: Api, sim: TelegramSimulator) -> None:
    sim.set_limits(Limits(poll_pace=0.3))
    await api("getUpdates")
    await api("getUpdates")
    duration = sim.calls("getUpdates")[1].duration
    assert duration is not None
    assert duration > 0.25


async def test_a_revoked_token_ends_the_poll(sim: TelegramSimulator, api: Api) -> None:
    poll = asyncio.create_task(api.raw("getUpdates", timeout=5))
    await sim.wait_for(lambda s: s.updates.poll)
    sim.revoke_token()
    assert (await poll)[0] == 401


@pytest.mark.parametrize("how", ["query", "form", "multipart", "json"])
async def test_every_way_of_passing_parameters(sim: TelegramSimulator, api: Api, how: str) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    values = {"chat_id": str(chat.id), "text": "1 + 1 & ü"}
    url = f"{sim.base_url}{sim.token}/SENDmessage"
    if how == "query":
        response = await api.session.get(url, params=values)
    elif how == "multipart":
        form = aiohttp.FormData(values)
        form.add_field("unused", b"x", filename="x")
        response = await api.session.post(url, data=form)
    else:
        response = await api.session.post(url, **{"json" if how == "json" else "data": values})
    assert (await response.json())["result"]["text"] == values["text"]
    assert sim.calls("sendMessage")[0].params["text"] == values["text"]
