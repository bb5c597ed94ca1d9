"""What this process has seen of messages, and may not be written down yet: so that looking for one hits no other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

from adapters.telegram import chats

REMEMBERED = 5_000  # messages; about a megabyte

T = TypeVar("T")


class _Gate:
    """Of one chat: any number of sends, or one probe. A probe that waits goes before sends that come later."""

    def __init__(self) -> None:
        self.one_probe = asyncio.Lock()
        self.sends = 0
        self.no_sends = asyncio.Event()
        self.no_sends.set()
        self.no_probe = asyncio.Event()
        self.no_probe.set()


class Traffic:
    """Messages of all chats."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._sent: OrderedDict[tuple[str, str], str] = OrderedDict()  # chat, key → message
        self._gates: WeakValueDictionary[str, _Gate] = WeakValueDictionary()

    def seen(self, chat: str, message: str) -> None:
        """The message is somebody's, or known to be ours."""
        _remember(self._seen, (_row(chat), message), None)

    def sent(self, chat: str, message: str, key: str) -> None:
        """`key` may be empty."""
        self.seen(chat, message)
        if key:
            _remember(self._sent, (chat, key), message)

    def knows(self, chat: str, message: str) -> bool:
        """Whether the number is taken, as far as this process can tell."""
        return (_row(chat), message) in self._seen

    def sent_as(self, chat: str, key: str) -> str | None:
        """The message that this process has sent with this key."""
        return self._sent.get((chat, key))

    @asynccontextmanager
    async def sending(self, chat: str) -> AsyncIterator[None]:
        """Around a call that makes a message."""
        gate = self._gate(chat)
        while not gate.no_probe.is_set():
            await gate.no_probe.wait()
        gate.sends += 1
        gate.no_sends.clear()
        try:
            yield
        finally:
            gate.sends -= 1
            if not gate.sends:
                gate.no_sends.set()

    @asynccontextmanager
    async def probing(self, chat: str) -> AsyncIterator[None]:
        """Around a call that may change a message that nobody knows: no other may come into being meanwhile."""
        gate = self._gate(chat)
        async with gate.one_probe:
            gate.no_probe.clear()
            try:
                await gate.no_sends.wait()
                yield
            finally:
                gate.no_probe.set()

    def _gate(self, chat: str) -> _Gate:
        gate = self._gates.get(chat)
        if gate is None:
            gate = self._gates[chat] = _Gate()
        return gate


def _row(chat: str) -> str:
    return chat if chats.is_supergroup(chat) else ""


def _remember(store: OrderedDict[tuple[str, str], T], key: tuple[str, str], value: T) -> None:
    store[key] = value
    store.move_to_end(key)
    if len(store) > REMEMBERED:
        store.popitem(last=False)
