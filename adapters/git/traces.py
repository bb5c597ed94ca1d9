"""Finds what kugetsu has left in a repository, whatever people and crashes have done to it since."""

from __future__ import annotations

from pathlib import Path

from adapters.git.process import Git, in_thread
from adapters.git.repository import Repository, open_repository, points_into, real, worktrees
from core.errors import WorkspaceError
from core.model import Project
from core.ports import Trace

NAMESPACE = "refs/heads/kugetsu/"
_HEADS = "refs/heads/"


async def traces(git: Git, project: Project, folder: Path) -> list[Trace]:
    """See the port. Registered worktrees first, then folders git does not know any more, then lone branches.

    A folder that was moved by hand is both: missing where git has it registered, unregistered where it is.
    """
    repository = await open_repository(git, project.path)
    below = real(folder)
    main, *linked = await worktrees(git, repository)
    known = {main.path, repository.top}
    found = []
    for tree in linked:
        if tree.path not in known and tree.path.is_relative_to(below):
            branch = tree.branch.removeprefix(_HEADS)
            found.append(Trace(tree.path, branch, registered=True, present=tree.path.is_dir()))
        known.add(tree.path)
    pointing = await in_thread(_pointing, below, repository)
    found += [Trace(path, "", registered=False, present=True) for path in pointing if path not in known]
    owned = {trace.branch for trace in found}
    for ref in (await git.run(repository.top, "for-each-ref", "--format=%(refname)", NAMESPACE)).text.split():
        branch = ref.removeprefix(_HEADS)
        if branch not in owned:
            found.append(Trace(None, branch, registered=False, present=False))
    return found


def _pointing(folder: Path, repository: Repository) -> list[Path]:
    """Folders that say of themselves that they are worktrees of this repository."""
    if not folder.is_dir():
        return []
    try:
        return [real(path) for path in sorted(folder.iterdir()) if points_into(path / ".git", repository.common)]
    except OSError as error:
        raise WorkspaceError(f"{folder} cannot be read: {error.strerror}") from error
