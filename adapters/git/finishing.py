"""What there is to commit in a worktree, and committing it as its user would."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from adapters.git.copying import noted_copies
from adapters.git.differences import staged
from adapters.git.history import bases, commit_lines, remote_of, tip_of
from adapters.git.process import ANY_STATUS, UNATTENDED, Git, Output, failure, in_thread
from adapters.git.repository import (
    Locks,
    commit_of,
    current_branch,
    in_the_middle,
    open_repository,
    real,
    unfinished,
    unmerged,
)
from adapters.git.snapshots import Snapshots, copied_index
from core.errors import NothingToCommit, WorkspaceError
from core.model import Project
from core.ports import FileChange, Work

SECONDS = 600.0  # for a commit: hooks run linters and tests
SHOWN = 5  # names of files with conflicts

# Nobody is guessed: what git makes of the machine's name is no address a colleague could answer.
_IDENTITY = "user.useConfigOnly=true"
_NESTED = "adding embedded git repository: "


class Finishing:
    """`locks` are those of the snapshots."""

    def __init__(self, git: Git, locks: Locks, snapshots: Snapshots) -> None:
        self._git = git
        self._locks = locks
        self._snapshots = snapshots

    async def work(self, project: Project, directory: Path, branch: str) -> Work:
        """See the port. An empty branch stands for what is checked out; `copy` files are no work.

        Without a remote all commits are unpushed. On the base branch itself, commits are those no remote has; without
        a remote there are none.
        """
        top = (await open_repository(self._git, directory)).top
        name, tip = await tip_of(self._git, top, branch)
        lock = self._locks.of(top)
        async with lock:
            uncommitted = await self._uncommitted(top)
        remote = await remote_of(self._git, top, name)
        base = await bases(self._git, project, top, name)
        commits: list[str] = []
        unpushed: list[str] = []
        if tip and (base.commits or remote.name or not base.itself):
            own = ("--reverse", tip, *(f"^{commit}" for commit in base.commits))
            commits = await commit_lines(self._git, top, *own)
            unpushed = await commit_lines(self._git, top, *own, f"^{remote.tracking}") if remote.tracking else commits
        return Work(uncommitted, tuple(commits), tuple(unpushed), tip, remote.name, remote.url)

    async def commit(self, directory: Path, message: str) -> str:
        """See the port. `copy` files stay out, also changed ones; a merge that has no conflicts left is concluded.

        Refuses what would be lost or half done: on no branch, in a rebase, with conflicts.
        """
        top = real(directory)
        lock = self._locks.of(top)
        async with lock:
            index = await self._snapshots.index(top)
            await self._refuse_state(top)
            await self._refuse_nobody(top)
            async with self._index_kept(top, index):
                await self._stage(top)
                await self._commit(top, message)
            return await commit_of(self._git, top, "HEAD")

    async def _uncommitted(self, top: Path) -> tuple[FileChange, ...]:
        async with self._snapshots.everything(top) as env:
            await self._leave_out_copies(top, env)
            return tuple(await staged(self._git, top, await self._head(top), env))

    async def _stage(self, top: Path) -> None:
        """Everything but ignored files and copies, into the worktree's own index."""
        added = await self._git.run(top, "add", "--all", "--sparse", settings=["advice.addEmbeddedRepo=false"])
        if _NESTED in added.words:
            name = added.words.partition(_NESTED)[2].partition("\n")[0]
            raise WorkspaceError(
                f"{name} in {top} is a git repository of its own, so its files cannot be committed.",
                "Have the agent delete it, move it elsewhere, or name it in .gitignore.",
            )
        left = await self._leave_out_copies(top, {})
        if not left and not await unfinished(self._git, top):
            raise NothingToCommit(f"There is nothing to commit in {top}.")

    async def _commit(self, top: Path, message: str) -> None:
        command = ("commit", "--quiet", "--cleanup=whitespace", "-F", "-")  # a line may begin with "#14"
        done = await self._git.run(
            top,
            *command,
            stdin=os.fsencode(message),
            env=UNATTENDED | {"GPG_TTY": ""},  # the terminal kugetsu was started from is not ours to ask at
            settings=[_IDENTITY],
            hooks=True,
            expect=ANY_STATUS,
            seconds=SECONDS,
        )
        if done.status:
            raise failure(command, top, replace(done, words=done.all_words), _hint(done))

    async def _leave_out_copies(self, top: Path, env: Mapping[str, str]) -> bool:
        """Put copies in the index that `env` names back to how they are committed. Whether it differs otherwise."""
        options = ("--cached", "--name-only", "--no-renames", "-z")
        names = (await self._git.run(top, "diff-index", *options, await self._head(top), "--", env=env)).names
        noted = await noted_copies(self._git, top)
        copies = [name for name in names if name in noted]
        if copies:
            given = os.fsencode("".join(f"{name}\0" for name in copies))
            literally = {**env, "GIT_LITERAL_PATHSPECS": "1"}
            how = ("--quiet", "--pathspec-from-file=-", "--pathspec-file-nul")
            await self._git.run(top, "reset", *how, env=literally, stdin=given)
        return len(copies) < len(names)

    async def _head(self, top: Path) -> str:
        """What the index is compared with: the empty tree before the first commit."""
        head = await commit_of(self._git, top, "HEAD")
        return head or (await self._git.run(top, "hash-object", "-t", "tree", "--stdin")).text

    @asynccontextmanager
    async def _index_kept(self, top: Path, index: Path) -> AsyncIterator[None]:
        """Unless a commit is made, the index is in the end as it was."""
        head = await commit_of(self._git, top, "HEAD")
        with copied_index(index) as env:
            try:
                yield
            except BaseException:
                if await commit_of(self._git, top, "HEAD") == head:
                    await in_thread(_put_back, Path(env["GIT_INDEX_FILE"]), index)
                raise

    async def _refuse_state(self, top: Path) -> None:
        command = await unfinished(self._git, top)
        if command in {"rebase", "am"}:
            raise in_the_middle(command, top, "committed")
        if conflicts := await unmerged(self._git, top):
            raise WorkspaceError(
                f"There are conflicts in {top}, so nothing was committed: {', '.join(conflicts[:SHOWN])}",
                "Have the agent resolve them and `git add` the files, then commit again.",
            )
        if not await current_branch(self._git, top):
            raise WorkspaceError(
                f"{top} is on no branch, so a commit there would be on none.",
                f"Go back to the session's branch (git -C {top} switch -), or make a new one of what is there: "
                "git switch -c NAME",
            )

    async def _refuse_nobody(self, top: Path) -> None:
        for ident in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            told = await self._git.run(top, "var", ident, settings=[_IDENTITY], expect=(0, 128))
            if told.status:
                raise WorkspaceError(
                    f"git does not know in whose name to commit in {top}.",
                    "Tell it, as the user kugetsu runs as: git config --global user.name 'Your Name', and "
                    "git config --global user.email you@example.org",
                )


def _hint(done: Output) -> str:
    if "failed to sign" in done.words:
        return (
            "The signing key cannot be used without asking. Unlock it in the gpg-agent or ssh-agent of the user that "
            "kugetsu runs as, or turn signing off for this repository: git config commit.gpgSign false"
        )
    if "empty commit message" in done.words:
        return "Give the commit a message."
    return "If a hook refused it: have the agent correct what it says, then commit again."


def _put_back(kept: Path, index: Path) -> None:
    try:
        if kept.exists():
            whole = index.with_name(f"{index.name}.kugetsu")
            shutil.copy2(kept, whole)
            whole.replace(index)
        else:
            index.unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"What was staged could not be put back into {index}: {error.strerror}", "Unstage it: git reset"
        ) from error
