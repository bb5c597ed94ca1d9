"""What people wrote into index.json and sessions/*.json: what kugetsu did not write there itself, as typed values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from core.model import ProjectRef, SessionId, SessionKey


@dataclass(frozen=True, slots=True)
class FoundSession:
    """An opencode session named for an issue. `edited`: kugetsu had written another one there."""

    file: str  # below the state directory, as in all of these
    key: SessionKey
    agent_id: SessionId
    title: str = ""
    parent: SessionId | None = None  # what it was forked from
    edited: bool = False


@dataclass(frozen=True, slots=True)
class FoundBase:
    """An opencode session named as a base; the research's form has one, without saying for which project."""

    file: str
    project: ProjectRef | None
    agent_id: SessionId
    ready: bool = True
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Retitled:
    """A session was given another title."""

    file: str
    key: SessionKey
    title: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that kugetsu wrote is not there, or (`entry`) what it says of `subject` is not."""

    file: str
    subject: SessionKey | ProjectRef | None
    entry: bool = False


@dataclass(frozen=True, slots=True)
class Untaken:
    """Something in a file that cannot be understood, or is not to be changed there."""

    file: str
    why: str


Edit = FoundSession | FoundBase | Retitled | Missing | Untaken


class EditedFiles(Protocol):
    """The files beside the database, looked at before they are written again."""

    async def look(self) -> list[Edit]:
        """What differs from what was last written there. Unreadable files are part of the answer."""

    async def settle(self, untaken: Collection[str], held: Collection[str]) -> None:
        """Let the files be written again after `look`.

        Of those in `untaken` a copy is kept. Those in `held` stay as they are until the next `settle`.
        """
