"""The way in: inbox → command or prompt → reply. Every chat hands its events to this and to nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from core import commands, view
from core.access import Role
from core.asks import Asks
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import KugetsuError
from core.live import Complain
from core.model import AskId, Document, Inbound
from core.offers import Offers
from core.ports import Ask, Clock, Press, Reply, Store

Handler = Callable[[Command, Caller], Awaitable[Reply]]  # raises KugetsuError for what the person must be told


class Reception:
    """Implements `core.ports.Intake`."""

    def __init__(
        self,
        store: Store,
        callers: Callers,
        handlers: Mapping[str, Handler],
        say: Callable[[Caller], Awaitable[Reply]],
        asks: Asks,
        offers: Offers,
        clock: Clock,
        complain: Complain,
    ) -> None:
        self._store = store
        self._callers = callers
        self._handlers = dict(handlers)
        self._say = say
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
            reply = await self._decide(inbound)
            await self._store.close_inbound(row, "accepted" if reply.ok else "refused", reply.code)
        except KugetsuError as error:
            return refusal(error)
        return reply

    async def press(self, press: Press) -> Reply:
        """Decisions (`<ask id>:<reply>`) and offers."""
        try:
            line = await self._offers.line(press.button)
            if line is not None:
                said = Inbound(
                    press.place.platform, f"press {press.id}", press.place, press.person, line, self._clock.now()
                )
                return await self.receive(said)
            ask = await self._decided(press)
        except KugetsuError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001  as for messages
            return self._defect(f"button “{press.button[:80]}”", error)
        return Reply(view.decided(ask))

    async def _decided(self, press: Press) -> Ask:
        if self._callers.role(press.person) < Role.DRIVER:
            raise view.not_allowed(press.person, Role.DRIVER)
        ask_id, _, reply = press.button.rpartition(":")
        return await self._asks.press(AskId(ask_id), reply, press.text, press.person, press.place)

    async def _decide(self, inbound: Inbound) -> Reply:
        try:
            caller = await self._callers.of(inbound)
            if not commands.is_command(inbound.text):
                return await self._say(caller)
            return await self._perform(commands.parse(inbound.text, caller.context), caller)
        except KugetsuError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001  a defect must reach the sender and the log, not the platform's loop
            return self._defect(f"“{inbound.text[:80]}”", error)

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
