"""Long polling. An update is confirmed to Telegram only after it is committed here.

The library's own polling moves on before anybody has stored what came, and one update it cannot decode makes it ask
for the same batch 300 times a second, with everything behind it blocked. So the answer is taken apart here, update by
update, and the next call's offset, which confirms, is set when all of the batch is committed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, Protocol
from urllib.parse import urlencode

import structlog

from adapters.telegram import parse, wire
from adapters.telegram.calls import Calls, Conflict
from adapters.telegram.request import Request
from core.errors import ChatDenied, ChatLimited, ChatUnreachable, KugetsuError
from core.ports import Clock

BATCH = 100  # the most that Telegram gives at once
CANCELLING = 0.5  # seconds that a call which is out of time has to end
SAY_AGAIN = timedelta(hours=1)
_OTHER_POLLER = (
    "Another program fetches the messages of this Telegram bot, so some of them do not arrive here. End the other one "
    "(a second kugetsu, an old bot with the same token), or get a new token from @BotFather."
)


class Take(Protocol):
    """A batch, and whether more is waiting. Committed on return."""

    def __call__(self, raws: Sequence[object], *, more: bool) -> Awaitable[None]:
        """May raise KugetsuError: the batch comes again."""


class Poller:
    """Asks for updates until cancelled. Uses connections of its own: when they hang, sending goes on."""

    def __init__(self, calls: Calls, clock: Clock, notice: Callable[[str], None]) -> None:
        self._calls = calls
        self._times = calls.times
        self._clock = clock
        self._notice = notice
        self._log = structlog.get_logger("telegram")
        self._request = calls.pool(2)
        self._ready = False  # no webhook is set
        self._offset = 0
        self._expected = 0  # updates that waited when we came
        self._more = False
        self._failures = 0
        self._said = datetime.min.replace(tzinfo=clock.now().tzinfo)

    async def run(self, take: Take) -> NoReturn:
        """Raises ChatDenied. Everything else is waited out."""
        while True:
            try:
                if not self._ready:
                    await self._prepare()
                await self._next(take)
                if self._failures:
                    self._log.info("telegram is back", failures=self._failures)
                self._failures = 0
            except ChatDenied:
                raise
            except Conflict as error:
                await self._clock.sleep(self._conflict(error))
            except ChatLimited as error:
                await self._clock.sleep(error.retry_after)
            except KugetsuError as error:
                await self._clock.sleep(self._delay(str(error)))
            except Exception as error:  # noqa: BLE001 - whatever it is, the next messages must arrive
                self._log.exception("updates could not be taken")
                await self._clock.sleep(self._delay(repr(error)))

    async def close(self) -> None:
        """Cut the connections."""
        await self._request.shutdown()

    async def _prepare(self) -> None:
        async with self._calls.translate():
            hook = await self._calls.bot.get_webhook_info()
        if hook.url:
            self._log.warning("a webhook was set for this bot; it is removed, because updates are polled for")
            async with self._calls.translate():
                await self._calls.bot.delete_webhook(drop_pending_updates=False)
        self._expected = hook.pending_update_count
        self._ready = True

    async def _next(self, take: Take) -> None:
        batch = await self._poll(0 if self._more else self._times.poll)
        expected = max(0, self._expected - len(batch)) if batch else 0
        more = len(batch) >= BATCH or expected > 0
        if batch or self._more:  # an empty batch after “more” says that this was all
            await take(batch, more=more)
        self._expected, self._more = expected, more
        numbers = [found for raw in batch if (found := parse.number(raw)) is not None]
        if numbers:
            # Not the highest ever: after a week without updates, Telegram begins anew at any number.
            self._offset = max(numbers) + 1
        elif batch:
            raise ChatUnreachable("Telegram gives updates without numbers, which cannot be confirmed")

    async def _poll(self, wait: int) -> list[object]:
        """Abandoned when it hangs: a pool can wedge so that even cancelling does not end. Trouble gets a new one."""
        query: dict[str, int | str] = {"limit": BATCH, "timeout": wait, "allowed_updates": json.dumps(wire.KINDS)}
        if self._offset:
            query["offset"] = self._offset
        task = asyncio.create_task(_get(self._calls, self._request, wait, query))
        try:
            await asyncio.wait({task}, timeout=wait + self._times.poll_slack + CANCELLING)
        finally:
            if not task.done():
                task.cancel()
        if task.done():
            try:
                return task.result()
            except ChatUnreachable:
                self._request.renew()
                raise
        self._request.renew()
        raise ChatUnreachable(f"{self._calls.server} did not end a getUpdates call in time")

    def _delay(self, why: str) -> float:
        delay = self._times.back_off(self._failures)
        if not self._failures:
            self._log.warning("no updates from telegram", reason=self._calls.redacted(why), again_in=delay)
        self._failures += 1
        return delay

    def _conflict(self, error: Conflict) -> float:
        if "webhook" in str(error).lower():
            self._ready = False
            return self._times.first_delay
        if self._clock.now() - self._said >= SAY_AGAIN:
            self._said = self._clock.now()
            self._notice(_OTHER_POLLER)
        return self._times.conflict


async def peek(calls: Calls, wait: int) -> None:
    """Ask for updates without confirming any. Raises Conflict when somebody else asks meanwhile."""
    request = calls.pool(1)
    try:
        await _get(calls, request, wait, {"limit": 1, "timeout": wait})
    finally:
        await request.shutdown()


async def _get(calls: Calls, request: Request, wait: int, query: Mapping[str, int | str]) -> list[object]:
    url = f"{calls.method_base}{calls.settings.token}/getUpdates?{urlencode(query)}"
    patience = wait + calls.times.poll_slack
    async with calls.translate(seconds=patience):
        found: object = await request.post(url, read_timeout=patience)
    if not isinstance(found, list):
        raise ChatUnreachable("Telegram gives something else than updates")
    return found
