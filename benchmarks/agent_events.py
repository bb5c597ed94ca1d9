"""What opencode says on its own stream of events, with the time of each, and sessions driven by bare HTTP beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

LONGEST_EVENT = 64 * 1024 * 1024  # bytes
PATIENCE = 60.0  # seconds for what is waited for


@dataclass(frozen=True, slots=True)
class Heard:
    """One event; `at` is in seconds of the monotonic clock."""

    kind: str
    session: str
    properties: dict[str, Any]
    at: float


class AgentEvents:
    """`/global/event` of one opencode, read by an aiohttp client; and its HTTP interface."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._heard: list[Heard] = []
        self._more = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, password: str) -> AsyncIterator[AgentEvents]:
        """Listening until the block's end."""
        auth = aiohttp.BasicAuth("opencode", password)
        timeout = aiohttp.ClientTimeout(PATIENCE)
        # With 2,000 changed files a single event is megabytes long.
        async with aiohttp.ClientSession(url, auth=auth, timeout=timeout, read_bufsize=LONGEST_EVENT) as client:
            found = cls(client)
            stream = client.get("/global/event", timeout=aiohttp.ClientTimeout(None))
            async with stream as events, asyncio.TaskGroup() as group:
                await events.content.readline()
                reading = group.create_task(found._read(events))
                yield found
                reading.cancel()

    def mark(self) -> int:
        """From here on, for `first`."""
        return len(self._heard)

    async def first(self, wanted: Callable[[Heard], bool], begin: int) -> Heard:
        """The first event since `begin` that is wanted. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while begin < len(self._heard):
                    begin += 1
                    if wanted(self._heard[begin - 1]):
                        return self._heard[begin - 1]
                self._more.clear()
                await self._more.wait()

    async def of(self, kind: str, session: str, begin: int) -> Heard:
        """The first of its kind in that session since `begin`."""
        return await self.first(lambda heard: heard.kind == kind and heard.session == session, begin)

    async def prompted(self, text: str, begin: int) -> Heard:
        """The person's text as it has become part of a session."""

        def is_prompt(heard: Heard) -> bool:
            return heard.kind == "message.part.updated" and heard.properties["part"].get("text", "").strip() == text

        return await self.first(is_prompt, begin)

    async def works(self, tool: str, session: str, begin: int) -> Heard:
        """A tool that has begun to run."""

        def is_running(heard: Heard) -> bool:
            if heard.kind != "message.part.updated" or heard.session != session:
                return False
            part = heard.properties["part"]
            return bool(part["type"] == "tool" and part["tool"] == tool and part["state"]["status"] == "running")

        return await self.first(is_running, begin)

    async def idle_after(self, session: str, text: str, begin: int) -> Heard:
        """The session's end of work after it said the text: not a late one of what was before."""

        def is_said(heard: Heard) -> bool:
            part = heard.properties.get("part", {}) if heard.kind == "message.part.updated" else {}
            return heard.session == session and text in part.get("text", "") and "end" in part.get("time", {})

        said = await self.first(is_said, begin)
        return await self.first(
            lambda heard: heard.at >= said.at and heard.kind == "session.idle" and heard.session == session, begin
        )

    async def call(self, method: str, path: str, directory: Path, body: dict[str, Any] | None = None) -> Any:
        """Raises aiohttp.ClientResponseError."""
        query = {"directory": str(directory)}
        async with self._client.request(method, path, params=query, json=body) as response:
            response.raise_for_status()
            content = await response.read()
            return json.loads(content) if content else None

    async def _read(self, events: aiohttp.ClientResponse) -> None:
        async for line in events.content:
            if line.startswith(b"data:"):
                at, payload = monotonic(), json.loads(line[5:])["payload"]
                properties = payload.get("properties", {})
                session = properties.get("sessionID") or properties.get("part", {}).get("sessionID", "")
                self._heard.append(Heard(payload["type"], session, properties, at))
                self._more.set()


@dataclass(frozen=True, slots=True)
class BareSession:
    """One session of the agent, driven without anything between it and aiohttp."""

    events: AgentEvents
    id: str
    directory: Path

    @classmethod
    async def created(cls, events: AgentEvents, directory: Path) -> BareSession:
        """A new one."""
        made = await events.call("POST", "/session", directory, {"title": "bare"})
        return cls(events, made["id"], directory)

    async def prompt(self, text: str) -> None:
        """Accepted when it returns."""
        await self.post("prompt_async", {"parts": [{"type": "text", "text": text}]})

    async def post(self, what: str, body: dict[str, Any] | None = None) -> Any:
        """One of the session's own calls."""
        return await self.events.call("POST", f"/session/{self.id}/{what}", self.directory, body or {})

    async def forked(self) -> BareSession:
        """Its copy, in the same directory."""
        return BareSession(self.events, (await self.post("fork"))["id"], self.directory)

    async def delete(self) -> None:
        """For good."""
        await self.events.call("DELETE", f"/session/{self.id}", self.directory)
