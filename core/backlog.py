"""What came on a platform while nobody read: run, asked about in its place, or dropped, as the policy says."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from core import delivery, view, view_chat
from core.access import Role
from core.delivery import BacklogPolicy
from core.errors import StoreError
from core.intake import refusal
from core.live import Complain
from core.model import Place
from core.people import People
from core.placing import Placing
from core.ports import Clock, Press, Received, Reply, Store, source_of
from core.relay import Relay

LATE = timedelta(seconds=5)  # younger than this at the start: it is news, not backlog
CATCH_UP = 5.0  # seconds after which what a platform still has waiting is not waited for any more
AGAIN = 5.0  # seconds until what could not be settled is tried again
HELD = "held"


class Backlog:
    """Keeps what comes until a platform has handed over all that waited there, then settles it at once.

    `see` is told of each message that is a receipt's worth, `go` of each that is to be worked on, in order.
    """

    def __init__(
        self,
        store: Store,
        relays: Mapping[str, Relay],
        placing: Placing,
        people: People,
        policy: BacklogPolicy,
        clock: Clock,
        fault: delivery.Fault,
        complain: Complain,
        *,
        see: Callable[[Received], None],
        go: Callable[[Received], None],
    ) -> None:
        self._store = store
        self._relays = relays
        self._placing = placing
        self._people = people
        self._policy = policy
        self._clock = clock
        self._fault = fault
        self._complain = complain
        self._see = see
        self._go = go
        self._waited: dict[str, list[Received]] = {}  # by platform, until all that waited there is in
        self._since: dict[str, datetime] = {}
        self._deciding = asyncio.Lock()

    def open(self, platform: str, left: Sequence[Received]) -> None:
        """Keep what comes from here on, behind what a process that died `left`."""
        self._since[platform] = self._clock.now()
        self._waited[platform] = [received for received in left if not received.held]

    def take(self, received: Received) -> bool:
        """Whether it was kept: in order behind what has waited longer."""
        waited = self._waited.get(received.inbound.platform)
        if waited is None:
            return False
        waited.append(received)
        if not self._is_late(received):
            self._see(received)
        return True

    async def stop_waiting(self, platform: str) -> None:
        """Settle what is there when the platform has not said in time that it was all."""
        await self._clock.sleep(CATCH_UP)
        while platform in self._waited:
            await self.caught_up({platform})
            if platform in self._waited:  # the disk was full
                await self._clock.sleep(AGAIN)

    async def caught_up(self, platforms: set[str]) -> None:
        """These have handed over all that waited; none named: all have."""
        for platform in platforms or set(self._waited):
            waited = self._waited.pop(platform, [])
            try:
                news = await self._settle(platform, waited)
            except StoreError as error:
                self._complain(f"what came on {platform} while kugetsu was not there could not be settled", error)
                self._waited[platform] = waited
                continue
            for received in news:
                self._go(received)

    async def decide(self, rest: str, press: Press) -> Reply:
        """The button of a question about held messages; `rest` is question:choice."""
        question, _, choice = rest.partition(":")
        if self._people.role(press.person.id) < Role.DRIVER:
            return refusal(view.not_allowed(press.person, Role.DRIVER))
        try:
            async with self._deciding:  # once, whoever presses
                left = await self._store.open_inbound(press.place.platform)
                held = [received for received in left if received.held == question]
                if not held or choice not in _CHOICES:
                    return refusal(view_chat.held_no_more())
                run = _CHOICES[choice](held)
                for received in held:
                    if received not in run:
                        await self._store.close_inbound(received.row, "ignored", f"discarded by {press.person.name}")
                await self._store.hold_inbound([received.row for received in run], "")
            detail = f"{choice}: {len(held)} messages"
            await self._store.audit(press.person.id, "decide backlog", question, press.place, detail)
        except StoreError as error:
            return refusal(error)
        said = view_chat.backlog_decided(choice, len(held), press.person)
        await self._relays[press.place.platform].settle_question(f"{HELD}:{question}", said.markdown)
        for received in run:
            self._go(received)
        return Reply(said)

    async def remind(self, platform: str) -> None:
        """Held messages whose question a process that died may not have shown."""
        questions: dict[str, list[Received]] = defaultdict(list)
        for received in await self._store.open_inbound(platform):
            if received.held:
                questions[received.held].append(received)
        for post in await self._store.open_posts(platform):
            kind, _, question = post.key.partition(":")
            if kind == HELD and question.partition(":")[0] not in questions:
                self._relays[platform].close(post, str(view_chat.held_no_more()))
        for question, held in questions.items():
            placed = await self._placing.of(held[0].inbound)
            await self._ask(placed.place, held, question)

    def _is_late(self, received: Received) -> bool:
        return self._since[received.inbound.platform] - received.inbound.at > LATE

    async def _settle(self, platform: str, waited: list[Received]) -> list[Received]:
        """Returns what nobody needs to be asked about."""
        if not waited:
            return []
        still = {received.row for received in await self._store.open_inbound(platform) if not received.held}
        news: list[Received] = []
        places: defaultdict[Place, list[Received]] = defaultdict(list)
        for received in sorted(waited, key=lambda received: received.row):
            if received.row in still:
                place = await self._place(received)
                (places[place] if place else news).append(received)
        for place, messages in places.items():
            await self._settle_place(place, messages)
        return news

    async def _place(self, received: Received) -> Place | None:
        """Where it is asked whether to run it so late; None: nobody needs to be asked."""
        if not self._is_late(received) or await self._store.run_of_source(source_of(received.row)):
            return None
        inbound = await self._placing.of(received.inbound)
        known = self._people.role(inbound.person.id) > Role.NONE
        return inbound.place if known and await self._placing.concerns_us(inbound) else None

    async def _settle_place(self, place: Place, messages: list[Received]) -> None:
        found = delivery.backlog([m.inbound for m in messages], self._clock.now(), self._policy)
        dropped, kept = messages[: found.dropped], messages[found.dropped :]
        if dropped:
            for received in dropped:
                await self._store.close_inbound(received.row, "ignored", "too old when kugetsu came back")
            await self._relays[place.platform].send(place, view_chat.backlog_dropped([m.inbound for m in dropped]))
        for received in kept:
            self._see(received)
        if not found.ask:
            for received in kept:
                self._go(received)
            return
        question = secrets.token_urlsafe(9)
        await self._store.hold_inbound([received.row for received in kept], question)
        self._fault("messages held")
        await self._ask(place, kept, question)

    async def _ask(self, place: Place, held: Sequence[Received], question: str) -> None:
        asked = view_chat.backlog([m.inbound for m in held], question)
        await self._relays[place.platform].question(place, asked, f"{HELD}:{question}")


def _last(held: Sequence[Received]) -> Sequence[Received]:
    """With the edits of it that came after it."""
    last = max((n for n, received in enumerate(held) if not received.inbound.edited), default=len(held) - 1)
    return held[last:]


# What of the messages that were held each button has run.
_CHOICES: dict[str, Callable[[Sequence[Received]], Sequence[Received]]] = {
    "run": lambda held: held,
    "last": _last,
    "drop": lambda _held: (),
}
