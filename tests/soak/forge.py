"""The forge beside a bot in scenarios: a bare repository that is really pushed to, and a strict Gitea that shows it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.simulators.forges import TOKEN, FakeGitea, FakeRun
from tests.simulators.opencode_home import git_project

CHECKS = {"passed": "success", "failed": "failure", "pending": "pending"}  # in a scenario's words


class PushedForge(FakeGitea):
    """Its branches are those of the repository at `remote`; whatever is pushed gets the checks that `verdict` says."""

    def __init__(self, path: str, remote: Path) -> None:
        super().__init__()
        self.path = path
        self.remote = remote
        self._verdict: list[FakeRun] = []
        self.add_repository(path)

    def settings(self) -> dict[str, Any]:
        """The forge's entry below `forges:`."""
        return {"kind": "gitea", "token": TOKEN, "api_base": f"{self.url}/api/v1"}

    def verdict(self, state: str, name: str, said: str = "") -> None:
        """What is said from now on of each commit that nothing was said of before."""
        self._verdict = [FakeRun(name, CHECKS[state], said)]

    def forget(self) -> None:
        """What an earlier scenario left."""
        self._verdict = []
        repository = self.repositories[self.path]
        repository.issues = [issue for issue in repository.issues if not issue.request]

    def merge(self) -> None:
        """The newest request that is open."""
        requests = [issue for issue in self.repositories[self.path].issues if issue.request and issue.state == "open"]
        requests[-1].state = "merged"
        requests[-1].updated = self.tick()

    def requests(self) -> list[str]:
        """Title and text of each, oldest first."""
        issues = self.repositories[self.path].issues
        return [f"{issue.title}\n{issue.text}" for issue in issues if issue.request]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        repository = self.repositories[self.path]
        listed = await _git(self.remote, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")
        repository.branches = {name: commit for commit, name in (line.split(" ", 1) for line in listed.splitlines())}
        for commit in repository.branches.values():
            if self._verdict:
                repository.runs.setdefault(commit, self._verdict)
        return await super()._handle(request)


def project_with_remote(path: Path, remote: Path) -> Path:
    """A project whose `origin` is a bare repository, with `main` in it."""
    project = git_project(path)
    add_remote(project, remote)
    return project


def add_remote(project: Path, remote: Path) -> None:
    """Make a bare repository the project's `origin`, and push `main` there."""
    for words in (
        ("init", "-q", "--bare", "-b", "main", str(remote)),
        ("remote", "add", "origin", remote.as_uri()),
        ("push", "-q", "origin", "main"),
        ("config", "user.name", "Test"),
        ("config", "user.email", "test@example.org"),
    ):
        run_git(project, *words)


def run_git(folder: Path, *words: str) -> None:
    """Raises CalledProcessError."""
    subprocess.run(["git", *words], cwd=folder, check=True, timeout=20, capture_output=True)


async def _git(folder: Path, *words: str) -> str:
    process = await asyncio.create_subprocess_exec("git", *words, cwd=folder, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    return out.decode()
