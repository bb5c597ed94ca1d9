"""Who is known: the configuration's people, and those who were paired by a code in a direct message."""

from __future__ import annotations

import hmac
import secrets

from core.access import Role, Roster
from core.errors import NotAllowed, UsageError
from core.model import LOCAL_PERSON, Person, PersonId
from core.ports import Clock, Store

WRONG = 10  # codes tried in vain before none is taken any more until the next start


class People:
    """Roles by person. The first admin pairs with a code that only who runs the bot can read."""

    def __init__(self, store: Store, roster: Roster, clock: Clock) -> None:
        self._store = store
        self._roster = roster
        self._clock = clock
        self._paired: dict[PersonId, Role] = {}
        self._codes: dict[str, Person] = {}  # of people who asked to become known
        self._first = ""
        self._wrong = 0

    async def load(self) -> None:
        """Who was paired before."""
        self._paired = {person: Role[role.upper()] for person, role in (await self._store.roles()).items()}

    def role(self, person: PersonId) -> Role:
        """The highest one that was given."""
        return max(self._roster.role(person), self._paired.get(person, Role.NONE))

    @property
    def nobody(self) -> bool:
        """No admin is known besides the terminal: chats take nothing but the first code."""
        return not self._roster.admins and Role.ADMIN not in self._paired.values()

    def first_code(self) -> str:
        """What makes the first admin, until there is one; made up anew by each process."""
        if not self._first:
            self._first = secrets.token_hex(4)
        return self._first

    def code_for(self, person: Person) -> str:
        """By which an admin can make this person known; the same one until it is used."""
        known = next((code for code, other in self._codes.items() if other.id == person.id), None)
        if known is None:
            if len(self._codes) >= 1000:
                raise NotAllowed("Too many people wait to become known.", "Ask an admin.")
            known = secrets.token_hex(4)
            self._codes[known] = person
        return known

    async def pair(self, code: str, by: Person, role: Role) -> tuple[Person, Role]:
        """Make somebody known: the first admin by the printed code, others by an admin who names theirs.

        Raises UsageError for a wrong code, NotAllowed.
        """
        given = code.strip().lower()
        if self.nobody and by.id != LOCAL_PERSON:
            if self._wrong >= WRONG:
                raise NotAllowed("Too many wrong codes.", "Restart kugetsu: it prints a new one.")
            if not hmac.compare_digest(given.encode(), self.first_code().encode()):
                self._wrong += 1
                raise UsageError("That is not the code.", "`kugetsu run` prints it where it was started.")
            return await self._known(by, Role.ADMIN)
        if self.role(by.id) < Role.ADMIN:
            raise NotAllowed("Only an admin can make people known.", "`/whoami` tells you what to ask one for.")
        person = self._codes.pop(given, None)
        if person is None:
            raise UsageError("Nobody waits with that code.", "They get theirs by `/whoami` in a direct message.")
        return await self._known(person, role)

    async def _known(self, person: Person, role: Role) -> tuple[Person, Role]:
        await self._store.save_role(person, role.name.lower())
        self._paired[person.id] = role
        return person, role
