"""A real repository, a real git, and the workspace under contract."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.git import GitWorkspace
from core.model import Project, ProjectRef


class Checkout:
    """A directory with git in it, as a user or an agent would handle it."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        self.path = path
        self.env = env

    def git(self, *arguments: str, ok: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not ok, done.stderr
        return done.stdout.strip()

    def write(self, name: str, content: str = "content\n") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def commit(self, name: str = "file", content: str = "content\n") -> str:
        self.write(name, content)
        self.git("add", "--", name)
        self.git("commit", "-qm", name)
        return self.git("rev-parse", "HEAD")

    def status(self) -> list[str]:
        return [line for line in self.git("status", "--porcelain").splitlines() if line]

    def branches(self) -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split())

    def at(self, path: Path) -> "Checkout":
        return Checkout(path, self.env)


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "User",
        "GIT_AUTHOR_EMAIL": "user@example.org",
        "GIT_COMMITTER_NAME": "User",
        "GIT_COMMITTER_EMAIL": "user@example.org",
    }


@pytest.fixture
def env(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return environment(home)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """What every test starts from, made once: copying is much faster than four runs of git."""
    path = tmp_path_factory.mktemp("template")
    checkout = Checkout(path, environment(path))
    checkout.git("init", "-q", "--template=", "-b", "main")
    checkout.commit()
    return path


@pytest.fixture
def repo(tmp_path, env, template):
    """A checkout on `main` with one commit."""
    return Checkout(shutil.copytree(template, tmp_path / "repo"), env)


@pytest.fixture
def project(repo):
    return Project(ProjectRef("example.org", "o", "r"), repo.path)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def workspace(env, warnings):
    # Nobody's identity is needed for what the workspace does.
    return GitWorkspace({k: v for k, v in env.items() if not k.startswith(("GIT_AUTHOR", "GIT_COMM"))}, warnings.append)


@pytest.fixture
def directory(tmp_path):
    """Where the session's worktree goes; its parent does not exist yet."""
    return tmp_path / "state dir" / "worktrees" / "example.org-o-r-14"


@pytest.fixture
async def worktree(workspace, project, repo, directory):
    await workspace.add_worktree(replace(project, copy=()), directory, "kugetsu/14")
    return repo.at(directory)


@pytest.fixture
def hook(repo):
    def write(name: str, script: str) -> None:
        path = repo.path / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def wipe():
    """Delete all files of a checkout, as a careless agent would."""

    def wiped(path: Path) -> None:
        for entry in path.iterdir():
            if entry.name != ".git":
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    return wiped
