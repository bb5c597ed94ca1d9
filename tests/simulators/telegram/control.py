"""The control API: everything a test can do with the simulator object, by HTTP, for bots in other processes.

`POST /control/<action>` with a JSON object of the action's keywords calls the method of that name. Objects are given
and answered by their ids: users and chats by number, messages by `{"chat_id", "message_id"}`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import picture, views
from .core import Press
from .errors import Refused
from .faults import Fault
from .limits import Limits
from .state import Chat, Message, Topic, User

if TYPE_CHECKING:
    from .simulator import TelegramSimulator

PAGE = Path(__file__).with_name("page.html")
ACTIONS = frozenset(
    [
        "user",
        "private",
        "group",
        "supergroup",
        "forum",
        "channel",
        "say",
        "paste",
        "send_file",
        "send_album",
        "forward",
        "edit",
        "delete",
        "react",
        "press",
        "block",
        "unblock",
        "add_bot",
        "kick_bot",
        "promote_bot",
        "demote_bot",
        "restrict_bot",
        "topic",
        "close_topic",
        "reopen_topic",
        "rename_topic",
        "delete_topic",
        "migrate",
        "outage",
        "revoke_token",
        "renew_token",
        "inject",
    ]
)
_LONGEST_WAIT = 60.0


class Control:
    """Routes under `/control/`, and the chat page at `/`."""

    def __init__(self, simulator: TelegramSimulator) -> None:
        self._sim = simulator

    def add_routes(self, app: web.Application) -> None:
        get, post = app.router.add_get, app.router.add_post
        get("/", self._page)
        get("/control/state", self._state)
        get("/control/chats/{chat}", self._chat)
        get("/control/chats/{chat}/picture.svg", self._picture)
        get("/control/files/{id}", self._file)
        get("/control/log", self._log)
        get("/control/calls", self._calls)
        get("/control/rings", self._rings)
        post("/control/wait", self._wait)
        post("/control/faults", self._fault)
        post("/control/faults/clear", self._clear_faults)
        post("/control/limits", self._limits)
        post("/control/updates/{what}", self._updates)
        post("/control/clock", self._clock)
        post("/control/{action}", self._act)

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(PAGE.read_text, "utf-8"), content_type="text/html")

    async def _state(self, request: web.Request) -> web.Response:
        world, queue = self._sim.world, self._sim.updates
        chats = [c for c in world.chats.values() if c.started and not c.migrated_to]
        return _answer(
            {
                "bot": views.me(world),
                "users": [views.user(u) for u in world.users.values()],
                "chats": [views.chat(c) | {"members": list(c.members), "last": _last(c)} for c in chats],
                "pending": [u.id for u in queue.pending],
                "held": queue.held,
                "faults": [asdict(fault) for fault in self._sim.faults.active()],
                "limits": asdict(self._sim.core.limits),
                "webhook": self._sim.core.webhook.url,
                "commands": next(iter(world.commands.values()), []),
                "events": len(self._sim.log.events),
            }
        )

    async def _chat(self, request: web.Request) -> web.Response:
        thread = request.query.get("thread")
        return _answer(self._sim.chat_state(int(request.match_info["chat"]), int(thread) if thread else None))

    async def _picture(self, request: web.Request) -> web.Response:
        thread = request.query.get("thread")
        state = self._sim.chat_state(int(request.match_info["chat"]), int(thread) if thread else None)
        width = int(request.query.get("width", 420))
        return web.Response(text=picture.render_svg(state, width=width), content_type="image/svg+xml")

    async def _file(self, request: web.Request) -> web.Response:
        stored = self._sim.world.files[request.match_info["id"]]
        return web.Response(body=stored.content, content_type=stored.mime.partition(";")[0])

    async def _log(self, request: web.Request) -> web.Response:
        """JSON lines after number `after`; with `wait`, held that many seconds until there is one."""
        after, wait = int(request.query.get("after", 0)), float(request.query.get("wait", 0))
        if wait and len(self._sim.log.events) <= after:
            try:
                await self._sim.log.wait(lambda: len(self._sim.log.events) > after, min(wait, _LONGEST_WAIT))
            except TimeoutError:
                return web.Response(text="")
        return web.Response(text=self._sim.log.lines(after), content_type="application/x-ndjson")

    async def _calls(self, request: web.Request) -> web.Response:
        return _answer([asdict(call) for call in self._sim.calls(request.query.get("method", ""))])

    async def _rings(self, request: web.Request) -> web.Response:
        chat = request.query.get("chat")
        return _answer([e.data for e in self._sim.rings(request.query.get("text", ""), int(chat) if chat else None)])

    async def _wait(self, request: web.Request) -> web.Response:
        """Until an event of `kind` whose data has all of `match`. 408 when it does not come."""
        body = await request.json()
        timeout = min(float(body.get("timeout", 5)), _LONGEST_WAIT)
        try:
            event = await self._sim.wait_for_event(
                body["kind"], after=int(body.get("after", 0)), timeout=timeout, **body.get("match", {})
            )
        except TimeoutError as late:
            return _answer({"error": str(late)}, 408)
        return _answer(asdict(event))

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            return _answer(self._sim.faults.add(**await request.json()))
        except (TypeError, ValueError) as wrong:
            return _answer({"error": str(wrong)}, 400)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._sim.faults.clear()
        return _answer(None)

    async def _limits(self, request: web.Request) -> web.Response:
        """`{"none": true}`, `{}` for the default, or the fields of `Limits`."""
        body = await request.json()
        self._sim.set_limits(Limits.none() if body.pop("none", False) else Limits(**body))
        return _answer(asdict(self._sim.core.limits))

    async def _updates(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        match request.match_info["what"]:
            case "hold":
                self._sim.updates.hold()
            case "release":
                self._sim.updates.release()
            case "reorder":
                self._sim.updates.reorder(body["ids"])
            case "duplicate":
                self._sim.updates.duplicate(int(body["update_id"]))
            case _:
                return _answer({"error": "hold, release, reorder or duplicate"}, 404)
        return _answer(None)

    async def _clock(self, request: web.Request) -> web.Response:
        self._sim.clock.push(float((await request.json())["push"]))
        self._sim.core.expire_drafts()
        return _answer(None)

    async def _act(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            return _answer({"error": f"no action {action!r}", "actions": sorted(ACTIONS)}, 404)
        arguments = await request.json() if request.can_read_body else {}
        try:
            result = getattr(self._sim, action)(**_decode(arguments))
            return _answer(await result if asyncio.iscoroutine(result) else result)
        except (KeyError, TypeError, ValueError, Refused) as wrong:
            return _answer({"error": f"{type(wrong).__name__}: {wrong}"}, 400)


def _decode(value: Any) -> Any:
    """`…_base64` becomes bytes, a message reference its number (its chat is given beside it)."""
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "update_id" in value:
        return value
    return {
        name.removesuffix("_base64"): base64.b64decode(item) if name.endswith("_base64") else _decode(item)
        for name, item in value.items()
    }


def _encode(value: Any) -> Any:
    match value:
        case Message():
            return {"chat_id": value.chat_id, "message_id": value.id, "thread": value.thread, "text": value.text}
        case Chat():
            return views.chat(value)
        case User():
            return views.user(value)
        case Topic():
            return views.topic(value) | {"chat_id": value.chat_id}
        case Press():
            return {"id": value.id, "data": value.data, "answer": value.answer, "waited": value.waited}
        case Fault():
            return asdict(value)
    return str(value)


def _last(chat: Chat) -> str:
    shown = [m.text for m in chat.visible() if m.text]
    return shown[-1][:80] if shown else ""


def _answer(value: Any, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, default=_encode)
    return web.Response(text=text, status=status, content_type="application/json")
