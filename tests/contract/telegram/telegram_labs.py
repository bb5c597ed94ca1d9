"""A bot's account over real sockets and the real library, with the simulator as Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.telegram.messenger import TelegramMessenger
from adapters.telegram.settings import TelegramSettings, Times
from bot.clock import SystemClock
from core.messages import Outgoing, Page
from core.model import Button, Document, Inbound, Place
from core.ports import Press, Reply
from tests.simulators.telegram import TelegramSimulator

TIMES = Times(
    poll=1,
    poll_slack=0.4,
    read=0.6,
    media=2.0,
    press=0.2,
    first_delay=0.02,
    longest_delay=0.1,
    conflict=0.05,
    listen_for_others=1,
)


@dataclass
class FakeMail:
    """A `core.messages.Mail` that writes down what it is given."""

    taken: list[Inbound] = field(default_factory=list)
    batches: list[tuple[int, bool]] = field(default_factory=list)
    presses: list[Press] = field(default_factory=list)
    moves: list[tuple[str, str, str]] = field(default_factory=list)
    losses: list[tuple[Place, str]] = field(default_factory=list)
    on_take: Callable[[], Any] | None = None
    on_press: Callable[[Press], Any] | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, inbounds: Sequence[Inbound], *, more: bool = False) -> None:
        if self.on_take:
            await self.on_take()
        self.taken += inbounds
        self.batches.append((len(inbounds), more))
        await self._tell()

    async def press(self, press: Press) -> Reply:
        self.presses.append(press)
        await self._tell()
        if self.on_press:
            answer: Reply = await self.on_press(press)
            return answer
        return Reply(Document("Done"))

    async def moved(self, platform: str, chat: str, to: str) -> None:
        self.moves.append((platform, chat, to))
        await self._tell()

    async def lost(self, place: Place, why: str) -> None:
        self.losses.append((place, why))
        await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, happened: Callable[[FakeMail], Any], timeout: float = 5.0) -> Any:
        async with asyncio.timeout(timeout), self.changed:
            await self.changed.wait_for(lambda: happened(self))
        return happened(self)

    async def texts(self, *texts: str) -> None:
        """Until these have come, once each, in this order."""
        await self.until(lambda mail: len(mail.taken) >= len(texts))
        assert [inbound.text for inbound in self.taken] == list(texts)


@dataclass
class Lab:
    """One bot and its Telegram."""

    sim: TelegramSimulator
    mail: FakeMail = field(default_factory=FakeMail)
    notices: list[str] = field(default_factory=list)
    known: set[tuple[str, str]] = field(default_factory=set)

    @staticmethod
    def saying(text: str, *buttons: str, **more: Any) -> Outgoing:
        rows = (tuple(Button(f"id-{label}", label) for label in buttons),) if buttons else ()
        return Outgoing(Page(text), rows, **more)

    def messenger(self, **changes: Any) -> TelegramMessenger:
        settings = TelegramSettings(token=self.sim.token, api_base=self.sim.url, times=TIMES)

        async def known(chat: str, message: str) -> bool:
            return (chat, message) in self.known

        return TelegramMessenger(replace(settings, **changes), SystemClock(), self.notices.append, known)

    @asynccontextmanager
    async def connected(self, **changes: Any) -> AsyncIterator[TelegramMessenger]:
        messenger = self.messenger(**changes)
        await messenger.connect()
        try:
            yield messenger
        finally:
            await messenger.close()

    @asynccontextmanager
    async def listening(self, **changes: Any) -> AsyncIterator[TelegramMessenger]:
        async with self.connected(**changes) as messenger:
            task = asyncio.create_task(messenger.listen(self.mail))
            try:
                yield messenger
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


@asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """No budget."""
    yield


def place(chat: Any, thread: str = "") -> Place:
    return Place("telegram", str(chat.id), thread)
