"""Delivery to a webhook: one POST an update, in order, again and again until it is taken or a day old."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from .core import Core
from .updates import KEPT_SECONDS, Update

_PATIENCE = 60.0  # seconds Telegram waits for the answer
_LONGEST_DELAY = 64.0  # seconds between two tries
Run = Callable[[str, dict[str, Any]], Awaitable[Any]]


class WebhookSender:
    """A task that empties the queue into the webhook while there is one.

    The first failure is followed by another try at once, later ones by 2, 4, 8… times `pace` seconds. `run` calls a
    method of the Bot API: a webhook may answer with one.
    """

    def __init__(self, core: Core, run: Run, pace: float = 1.0) -> None:
        self._core = core
        self._run = run
        self.pace = pace
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        core.queue.on_change = self._woken.set

    def start(self) -> None:
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _loop(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._core.webhook.url and (updates := self._core.queue.take(0, 1)):
                    await self._deliver(session, updates[0])

    async def _deliver(self, session: aiohttp.ClientSession, update: Update) -> None:
        failures, delay = 0, 1.0
        while (state := self._core.webhook).url and update in self._core.queue.pending:
            self._core.queue.mark_delivered([update], "webhook")
            error, wait = await self._post(session, update)
            if not error:
                self._core.queue.drop(update)
                self._core.queue.confirm(update)
                return
            state.error, state.error_date = error, self._core.clock.unix()
            self._core.log.add("webhook", update_id=update.id, error=error, failures=failures + 1)
            if not wait and failures:
                delay = min(delay * 2, _LONGEST_DELAY)
                wait = delay
            failures += 1
            if self._core.clock.wall() - update.wall > KEPT_SECONDS:
                self._core.queue.drop(update)
                return
            await asyncio.sleep(wait * self.pace)

    async def _post(self, session: aiohttp.ClientSession, update: Update) -> tuple[str, float]:
        """Empty when taken, else Telegram's name for the trouble, and the delay the webhook asked for."""
        state = self._core.webhook
        headers = {"X-Telegram-Bot-Api-Secret-Token": state.secret} if state.secret else {}
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        try:
            async with session.post(
                state.url, json=update.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.read()
                if 200 <= response.status <= 299:
                    await self._answered(content)
                    return "", 0.0
                after = response.headers.get("Retry-After", "")
                text = f"Wrong response from the webhook: {response.status} {response.reason}"
                return text, float(after) if after.isdigit() else 0.0
        except TimeoutError:
            return "Read timeout expired", 0.0
        except aiohttp.ClientConnectorError:
            return "Connection refused", 0.0
        except aiohttp.ClientError:
            return "Webhook connection closed", 0.0

    async def _answered(self, content: bytes) -> None:
        try:
            body = json.loads(content)
        except ValueError:
            return
        name = body.pop("method", "") if isinstance(body, dict) else ""
        if isinstance(name, str) and name and not name.lower().startswith("get"):
            await self._run(name, body)
