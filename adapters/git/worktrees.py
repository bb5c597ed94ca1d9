"""Worktrees and branches of sessions, made and removed so that crash leftovers and people's work are never confused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from adapters.git.claims import Claim, Intent, claim
from adapters.git.copying import check_entries, copy_entries, is_copy
from adapters.git.process import Git, in_thread
from adapters.git.repository import (
    Locks,
    Repository,
    Worktree,
    base_commit,
    check_branch,
    commit_of,
    open_repository,
    real,
    worktrees,
)
from core.errors import WorkspaceError
from core.model import Project
from core.ports import Checkout

SHOWN = 5  # names of changed files in a refusal


class Worktrees:
    """What `core.ports.Workspace` asks about checkouts, one change at a time in each repository."""

    def __init__(self, git: Git, locks: Locks) -> None:
        self._git = git
        self._locks = locks

    async def inspect(self, project: Project) -> Checkout:
        """See the port."""
        repository = await open_repository(self._git, project.path)
        top = repository.top
        await base_commit(self._git, top, project.base_branch)
        branch = await self._git.run(top, "symbolic-ref", "--quiet", "--short", "HEAD", expect=(0, 1))
        status = await self._git.run(top, "status", "--porcelain", "-z", "--untracked-files=normal")
        return Checkout(await commit_of(self._git, top, "HEAD"), branch.text, bool(status.raw))

    async def add(self, project: Project, directory: Path, branch: str, start: str) -> None:
        """See the port."""
        repository = await open_repository(self._git, project.path)
        ref = await check_branch(self._git, repository.top, branch)
        target = _target(directory)
        await in_thread(check_entries, repository.top, project.copy)
        commit = await self._start(project, repository, start)
        lock = self._locks.of(repository.common)
        async with lock, claim(repository.common, branch) as held:
            if held.intent:
                await self._tear_down(repository, held, held.intent)
            registered = await worktrees(self._git, repository)
            if Worktree(target, ref) in registered and _points_into(target / ".git", repository.common):
                return
            await self._refuse_taken(repository, registered, target, branch)
            intent = Intent(branch, str(target), commit)
            held.write(intent)
            try:
                await self._make(repository, intent, held)
                await in_thread(copy_entries, repository.top, target, project.copy)
            except BaseException as error:
                await self._tear_down(repository, held, intent)
                if isinstance(error, OSError):
                    raise WorkspaceError(f"The project's copy entries could not be copied: {error}") from error
                raise
            held.clear()

    async def remove(self, project: Project, directory: Path, branch: str) -> None:
        """See the port. A branch that is not checked out in `directory` is not provably ours and stays."""
        repository = await open_repository(self._git, project.path)
        ref = await check_branch(self._git, repository.top, branch)
        target = _target(directory)
        lock = self._locks.of(repository.common)
        async with lock, claim(repository.common, branch) as held:
            if held.intent:
                await self._tear_down(repository, held, held.intent)
            tree = next((tree for tree in await worktrees(self._git, repository) if tree.path == target), None)
            if tree is None:
                if target.exists():
                    raise WorkspaceError(
                        f"{target} is no worktree of {repository.top}, so it is not removed.",
                        "Look into it, and delete it yourself if nothing in it matters.",
                    )
                return
            if tree.branch != ref:
                now = tree.branch.removeprefix("refs/heads/") or "no branch"
                raise WorkspaceError(
                    f"{target} is on {now}, not on {branch}, so somebody worked in it and it is not removed.",
                    f"Save that work, then: git -C {repository.top} worktree remove {target}",
                )
            copied = target.exists() and await self._refuse_changes(project, repository, target)
            tip = await self._refuse_commits(repository, ref, branch)
            intent = Intent(branch, str(target), tip, removing=True)
            held.write(intent)
            # Only copies of the checkout's own files may be in git's way: that was just looked at.
            forced = ["--force"] if copied else []
            try:
                await self._git.run(
                    repository.top, "worktree", "remove", *forced, "--", str(target), hooks=True, keep_open=[held.file]
                )
            except WorkspaceError:
                if any(tree.path == target for tree in await worktrees(self._git, repository)):
                    held.clear()  # git refused and touched nothing
                raise
            await self._tear_down(repository, held, intent)

    async def _start(self, project: Project, repository: Repository, start: str) -> str:
        if not start:
            return await base_commit(self._git, repository.top, project.base_branch)
        plain = not start.startswith(("-", "^"))  # an option, a negation
        if plain and (commit := await commit_of(self._git, repository.top, start)):
            return commit
        raise WorkspaceError(f"{repository.top} has no commit {start!r} to start from.")

    async def _make(self, repository: Repository, intent: Intent, held: Claim) -> None:
        try:
            Path(intent.directory).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{intent.directory} cannot be made: {error.strerror}") from error
        await self._git.run(
            repository.top,
            "worktree",
            "add",
            "--quiet",
            "-b",
            intent.branch,
            "--",
            intent.directory,
            intent.commit,  # an id, so that the branch follows nothing: a push must name where it goes
            hooks=True,
            keep_open=[held.file],
        )

    async def _refuse_taken(
        self, repository: Repository, registered: list[Worktree], target: Path, branch: str
    ) -> None:
        for tree in registered:
            if tree.path == target:
                raise WorkspaceError(
                    f"git has a worktree registered at {target} already, on {tree.branch or 'no branch'}.",
                    f"If nothing in it matters: git -C {repository.top} worktree remove {target}",
                )
        if await commit_of(self._git, repository.top, f"refs/heads/{branch}"):
            raise WorkspaceError(
                f"The branch {branch} exists already in {repository.top}, and kugetsu did not just make it.",
                f"Rename it (git branch -m {branch} NEW), or delete it if it is not needed: git branch -D {branch}",
            )
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise WorkspaceError(
                f"{target} exists already and is no worktree of {repository.top}.",
                "Move it away, or delete it if nothing in it matters.",
            )

    async def _refuse_changes(self, project: Project, repository: Repository, target: Path) -> bool:
        """Whether there are copies; raises when there is anything else that is not committed."""
        status = await self._git.run(
            target, "status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames"
        )
        names = [line[3:] for line in status.names]
        changed = [name for name in names if not is_copy(repository.top, target, project.copy, name)]
        if changed:
            shown = ", ".join(changed[:SHOWN]) + (f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")
            raise WorkspaceError(
                f"{target} has changes that are not committed, so it is not removed: {shown}",
                "Commit or discard them there, then try again.",
            )
        return bool(names)

    async def _refuse_commits(self, repository: Repository, ref: str, branch: str) -> str:
        """The branch's commit; raises when it would be lost with the branch."""
        tip = await commit_of(self._git, repository.top, ref)
        head = ["HEAD"] if await commit_of(self._git, repository.top, "HEAD") else []
        kept = [*head, f"--exclude={branch}", "--branches", "--remotes", "--tags"]
        lost = await self._git.run(repository.top, "rev-list", "--max-count=1", tip, "--not", *kept) if tip else None
        if lost and lost.text:
            raise WorkspaceError(
                f"The branch {branch} has commits that are on no other branch, so it is not removed.",
                f"Push or merge it, or keep them under another name: git branch NEW {branch}",
            )
        return tip

    async def _tear_down(self, repository: Repository, held: Claim, intent: Intent) -> None:
        """Make what `intent` names absent, as far as it is provably ours. Safe to repeat after a crash."""
        directory, ref = Path(intent.directory), f"refs/heads/{intent.branch}"
        registered = await worktrees(self._git, repository)
        tree = next((tree for tree in registered if tree.path == directory), None)
        if (tree is None or tree.branch in {"", ref}) and (
            intent.removing or await in_thread(_is_half_made, directory, repository.common)
        ):
            held.write(replace(intent, removing=True))
            try:
                await in_thread(_delete, directory)
            except OSError as error:
                raise WorkspaceError(f"The half-made worktree {directory} cannot be deleted: {error}") from error
            if tree:
                await self._git.run(
                    repository.top, "worktree", "remove", "--force", "--force", "--", str(directory), hooks=True
                )
                registered.remove(tree)
        elsewhere = any(tree.branch == ref for tree in registered)
        # While it points where we put it, nothing is on it.
        if not elsewhere and intent.commit and await commit_of(self._git, repository.top, ref) == intent.commit:
            await self._git.run(repository.top, "update-ref", "-d", ref, intent.commit)
        held.clear()


def _target(directory: Path) -> Path:
    if not directory.is_absolute():
        raise WorkspaceError(f"A worktree needs an absolute path, not {str(directory)!r}.")
    return real(directory)


def _is_half_made(directory: Path, common: Path) -> bool:
    """Absent, empty, or begun by git: it writes the pointer file `.git` before anything else."""
    if directory.is_symlink() or not directory.is_dir():
        return not directory.exists()
    content = [path.name for path in directory.iterdir()]
    pointer = directory / ".git"
    if not pointer.is_file():
        return not content
    return _points_into(pointer, common) or (content == [".git"] and pointer.stat().st_size == 0)


def _points_into(pointer: Path, common: Path) -> bool:
    """Whether the file `.git` of a worktree belongs to this repository."""
    if not pointer.is_file():
        return False
    named = pointer.read_text(errors="surrogateescape").removesuffix("\n").removeprefix("gitdir: ")
    return real(Path(named)).is_relative_to(common / "worktrees")


def _delete(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
