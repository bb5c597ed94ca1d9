"""A forge in memory."""

from __future__ import annotations

import itertools
from dataclasses import replace

from core.errors import ForgeNotFound, PullRequestExists
from core.model import IssueRef, ProjectRef
from core.ports import Checks, Issue, PullRequest


class FakeForge:
    """A `core.ports.Forge`. Every branch is at `head`; tests say what is merged and what checks tell."""

    def __init__(self) -> None:
        self._numbers = itertools.count(7)
        self.requests: dict[str, PullRequest] = {}  # by branch, the newest
        self.texts: list[str] = []
        self.head = "c1"
        self.told: dict[str, Checks] = {}  # by commit
        self.asked: list[str] = []
        self.raising: dict[str, Exception] = {}  # by method, every time until it is taken out

    async def issue(self, ref: IssueRef) -> Issue:
        raise ForgeNotFound(f"There is no {ref}.")

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        return []

    async def pull_request(self, project: ProjectRef, branch: str) -> PullRequest | None:
        self._pass("pull_request")
        found = self.requests.get(branch)
        return replace(found, head=self.head) if found else None

    async def open_pull_request(
        self, project: ProjectRef, branch: str, base: str, title: str, text: str, *, draft: bool = False
    ) -> PullRequest:
        self._pass("open_pull_request")
        if branch in self.requests and self.requests[branch].state == "open":
            raise PullRequestExists(f"{branch} has one.")
        ref = IssueRef(project, next(self._numbers))
        title = f"Draft: {title}" if draft else title
        self.requests[branch] = PullRequest(ref, title, f"https://forge.test/{ref.number}", "open", self.head)
        self.texts.append(text)
        return self.requests[branch]

    async def checks(self, project: ProjectRef, commit: str) -> Checks:
        self._pass("checks")
        return self.told.get(commit, Checks("none"))

    def end(self, branch: str, state: str) -> None:
        """Somebody merged or closed it."""
        self.requests[branch] = replace(self.requests[branch], state=state)

    def _pass(self, method: str) -> None:
        self.asked.append(method)
        if method in self.raising:
            raise self.raising[method]
