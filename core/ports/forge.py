"""The forges: what they know of issues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from core.model import (
    IssueRef,
    ProjectRef,
)

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote below an issue."""

    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, pull or merge request as its forge tells it. All of it is other people's text: untrusted."""

    ref: IssueRef
    title: str
    text: str
    author: str
    state: str  # open | closed | merged
    url: str
    comments: tuple[Comment, ...] = ()  # the last ones, oldest first
    comments_left_out: int = 0
    request: bool = False  # a pull or merge request


class Forge(Protocol):
    """One forge instance. Every method raises ForgeError; calls are bounded in time and size by the adapter."""

    async def issue(self, ref: IssueRef) -> Issue:
        """With its last comments. Raises ForgeNotFound for 404, and for private ones without a token."""

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        """Open issues of the project, last changed first, those assigned to the token's user before the others.

        Without comments.
        """
