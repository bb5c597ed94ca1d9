"""What a branch has on it since it left its base, and which remote it goes to. No remote is contacted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adapters.git.process import Git, printable, without_passwords
from adapters.git.repository import (
    base_commit,
    check_branch,
    commit_of,
    current_branch,
    open_repository,
    real,
    settings,
)
from core.errors import WorkspaceError
from core.model import Project


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a branch is pushed to."""

    name: str = ""  # empty where there is none, or none that can be chosen
    url: str = ""  # without passwords
    tracking: str = ""  # the commit its branch of the same name was last seen at


@dataclass(frozen=True, slots=True)
class Base:
    """The project's base branch as it is here and as the remotes were last seen to have it."""

    commits: list[str]  # none where nobody has it
    itself: bool  # the branch that is asked about is the base branch


async def commit_lines(git: Git, directory: Path, *revisions: str) -> list[str]:
    """Short id and subject of each commit; `revisions` are those of `git rev-list`, and its options of order."""
    told = await git.run(directory, "rev-list", "--topo-order", "--no-commit-header", "--format=%h %s", *revisions)
    return [printable(line) for line in told.text.split("\n") if line]


async def base_of(git: Git, project: Project, directory: Path) -> str:
    """See the port. The base branch counts as it is here and as every remote was last seen to have it, and the newest
    commit that any of these shares with the branch is taken: what others have put on the base, pulled or merged into
    the branch, is then nobody's own work, however old the checkout's own base branch is.

    Where the base branch itself is checked out, as with `worktrees: false`, only the remotes' side counts; without any,
    everything is base. A branch that shares nothing with its base starts at its own first commit, one without commits
    at the base branch.
    """
    top = (await open_repository(git, directory)).top
    checkout = (await open_repository(git, project.path)).top
    head = await commit_of(git, top, "HEAD")
    if not head:
        return await base_commit(git, checkout, project.base_branch)
    base = await bases(git, project, top, await current_branch(git, top))
    shared = (await git.run(top, "merge-base", head, *base.commits, expect=(0, 1))).text if base.commits else ""
    if shared or base.itself:
        return shared or head
    return (await git.run(top, "rev-list", "--max-parents=0", head)).text.split("\n")[-1]


async def bases(git: Git, project: Project, directory: Path, branch: str) -> Base:
    """What `branch`, checked out in `directory` or empty, is compared with."""
    name = project.base_branch or await current_branch(git, project.path)
    patterns = [f"refs/remotes/*/{name}"] if name else []
    if name and name != branch:
        patterns.append(f"refs/heads/{name}")
    if not project.base_branch:
        patterns.append("refs/remotes/*/HEAD")  # whatever the checkout is at, this is no session's work
    commits = (await git.run(directory, "for-each-ref", "--format=%(objectname)", *patterns)).text.split()
    if not name and real(project.path) != real(directory):
        commits.append(await commit_of(git, project.path, "HEAD"))
    return Base(list(dict.fromkeys(filter(None, commits))), itself=name == branch)


async def tip_of(git: Git, directory: Path, branch: str) -> tuple[str, str]:
    """A branch's name and commit; empty stands for the one checked out, and its name is empty when there is none."""
    name = branch or await current_branch(git, directory)
    tip = await commit_of(git, directory, await check_branch(git, directory, name) if name else "HEAD")
    if tip or not branch:
        return name, tip
    raise WorkspaceError(
        f"The branch {branch} is gone from {directory}.",
        f"Make it again where the work stands: git -C {directory} branch {branch}",
    )


async def remote_of(git: Git, directory: Path, branch: str) -> Remote:
    """The remote that `branch` is set to be pushed to, else the one it follows, else `origin`, else the only one."""
    names = (await git.run(directory, "remote")).text.split("\n")
    told = await settings(git, directory)
    keys = (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote")
    only = names[0] if len(names) == 1 else ""
    name = next((name for name in (*map(told.get, keys), "origin", only) if name and name in names), "")
    if not name:
        return Remote()
    url = (await git.run(directory, "remote", "get-url", "--push", name)).text
    tracking = await commit_of(git, directory, tracking_ref(name, branch)) if branch else ""
    return Remote(name, without_passwords(url), tracking)


def tracking_ref(remote: str, branch: str) -> str:
    """Where it is kept what `remote` was last seen to have."""
    return f"refs/remotes/{remote}/{branch}"


async def tracking_lost(git: Git, directory: Path, branch: str) -> bool:
    """Whether the branch follows one of a remote that was never seen here, or is not any more."""
    if (await settings(git, directory)).get(f"branch.{branch}.remote", ".") == ".":
        return False
    upstream = (await git.run(directory, "for-each-ref", "--format=%(upstream)", f"refs/heads/{branch}")).text
    return not (upstream and await commit_of(git, directory, upstream))
