"""Delivery to a webhook on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tests.simulators.telegram import TelegramSimulator

from .conftest import Api


@dataclass(slots=True)
class Receiver:
    url: str = ""
    statuses: list[int] = field(default_factory=list)  # answered in this order, then 200
    got: list[tuple[str, Any]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token", ""), await request.json()))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.json_response(self.answer, status=status)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    there = Receiver()
    app = web.Application()
    app.router.add_post("/hook", there.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield there
    await runner.cleanup()


async def confirmed(sim: TelegramSimulator, count: int) -> None:
    await sim.wait_for(lambda s: len(s.log.of("confirmed")) == count)


async def test_delivery_with_secret_and_retries(sim: TelegramSimulator, api: Api, receiver: Receiver) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    receiver.statuses = [500, 502, 503]
    await api("setWebhook", url=receiver.url, secret_token="s3cret")
    await sim.say(alice, chat, "one")
    await sim.say(alice, chat, "two")
    await confirmed(sim, 2)
    texts = [body["message"]["text"] for _, body in receiver.got]
    assert texts == ["one", "one", "one", "one", "two"]  # in order, each until it is taken
    assert {secret for secret, _ in receiver.got} == {"s3cret"}
    info = await api("getWebhookInfo")
    assert info["last_error_message"] == "Wrong response from the webhook: 503 Service Unavailable"
    assert info["pending_update_count"] == 0


async def test_updates_wait_for_the_webhook_and_can_be_dropped(
    sim: TelegramSimulator, api: Api, receiver: Receiver
) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    await sim.say(alice, chat, "old")
    await api("setWebhook", url=receiver.url, drop_pending_updates=True)
    await sim.say(alice, chat, "new")
    await confirmed(sim, 1)
    await api("deleteWebhook")
    await sim.say(alice, chat, "polled")
    assert [body["message"]["text"] for _, body in receiver.got] == ["new"]
    assert [u["message"]["text"] for u in await api("getUpdates")] == ["polled"]


async def test_the_answer_may_call_a_method(sim: TelegramSimulator, api: Api, receiver: Receiver) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    receiver.answer = {"method": "sendMessage", "chat_id": chat.id, "text": "at once"}
    await api("setWebhook", url=receiver.url)
    await sim.say(alice, chat, "hi")
    await sim.wait_for(lambda s: s.find("at once", chat))


async def test_nobody_listens(sim: TelegramSimulator, api: Api, receiver: Receiver) -> None:
    alice = sim.user("Alice")
    await api("setWebhook", url="http://127.0.0.1:9/hook")
    await sim.say(alice, sim.private(alice), "hi")
    await sim.wait_for_event("webhook", error="Connection refused")
    await api("setWebhook", url=receiver.url)
    await confirmed(sim, 1)
