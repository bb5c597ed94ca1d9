"""Worktrees and branches of sessions, made and removed so that crash leftovers and people's work are never confused."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.git.claims import Claim, Intent, claim
from adapters.git.copying import check_entries, copy_entries, note_copies
from adapters.git.process import Git, in_thread
from adapters.git.repository import (
    Locks,
    Repository,
    Worktree,
    base_commit,
    check_branch,
    commit_of,
    current_branch,
    open_repository,
    points_into,
    real,
    registered_at,
    worktrees,
)
from adapters.git.stakes import Found, look
from core.errors import WorkspaceError
from core.model import Project
from core.ports import Checkout, Stake

SHOWN = 5  # names of changed files in a refusal


@dataclass(frozen=True, slots=True)
class Site:
    """Where a session works, held against everybody else who would make or remove something there."""

    project: Project
    repository: Repository
    target: Path
    branch: str
    ref: str  # the branch's full name, empty where it has none
    held: Claim


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
        branch = await current_branch(self._git, top)
        status = await self._git.run(top, "status", "--porcelain", "-z", "--untracked-files=normal")
        return Checkout(await commit_of(self._git, top, "HEAD"), branch, bool(status.raw))

    async def add(self, project: Project, directory: Path, branch: str, start: str) -> None:
        """See the port."""
        async with self.site(project, directory, branch) as site:
            await in_thread(check_entries, site.repository.top, project.copy)
            commit = await self._start(site, start)
            if await self.stands(site):
                return
            await self.refuse_taken(site)
            async with self.making(site, commit):
                await self.check_out(site, commit, hooks=True)
                await self.put_copies(site)

    async def open(self, project: Project, directory: Path, branch: str) -> None:
        """See the port. What git still has registered for a folder that was deleted by hand is replaced."""
        async with self.site(project, directory, branch) as site:
            await in_thread(check_entries, site.repository.top, project.copy)
            if await self.stands(site):
                return
            registered = await worktrees(self._git, site.repository)
            await self._refuse_unusable(site, registered)
            tree = registered_at(registered, site.target)
            if tree and await self._is_vacant(site):
                registered.remove(tree)
            _refuse_occupied(site, registered)
            async with self.making(site, ""):
                await self.check_out(site, "", hooks=True)
                await self.put_copies(site)

    async def at_stake(self, project: Project, directory: Path, branch: str) -> Stake:
        """See the port. Takes away what a crash left half-made first, so that it does not pass for work."""
        async with self.site(project, directory, branch, unnamed=True) as site:
            return (await self._look(site)).stake

    async def remove(self, project: Project, directory: Path, branch: str, *, force: bool, keep_branch: bool) -> None:
        """See the port. With `keep_branch`, commits that only a detached HEAD leads to are not lost unforced either."""
        async with self.site(project, directory, branch, unnamed=True) as site:
            found = await self._look(site, keep_branch=keep_branch)
            _refuse_untouchable(site, found)
            if not force:
                _refuse_loss(site, found)
            if not (found.tree or found.tip or site.target.exists()):
                return
            head = found.tree.branch if found.tree else ""
            intent = Intent(site.branch, str(site.target), found.tip, removing=True, head=head)
            site.held.write(intent)
            if found.tree and found.there and found.sound:
                await self._unregister(site, force=force or found.forced)
            await self._tear_down(site.repository, site.held, intent)

    # ── the steps, also for who makes a worktree of something else ──────────────────────────────

    @asynccontextmanager
    async def site(
        self, project: Project, directory: Path, branch: str, *, unnamed: bool = False
    ) -> AsyncIterator[Site]:
        """The right to work there. What a crash left half-made is gone; with `unnamed`, the branch may be empty."""
        repository = await open_repository(self._git, project.path)
        ref = "" if unnamed and not branch else await check_branch(self._git, repository.top, branch)
        target = _target(directory)
        lock = self._locks.of(repository.common)
        async with lock, claim(repository.common, branch) as held:
            if held.intent:
                await self._tear_down(repository, held, held.intent)
            yield Site(project, repository, target, branch, ref, held)

    @asynccontextmanager
    async def making(self, site: Site, commit: str) -> AsyncIterator[None]:
        """Around making a worktree: in the end it is whole, or nothing of it is left, even after a crash.

        `commit` is where the branch is made; empty for one that exists already and is to stay.
        """
        intent = Intent(site.branch, str(site.target), commit)
        site.held.write(intent)
        try:
            yield
        except BaseException:
            await self._tear_down(site.repository, site.held, intent)
            raise
        site.held.clear()

    async def check_out(self, site: Site, commit: str, *, hooks: bool) -> None:
        """Make the worktree on a new branch at `commit`, or on the branch that exists when that is empty."""
        try:
            site.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{site.target} cannot be made: {error.strerror}") from error
        # Where it starts is an id, so that the branch follows nothing: a push must name where it goes.
        how = ["-b", site.branch, "--", str(site.target), commit] if commit else ["--", str(site.target), site.branch]
        await self._git.run(
            site.repository.top, "worktree", "add", "--quiet", *how, hooks=hooks, keep_open=[site.held.file]
        )

    async def put_copies(self, site: Site, keep: Collection[str] = ()) -> None:
        """The project's `copy` files, apart from those in `keep`."""
        try:
            put = await in_thread(copy_entries, site.repository.top, site.target, site.project.copy, keep)
            if site.project.copy:
                await note_copies(self._git, site.target, site.project.copy, put)
        except OSError as error:
            raise WorkspaceError(f"The project's copy entries could not be copied: {error}") from error

    async def stands(self, site: Site) -> bool:
        """Whether the worktree is there, on its branch."""
        tree = registered_at(await worktrees(self._git, site.repository), site.target)
        return bool(tree and tree.branch == site.ref) and points_into(site.target / ".git", site.repository.common)

    async def refuse_taken(self, site: Site) -> None:
        """Refuse a directory or branch that somebody has."""
        registered = await worktrees(self._git, site.repository)
        tree = registered_at(registered, site.target)
        if tree is None and await commit_of(self._git, site.repository.top, site.ref):
            raise WorkspaceError(
                f"The branch {site.branch} exists already in {site.repository.top}, and kugetsu did not just make it.",
                f"Rename it (git branch -m {site.branch} NEW), or delete it if it is not needed: "
                f"git branch -D {site.branch}",
            )
        _refuse_occupied(site, registered)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    async def _look(self, site: Site, *, keep_branch: bool = False) -> Found:
        return await look(self._git, site.project, site.repository, site.target, site.ref, keep_branch=keep_branch)

    async def _start(self, site: Site, start: str) -> str:
        top = site.repository.top
        if not start:
            return await base_commit(self._git, top, site.project.base_branch)
        plain = not start.startswith(("-", "^"))  # an option, a negation
        if plain and (commit := await commit_of(self._git, top, start)):
            return commit
        raise WorkspaceError(f"{top} has no commit {start!r} to start from.")

    async def _refuse_unusable(self, site: Site, registered: Sequence[Worktree]) -> None:
        top = site.repository.top
        if not await commit_of(self._git, top, site.ref):
            raise WorkspaceError(
                f"The branch {site.branch} is gone from {top}, so there is nothing to open.",
                f"If it was pushed: git -C {top} fetch origin {site.branch}:{site.branch}",
            )
        for tree in registered:
            if tree.branch == site.ref and tree.path != site.target:
                raise WorkspaceError(
                    f"The branch {site.branch} is checked out in {tree.path} already.",
                    f"Switch that checkout to another branch, or remove it: git -C {top} worktree remove {tree.path}",
                )

    async def _is_vacant(self, site: Site) -> bool:
        """Whether the registered worktree's folder was deleted by hand; if so, git has forgotten it now."""
        found = await self._look(site, keep_branch=True)
        if found.there:
            return False
        _refuse_untouchable(site, found)
        if found.commits and found.tree:
            raise WorkspaceError(
                f"{site.target} was deleted while on no branch, with commits that are on none: {found.commits[0]}",
                f"Keep them: git -C {site.repository.top} branch NEW {found.tree.head}. Then: git worktree prune",
            )
        await in_thread(_delete, site.target)
        await self._unregister(site, force=False)
        return True

    async def _unregister(self, site: Site, *, force: bool) -> None:
        """Let git remove the worktree; it looks once more itself unless forced."""
        forced = ["--force"] if force else []
        top = site.repository.top
        try:
            await self._git.run(
                top, "worktree", "remove", *forced, "--", str(site.target), hooks=True, keep_open=[site.held.file]
            )
        except WorkspaceError:
            if registered_at(await worktrees(self._git, site.repository), site.target):
                site.held.clear()  # git refused and touched nothing
            raise

    async def _tear_down(self, repository: Repository, held: Claim, intent: Intent) -> None:
        """Make what `intent` names absent, as far as it is provably ours. Safe to repeat after a crash."""
        directory, ref = Path(intent.directory), f"refs/heads/{intent.branch}"
        registered = await worktrees(self._git, repository)
        tree = registered_at(registered, directory)
        if (tree is None or tree.branch in {"", ref, intent.head}) and (
            intent.removing or await in_thread(_is_half_made, directory, repository.common)
        ):
            held.write(replace(intent, removing=True))
            await in_thread(_delete, directory)
            if tree:
                await self._git.run(
                    repository.top, "worktree", "remove", "--force", "--force", "--", str(directory), hooks=True
                )
                registered.remove(tree)
        elsewhere = any(tree.branch == ref for tree in registered)
        # While it points where we put it, nothing is on it.
        if not elsewhere and intent.commit and await commit_of(self._git, repository.top, ref) == intent.commit:
            await self._forget_settings(repository, intent.branch)
            await self._git.run(repository.top, "update-ref", "-d", ref, intent.commit)
        held.clear()

    async def _forget_settings(self, repository: Repository, branch: str) -> None:
        """A later branch of the same name must not follow what this one was pushed to."""
        forgot = await self._git.run(repository.top, "config", "--remove-section", f"branch.{branch}", expect=(0, 128))
        if forgot.status and "no such section" not in forgot.words:
            raise WorkspaceError(f"The settings of the branch {branch} cannot be removed: {forgot.words}")


def _refuse_occupied(site: Site, registered: Sequence[Worktree]) -> None:
    top, target = site.repository.top, site.target
    if tree := registered_at(registered, target):
        raise WorkspaceError(
            f"git has a worktree registered at {target} already, on {tree.branch or 'no branch'}.",
            f"If nothing in it matters: git -C {top} worktree remove {target}",
        )
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise WorkspaceError(
            f"{target} exists already and is no worktree of {top}.",
            "Move it away, or delete it if nothing in it matters.",
        )


def _refuse_untouchable(site: Site, found: Found) -> None:
    top, target = site.repository.top, site.target
    if not found.ours:
        raise WorkspaceError(
            f"{target} is no worktree of {top}, so it is not removed.",
            "Look into it, and delete it yourself if nothing in it matters.",
        )
    if found.tree and found.tree.locked:
        raise WorkspaceError(
            f"The worktree {target} is locked, so it is not removed: {found.tree.locked}",
            f"Unlock it when nothing uses it: git -C {top} worktree unlock {target}",
        )


def _refuse_loss(site: Site, found: Found) -> None:
    if found.changes:
        more = len(found.changes) - SHOWN
        shown = ", ".join(line[3:] for line in found.changes[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        raise WorkspaceError(
            f"{site.target} has changes that are not committed, so it is not removed: {shown}",
            "Commit or discard them there, then try again.",
        )
    if found.commits:
        where = f"The branch {site.branch}" if found.tip else f"{site.target}"
        raise WorkspaceError(
            f"{where} has commits that are on no other branch, so it is not removed: {found.commits[0]}",
            f"Push or merge them, or keep them under another name: git branch NEW {found.commits[0].split(' ')[0]}",
        )


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
    return points_into(pointer, common) or (content == [".git"] and pointer.stat().st_size == 0)


def _delete(directory: Path) -> None:
    try:
        if directory.exists():
            shutil.rmtree(directory)
    except OSError as error:
        raise WorkspaceError(f"{directory} cannot be deleted: {error}", "Delete it by hand, then try again.") from error
