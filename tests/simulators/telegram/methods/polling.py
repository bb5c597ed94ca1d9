"""getUpdates: long polling with Telegram's offsets and conflicts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import Refused
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.updates import DEFAULT_KINDS, KINDS, Poll

from .table import method

_LONGEST = 50  # seconds
_WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
_OTHER = "terminated by other getUpdates request; make sure that only one bot instance is running"


def remember_allowed(core: Core, params: Params) -> None:
    """`allowed_updates` counts until another is given; an empty list brings the default back."""
    raw = params.json("allowed_updates", "allowed_updates JSON object") if "allowed_updates" in params else None
    if isinstance(raw, list):
        core.queue.allowed = frozenset(raw) & KINDS if raw else DEFAULT_KINDS


async def conflict(core: Core, text: str) -> Refused:
    """409. Conflicts that follow each other quickly are held back for a while."""
    now = core.clock.monotonic()
    if now < core.next_conflict:
        await asyncio.sleep(core.limits.poll_pace)
    else:
        core.next_conflict = now + core.limits.poll_pace
    return Refused(409, text)


@method("getUpdates")
async def get_updates(core: Core, params: Params) -> list[Any]:
    if core.webhook.url:
        raise await conflict(core, _WEBHOOK_ACTIVE)
    offset = params.integer("offset", 0, -(1 << 31), (1 << 31) - 1)
    limit = params.integer("limit", 100, 1, 100)
    timeout = float(params.integer("timeout", 0, 0, _LONGEST))
    remember_allowed(core, params)
    now, pace = core.clock.monotonic(), core.limits.poll_pace
    if core.polled[0] == offset and now < core.polled[1] + pace:
        timeout = max(timeout, pace)
        if now < core.polled[1] + pace / 6:
            limit = 1
    core.polled = offset, now
    found = core.queue.take(offset, limit)
    if not found and timeout:
        found = await _wait(core, params, offset, limit, timeout)
    core.queue.mark_delivered(found, "poll")
    return [update.body for update in found]


async def _wait(core: Core, params: Params, offset: int, limit: int, timeout: float) -> list[Any]:
    core.queue.abort_poll(_OTHER)
    poll = core.queue.poll = Poll()
    core.log.add("poll", offset=offset, timeout=timeout)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await poll.woken.wait()
                await asyncio.sleep(0.002)  # what comes at once goes together
        if poll.refusal:
            raise poll.refusal if poll.refusal.code != 409 else await conflict(core, poll.refusal.description)
        return core.queue.take(offset, limit) if params.heard() else []
    finally:
        if core.queue.poll is poll:
            core.queue.poll = None
