"""Who may do what. Pure; default deny."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from core.model import LOCAL_PERSON, PersonId


class Role(enum.IntEnum):
    """Each role may all that the ones below it may."""

    NONE = 0
    VIEWER = 1
    DRIVER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Roster:
    """The configuration's `access`; whoever has the terminal is admin anyway."""

    admins: frozenset[PersonId] = frozenset()
    drivers: frozenset[PersonId] = frozenset()
    viewers: frozenset[PersonId] = frozenset()

    def role(self, person: PersonId) -> Role:
        """The highest one listed."""
        if person == LOCAL_PERSON or person in self.admins:
            return Role.ADMIN
        if person in self.drivers:
            return Role.DRIVER
        return Role.VIEWER if person in self.viewers else Role.NONE
