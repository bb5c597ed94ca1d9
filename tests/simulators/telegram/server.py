"""The HTTP side of the Bot API: tokens, methods, files, and the faults played on them."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import struct
from dataclasses import replace
from typing import Any

from aiohttp import web

from .core import Core
from .errors import Refused, bad, too_many
from .faults import Fault
from .log import Call
from .methods import ABSENT, METHODS
from .params import Params, plain, read

MOST_BODY = 64 << 20
_FREE = {"getupdates", "setwebhook", "deletewebhook", "getwebhookinfo"}  # not counted against the overall limit
_TOKEN = re.compile(r"[1-9]\d{0,15}:[\w-]{1,80}")
_HTML = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
_PHRASES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


class BotServer:
    """Answers `/bot<token>/<method>` and `/file/bot<token>/<path>`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._open: dict[int, web.Request] = {}
        self._closing = asyncio.Event()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/bot{token:[^/]*}/{method:[^/]*}", self._bot)
        app.router.add_route("*", "/bot{rest:.*}", self._nothing)
        app.router.add_get("/file/bot{token:[^/]*}/{path:.*}", self._file)

    def close(self) -> None:
        """Let hanging calls end."""
        self._closing.set()
        self.reset_all()

    def reset_all(self) -> None:
        """Break every connection on which a call waits."""
        for request in list(self._open.values()):
            _reset(request)

    async def run(self, name: str, values: dict[str, Any]) -> Any:
        """A method called by the webhook's answer; refusals are only logged."""
        call = self._core.log.begin(name, values)
        status, _, _ = await self._answer(call, name, plain(values))
        self._core.log.finish(call, "webhook answer")
        return status

    async def _nothing(self, request: web.Request) -> web.Response:
        return _json(404, Refused(404, "Not Found").body)

    def _check_token(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise Refused(404, "Not Found")
        if token != self._core.token or self._core.revoked:
            raise Refused(401, "Unauthorized")
        if self._core.logged_out:
            raise Refused(400, "Logged out")

    async def _bot(self, request: web.Request) -> web.StreamResponse:
        self._open[id(request)] = request
        try:
            return await self._handle(request)
        finally:
            del self._open[id(request)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        name, params, refusal = request.match_info["method"], Params(), None
        try:
            self._check_token(request.match_info["token"])
            params = replace(await read(request), heard=lambda: not _gone(request))
        except Refused as refused:
            refusal = refused
        shown = METHODS.get(name.lower(), (name, None))[0]
        call = self._core.log.begin(shown, params.shown())
        fault = self._core.faults.take(shown, call.chat_id)
        if fault:
            call.fault = fault.kind
            self._core.log.add("fault", call=call.number, method=shown, fault=fault.kind)
            if (response := await self._before(request, call, fault)) is not None:
                return response
        task = asyncio.ensure_future(self._answer(call, name, params, refusal))
        status, body, headers = await asyncio.shield(task)
        if fault:
            await self._after(request, call, fault)
        if not call.outcome:
            self._core.log.finish(call, "unheard" if _gone(request) else "answered")
        return _json(status, body, headers)

    async def _before(self, request: web.Request, call: Call, fault: Fault) -> web.Response | None:
        """Play what comes instead of the call, or before it."""
        match fault.kind:
            case "error":
                call.code, call.error = fault.code, fault.description or _PHRASES.get(fault.code, "Error")
                self._core.log.finish(call, "answered")
                if fault.description:
                    return _json(fault.code, Refused(fault.code, fault.description).body)
                page = _HTML.format(f"{fault.code} {_PHRASES.get(fault.code, 'Error')}")
                return web.Response(status=fault.code, text=page, content_type="text/html")
            case "too_many":
                refused = too_many(int(fault.retry_after))
                call.code, call.error = 429, refused.description
                self._core.log.finish(call, "answered")
                return _json(429, refused.body, {"Retry-After": str(int(fault.retry_after))})
            case "garbage":
                self._core.log.finish(call, "answered")
                return web.Response(text="<!doctype html><p>hello from a captive portal", content_type="text/html")
            case "drop":
                self._core.log.finish(call, "dropped")
                return _reset(request)
            case "hang":
                call.outcome = "hung"
                await self._closing.wait()
                return _reset(request)
            case "slow":
                await asyncio.sleep(fault.seconds)
        return None

    async def _after(self, request: web.Request, call: Call, fault: Fault) -> None:
        """Play what comes after the call was done."""
        match fault.kind:
            case "drop_after":
                self._core.log.finish(call, "dropped")
                _reset(request)
            case "hang_after":
                call.outcome = "hung"
                await self._closing.wait()
            case "slow_after":
                await asyncio.sleep(fault.seconds)

    async def _answer(
        self, call: Call, name: str, params: Params, refusal: Refused | None = None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        try:
            if refusal:
                raise refusal
            call.result = await self._call(name, params)
        except Refused as refused:
            call.code, call.error = refused.code, refused.description
            after = refused.parameters.get("retry_after")
            return refused.code, refused.body, {"Retry-After": str(after)} if after else {}
        call.code = 200
        return 200, {"ok": True, "result": call.result}, {}

    async def _call(self, name: str, params: Params) -> Any:
        key = name.lower()
        if key not in _FREE:
            self._core.limiter.overall()
        if key in ABSENT:
            raise Refused(501, f"Not Implemented: the simulator has no {name}")
        if key not in METHODS:
            raise Refused(404, "Not Found: method not found")
        try:
            result = METHODS[key][1](self._core, params)
            return await result if inspect.isawaitable(result) else result
        except UnicodeError:
            raise bad("strings must be encoded in UTF-8") from None

    async def _file(self, request: web.Request) -> web.StreamResponse:
        call = self._core.log.begin("file", {"path": request.match_info["path"]})
        self._open[id(request)] = request
        try:
            fault = self._core.faults.take("file", None)
            if fault and (response := await self._before(request, call, fault)) is not None:
                return response
            response = self._download(request, call)
            if fault:
                await self._after(request, call, fault)
            if not call.outcome:
                self._core.log.finish(call, "answered")
            return response
        finally:
            del self._open[id(request)]

    def _download(self, request: web.Request, call: Call) -> web.Response:
        try:
            self._check_token(request.match_info["token"])
        except Refused as refused:
            call.code, call.error = refused.code, refused.description
            return _json(refused.code, refused.body)
        path = request.match_info["path"]
        stored = next((f for f in self._core.world.files.values() if f.path == path), None)
        if stored is None:
            call.code, call.error = 404, "Not Found"
            return _json(404, Refused(404, "Not Found").body)
        call.code, call.result = 200, {"size": len(stored.content)}
        return web.Response(body=stored.content, content_type="application/octet-stream")


def _json(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _reset(request: web.Request) -> web.Response:
    """Break the connection hard, so that the other side sees a reset."""
    transport = request.transport
    if transport is not None:
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
