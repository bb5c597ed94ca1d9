"""The account: menu, webhook, checks, and what is never told."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from adapters.telegram.messenger import TelegramMessenger
from adapters.telegram.settings import TelegramSettings
from bot.clock import SystemClock
from core import commands
from core.errors import ChatDenied, ChatError, StoreError
from tests.contract.telegram.telegram_labs import TIMES, Lab, place


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def hooked() -> dict[str, Any]:
    address = f"127.0.0.1:{free_port()}"
    return {"webhook_url": f"http://{address}/telegram/hook", "webhook_listen": address}


async def test_the_menu_is_published_once(lab: Lab) -> None:
    for _ in range(2):
        async with lab.connected() as messenger:
            assert messenger.username == "kugetsu_bot"
    assert len(lab.sim.calls("setMyCommands")) == 2
    private, group = sorted(lab.sim.world.commands.values(), key=len, reverse=True)
    assert [entry["command"] for entry in private] == [spec.name for spec in commands.TABLE]
    names = {entry["command"] for entry in group}
    assert {"start", "stop", "status"} <= names
    assert not {"init", "prune", "export"} & names


async def test_a_menu_that_cannot_be_published_stops_nothing(lab: Lab) -> None:
    lab.sim.faults.add("error", method="setMyCommands", times=4)
    async with lab.connected() as messenger:
        assert messenger.username


async def test_a_webhook_takes_updates_and_confirms_them_after_they_are_committed(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "before")
    failures = iter([StoreError("the disk is full")])

    async def full() -> None:
        if failure := next(failures, None):
            raise failure

    lab.mail.on_take = full
    hook = hooked()
    async with lab.listening(**hook) as messenger:
        await lab.mail.texts("before")
        assert lab.sim.core.webhook.url == hook["webhook_url"]
        assert len(lab.sim.core.webhook.secret) > 30
        lab.sim.inject({"message": {"message_id": "x"}})
        await lab.sim.say(alice, chat, "after")
        await lab.mail.texts("before", "after")
        number = await messenger.send(place(chat), lab.saying("Allow?", "Once"), "k")
        press = await lab.sim.press(alice, int(number), "Once", chat=chat)
        assert press.answer == {"text": "Done", "show_alert": False}
        await lab.sim.wait_for(lambda sim: not sim.updates.pending)


async def test_strangers_are_turned_away_from_the_webhook(lab: Lab) -> None:
    hook = hooked()
    body = {"update_id": 1, "message": {"message_id": 1, "date": 1, "text": "x", "chat": {"id": 1, "type": "private"}}}
    header = "X-Telegram-Bot-Api-Secret-Token"
    async with lab.listening(**hook, webhook_secret="right_one"), aiohttp.ClientSession() as session:
        await lab.sim.wait_for(lambda sim: sim.core.webhook.url)
        assert lab.sim.core.webhook.secret == "right_one"
        url = hook["webhook_url"]

        async def status(method: str, url: str, **more: Any) -> int:
            async with session.request(method, url, **more) as answer:
                return answer.status

        right = {header: "right_one"}
        assert await status("POST", url, json=body) == 403
        assert await status("POST", url, json=body, headers={header: "wröng"}) == 403
        assert await status("GET", url, headers=right) == 405
        assert await status("POST", f"{url}/more", json=body, headers=right) == 404
        assert await status("POST", url, data=b"x" * 2_000_000, headers=right) == 413
        assert await status("POST", url, data=b"no json", headers=right) == 200
    assert not lab.mail.taken


async def test_a_webhook_that_cannot_be_set_is_tried_again(lab: Lab) -> None:
    lab.sim.faults.add("error", method="setWebhook", times=2)
    async with lab.listening(**hooked()):
        await lab.sim.wait_for(lambda sim: sim.core.webhook.url)
        lab.sim.revoke_token()
    with pytest.raises(ChatDenied, match="characters"):
        await lab.messenger(webhook_secret="wrong one").connect()
    with pytest.raises(ChatDenied, match="listens"):
        await lab.messenger(webhook_url="https://example.org/hook").connect()


async def test_a_webhook_that_somebody_changes_is_set_again(lab: Lab) -> None:
    hook = hooked()
    async with lab.listening(**hook, times=replace(TIMES, check_webhook=0.05)):
        await lab.sim.wait_for(lambda sim: sim.core.webhook.url)
        lab.sim.core.webhook.url = "http://127.0.0.1:1/other"
        async with asyncio.timeout(3):
            while lab.sim.core.webhook.url != hook["webhook_url"]:
                await asyncio.sleep(0.02)
        assert len(lab.notices) == 1
        assert "changed the bot's webhook" in lab.notices[0]
        assert len(lab.sim.calls("setWebhook")) == 2


async def test_a_busy_port_is_said_and_waited_for(lab: Lab) -> None:
    hook = hooked()
    host, _, port = hook["webhook_listen"].partition(":")
    server = await asyncio.start_server(lambda *_: None, host, int(port))
    async with lab.listening(**hook):
        await asyncio.sleep(0.1)
        assert len(lab.notices) == 1
        assert "cannot listen" in lab.notices[0]
        server.close()
        await lab.sim.wait_for(lambda sim: sim.core.webhook.url)


async def test_checks_of_a_healthy_bot(lab: Lab) -> None:
    lab.sim.world.reads_all = lab.sim.world.has_topics = True
    messenger = lab.messenger()
    found = await messenger.diagnose()
    assert all(finding.ok for finding in found), found
    assert "@kugetsu_bot" in found[0].what
    assert not [finding for finding in found if finding.hint]


async def test_checks_name_the_usual_mistakes(lab: Lab) -> None:
    (finding,) = await lab.messenger(token="12345:WRONG").diagnose()
    assert not finding.ok
    assert "@BotFather" in finding.hint
    found = await lab.messenger().diagnose()
    assert any("/setprivacy" in finding.hint for finding in found)
    async with lab.listening():
        await lab.sim.wait_for(lambda sim: sim.updates.poll)
        found = await lab.messenger().diagnose()
        assert any("Another program fetches" in finding.what for finding in found)
    lab.sim.core.webhook.url = "http://127.0.0.1:1/other"
    found = await lab.messenger().diagnose()
    assert any("Another program has set a webhook" in finding.what for finding in found)
    hook = hooked()
    found = await lab.messenger(**hook).diagnose()
    assert any("is not set to" in finding.what for finding in found)
    lab.sim.core.webhook.url = hook["webhook_url"]
    lab.sim.core.webhook.error, lab.sim.core.webhook.error_date = "Connection refused", lab.sim.clock.unix()
    found = await lab.messenger(**hook).diagnose()
    assert any("Connection refused" in finding.what for finding in found)


async def test_a_wrong_clock_is_noticed(lab: Lab) -> None:
    class Late(SystemClock):
        def now(self) -> datetime:
            return super().now() - timedelta(minutes=5)

    settings = TelegramSettings(token=lab.sim.token, api_base=lab.sim.url, times=TIMES)
    found = await TelegramMessenger(settings, Late()).diagnose()
    (finding,) = (finding for finding in found if not finding.ok)
    assert re.fullmatch(r"This machine's clock is (299|30[01]) s behind Telegram's", finding.what)


async def test_the_token_is_told_to_nobody(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    token = lab.sim.token
    alice = lab.sim.user("Alice")
    assert token not in repr(lab.messenger()._settings)
    async with lab.listening() as messenger:
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")
        for kind in ("drop", "garbage", "error"):
            lab.sim.faults.add(kind, method="sendMessage")
            with pytest.raises(ChatError) as caught:
                await messenger.send(place(lab.sim.private(alice)), lab.saying("x"), "k")
            chain: BaseException | None = caught.value
            while chain:
                assert token not in f"{chain!s}{chain!r}"
                chain = chain.__cause__
    assert token not in caplog.text
