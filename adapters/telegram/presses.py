"""Buttons: each press is decided on its own and answered in time, whatever else is going on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from adapters.telegram import render as renderer
from adapters.telegram.calls import Calls
from core.errors import ChatError, ChatLimited, KugetsuError
from core.messages import Mail
from core.ports import Press, Reply

WORKING = "Working on it…"
FAILED = "That went wrong. It is in the log."
MAX_ANSWER = 200  # characters
CANCELLING = 0.2  # seconds that a cancelled task gets to clean up

T = TypeVar("T")


class Presses:
    """Presses under way. They run beside each other and beside the updates that follow."""

    def __init__(self, calls: Calls, mail: Mail) -> None:
        self._calls = calls
        self._mail = mail
        self._log = structlog.get_logger("telegram")
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, press: Press) -> None:
        """Does not wait."""
        self.track(self._handle(press))

    def track(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Something that must not be forgotten while it goes on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self, grace: float) -> None:
        """Give what is going on `grace` seconds."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCELLING)

    async def _handle(self, press: Press) -> None:
        work = self.track(self._mail.press(press))
        await asyncio.wait({work}, timeout=self._calls.times.press)
        text, alert = _answer(work) if work.done() else (WORKING, False)
        try:
            try:
                await self._say(press, text, alert=alert)
            except ChatLimited as limited:
                await asyncio.sleep(limited.retry_after)
                await self._say(press, text, alert=alert)
        except ChatError as error:  # too late, or not reachable: what was decided stands, and is shown in its place
            self._log.info("a press could not be answered", reason=str(error))

    async def _say(self, press: Press, text: str, *, alert: bool) -> None:
        async with self._calls.translate():
            await self._calls.bot.answer_callback_query(
                press.id.removeprefix("cb:"), text=text or None, show_alert=alert or None
            )

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, KugetsuError):
            self._log.warning("work beside the updates failed", reason=str(error))
        elif error:
            self._log.error("work beside the updates failed", exc_info=error)


def _answer(work: asyncio.Task[Reply]) -> tuple[str, bool]:
    """What is said, and whether it has to be closed by hand."""
    if work.cancelled():
        return WORKING, False
    error = work.exception()
    if isinstance(error, KugetsuError):
        return shortened(f"{error}. {error.hint}" if error.hint else str(error)), True
    if error:
        return FAILED, True
    reply = work.result()
    pages = renderer.render(reply.document.markdown)
    return shortened(pages[0].text if pages else ""), not reply.ok


def shortened(text: str) -> str:
    """As much as fits over a chat."""
    return text if len(text) <= MAX_ANSWER else f"{text[: MAX_ANSWER - 1].rstrip()}…"
