"""The way in: inbox → command or prompt → reply. Every chat hands its events to this and to nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from core import commands, view
from core.access import Role
from core.asks import Asks
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import KugetsuError, NotFound
from core.live import Complain
from core.model import AskId, Attachment, Document, Inbound, RunId, SessionKey
from core.offers import Offers
from core.ports import Ask, Clock, Press, Reply, Store, source_of

# Buttons that stand below the end of every run: what they say is made when they are pressed.
_LOOKS = {"details": "/details --run {number} {key}", "diff": "/diff --run {number} {key}"}

Handler = Callable[[Command, Caller], Awaitable[Reply]]  # raises KugetsuError for what the person must be told


class Reception:
    """Implements `core.ports.Intake`."""

    def __init__(
        self,
        store: Store,
        callers: Callers,
        handlers: Mapping[str, Handler],
        say: Callable[[Caller], Awaitable[Reply]],
        stop: Callable[[RunId], Awaitable[SessionKey | None]],
        asks: Asks,
        offers: Offers,
        clock: Clock,
        complain: Complain,
    ) -> None:
        self._store = store
        self._callers = callers
        self._handlers = dict(handlers)
        self._say = say
        self._stop = stop
        self._asks = asks
        self._offers = offers
        self._clock = clock
        self._complain = complain

    async def receive(self, inbound: Inbound) -> Reply:
        """On disk first, then decided. A replayed event gets an empty reply and changes nothing."""
        try:
            row = await self._store.receive(inbound)
            if row is None:
                return Reply(Document(""))
            reply = await self.decide(row, inbound)
            await self.close(row, reply)
        except KugetsuError as error:
            return refusal(error)
        return reply

    async def decide(self, row: int, inbound: Inbound, attachments: tuple[Attachment, ...] = ()) -> Reply:
        """What a row of the inbox means. Where a process died over it, what it had made already is found again."""
        try:
            made = await self._store.run_of_source(source_of(row))
            if made:
                return Reply(Document(""), place=made.place, run=made.id)
            caller = await self._callers.of(inbound, row, attachments)
            if not commands.is_command(inbound.text):
                return await self._say(caller)
            return await self._perform(commands.parse(inbound.text, caller.context), caller)
        except KugetsuError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001  a defect must reach the sender and the log, not the platform's loop
            return self._defect(f"“{inbound.text[:80]}”", error)

    async def close(self, row: int, reply: Reply, parts: Sequence[int] = ()) -> None:
        """Note what became of it, and of `parts` that were decided with it. Raises StoreError."""
        reason = "" if reply.ok else f"{reply.code}: {reply.document.markdown}"
        await self._store.close_inbound(row, "accepted" if reply.ok else "refused", reason, reply.run, parts)

    async def press(self, press: Press) -> Reply:
        """Decisions (`<ask id>:<reply>`), offers, and what stands below a live message."""
        try:
            kind, _, number = press.button.partition(":")
            if kind in {"stop", "wait"} and number.isdecimal():
                return await self._about_run(kind, RunId(int(number)), press)
            about = _LOOKS.get(kind) if number.isdecimal() else None
            line = await self._look(about, RunId(int(number))) if about else await self._offers.line(press.button)
            if line is not None:
                said = Inbound(
                    press.place.platform,
                    f"press {press.id}",
                    press.place,
                    press.person,
                    line,
                    self._clock.now(),
                    reply_to=press.message,
                )
                return await self.receive(said)
            ask = await self._decided(press)
        except KugetsuError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001  as for messages
            return self._defect(f"button “{press.button[:80]}”", error)
        return Reply(view.decided(ask), passing=True)

    async def _about_run(self, kind: str, run: RunId, press: Press) -> Reply:
        self._must_drive(press)
        if kind == "wait":
            return Reply(view.waits(), passing=True)
        stopped = await self._stop(run)
        if stopped is None:
            raise NotFound("That run is not going any more.", "")
        await self._store.audit(press.person.id, "stop", stopped.key, press.place, f"run {run}")
        return Reply(view.stopping(stopped), passing=True)

    async def _look(self, line: str, run: RunId) -> str:
        """What a button below the end of a run's message says. Raises NotFound."""
        found = await self._store.run(run)
        if found is None:
            raise NotFound("That run is not known any more.")
        return line.format(number=found.number, key=found.session)

    def _must_drive(self, press: Press) -> None:
        if self._callers.role(press.person) < Role.DRIVER:
            raise view.not_allowed(press.person, Role.DRIVER)

    async def _decided(self, press: Press) -> Ask:
        self._must_drive(press)
        ask_id, _, reply = press.button.rpartition(":")
        return await self._asks.press(AskId(ask_id), reply, press.text, press.person, press.place)

    async def _perform(self, command: Command, caller: Caller) -> Reply:
        if caller.role < command.spec.role:
            raise view.not_allowed(caller.inbound.person, command.spec.role)
        return await self._handlers[command.spec.name](command, caller)

    def _defect(self, what: str, error: Exception) -> Reply:
        self._complain(f"{what} could not be handled", error)
        return Reply(view.internal_error(), ok=False, code="internal")


def refusal(error: KugetsuError) -> Reply:
    """What failed and what to do next, as a reply."""
    return Reply(view.error(error), ok=False, code=error.code)
