"""Three ways to hand opencode a prompt, each as its consumer sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import aiohttp

from adapters.console import wire
from adapters.console.client import ConsoleClient

PATIENCE = 60.0  # seconds for one answer
MAX_LINE = 64 * 1024 * 1024  # bytes of a line of JSON


@dataclass(slots=True)
class Timing:
    """Seconds of the monotonic clock."""

    handed: float
    first: float = 0.0  # text
    final: float = 0.0  # event
    exit: float = 0.0  # of the process; `final` where there is none


class Way(Protocol):
    """One session of the agent."""

    directory: Path

    async def ask(self, prompt: str) -> Timing:
        """Hand it over and wait for the whole answer."""


class OpencodeRun:
    """`opencode run --format json`, a process a message."""

    def __init__(self, opencode: Path, env: Mapping[str, str], directory: Path) -> None:
        self.directory = directory
        self._opencode = opencode
        self._env = {**env, "PWD": str(directory)}
        self._session = ""

    async def ask(self, prompt: str) -> Timing:
        """See Way. The prompt goes in on standard input, for as an argument it would get quotes."""
        going_on = ("-s", self._session) if self._session else ()
        timing = Timing(monotonic())
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(self._opencode, "run", "--format", "json", *going_on),
            cwd=self.directory,
            env=self._env,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE,
        )
        assert process.stdin
        assert process.stdout
        try:
            async with asyncio.timeout(PATIENCE):
                process.stdin.write(prompt.encode())
                process.stdin.close()
                async for line in process.stdout:
                    timing.final = monotonic()
                    event = json.loads(line)
                    self._session = event["sessionID"]
                    if event["type"] == "text":
                        timing.first = timing.first or timing.final
                await process.wait()
                timing.exit = monotonic()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not timing.first:
            raise RuntimeError(f"opencode run said nothing and ended with {process.returncode}")
        return timing


class BareHttp:
    """`prompt_async` and `/global/event`, with nothing between them and aiohttp."""

    def __init__(self, client: aiohttp.ClientSession, session: str, directory: Path) -> None:
        self.directory = directory
        self._client = client
        self._session = session
        self._events: asyncio.Queue[tuple[str, dict[str, Any], float]] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, password: str, directory: Path) -> AsyncIterator[BareHttp]:
        """A new session in `directory`, its events coming in."""
        auth = aiohttp.BasicAuth("opencode", password)
        async with aiohttp.ClientSession(url, auth=auth, timeout=aiohttp.ClientTimeout(PATIENCE)) as client:
            query = {"directory": str(directory)}
            async with client.post("/session", params=query, json={"title": "bare"}) as response:
                session = (await response.json())["id"]
            way = cls(client, session, directory)
            stream = client.get("/global/event", timeout=aiohttp.ClientTimeout(None))
            async with stream as events, asyncio.TaskGroup() as group:
                await events.content.readline()
                reading = group.create_task(way._read(events))
                yield way
                reading.cancel()

    async def ask(self, prompt: str) -> Timing:
        """See Way."""
        timing = Timing(monotonic())
        path, query = f"/session/{self._session}/prompt_async", {"directory": str(self.directory)}
        body = {"parts": [{"type": "text", "text": prompt}]}
        async with asyncio.timeout(PATIENCE), self._client.post(path, params=query, json=body) as response:
            response.raise_for_status()
            while not timing.final:
                kind, properties, at = await self._events.get()
                if kind == "message.part.delta" and properties["field"] == "text":
                    timing.first = timing.first or at
                elif kind == "session.idle" and timing.first:  # not a late one of the prompt before
                    timing.final = timing.exit = at
        return timing

    async def _read(self, events: aiohttp.ClientResponse) -> None:
        async for line in events.content:
            if line.startswith(b"data:"):
                payload = json.loads(line[5:])["payload"]
                properties = payload.get("properties", {})
                if properties.get("sessionID") == self._session:
                    self._events.put_nowait((payload["type"], properties, monotonic()))


class Kugetsu:
    """The socket of a running bot."""

    def __init__(self, client: ConsoleClient, thread: str, directory: Path) -> None:
        self.directory = directory
        self._client = client
        self._thread = thread
        self._events = client.events()

    @classmethod
    async def started(cls, client: ConsoleClient, ref: str) -> Kugetsu:
        """A new session, its first run behind it."""
        way = cls(client, ref, Path())
        _, finished = await way._run(f"/start {ref} hello", "")
        way.directory = Path(finished.directory)
        return way

    async def ask(self, prompt: str) -> Timing:
        """See Way."""
        timing, _ = await self._run(prompt, self._thread)
        return timing

    async def _run(self, text: str, thread: str) -> tuple[Timing, wire.Finished]:
        timing = Timing(monotonic())
        async with asyncio.timeout(PATIENCE):
            saying = asyncio.create_task(self._client.say(text, thread))
            async for event in self._events:
                if isinstance(event, wire.Text):
                    timing.first = timing.first or monotonic()
                elif isinstance(event, wire.Finished):
                    timing.final = timing.exit = monotonic()
                    break
            reply = await saying
        assert isinstance(event, wire.Finished)
        if not (reply.ok and event.ok):
            raise RuntimeError(f"kugetsu failed: {reply.text} {event.error}")
        return timing, event
