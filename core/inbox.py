"""What messengers deliver: committed first, then worked through chat by chat, in order, each message once.

    take ─▶ inbox row ─▶ (joined, or held and asked about) ─▶ placed ─▶ decided ─▶ reply on its way ─▶ row closed

A process that dies anywhere in between leaves the row open; the next one goes on with it. What the row had made by then
(a run, a reply) carries its number and is made once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from core import commands, delivery, view
from core.access import Role
from core.arrivals import Arrivals
from core.delivery import BacklogPolicy
from core.errors import KugetsuError, StoreError
from core.intake import Reception, refusal
from core.live import Complain
from core.messages import Mark
from core.model import Attachment, Inbound, Place, RunState
from core.people import People
from core.placing import Placing
from core.ports import Clock, Press, Received, Reply, Store
from core.relay import Relay
from core.tasks import Beside

LATE = timedelta(seconds=5)  # younger than this at the start: it is news, not backlog
CATCH_UP = 5.0  # seconds after which what a platform still has waiting is not waited for any more
AGAIN = 5.0  # seconds until a message that could not be recorded is tried again
HELD = "held"


class Strangers(Protocol):
    """What people nobody knows are told."""

    async def answer(self, inbound: Inbound) -> Reply | None:
        """None: nothing."""


@dataclass(slots=True)
class _Line:
    """The messages of one chat, worked through by one task."""

    waiting: deque[Received] = field(default_factory=deque)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None


class Inbox:
    """A `core.messages.Mail`."""

    def __init__(
        self,
        store: Store,
        reception: Reception,
        relays: Mapping[str, Relay],
        placing: Placing,
        arrivals: Arrivals,
        people: People,
        strangers: Strangers,
        policy: BacklogPolicy,
        clock: Clock,
        fault: delivery.Fault,
        complain: Complain,
    ) -> None:
        self._store = store
        self._reception = reception
        self._relays = relays
        self._placing = placing
        self._arrivals = arrivals
        self._people = people
        self._strangers = strangers
        self._policy = policy
        self._clock = clock
        self._fault = fault
        self._complain = complain
        self._lines: defaultdict[tuple[str, str], _Line] = defaultdict(_Line)
        self._late: dict[str, list[Received]] = {}  # by platform, until all that waited there is in
        self._since: dict[str, datetime] = {}
        self._beside = Beside()
        self._closed = False

    async def open(self, platform: str) -> None:
        """Before the first `take` of a platform: what a process that died left undecided is taken up."""
        left = await self._store.open_inbound(platform)
        self._since[platform] = self._clock.now()
        self._late[platform] = [received for received in left if not received.held]
        self._beside.start(self._stop_waiting(platform), name=f"catching up {platform}")

    async def close(self) -> None:
        """Take nothing more up; what is under way comes to its end."""
        self._closed = True
        workers = [line.worker for line in self._lines.values() if line.worker]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self._beside.close()

    async def quiet(self) -> None:
        """Wait until all that came is decided."""
        while workers := [line.worker for line in self._lines.values() if line.worker]:
            await asyncio.wait(workers)

    # ── Mail ───────────────────────────────────────────────────────────────────────────────────

    async def take(self, inbounds: Sequence[Inbound], *, more: bool = False) -> None:
        """See core.messages.Mail. Raises StoreError: then nothing of it is committed."""
        received = await self._store.receive_all(inbounds)
        self._fault("messages received")
        for each in received:
            late = self._late.get(each.inbound.platform)
            if late is not None and self._since[each.inbound.platform] - each.inbound.at > LATE:
                late.append(each)
            else:
                self._see(each)
                self._enqueue(each)
        if not more:
            for platform in {inbound.platform for inbound in inbounds} or set(self._late):
                await self._caught_up(platform)

    async def press(self, press: Press) -> Reply:
        """See core.messages.Mail."""
        if self._closed:
            return refusal(view.leaving())
        kind, _, rest = press.button.partition(":")
        if kind == HELD:
            return await self._decide_held(rest, press)
        placed = await self._placing.press(press)
        reply = await self._reception.press(placed)
        if reply.run is not None or reply.place is not None or reply.data is not None or not reply.ok:
            await self._answer_press(placed, reply)
        return reply

    async def moved(self, platform: str, chat: str, to: str) -> None:
        """See core.messages.Mail."""
        if relay := self._relays.get(platform):
            await relay.moved(chat, to)

    async def lost(self, place: Place, why: str) -> None:
        """See core.messages.Mail. Sessions stay; they are shown where else they are attached."""
        self._complain(f"{place} is lost: {why}", KugetsuError(why))

    # ── what came while nobody read ────────────────────────────────────────────────────────────

    async def _stop_waiting(self, platform: str) -> None:
        await self._clock.sleep(CATCH_UP)
        await self._caught_up(platform)

    async def _caught_up(self, platform: str) -> None:
        late = self._late.pop(platform, None)
        if not late:
            return
        places: defaultdict[Place, list[Received]] = defaultdict(list)
        for received in sorted(late, key=lambda received: received.row):
            placed = replace(received, inbound=await self._placing.of(received.inbound))
            if self._people.role(placed.inbound.person.id) > Role.NONE and await self._concerns_us(placed.inbound):
                places[placed.inbound.place].append(received)
            else:
                self._enqueue(received)
        for place, messages in places.items():
            await self._settle_backlog(place, messages)

    async def _settle_backlog(self, place: Place, messages: list[Received]) -> None:
        found = delivery.backlog([m.inbound for m in messages], self._clock.now(), self._policy)
        dropped, kept = messages[: found.dropped], messages[found.dropped :]
        relay = self._relays[place.platform]
        if dropped:
            for received in dropped:
                await self._store.close_inbound(received.row, "ignored", "too old when kugetsu came back")
            await relay.send(place, view.backlog_dropped([m.inbound for m in dropped]))
        for received in kept:
            self._see(received)
        if not found.ask:
            for received in kept:
                self._enqueue(received)
            return
        question = secrets.token_urlsafe(9)
        await self._store.hold_inbound([received.row for received in kept], question)
        self._fault("messages held")
        await relay.question(place, view.backlog([m.inbound for m in kept], question), f"{HELD}:{question}")

    async def _decide_held(self, rest: str, press: Press) -> Reply:
        question, _, choice = rest.partition(":")
        if self._people.role(press.person.id) < Role.DRIVER:
            return refusal(view.not_allowed(press.person, Role.DRIVER))
        try:
            left = await self._store.open_inbound(press.place.platform)
            held = [received for received in left if received.held == question]
            if not held:
                return refusal(view.held_no_more())
            run = {"run": held, "last": held[-1:], "drop": []}.get(choice, held)
            for received in held:
                if received not in run:
                    await self._store.close_inbound(received.row, "ignored", f"discarded by {press.person.name}")
            await self._store.hold_inbound([received.row for received in run], "")
        except StoreError as error:
            return refusal(error)
        said = view.backlog_decided(choice, len(held), press.person)
        await self._relays[press.place.platform].settle_question(f"{HELD}:{question}", said.markdown)
        for received in run:
            self._enqueue(received)
        return Reply(said)

    async def remind(self, platform: str) -> None:
        """Held messages whose question a process that died may not have shown."""
        places: dict[str, list[Received]] = defaultdict(list)
        for received in await self._store.open_inbound(platform):
            if received.held:
                places[received.held].append(received)
        for question, held in places.items():
            placed = await self._placing.of(held[0].inbound)
            await self._relays[platform].question(
                placed.place, view.backlog([m.inbound for m in held], question), f"{HELD}:{question}"
            )

    # ── one chat ───────────────────────────────────────────────────────────────────────────────

    def _enqueue(self, received: Received) -> None:
        if self._closed:
            return  # the row is open: the next process takes it up
        key = (received.inbound.platform, received.inbound.place.chat)
        line = self._lines[key]
        line.waiting.append(received)
        line.came.set()
        if line.worker is None:
            line.worker = asyncio.create_task(self._work(key, line), name=f"inbox {key}")

    async def _work(self, key: tuple[str, str], line: _Line) -> None:
        try:
            while line.waiting:
                together = await self._together(line)
                while not await self._handled(together):
                    await self._clock.sleep(AGAIN)
        finally:
            line.worker = None
            if not self._closed:
                del self._lines[key]

    async def _together(self, line: _Line) -> list[Received]:
        """The next message, and those that belong to it: an album, a paste cut in pieces."""
        together = [line.waiting.popleft()]
        while (patience := together[-1].inbound.joins) and not self._closed:
            if not line.waiting:
                line.came.clear()
                waiting = asyncio.create_task(line.came.wait())
                timer = asyncio.create_task(self._clock.sleep(patience))
                await asyncio.wait([waiting, timer], return_when=asyncio.FIRST_COMPLETED)
                for task in (waiting, timer):
                    task.cancel()
            if not line.waiting or not _belongs(together[-1].inbound, line.waiting[0].inbound):
                break
            together.append(line.waiting.popleft())
        return together

    async def _handled(self, together: list[Received]) -> bool:
        """False when that could not be recorded."""
        try:
            await self._handle(together)
        except StoreError as error:
            self._complain("a message could not be worked on; trying again", error)
            return False
        except Exception as error:  # noqa: BLE001  one message must not block those behind it
            self._complain(f"message {together[0].row} could not be worked on", error)
            for received in together:
                await self._close_quietly(received.row, "failed", "kugetsu itself failed; its log says more")
        return True

    async def _handle(self, together: list[Received]) -> None:
        first = together[0]
        inbound = await self._placing.of(_joined([received.inbound for received in together]))
        if self._people.role(inbound.person.id) is Role.NONE:
            await self._stranger(first, inbound)
        elif inbound.edited:
            await self._edited(first, inbound)
        elif not await self._concerns_us(inbound):
            await self._store.close_inbound(first.row, "ignored", "not for kugetsu: no command, reply or mention")
        elif await self._answers_question(inbound):
            await self._store.close_inbound(first.row, "accepted", "the answer to a question")
        else:
            await self._decide(first, inbound)
        for rest in together[1:]:
            await self._store.close_inbound(rest.row, "accepted", "part of the message before")

    async def _decide(self, received: Received, inbound: Inbound) -> None:
        relay = self._relays[inbound.platform]
        attachments: tuple[Attachment, ...] = ()
        try:
            text, attachments, notes = await self._arrivals.of(relay.messenger, inbound, received.row)
            for note in notes:
                await relay.send(inbound.place, note)
            inbound = replace(inbound, text=text)
            line = await self._placing.deep_link(inbound)
            reply = await self._reception.decide(received.row, replace(inbound, text=line), attachments)
        except StoreError:
            raise
        except KugetsuError as error:
            reply = refusal(error)
        self._fault("message decided")
        await relay.reply(inbound, received.row, reply)
        self._fault("reply recorded")
        await self._reception.close(received.row, reply)
        self._fault("message closed")
        if inbound.message and reply.run is None and (reply.ok or not reply.document.buttons):
            relay.mark(inbound.place, inbound.message, Mark.DONE if reply.ok else Mark.FAILED)

    async def _stranger(self, received: Received, inbound: Inbound) -> None:
        reply = await self._strangers.answer(inbound)
        if reply is not None:
            await self._relays[inbound.platform].reply(inbound, received.row, reply)
        await self._store.close_inbound(received.row, "ignored" if reply is None else "refused", "nobody known")

    async def _edited(self, received: Received, inbound: Inbound) -> None:
        """An entry that waits is changed; a refused message is tried again as it is now; what is at work stays."""
        relay = self._relays[inbound.platform]
        before = await self._store.inbound_of(inbound.platform, inbound.place.chat, inbound.message)
        if before is None or (before.outcome == "refused" and before.run is None):
            await self._decide(received, replace(inbound, edited=False))
            return
        run = await self._store.run(before.run) if before.run is not None else None
        if run is None:
            await self._store.close_inbound(received.row, "ignored", "an edit of a message that became no prompt")
            return
        if run.state is RunState.QUEUED and not commands.is_command(inbound.text):
            await self._store.save_run(replace(run, prompt=inbound.text))
            said = view.entry_changed(run)
        else:
            said = view.too_late_to_change(run)
        await relay.reply(inbound, received.row, Reply(said))
        await self._store.close_inbound(received.row, "accepted", "an edit", run.id)

    async def _answers_question(self, inbound: Inbound) -> bool:
        """A reply to a request of the agent's is the answer to it."""
        if not inbound.reply_to or commands.is_command(inbound.text):
            return False
        press = await self._placing.answer(inbound)
        if press is None:
            return False
        reply = await self._reception.press(press)
        if not reply.ok:
            await self._relays[inbound.platform].send(inbound.place, reply.document)
        return True

    async def _concerns_us(self, inbound: Inbound) -> bool:
        """In a group's other threads kugetsu stays silent."""
        return inbound.addressed or inbound.direct or await self._store.session_at(inbound.place) is not None

    async def _answer_press(self, press: Press, reply: Reply) -> None:
        relay = self._relays.get(press.place.platform)
        if relay is None or not reply.document.markdown:
            return
        where = reply.place if reply.place and reply.place.platform == press.place.platform else press.place
        try:
            await relay.send(where, reply.document)
        except KugetsuError as error:
            self._complain(f"what a button did could not be said in {where}", error)

    def _see(self, received: Received) -> None:
        """The receipt: at once, before anything is worked out."""
        inbound = received.inbound
        known = self._people.role(inbound.person.id) > Role.NONE
        if known and inbound.message and not inbound.edited:
            self._beside.start(self._receipt(inbound), name=f"receipt {received.row}")

    async def _receipt(self, inbound: Inbound) -> None:
        try:
            if await self._concerns_us(inbound):
                self._relays[inbound.platform].mark(inbound.place, inbound.message, Mark.SEEN)
        except KugetsuError as error:
            self._complain("no receipt", error)

    async def _close_quietly(self, row: int, outcome: str, reason: str) -> None:
        try:
            await self._store.close_inbound(row, outcome, reason)
        except KugetsuError as error:
            self._complain(f"message {row} could not be closed", error)


def _belongs(first: Inbound, second: Inbound) -> bool:
    same = (first.person.id, first.place) == (second.person.id, second.place)
    return same and not second.edited and not commands.is_command(second.text)


def _joined(inbounds: Sequence[Inbound]) -> Inbound:
    """One message of several: texts one below the other, a paste without a break where it was cut."""
    first = inbounds[0]
    if len(inbounds) == 1:
        return first
    glue = "" if all(len(each.text) >= 3000 for each in inbounds[:-1]) else "\n"
    text = glue.join(each.text for each in inbounds if each.text)
    return replace(first, text=text, files=tuple(file for each in inbounds for file in each.files))
