"""The synthetic opencode with what a restart and a button need: it remembers, asks, and can be stopped.

    ask       asks for permission, and says a word when it has it

`python -m benchmarks.telegram_agent` prints its address and ends with its standard input.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from benchmarks.synthetic import Answer, SyntheticOpencode, serve


class RememberingOpencode(SyntheticOpencode):
    """One server; its sessions and their messages live in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[str, list[Answer]] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, tuple[dict[str, Any], asyncio.Future[str]]] = {}

    def routes(self) -> list[web.RouteDef]:
        """See SyntheticOpencode."""
        mine = [
            web.get("/session/status", self._status),
            web.get("/session/{id}/message", self._messages),
            web.get("/permission", self._permissions),
            web.post("/permission/{id}/reply", self._reply),
            web.post("/session/{id}/abort", self._abort),
        ]
        known = {(route.method, route.path) for route in mine}
        return [*mine, *(route for route in super().routes() if (route.method, route.path) not in known)]

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({session: {"type": "busy"} for session in self._busy})

    async def _messages(self, request: web.Request) -> web.Response:
        session = request.match_info["id"]
        answers = self._answers.get(session, [])
        last = len(answers) - 1 if session in self._busy else len(answers)
        stored = [message for n, answer in enumerate(answers) for message in answer.stored(over=n < last)]
        return web.json_response(stored)

    async def _permissions(self, _: web.Request) -> web.Response:
        return web.json_response([asked for asked, _ in self._asked.values()])

    async def _reply(self, request: web.Request) -> web.Response:
        found = self._asked.get(request.match_info["id"])
        if found is None:
            return web.json_response({}, status=404)
        found[1].set_result((await request.json())["reply"])
        return web.json_response(True)

    async def _abort(self, request: web.Request) -> web.Response:
        session = request.match_info["id"]
        if task := self._busy.pop(session, None):
            task.cancel()
            await self._send(self._answers[session][-1].aborted())
        return web.json_response(True)

    async def _answer(self, answer: Answer, received: int) -> None:
        task = asyncio.current_task()
        assert task
        self._answers.setdefault(answer.session, []).append(answer)
        self._busy[answer.session] = task
        if answer.prompt == "ask":
            await self._ask(answer)
        await super()._answer(answer, received)
        self._busy.pop(answer.session, None)

    async def _ask(self, answer: Answer) -> None:
        number = f"per_{len(self._answers)}_{id(answer)}"
        asked = {"id": number, "sessionID": answer.session, "permission": "bash", "patterns": [f"touch {number}"]}
        replied = asyncio.get_running_loop().create_future()
        self._asked[number] = (asked, replied)
        await self._send(answer.begin() + answer.event("permission.asked", asked))
        reply = await replied
        del self._asked[number]
        await self._send(answer.event("permission.replied", {"requestID": number, "reply": reply}))


if __name__ == "__main__":
    asyncio.run(serve(RememberingOpencode()))
