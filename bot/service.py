"""One process on one state directory: started, drained, closed. The bot, the chat and single commands all use it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from bot.lock import StateLock
from bot.wiring import Parts
from core import view
from core.errors import KugetsuError
from core.model import Session

SOCKET = "kugetsu.sock"
DAY = 24 * 3600.0  # seconds
DRAIN = 20.0  # seconds runs get to come to their end when the bot is stopped …
SENDING = 5.0  # … and what they said to be sent

log = structlog.get_logger("bot")


class Service:
    """Holds the state directory's lock while it is open."""

    def __init__(self, parts: Parts, state_dir: Path, *, bot: bool = False) -> None:
        """`bot`: it stays, and goes on with what an earlier process left; see `core.recovery`."""
        self.parts = parts
        self._bot = bot
        self.socket = state_dir / SOCKET
        self._lock = StateLock(state_dir)
        self._background: list[asyncio.Task[None]] = []
        self._mirroring = False
        self._hurry = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Raises Busy when another process drives the directory, StoreError when its state cannot be used."""
        self._lock.acquire()
        try:
            await self.parts.store.open()
            self._background = [
                asyncio.create_task(self.parts.journal.run(), name="journal"),
            ]
            await self.parts.people.load()
            if not self._bot:
                await self.parts.recovery.report_cut()
            await self.parts.adoption.pick_up()
            self._mirroring = True  # not before: it would write over what was edited by hand
            self._background.append(asyncio.create_task(self.parts.mirror.run(), name="mirror"))
            await self.parts.console.start(self.socket, self.parts.reception)
            if not self._bot:
                await self.parts.recovery.deliver()
            # What is there now stays until the end: looking through it again and again costs pauses of 40–60 ms.
            gc.collect()
            gc.freeze()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def resume(self) -> None:
        """Go on with what was accepted before, and make first prompts fast. For a bot, not for a single command.

        In this order: platforms ready, recovery, new intake.
        """
        await self.parts.platforms.connect()
        for key in await self.parts.recovery.go_on():
            self.parts.mailboxes.wake(key)
        self.parts.platforms.listen()
        await self.parts.pulls.resume()
        self._background.append(asyncio.create_task(self.parts.asides.clean_up(), name="asides"))
        for project in await self.parts.projects.all():
            warming = asyncio.create_task(self.parts.agent.warm(project.path), name=f"warm {project.ref}")
            self._background.append(warming)
        self._background.append(asyncio.create_task(self._keep(), name="upkeep"))

    async def _keep(self) -> None:
        """Once at the start and then daily: repair what does not fit together, archive what is not used any more."""
        while True:
            try:
                for finding in await self.parts.census.settle(remove=False):
                    log.warning("found while comparing with opencode and git", what=finding.text)
                for session in await self.parts.ending.unused():
                    await self._archive(session)
            except KugetsuError as error:
                log.warning("could not look after the sessions; trying again tomorrow", error=str(error))
            await asyncio.sleep(DAY)

    async def _archive(self, session: Session) -> None:
        try:
            if not await self.parts.ending.stake(session):
                await self.parts.ending.archive(session)
                log.info("archived, unused for long", session=str(session.key))
        except KugetsuError as error:  # one that cannot be archived must not keep the others from it
            log.warning("could not be archived", session=str(session.key), error=str(error))

    async def quiet(self) -> None:
        """Wait until no session has anything to do: others may have joined a single command's process."""
        await self.parts.mailboxes.quiet()

    async def drain(self) -> None:
        """Take no new work, give what goes on `DRAIN` seconds, hand the rest over to the next process, and say so."""
        await self.parts.platforms.stop_listening()
        await self.parts.inbox.close()
        finishing = asyncio.create_task(self.parts.mailboxes.finish())
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([finishing, hurrying], timeout=DRAIN, return_when=asyncio.FIRST_COMPLETED)
        for task in (finishing, hurrying):
            task.cancel()
        for key in self.parts.runs.hand_over():
            await self.parts.audience.tell(key, view.handed_over(key))

    def hurry(self) -> None:
        """Leave now: what is not done is the next process's."""
        self._hurry.set()

    async def leave(self, main: asyncio.Task[Any]) -> None:
        """End all runs as cut off, give whoever waits for them a second to print that, then cancel `main`."""
        await self.parts.mailboxes.close()
        await asyncio.wait([main], timeout=1.0)
        main.cancel()

    async def _close(self) -> None:
        # In the order in which things depend on each other: runs record how they were cut, chats show it, then the
        # agent, the mirror and last the store go.
        parts = self.parts
        await parts.platforms.stop_listening()
        await parts.inbox.close()
        await parts.mailboxes.close()
        await parts.platforms.close(0.0 if self._hurry.is_set() else SENDING)
        await parts.console.stop()
        await parts.issues.close()
        await parts.pulls.close()
        await parts.runs.close()
        await parts.forges.close()
        await parts.agent.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await parts.journal.flush()
        if self._mirroring:
            await parts.mirror.flush()
        await parts.store.close()
        parts.logs.close()
        self._lock.release()
