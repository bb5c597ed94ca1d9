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


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request of a branch of ours."""

    ref: IssueRef  # with GitLab, of the number space of merge requests
    title: str
    url: str
    state: str  # open | closed | merged
    head: str  # commit id its branch is at, as the forge knows it


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that ran on a commit, and failed."""

    name: str
    url: str = ""
    summary: str = ""  # what it says itself: other people's text, cut to a few thousand characters


@dataclass(frozen=True, slots=True)
class Checks:
    """What became of all that ran on a commit."""

    state: str  # none | pending | passed | failed; failed only when nothing is pending any more
    total: int = 0
    failed: tuple[Check, ...] = ()


class Forge(Protocol):
    """One forge instance. Every method raises ForgeError; calls are bounded in time and size by the adapter."""

    async def issue(self, ref: IssueRef) -> Issue:
        """With its last comments. Raises ForgeNotFound for 404, and for private ones without a token."""

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        """Open issues of the project, last changed first, those assigned to the token's user before the others.

        Without comments.
        """

    async def pull_request(self, project: ProjectRef, branch: str) -> PullRequest | None:
        """The newest one from that branch of the project itself, open ones before others."""

    async def open_pull_request(
        self, project: ProjectRef, branch: str, base: str, title: str, text: str, *, draft: bool = False
    ) -> PullRequest:
        """Ask for `branch` to be merged into `base`. Raises PullRequestExists when there is an open one."""

    async def checks(self, project: ProjectRef, commit: str) -> Checks:
        """What continuous integration says about a commit, of all ways the forge has to say it."""
