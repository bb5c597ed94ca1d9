"""One way to make things happen on each kind of forge, so that one suite asks all of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from adapters.forge import ForgeConfig
from core.model import IssueRef, ProjectRef
from tests.simulators import forges
from tests.simulators.forges import FakeForge, FakeIssue, FakePipeline, FakeRun
from tests.simulators.github_emulator import TOKENS, WEB, GitHubAccount, StrictGitHub


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

    async def branch(self, name: str) -> str:
        """Push one with a commit of its own, which is answered."""

    async def foreign(self, branch: str, title: str) -> None:
        """A request of ann's, from the branch of that name in her fork."""

    async def ran(self, commit: str, name: str, state: str, said: str = "") -> None:
        """`pending`, `passed` or `failed`."""

    def forbid(self) -> None:
        """The token may read only."""

    @property
    def asked(self) -> list[str]:
        """Method, path and query of each call of the adapter's."""


def config(lab: ForgeLab, *, token: bool = True) -> ForgeConfig:
    return ForgeConfig(lab.kind, lab.token if token else "", lab.url)


class GitHubLab:
    """On the real emulator."""

    kind = "github"
    token = next(token for token, login in TOKENS.items() if login == "me")

    def __init__(self, emulator: str, front: StrictGitHub, name: str) -> None:
        self.front = front
        self.url = front.url
        self.project = ProjectRef("github.test", "me", name)
        self._forked = False
        self._me = GitHubAccount(emulator, self.token)
        self._ann = GitHubAccount(emulator, next(token for token, login in TOKENS.items() if login == "ann"))

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

    async def branch(self, name: str) -> str:
        main = await self._me.call("GET", f"{self._path}/branches/main")
        parent = await self._me.call("GET", f"{self._path}/git/commits/{main['commit']['sha']}")
        made = await self._me.call(
            "POST",
            f"{self._path}/git/commits",
            message=f"Work on {name}",
            tree=parent["tree"]["sha"],
            parents=[parent["sha"]],
        )
        await self._me.call("POST", f"{self._path}/git/refs", ref=f"refs/heads/{name}", sha=made["sha"])
        return str(made["sha"])

    async def foreign(self, branch: str, title: str) -> None:
        if not self._forked:
            await self._ann.call("POST", f"{self._path}/forks")
            self._forked = True
        await self._ann.call("POST", f"{self._path}/pulls", title=title, head=f"ann:{branch}", base="main")

    async def ran(self, commit: str, name: str, state: str, said: str = "") -> None:
        ended = {"passed": "success", "failed": "failure"}.get(state)
        how = {"status": "completed", "conclusion": ended} if ended else {"status": "in_progress"}
        output = {"title": said[:200], "summary": said}
        url = forges.RUN_URL
        await self._me.call(
            "POST", f"{self._path}/check-runs", name=name, head_sha=commit, details_url=url, output=output, **how
        )

    def reported(self, commit: str, name: str, state: str, said: str = "") -> None:
        """The older way: a commit status."""
        status = {"context": name, "state": state, "description": said, "target_url": forges.RUN_URL}
        self.front.statuses.setdefault(commit, []).append(status)

    def forbid(self) -> None:
        self.front.read_only = True

    @property
    def asked(self) -> list[str]:
        return self.front.asked

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

    async def branch(self, name: str) -> str:
        return self.fake.branch(self._path, name)

    async def foreign(self, branch: str, title: str) -> None:
        number = self.fake.add(self._path, title, "", author="ann", assignee="", request=True)
        made = self.fake.repositories[self._path].find(number, request=True)
        assert made
        made.head, made.fork = branch, True

    async def ran(self, commit: str, name: str, state: str, said: str = "") -> None:
        if self.kind == "gitlab":
            word = {"pending": "running", "passed": "success", "failed": "failed"}[state]
            self.job(commit, FakeRun(name, word, said))
        else:
            word = {"pending": "pending", "passed": "success", "failed": "failure"}[state]
            self.repository.runs.setdefault(commit, []).append(FakeRun(name, word, said))

    def job(self, commit: str, run: FakeRun, ref: str = "work", number: int = 0) -> None:
        """In the pipeline of that number, by default the commit's first, whose state follows from its jobs."""
        number = number or int(commit[:6], 16)
        runs = self.repository.runs.setdefault(commit, [])
        run.pipeline = number
        runs.append(run)
        states = {r.state for r in runs if r.pipeline == number and not (r.may_fail and r.state == "failed")}
        state = next((s for s in ("running", "failed", "canceled") if s in states), "success")
        known = [p for p in self.repository.pipelines if p.number == number]
        if not known:
            known = [FakePipeline(number, commit, ref, state)]
            self.repository.pipelines += known
        known[0].state = state

    def forbid(self) -> None:
        self.fake.read_only = True

    @property
    def asked(self) -> list[str]:
        return self.fake.asked

    @property
    def repository(self) -> forges.FakeRepository:
        return self.fake.repositories[self._path]

    @property
    def _path(self) -> str:
        return f"{self.project.owner}/{self.project.repo}"
