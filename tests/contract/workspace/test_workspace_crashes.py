"""SIGKILL in the middle: what a dead process left is finished or undone, and nothing else is touched."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys

import pytest

from adapters.git.claims import Intent, claim
from core.errors import WorkspaceError

BRANCH = "kugetsu/14"

DRIVER = """
import asyncio, os, sys
from pathlib import Path
from adapters.git import GitWorkspace
from core.model import Project, ProjectRef
os.environ["DRIVER"] = str(os.getpid())
workspace = GitWorkspace(os.environ, print)
project = Project(ProjectRef("example.org", "o", "r"), Path(sys.argv[1]), copy=(".env",))
asyncio.run(workspace.add_worktree(project, Path(sys.argv[2]), "kugetsu/14"))
"""


@pytest.fixture
async def begun(repo, directory):
    """The claim of a process that died, whatever else it got done."""
    async with claim(repo.path / ".git", BRANCH) as held:
        held.write(Intent(BRANCH, str(directory), repo.git("rev-parse", "HEAD")))
    return repo


def nothing_done(repo, directory):
    pass


def branch_made(repo, directory):
    repo.git("branch", BRANCH)


def directory_made(repo, directory):
    branch_made(repo, directory)
    directory.mkdir(parents=True)


def registered_and_locked(repo, directory):
    """As git leaves it before it has made the directory."""
    all_but_copies(repo, directory)
    repo.git("worktree", "lock", "--reason", "initializing", str(directory))
    shutil.rmtree(directory)


def pointer_half_written(repo, directory):
    registered_and_locked(repo, directory)
    directory.mkdir()
    (directory / ".git").touch()


def files_half_written(repo, directory):
    all_but_copies(repo, directory)
    repo.git("worktree", "lock", "--reason", "initializing", str(directory))
    (directory / "file").write_text("cont")
    (repo.path / ".git" / "worktrees" / directory.name / "index").unlink()
    (repo.path / ".git" / "worktrees" / directory.name / "index.lock").touch()


def all_but_copies(repo, directory):
    repo.git("worktree", "add", "-q", "-b", BRANCH, str(directory))


STATES = [
    nothing_done,
    branch_made,
    directory_made,
    registered_and_locked,
    pointer_half_written,
    files_half_written,
    all_but_copies,
]


@pytest.mark.parametrize("state", STATES)
async def test_making_it_is_taken_up_again(workspace, project, begun, directory, state):
    state(begun, directory)
    await workspace.add_worktree(project, directory, BRANCH)
    there = begun.at(directory)
    assert there.status() == []
    assert there.git("symbolic-ref", "--short", "HEAD") == BRANCH
    assert list((begun.path / ".git" / "kugetsu").iterdir()) == []
    assert "locked" not in begun.git("worktree", "list", "--porcelain")


@pytest.mark.parametrize("state", STATES)
async def test_or_undone(workspace, project, begun, directory, state):
    state(begun, directory)
    await workspace.remove_worktree(project, directory, BRANCH)
    assert not directory.exists()
    assert begun.branches() == {"main"}
    assert begun.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize("state", [branch_made, registered_and_locked, pointer_half_written])
async def test_without_the_claim_the_same_is_somebodys_and_stays(workspace, project, repo, directory, state):
    state(repo, directory)
    with pytest.raises(WorkspaceError):
        await workspace.add_worktree(project, directory, BRANCH)
    assert BRANCH in repo.branches()


async def test_a_claim_does_not_cover_a_branch_somebody_committed_on(workspace, project, begun, directory):
    begun.git("checkout", "-qb", BRANCH)
    begun.commit("work")
    begun.git("checkout", "-q", "main")
    with pytest.raises(WorkspaceError, match="exists already"):
        await workspace.add_worktree(project, directory, BRANCH)
    assert BRANCH in begun.branches()


async def test_a_claim_does_not_cover_a_branch_checked_out_elsewhere(workspace, project, begun, directory):
    begun.git("checkout", "-qb", BRANCH)
    with pytest.raises(WorkspaceError, match="exists already"):
        await workspace.add_worktree(project, directory, BRANCH)
    assert begun.git("rev-parse", "HEAD")


async def test_a_claim_does_not_cover_a_directory_with_other_things_in_it(workspace, project, begun, directory):
    directory.mkdir(parents=True)
    (directory / "thesis.tex").touch()
    with pytest.raises(WorkspaceError, match="no worktree of"):
        await workspace.add_worktree(project, directory, BRANCH)
    assert (directory / "thesis.tex").exists()


async def test_a_claim_does_not_cover_a_worktree_on_another_branch(workspace, project, begun, directory):
    begun.git("worktree", "add", "-q", "-b", "mine", str(directory))
    begun.at(directory).write("thesis.tex")
    with pytest.raises(WorkspaceError, match=r"registered at .* on refs/heads/mine"):
        await workspace.add_worktree(project, directory, BRANCH)
    assert (directory / "thesis.tex").exists()


async def test_a_torn_claim_proves_nothing(workspace, project, begun, directory):
    branch_made(begun, directory)
    (file,) = (begun.path / ".git" / "kugetsu").iterdir()
    file.write_text('{"branch": "kug')
    with pytest.raises(WorkspaceError, match="exists already"):
        await workspace.add_worktree(project, directory, BRANCH)


async def test_a_removal_cut_off_is_finished(workspace, project, worktree, repo):
    async with claim(repo.path / ".git", BRANCH) as held:
        held.write(Intent(BRANCH, str(worktree.path), repo.git("rev-parse", "HEAD"), removing=True))
    (worktree.path / ".git").unlink()  # git deletes in any order
    await workspace.add_worktree(project, worktree.path, BRANCH)
    assert worktree.status() == []


def killed(repo, directory, hook, script):
    """Start a worktree in a process of its own that dies in git's hook."""
    hook("post-checkout", f'[ -n "$DRIVER" ] || exit 0\n{script}')
    arguments = [sys.executable, "-c", DRIVER, str(repo.path), str(directory)]
    done = subprocess.run(arguments, env=repo.env, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL


async def test_killed_together_with_git(workspace, project, repo, directory, hook):
    killed(repo, directory, hook, "kill -9 $DRIVER $PPID")
    await workspace.add_worktree(project, directory, BRANCH)
    assert repo.at(directory).status() == []


async def test_a_git_that_outlives_its_master_is_waited_for(workspace, project, repo, directory, hook, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    killed(repo, directory, hook, f"kill -9 $DRIVER; read line < {gate}; echo late > {directory}/late")
    making = asyncio.create_task(workspace.add_worktree(project, directory, BRANCH))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(making), 0.3)
    gate.write_text("go\n")  # the hook goes on, git ends, and lets go of the claim
    async with asyncio.timeout(10):
        await making
    assert repo.at(directory).status() == []
    assert not (directory / "late").exists()
