"""The control API, the log, the page, and the simulator as a program of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp

from tests.simulators.telegram import TelegramSimulator

from .conftest import Api

ROOT = Path(__file__).parents[3]


async def test_a_conversation_by_http(sim: TelegramSimulator, api: Api) -> None:
    alice = await api.control("user", name="Alice")
    chat = await api.control("private", person=alice["id"])
    said = await api.control("say", person=alice["id"], chat=chat["id"], text="/start")
    keyboard = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    reply = {"message_id": said["message_id"]}
    sent = await api("sendMessage", chat_id=chat["id"], text="?", reply_markup=keyboard, reply_parameters=reply)
    pressing = asyncio.create_task(
        api.control("press", person=alice["id"], chat=chat["id"], message=sent["message_id"], label="Go")
    )
    event = await api.control("wait", kind="press", match={"change": "pressed"})
    await api("answerCallbackQuery", callback_query_id=event["data"]["id"], text="going")
    pressed = await pressing
    assert pressed["answer"] == {"text": "going", "show_alert": False}
    await api.control("react", person=alice["id"], chat=chat["id"], message=sent["message_id"], emoji="🎉")
    content = base64.b64encode(b"hello").decode()
    arguments = {"person": alice["id"], "chat": chat["id"], "kind": "document", "name": "a.txt"}
    await api.control("send_file", **arguments, content_base64=content)
    state = json.loads(await api.get(f"/control/chats/{chat['id']}"))
    assert [m["text"] for m in state["messages"]] == ["/start", "?", ""]
    assert state["messages"][1]["reactions"] == [{"emoji": "🎉", "count": 1}]
    assert state["messages"][1]["reply"]["text"] == "/start"
    assert await api.get(f"/control/files/{state['messages'][2]['media']['file_id']}") == "hello"
    assert (await api.get(f"/control/chats/{chat['id']}/picture.svg")).startswith("<svg")


async def test_the_log_as_lines(sim: TelegramSimulator, api: Api) -> None:
    await api.control("user", name="Alice")
    await api("getMe")
    lines = [json.loads(line) for line in (await api.get("/control/log")).splitlines()]
    assert [line["kind"] for line in lines] == ["request", "answer"]
    assert lines[1]["data"]["method"] == "getMe"
    assert lines[0]["monotonic"] <= lines[1]["monotonic"]
    waiting = asyncio.create_task(api.get(f"/control/log?after={lines[-1]['number']}&wait=5"))
    await api("getMe")
    assert '"request"' in await waiting
    assert json.loads(await api.get("/control/calls?method=getMe"))[0]["outcome"] == "answered"


async def test_trouble_by_http(sim: TelegramSimulator, api: Api) -> None:
    await api.control("faults", kind="error", method="getMe", code=500, description="Internal Server Error")
    await api.refused("getMe")
    await api.control("faults", kind="drop", times=None)
    await api.control("faults/clear")
    await api("getMe")
    assert (await api.control("limits", overall_per_second=1))["overall_per_second"] == 1
    await api.control("limits", none=True)
    await api.control("updates/hold")
    await api.control("inject", body={"message": {}})
    assert await api("getUpdates") == []
    await api.control("updates/release")
    assert len(await api("getUpdates")) == 1
    async with api.session.post(f"{sim.url}/control/fly", json={}) as response:
        assert response.status == 404
    async with api.session.post(f"{sim.url}/control/say", json={"person": 1}) as response:
        assert response.status == 400


async def test_the_page_stands_alone(api: Api) -> None:
    page = await api.get("/")
    assert "<script>" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)


async def test_as_a_program() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.simulators.telegram", "--port", "0", "--token", "777:ABC", "--limits", "none",
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout
        async with asyncio.timeout(20):
            text = ""
            while "people" not in text:
                text += (await process.stdout.readline()).decode()
        url = re.search(r"api_base: (\S+)", text)
        assert url
        assert "777:ABC" in text
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{url[1]}/bot777:ABC/getMe") as response,
        ):
            assert (await response.json())["result"]["id"] == 777
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
