"""From decoded updates to core: what is committed before what, and who is told what they did wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from adapters.telegram import parse
from adapters.telegram.parse import Broken, Ignored, Lost, Me, Moved
from adapters.telegram.presses import Presses
from adapters.telegram.traffic import Traffic
from core.messages import Mail
from core.model import Inbound, Place
from core.ports import Press

MAX_TOLD = 10_000  # chats remembered as told

Tell = Callable[[Place, str, str], Coroutine[Any, Any, None]]  # where, in reply to which message, what


class Desk:
    """Takes batches of updates, one at a time."""

    def __init__(self, mail: Mail, me: Me, presses: Presses, traffic: Traffic, tell: Tell) -> None:
        self._mail = mail
        self._me = me
        self._presses = presses
        self._traffic = traffic
        self._tell = tell
        self._log = structlog.get_logger("telegram")
        self._lock = asyncio.Lock()
        self._more = False
        self._told: set[tuple[str, str]] = set()
        self.ignored: Counter[str] = Counter()

    async def take(self, raws: Sequence[object], *, more: bool) -> None:
        """All is committed when this returns, presses apart: they are answered on their own."""
        events = [parse.parse(raw, self._me) for raw in raws]
        async with self._lock:
            moves = {event.chat: event.to for event in events if isinstance(event, Moved)}
            for chat, to in moves.items():  # first: messages of the new chat belong to the old one's sessions
                await self._mail.moved(parse.PLATFORM, chat, to)
            inbounds = [_moved(event, moves) for event in events if isinstance(event, Inbound)]
            for inbound in inbounds:
                self._traffic.seen(inbound.place.chat, inbound.message)
            if inbounds or (self._more and not more):
                await self._mail.take(inbounds, more=more)
            self._more = more
            for lost in events:
                if isinstance(lost, Lost):
                    await self._mail.lost(lost.place, lost.why)
        for raw, event in zip(raws, events, strict=True):
            match event:
                case Press():
                    self._presses.start(event)
                case Ignored():
                    self._ignore(event)
                case Broken():
                    self.ignored["broken"] += 1
                    self._log.warning("an update cannot be read", update=parse.number(raw), reason=event.why)

    def _ignore(self, event: Ignored) -> None:
        self.ignored[event.why] += 1
        self._log.debug("an update is ignored", reason=event.why)
        # Once a chat and reason: whoever is not listed gets no conversation with the bot.
        if event.tell and event.place and (key := (event.place.chat, event.tell)) not in self._told:
            if len(self._told) >= MAX_TOLD:
                self._told.clear()
            self._told.add(key)
            self._presses.track(self._tell(event.place, event.message, event.tell))


def _moved(inbound: Inbound, moves: Mapping[str, str]) -> Inbound:
    """What was written just before its chat moved belongs where the chat's sessions are now."""
    chat = moves.get(inbound.place.chat, inbound.place.chat)
    return replace(inbound, place=replace(inbound.place, chat=chat))
