"""How people become known: a code in a direct message. Nobody else is answered, and they only once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core import commands, view_chat
from core.access import Role
from core.callers import Caller
from core.commands import Command
from core.errors import KugetsuError, NotAllowed, UsageError
from core.intake import refusal
from core.model import Document, Inbound, PersonId
from core.people import People
from core.ports import Reply, Store
from core.refs import RefContext

ROLES = {"viewer": Role.VIEWER, "driver": Role.DRIVER, "admin": Role.ADMIN}


class Strangers:
    """Answers those without a role, and has the command that gives them one."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people
        self._told: set[PersonId] = set()
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"pair": self._pair}

    async def answer(self, inbound: Inbound) -> Reply | None:
        """See core.inbox.Strangers. In direct messages only; while there is no admin, nothing but the first code."""
        if not inbound.direct or inbound.edited:
            return None
        asked = commands.named(inbound.text)
        name = asked.name if asked else ""
        if name == "pair":
            try:
                return await self._paired(inbound, Role.VIEWER, inbound.text)
            except KugetsuError as error:
                return refusal(error)
        if self._people.nobody:
            return None
        if name == "whoami":
            key = PersonId(f"{inbound.person.id} code")
            return self._once(key, lambda: Reply(self._code(inbound)))
        return self._once(
            inbound.person.id, lambda: Reply(view_chat.stranger(inbound.person), ok=False, code=NotAllowed.code)
        )

    def _once(self, key: PersonId, reply: Callable[[], Reply]) -> Reply | None:
        if key in self._told or len(self._told) > 10_000:
            return None
        self._told.add(key)
        return reply()

    def _code(self, inbound: Inbound) -> Document:
        return view_chat.stranger_code(inbound.person, self._people.code_for(inbound.person))

    async def _paired(self, inbound: Inbound, role: Role, text: str) -> Reply:
        command = commands.parse(text, RefContext("", None))
        person, given = await self._people.pair(command.message, inbound.person, role)
        await self._store.audit(inbound.person.id, f"pair {given.name.lower()}", person.id, inbound.place)
        return Reply(view_chat.paired(person, given))

    async def _pair(self, command: Command, caller: Caller) -> Reply:
        role = ROLES.get(command.option("role") or "viewer")
        if role is None:
            raise UsageError(f"There is no role `{command.option('role')[:20]}`.", "viewer, driver or admin.")
        return await self._paired(caller.inbound, role, caller.inbound.text)
