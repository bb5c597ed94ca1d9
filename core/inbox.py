"""What messengers deliver: committed first, then worked through chat by chat, in order, each message once.

    take ─▶ inbox row ─▶ (joined, or held and asked about) ─▶ placed ─▶ decided ─▶ reply on its way ─▶ row closed

What makes prompts keeps its order chat by chat; other commands never wait behind it, nor hold it up. A process that
dies anywhere in between leaves the row open; the next one goes on with it. What the row had made by then (a run, a
session, a reply) carries its number and is made once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from core import commands, delivery, view, view_chat
from core.access import Role
from core.arrivals import Arrivals
from core.backlog import HELD, Backlog
from core.delivery import BacklogPolicy
from core.errors import KugetsuError, StoreError
from core.intake import Reception, refusal
from core.live import Complain
from core.messages import Mark
from core.model import Attachment, Inbound, Place, Run, RunState
from core.people import People
from core.placing import Placing
from core.ports import Clock, Press, Received, Reply, Store, source_of
from core.relay import Relay
from core.tasks import Beside

AGAIN = 5.0  # seconds until a message that could not be recorded is tried again
LEAVING = 3.0  # seconds that what is being decided gets to come to its end when the bot is stopped
SLACK = timedelta(seconds=1)  # platforms count a message's time in whole seconds
IGNORED = "not for kugetsu: no command, reply or mention"


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
        self._clock = clock
        self._fault = fault
        self._complain = complain
        self._lines: defaultdict[tuple[str, str], _Line] = defaultdict(_Line)
        self._left: set[int] = set()  # rows that a dead process may have been at
        self._out_of_line: set[asyncio.Task[None]] = set()
        self._beside = Beside()
        self._backlog = Backlog(
            store, relays, placing, people, policy, clock, fault, complain, see=self._see, go=self._enqueue
        )
        self._closed = False

    async def open(self, platform: str) -> None:
        """Before the first `take` of a platform: what a process that died left undecided is taken up."""
        left = await self._store.open_inbound(platform)
        self._left |= {received.row for received in left}
        self._backlog.open(platform, left)
        self._beside.start(self._backlog.stop_waiting(platform), name=f"catching up {platform}")

    async def close(self) -> None:
        """Take nothing more up; what is under way comes to its end, or is the next process's."""
        self._closed = True
        tasks = self._under_way()
        if tasks:
            await asyncio.wait(tasks, timeout=LEAVING)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._beside.close()

    async def quiet(self) -> None:
        """Wait until all that came is decided."""
        while tasks := self._under_way():
            await asyncio.wait(tasks)

    def _under_way(self) -> list[asyncio.Task[None]]:
        return [*self._out_of_line, *(line.worker for line in self._lines.values() if line.worker)]

    # ── Mail ───────────────────────────────────────────────────────────────────────────────────

    async def take(self, inbounds: Sequence[Inbound], *, more: bool = False) -> None:
        """See core.messages.Mail. Raises StoreError: then nothing of it is committed."""
        received = await self._store.receive_all(inbounds)
        self._fault("messages received")
        for each in received:
            if not self._backlog.take(each):
                self._see(each)
                self._enqueue(each)
        if not more:
            await self._backlog.caught_up({inbound.platform for inbound in inbounds})

    async def press(self, press: Press) -> Reply:
        """See core.messages.Mail."""
        if self._closed:
            return refusal(view_chat.leaving())
        kind, _, rest = press.button.partition(":")
        if kind == HELD:
            return await self._backlog.decide(rest, press)
        placed = await self._placing.press(press)
        reply = await self._reception.press(placed)
        if not reply.passing:
            await self._answer_press(placed, reply)
        return reply

    async def moved(self, platform: str, chat: str, to: str) -> None:
        """See core.messages.Mail."""
        if relay := self._relays.get(platform):
            await relay.moved(chat, to)

    async def lost(self, place: Place, why: str) -> None:
        """See core.messages.Mail. Sessions stay; they are shown where else they are attached."""
        self._complain(f"{place} is lost: {why}", KugetsuError(why))

    async def remind(self, platform: str) -> None:
        """See Backlog."""
        await self._backlog.remind(platform)

    # ── one chat ───────────────────────────────────────────────────────────────────────────────

    def _enqueue(self, received: Received) -> None:
        if self._closed:
            return  # the row is open: the next process takes it up
        if not _in_order(received.inbound):
            task = asyncio.create_task(self._alone(received), name=f"message {received.row}")
            self._out_of_line.add(task)
            task.add_done_callback(self._out_of_line.discard)
            return
        key = (received.inbound.platform, received.inbound.place.chat)
        line = self._lines[key]
        line.waiting.append(received)
        line.came.set()
        if line.worker is None:
            line.worker = asyncio.create_task(self._work(key, line), name=f"inbox {key}")

    async def _alone(self, received: Received) -> None:
        while not await self._handled([received]):
            await self._clock.sleep(AGAIN)

    async def _work(self, key: tuple[str, str], line: _Line) -> None:
        try:
            while line.waiting and not self._closed:
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
        while (following := await self._following(line, together[-1])) is not None:
            line.waiting.remove(following)
            together.append(following)
        return together

    async def _following(self, line: _Line, before: Received) -> Received | None:
        """What belongs to `before`, once it is there; None when nothing came in time."""
        waits = timedelta(seconds=before.inbound.joins) - (self._clock.now() - before.at)
        timer = (
            asyncio.create_task(self._clock.sleep(max(waits.total_seconds(), 0.0))) if before.inbound.joins else None
        )
        try:
            while timer and not self._closed:
                if found := next((each for each in line.waiting if _belongs(before, each)), None):
                    return found
                if timer.done():
                    return None
                line.came.clear()
                came = asyncio.create_task(line.came.wait())
                await asyncio.wait([came, timer], return_when=asyncio.FIRST_COMPLETED)
                came.cancel()
            return None
        finally:
            if timer:
                timer.cancel()

    async def _handled(self, together: list[Received]) -> bool:
        """False when that could not be recorded."""
        try:
            await self._handle(together)
        except StoreError as error:
            self._complain("a message could not be worked on; trying again", error)
            return False
        except Exception as error:  # noqa: BLE001  one message must not block those behind it
            self._complain(f"message {together[0].row} could not be worked on", error)
            await self._failed(together)
        return True

    async def _failed(self, together: list[Received]) -> None:
        first = together[0]
        reply = Reply(view.internal_error(), ok=False, code="internal")
        try:
            await self._store.close_inbound(
                first.row, "failed", "kugetsu itself failed; its log says more", None, _rows(together[1:])
            )
            if self._people.role(first.inbound.person.id) > Role.NONE:
                await self._relays[first.inbound.platform].reply(first.inbound, first.row, reply)
        except Exception as error:  # noqa: BLE001  as above
            self._complain(f"that message {first.row} failed could not be said", error)

    async def _handle(self, together: list[Received]) -> None:
        first, parts = together[0], _rows(together[1:])
        inbound = await self._placing.of(_joined([received.inbound for received in together]))
        close = self._store.close_inbound
        if first.row in self._left and await self._store.post(f"in:{first.row}:0:0"):
            # Its reply is on its way: it was decided.
            made = await self._store.run_of_source(source_of(first.row))
            await close(first.row, "accepted", "", made.id if made else None, parts)
        elif self._people.role(inbound.person.id) is Role.NONE:
            await self._stranger(first, inbound, parts)
        elif inbound.edited:
            await self._edited(first, inbound)
        elif not await self._placing.concerns_us(inbound):
            await close(first.row, "ignored", IGNORED, None, parts)
        elif await self._answers_question(first, inbound):
            await close(first.row, "accepted", "the answer to a question", None, parts)
        else:
            await self._decide(first, inbound, parts)

    async def _decide(self, received: Received, inbound: Inbound, parts: Sequence[int] = ()) -> Reply:
        relay, row = self._relays[inbound.platform], received.row
        attachments: tuple[Attachment, ...] = ()
        try:
            text, attachments, notes = await self._arrivals.of(relay.messenger, inbound, row)
            for number, note in enumerate(notes):
                await relay.note(inbound.place, note, f"in:{row}:note{number}")
            inbound = replace(inbound, text=text)
            line = await self._placing.deep_link(inbound)
            reply = await self._reception.decide(row, replace(inbound, text=line), attachments)
        except StoreError:
            raise
        except KugetsuError as error:
            reply = refusal(error)
        self._fault("message decided")
        await relay.reply(inbound, row, reply)
        self._fault("reply recorded")
        await self._reception.close(row, reply, parts)
        self._fault("message closed")
        asks_back = reply.data is not None or bool(reply.document.buttons)  # what to choose from is no failure
        if inbound.message and reply.run is None and (reply.ok or not asks_back):
            relay.mark(inbound.place, inbound.message, Mark.DONE if reply.ok else Mark.FAILED)
        return reply

    async def _stranger(self, received: Received, inbound: Inbound, parts: Sequence[int]) -> None:
        reply = await self._strangers.answer(inbound)
        if reply is not None:
            await self._relays[inbound.platform].reply(inbound, received.row, reply)
        outcome = "ignored" if reply is None else "accepted" if reply.ok else "refused"
        await self._store.close_inbound(received.row, outcome, f"{inbound.person.id} is not known here", None, parts)

    async def _edited(self, received: Received, inbound: Inbound) -> None:
        """An entry that waits is changed; a refused message is tried again as it is now; what is at work stays."""
        relay = self._relays[inbound.platform]
        before = await self._store.inbound_of(inbound.platform, inbound.place.chat, inbound.message)
        if before is None or (before.run is None and before.outcome in {"refused", "failed", "ignored"}):
            if not await self._placing.concerns_us(inbound):
                await self._store.close_inbound(received.row, "ignored", IGNORED)
                return
            reply = await self._decide(received, replace(inbound, edited=False))
            if before and reply.ok:  # the next edit changes what this one made
                await self._store.close_inbound(before.row, "accepted", "after an edit", reply.run)
            return
        if before.held:
            await self._store.hold_inbound([received.row], before.held)
            return
        run = await self._store.run(before.run) if before.run is not None else None
        if run is None:
            await self._store.close_inbound(received.row, "ignored", "an edit of a message that became no prompt")
            return
        changed = not commands.is_command(inbound.text) and await self._changed(run, before.inbound, inbound)
        said = view_chat.entry_changed(run) if changed else view_chat.too_late_to_change(run)
        await relay.reply(inbound, received.row, Reply(said))
        await self._store.close_inbound(received.row, "accepted", "an edit", run.id)

    async def _changed(self, run: Run, before: Inbound, after: Inbound) -> bool:
        """Whether the run still waited, and so has the new text now. Of a joined message, only its part changes."""
        old, new = before.text.strip(), after.text.strip()

        def change(now: Run) -> Run:
            if now.state is not RunState.QUEUED:
                return now
            text = now.prompt.replace(old, new, 1) if old and old in now.prompt else new
            return replace(now, prompt=text.strip() or view.ONLY_FILES)

        now = await self._store.change_run(run.id, change)
        return now is not None and now.state is RunState.QUEUED

    async def _answers_question(self, received: Received, inbound: Inbound) -> bool:
        """A reply to a request of the agent's is the answer to it."""
        if not inbound.reply_to or commands.is_command(inbound.text):
            return False
        press = await self._placing.answer(inbound)
        if press is None:
            return received.row in self._left and await self._placing.has_answered(inbound)
        reply = await self._reception.press(press)
        if not reply.ok:
            await self._relays[inbound.platform].reply(inbound, received.row, reply)
        self._relays[inbound.platform].mark(inbound.place, inbound.message, Mark.DONE if reply.ok else Mark.FAILED)
        return True

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
        if not inbound.message or inbound.edited or self._people.role(inbound.person.id) is Role.NONE:
            return
        if inbound.addressed or inbound.direct:
            self._relays[inbound.platform].mark(inbound.place, inbound.message, Mark.SEEN)
        else:
            self._beside.start(self._see_in_thread(inbound))

    async def _see_in_thread(self, inbound: Inbound) -> None:
        try:
            if await self._store.session_at(inbound.place):
                self._relays[inbound.platform].mark(inbound.place, inbound.message, Mark.SEEN)
        except StoreError as error:
            self._complain(f"no receipt in {inbound.place}", error)


def _in_order(inbound: Inbound) -> bool:
    """Prompts, what makes them, and what says where they go."""
    if inbound.edited or not commands.is_command(inbound.text):
        return True
    spec = commands.named(inbound.text)
    return spec is not None and spec.in_order


def _rows(messages: Sequence[Received]) -> list[int]:
    return [received.row for received in messages]


def _belongs(before: Received, after: Received) -> bool:
    """By what is stored, so that a process that takes them up again finds the same."""
    first, second = before.inbound, after.inbound
    joins = timedelta(seconds=first.joins)
    return (
        (first.person.id, first.place) == (second.person.id, second.place)
        and not second.edited
        and not commands.is_command(second.text)
        and after.at - before.at <= joins
        and second.at - first.at <= joins + SLACK
    )


def _joined(inbounds: Sequence[Inbound]) -> Inbound:
    """One message of several: texts one below the other, a paste without a break where it was cut."""
    first = inbounds[0]
    if len(inbounds) == 1:
        return first
    glue = "" if all(len(each.text) >= 3000 for each in inbounds[:-1]) else "\n"
    text = glue.join(each.text for each in inbounds if each.text)
    return replace(first, text=text, files=tuple(file for each in inbounds for file in each.files))
