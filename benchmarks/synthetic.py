"""A server that speaks as much of opencode as kugetsu uses, and does what a prompt tells it at an exact pace.

    stream 200 at 20    200 pieces of text, 20 a second; 0 a second: all at once
    burst 4000          the same all at once, but not before `POST /bench/go`

Events have the form and size of opencode 1.18's, its `sync` doubles included (it sends none for deltas). Every piece of
text is the time it was sent, in ns of the monotonic clock, and the first one is the time the prompt arrived, marked
with `@`: so whoever shows the text knows how old it is. Nothing is stored.

`python -m benchmarks.synthetic` prints its address and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from typing import Any

from aiohttp import web

VERSION = "1.18.33"
HEARTBEAT = 10.0  # seconds, as opencode's
BATCH = 50  # events of a burst that go out in one write
MODEL = {"providerID": "bench", "modelID": "m1"}
_ORDER = re.compile(r"(stream|burst) (\d+)(?: at ([\d.]+))?")


class SyntheticOpencode:
    """One server; its sessions live in memory."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._sessions: dict[str, dict[str, Any]] = {}
        self._listeners: set[web.StreamResponse] = set()
        self._working: set[asyncio.Task[None]] = set()
        self._go = asyncio.Event()

    def app(self) -> web.Application:
        """The endpoints `adapters.opencode` calls, and the bench's own."""
        app = web.Application()
        app.add_routes(self.routes())
        return app

    def routes(self) -> list[web.RouteDef]:
        """They can be replaced one by one."""
        return [
            web.get("/global/health", self._health),
            web.get("/global/event", self._events),
            web.get("/config", self._empty_object),
            web.get("/config/providers", self._empty_object),
            web.get("/permission", self._empty_list),
            web.get("/question", self._empty_list),
            web.get("/session", self._empty_list),
            web.get("/session/status", self._empty_object),
            web.post("/session", self._create),
            web.get("/session/{id}", self._find),
            web.patch("/session/{id}", self._find),
            web.get("/session/{id}/children", self._empty_list),
            web.get("/session/{id}/message", self._empty_list),
            web.post("/session/{id}/fork", self._create),
            web.post("/session/{id}/prompt_async", self._prompt),
            web.post("/bench/go", self._release),
        ]

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"healthy": True, "version": VERSION})

    async def _empty_object(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _empty_list(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        session = {
            "id": f"ses_{next(self._numbers):026d}",
            "directory": request.query["directory"],
            "title": body.get("title", "a fork"),
            "time": {"created": time.time() * 1000},
        }
        self._sessions[session["id"]] = session
        return web.json_response(session)

    async def _find(self, request: web.Request) -> web.Response:
        session = self._sessions.get(request.match_info["id"])
        return web.json_response(session) if session else web.json_response({}, status=404)

    async def _release(self, _: web.Request) -> web.Response:
        self._go.set()
        self._go = asyncio.Event()
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"payload":{"id":"evt_0","type":"server.connected","properties":{}}}\n\n')
        self._listeners.add(response)
        try:
            while True:
                await asyncio.sleep(HEARTBEAT)
                await response.write(b'data: {"payload":{"type":"server.heartbeat","properties":{}}}\n\n')
        finally:
            self._listeners.discard(response)

    async def _prompt(self, request: web.Request) -> web.Response:
        received = time.monotonic_ns()
        body = await request.json()
        session = self._sessions[request.match_info["id"]]
        answer = Answer(session, body["messageID"], body["parts"][0]["text"], f"{next(self._numbers):022d}")
        work = asyncio.create_task(self._answer(answer, received))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        return web.Response(status=204)

    async def _answer(self, answer: Answer, received: int) -> None:
        order = _ORDER.search(answer.prompt)
        kind, count, rate = (order[1], int(order[2]), float(order[3] or 0)) if order else ("stream", 1, 0.0)
        await self._send(answer.begin())
        if kind == "burst":
            await self._go.wait()
            await self._burst(answer, count)
        else:
            await self._stream(answer, count, rate, received)
        await self._send(answer.end())

    async def _stream(self, answer: Answer, count: int, rate: float, received: int) -> None:
        await self._send(answer.delta(f"@{received} "))
        began = time.monotonic()
        for number in range(count):
            if rate:
                # By the time that has passed, so that a late one is not followed by later ones.
                await asyncio.sleep(began + number / rate - time.monotonic())
            await self._send(answer.delta(f"{time.monotonic_ns()} "))

    async def _burst(self, answer: Answer, count: int) -> None:
        for first in range(0, count, BATCH):
            batch = range(first, min(first + BATCH, count))
            await self._send(b"".join(answer.delta(f"{number:013d} ") for number in batch))

    async def _send(self, events: bytes) -> None:
        for listener in tuple(self._listeners):
            try:
                await listener.write(events)
            except ConnectionError:
                self._listeners.discard(listener)


class Answer:
    """The events of one answer, in opencode's order."""

    def __init__(self, session: dict[str, Any], prompt_id: str, prompt: str, unique: str) -> None:
        self.prompt = prompt
        self.session = session["id"]
        self._directory = session["directory"]
        self._prompt_id = prompt_id
        self._message = f"msg_z{unique}"
        self._part = f"prt_{unique}"
        self._pieces: list[str] = []
        self._created = time.time() * 1000
        head = {"directory": self._directory, "project": "0" * 40}
        self._head = json.dumps(head)[:-1]
        self._delta_head = (
            f'data: {self._head}, "payload": {{"id":"evt_{unique}","type":"message.part.delta","properties":'
            f'{{"sessionID":"{self.session}","messageID":"{self._message}","partID":"{self._part}",'
            f'"field":"text","delta":"'
        )

    def begin(self) -> bytes:
        """Until the first text."""
        created = self._created
        user = {"id": self._prompt_id, "role": "user", "sessionID": self.session, "time": {"created": created}}
        said = {"id": f"{self._part}u", "type": "text", "messageID": self._prompt_id, "text": self.prompt}
        return b"".join(
            (
                self.event("message.updated", {"info": user}),
                self._part_updated(said),
                self.event("session.status", {"status": {"type": "busy"}}),
                self.event("message.updated", {"info": self._info({"created": created})}),
                self._part_updated({"id": f"{self._part}s", "type": "step-start", "messageID": self._message}),
                self._part_updated(self._text({"start": created})),
            )
        )

    def delta(self, text: str) -> bytes:
        """A piece of text."""
        self._pieces.append(text)
        return f'{self._delta_head}{text}"}}}}}}\n\n'.encode()

    def end(self) -> bytes:
        """From the whole text to idle."""
        now = time.time() * 1000
        tokens = {"input": 100, "output": len(self._pieces), "reasoning": 0, "cache": {"read": 0, "write": 0}}
        step = {"id": f"{self._part}f", "type": "step-finish", "messageID": self._message}
        return b"".join(
            (
                self._part_updated(self._text({"start": now, "end": now})),
                self._part_updated({**step, "tokens": tokens, "cost": 0.001, "reason": "stop"}),
                self.event("message.updated", {"info": {**self._info({"completed": now}), "finish": "stop"}}),
                self.event("session.status", {"status": {"type": "idle"}}),
                self.event("session.idle", {}),
            )
        )

    def stored(self, *, over: bool) -> list[dict[str, Any]]:
        """The prompt and its answer as they are listed."""
        when = {"created": self._created, **({"completed": time.time() * 1000} if over else {})}
        user = {"id": self._prompt_id, "role": "user", "sessionID": self.session, "time": {"created": self._created}}
        info = {**self._info(when), **({"finish": "stop"} if over else {})}
        text = self._text({"start": self._created, **({"end": self._created} if over else {})})
        return [{"info": user, "parts": []}, {"info": info, "parts": [{**text, "sessionID": self.session}]}]

    def aborted(self) -> bytes:
        """The end that an abort makes."""
        now = time.time() * 1000
        error = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
        return b"".join(
            (
                self.event("message.updated", {"info": {**self._info({"completed": now}), "error": error}}),
                self.event("session.status", {"status": {"type": "idle"}}),
                self.event("session.idle", {}),
            )
        )

    def _info(self, when: dict[str, float]) -> dict[str, Any]:
        ids = {"id": self._message, "role": "assistant", "sessionID": self.session, "parentID": self._prompt_id}
        return {**ids, **MODEL, "time": when, "path": {"cwd": self._directory, "root": self._directory}}

    def _text(self, when: dict[str, float]) -> dict[str, Any]:
        text = "".join(self._pieces)
        return {"id": self._part, "type": "text", "messageID": self._message, "text": text, "time": when}

    def _part_updated(self, part: dict[str, Any]) -> bytes:
        return self.event("message.part.updated", {"part": {**part, "sessionID": self.session}})

    def event(self, kind: str, properties: dict[str, Any]) -> bytes:
        """One event of the session, and its double."""
        data = {"sessionID": self.session, **properties}
        event = {"id": self._part, "type": kind, "properties": data}
        double = {"type": "sync", "syncEvent": {"type": f"{kind}.1", "seq": 1, "data": data}, "id": self._part}
        return b"".join(f'data: {self._head}, "payload": {json.dumps(each)}}}\n\n'.encode() for each in (event, double))


async def serve(opencode: SyntheticOpencode) -> None:
    """Until standard input ends."""
    runner = web.AppRunner(opencode.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(SyntheticOpencode()))
