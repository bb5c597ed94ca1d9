"""A person with a phone: what they write and press reaches the inbox as a platform would deliver it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from core.messages import Outgoing
from core.model import Inbound, IncomingFile, Person, Place
from core.ports import Press, Reply
from tests.fakes.messenger import FakeMessenger, Message
from tests.fakes.world import ANN, World

PATIENCE = 3600.0  # seconds of virtual time


class Phone:
    """Chats are direct unless they are called `group…`."""

    def __init__(self, world: World, person: Person = ANN, chat: str = "1", thread: str = "") -> None:
        self.world = world
        self.person = person
        self.place = Place("fake", chat, thread)
        self._presses = 0

    @property
    def messenger(self) -> FakeMessenger:
        return self.world.outside.messengers["fake"]

    def inbound(
        self,
        text: str,
        *,
        reply_to: str = "",
        edits: str = "",
        files: Sequence[IncomingFile] = (),
        joins: float = 0.0,
        addressed: bool = True,
        age: float = 0.0,
        event: str = "",
    ) -> Inbound:
        message = edits or self.messenger.theirs()
        return Inbound(
            "fake",
            event or (f"e:{message}:{self.messenger.theirs()}" if edits else f"m:{message}"),
            self.place,
            self.person,
            text,
            self.world.outside.clock.now() - timedelta(seconds=age),
            message=message,
            reply_to=reply_to,
            direct=self.messenger.is_direct(self.place),
            addressed=addressed,
            edited=bool(edits),
            joins=joins,
            files=tuple(files),
        )

    async def write(self, text: str, **changes: object) -> str:
        """Committed when this returns. The message's id."""
        inbound = self.inbound(text, **changes)  # type: ignore[arg-type]
        await self.world.inbox.take([inbound])
        return inbound.message

    async def say(self, text: str, **changes: object) -> str:
        """The same, and everything that follows from it has happened."""
        message = await self.write(text, **changes)
        await settle(self.world)
        return message

    async def press(self, label: str, message: Message | None = None) -> Reply:
        """A button of one of the bot's messages, the newest that has it if none is named."""
        candidates = [message] if message else [m for m in reversed(self.messenger.messages) if not m.deleted]
        for shown in candidates:
            for button in (button for row in shown.now.buttons for button in row):
                if button.label == label:
                    self._presses += 1
                    place = Place("fake", shown.place.chat, "" if shown.place.thread[:1] == "r" else shown.place.thread)
                    press = Press(f"p{self._presses}{self.person.id}", button.id, self.person, place, message=shown.id)
                    return await self.world.inbox.press(press)
        raise AssertionError(f"no button {label!r} in {[m.now.buttons for m in candidates]}")

    def texts(self) -> list[str]:
        return self.messenger.texts()


async def settle(world: World) -> None:
    """Wait until nothing is left to do that does not wait for people."""
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            await world.inbox.quiet()
            await world.mailboxes.quiet()
            for relay in world.relays.values():
                await relay.quiet()
                await asyncio.sleep(0.01)


def labels(out: Outgoing) -> list[str]:
    return [button.label for row in out.buttons for button in row]
