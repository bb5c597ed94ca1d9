"""One way to make things happen on each kind of forge, so that one suite asks all of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from adapters.forge import ForgeConfig
from core.model import IssueRef, ProjectRef
from tests.simulators import forges
from tests.simulators.forges import FakeForge, FakeIssue
from tests.simulators.github_emulator import TOKENS, WEB, GitHubAccount


class ForgeLab(Protocol):
    """A forge with one repository of the test's own. People there: `me`, whose token we have, and `ann`."""

    kind: str
    token: str
    url: str  # of the interface
    project: ProjectRef

    async def issue(self, title: str, text: str | None = "", *, assignee: str = "") -> IssueRef:
        """Written by ann."""

    async def request(self, title: str, text: str | None = "") -> IssueRef:
        """Written by ann."""

    async def comment(self, ref: IssueRef, text: str) -> None:
        """Written by ann."""

    async def close(self, ref: IssueRef) -> None: ...

    async def merge(self, ref: IssueRef) -> None: ...

    def wait(self, **time: float) -> None:
        """Let time go by, where the forge's is not the real one."""

    async def hide(self) -> None:
        """Make another repository, a private one, with one issue, and go on with it."""

    def web(self, ref: IssueRef) -> str:
        """Where people read it."""


def config(lab: ForgeLab, *, token: bool = True) -> ForgeConfig:
    return ForgeConfig(lab.kind, lab.token if token else "", lab.url)


class GitHubLab:
    """On the real emulator."""

    kind = "github"
    token = next(token for token, login in TOKENS.items() if login == "me")

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.project = ProjectRef("github.test", "me", name)
        self._me = GitHubAccount(url, self.token)
        self._ann = GitHubAccount(url, next(token for token, login in TOKENS.items() if login == "ann"))

    async def open(self, *, private: bool = False) -> None:
        await self._me.call("POST", "user/repos", name=self.project.repo, private=private, auto_init=True)
        await self._me.call("PUT", f"{self._path}/collaborators/ann", permission="push")

    async def issue(self, title: str, text: str | None = "", *, assignee: str = "") -> IssueRef:
        await asyncio.sleep(0.002)  # the emulator's clock, in milliseconds, is what orders issues
        assignees = [assignee] if assignee else []
        made = await self._ann.call("POST", f"{self._path}/issues", title=title, body=text, assignees=assignees)
        return IssueRef(self.project, made["number"])

    async def request(self, title: str, text: str | None = "") -> IssueRef:
        made = await self._ann.call("POST", f"{self._path}/pulls", title=title, body=text, head="work", base="main")
        return IssueRef(self.project, made["number"])

    async def comment(self, ref: IssueRef, text: str) -> None:
        await asyncio.sleep(0.002)
        await self._ann.call("POST", f"{self._path}/issues/{ref.number}/comments", body=text)

    async def close(self, ref: IssueRef) -> None:
        await self._me.call("PATCH", f"{self._path}/issues/{ref.number}", state="closed")

    async def merge(self, ref: IssueRef) -> None:
        await self._me.call("PUT", f"{self._path}/pulls/{ref.number}/merge")

    def wait(self, **time: float) -> None:
        pass  # GitHub sorts: nothing depends on how long ago it was

    async def hide(self) -> None:
        self.project = ProjectRef("github.test", "me", f"{self.project.repo}-private")
        await self.open(private=True)
        await self.issue("hidden")

    def web(self, ref: IssueRef) -> str:
        return f"{WEB}/{ref.project.owner}/{ref.project.repo}/issues/{ref.number}"

    @property
    def _path(self) -> str:
        return f"repos/{self.project.owner}/{self.project.repo}"


class FakeLab:
    """On one of our fakes."""

    token = forges.TOKEN

    def __init__(self, kind: str, fake: FakeForge) -> None:
        self.kind = kind
        self.fake = fake
        self.project = ProjectRef("forge.test", "group/sub" if kind == "gitlab" else "me", "work")
        fake.add_repository(self._path)

    @property
    def url(self) -> str:
        return f"{self.fake.url}/api/{'v4' if self.kind == 'gitlab' else 'v1'}"

    def found(self, ref: IssueRef) -> FakeIssue:
        found = self.fake.repositories[self._path].find(
            ref.number, request=ref.merge_request if self.fake.separate_numbers else None
        )
        assert found
        return found

    async def issue(self, title: str, text: str | None = "", *, assignee: str = "") -> IssueRef:
        return IssueRef(
            self.project,
            self.fake.add(self._path, title, text, author="ann", assignee=assignee, request=False),
        )

    async def request(self, title: str, text: str | None = "") -> IssueRef:
        number = self.fake.add(self._path, title, text, author="ann", assignee="", request=True)
        return IssueRef(self.project, number, merge_request=self.kind == "gitlab")

    async def comment(self, ref: IssueRef, text: str) -> None:
        self.fake.comment(self.found(ref), "ann", text)

    async def close(self, ref: IssueRef) -> None:
        self.found(ref).state = "closed"
        self.found(ref).updated = self.fake.tick()

    async def merge(self, ref: IssueRef) -> None:
        self.found(ref).state = "merged"

    async def hide(self) -> None:
        self.project = ProjectRef("forge.test", self.project.owner, "private")
        self.fake.add_repository(self._path, private=True)
        await self.issue("hidden")

    def web(self, ref: IssueRef) -> str:
        middle = "/-" if self.kind == "gitlab" else ""
        return f"{self.fake.web_base}/{self._path}{middle}/issues/{ref.number}"

    def wait(self, **time: float) -> None:
        self.fake.tick(timedelta(**time))

    @property
    def _path(self) -> str:
        return f"{self.project.owner}/{self.project.repo}"
