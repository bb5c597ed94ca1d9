"""The chat platforms of a running bot: connected, listened to, restarted after failures, each for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from core.errors import ChatDenied, KugetsuError
from core.inbox import Inbox
from core.relay import Relay

READY = 5.0  # seconds within which platforms are expected to answer at the start; slower ones join later
LONGEST = 60.0  # seconds between attempts

log = structlog.get_logger("bot")


class Platforms:
    """One task a platform; what happens to one never touches another."""

    def __init__(self, relays: Mapping[str, Relay], inbox: Inbox) -> None:
        self._relays = relays
        self._inbox = inbox
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._connected: dict[str, asyncio.Event] = {platform: asyncio.Event() for platform in relays}
        self._recovered = asyncio.Event()

    async def connect(self) -> None:
        """Begin to connect all; returns when all are there, or after `READY` seconds."""
        for platform, relay in self._relays.items():
            self._listening[platform] = asyncio.create_task(self._run(platform, relay), name=f"platform {platform}")
        waiting = [asyncio.create_task(self._up(platform)) for platform in self._relays]
        if waiting:
            await asyncio.wait(waiting, timeout=READY)
        for task in waiting:
            task.cancel()

    def listen(self) -> None:
        """From here on, what people write is taken in; not before what a dead process left is put in order."""
        self._recovered.set()

    async def stop_listening(self) -> None:
        """Take nothing new; unconfirmed messages stay with their platform."""
        for task in self._listening.values():
            task.cancel()
        await asyncio.gather(*self._listening.values(), return_exceptions=True)

    async def close(self, patience: float) -> None:
        """Send what can be sent within `patience` seconds, then hang up."""
        await self.stop_listening()
        await asyncio.gather(*(self._close(relay, patience) for relay in self._relays.values()))

    async def _close(self, relay: Relay, patience: float) -> None:
        await relay.stop(patience)
        try:
            await relay.messenger.close()
        except Exception as error:  # noqa: BLE001  the others are closed all the same
            log.warning("a platform could not be closed", platform=relay.platform, error=str(error))

    async def _up(self, platform: str) -> None:
        connected = asyncio.create_task(self._connected[platform].wait())
        try:
            await asyncio.wait([connected, self._listening[platform]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            connected.cancel()

    async def _run(self, platform: str, relay: Relay) -> None:
        attempts = 0
        while True:
            try:
                await relay.messenger.connect()
                self._connected[platform].set()
                attempts = 0
                log.info("connected", platform=platform)
                await self._recovered.wait()
                await relay.messenger.listen(self._inbox)
            except ChatDenied as error:
                log.warning("this platform is off until the bot is restarted", platform=platform, error=_said(error))
                return
            except KugetsuError as error:
                log.warning("this platform cannot be reached; trying again", platform=platform, error=_said(error))
            except Exception:
                log.exception("this platform failed; trying again", platform=platform)
            attempts += 1
            await asyncio.sleep(min(2.0 ** min(attempts, 10), LONGEST))


def _said(error: KugetsuError) -> str:
    return f"{error} {error.hint}".strip()
