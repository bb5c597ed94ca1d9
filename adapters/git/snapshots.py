"""Snapshots of a worktree as commits below refs/kugetsu/, made beside the index, HEAD and the hooks.

They serve per-run diffs, undo, redo and forks the same way on every version of the agent.

A copy of the real index is what makes them fast: git then reads only files that changed since. What git cannot add is
left out and said: unreadable files, and nested repositories without commits. A nested repository with commits is
recorded as a link to its commit; its files are neither kept nor restored.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

from adapters.git.process import Git, Output, in_thread
from adapters.git.repository import Locks, check_object_id, commit_of, real
from core.errors import WorkspaceError

_IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "kugetsu"), ("EMAIL", "kugetsu@localhost"))
}

# Line ends that do not survive a round trip are no reason to keep no snapshot; the copied index stands alone.
_ASIDE = ("core.safecrlf=false", "core.splitIndex=false", "advice.addEmbeddedRepo=false")
_RULES = {".gitignore", ".gitattributes"}


class Snapshots:
    """One snapshot or restoration at a time in each worktree. `warn` is told what a snapshot had to leave out."""

    def __init__(self, git: Git, locks: Locks, warn: Callable[[str], None]) -> None:
        self._git = git
        self._locks = locks
        self._warn = warn

    async def take(self, directory: Path, name: str, parent: str = "") -> str:
        """See the port. Characters of `name` that git refuses in refs are percent-encoded.

        `parent` is a commit id to stand in for HEAD as the snapshot's parent.
        """
        ref = snapshot_ref(name)
        top = real(directory)
        lock = self._locks.of(top)
        async with lock:
            head = parent or await commit_of(self._git, top, "HEAD")
            async with self.everything(top) as env:
                files = (await self._aside(top, env, "write-tree")).text
            parents = ["-p", head] if head else []
            message = f"kugetsu snapshot {name}"
            made = await self._git.run(top, "commit-tree", *parents, "-m", message, files, env=_IDENTITY)
            await self._git.run(top, "update-ref", "--no-deref", ref, made.text)
            return made.text

    async def restore(self, directory: Path, snapshot: str) -> None:
        """See the port. Afterwards nothing is staged, unless a merge has conflicts: then the index stays as it is.

        Deletes only files git could see just before and that are not ignored by the snapshot's own rules either. An
        ignored file gives way where the snapshot has a file in its place.
        """
        check_object_id(snapshot)
        top = real(directory)
        lock = self._locks.of(top)
        async with lock:
            await self.bring_back(top, snapshot)

    async def head(self, directory: Path, snapshot: str) -> str:
        """See the port. Empty when the branch had no commit then."""
        raw = (await self._git.run(real(directory), "cat-file", "commit", check_object_id(snapshot))).text
        headers = raw.partition("\n\n")[0].splitlines()
        return next((line.removeprefix("parent ") for line in headers if line.startswith("parent ")), "")

    async def count_changes(self, directory: Path, before: str, after: str) -> int:
        """See the port. A renamed file counts as two."""
        return len(await self.changed(directory, before, after))

    async def changed(self, directory: Path, before: str, after: str) -> list[str]:
        """The files that differ between two commits, both names of a renamed one."""
        ends = (check_object_id(before), check_object_id(after))
        listed = await self._git.run(real(directory), "diff-tree", "-r", "-z", "--name-only", "--no-renames", *ends)
        return listed.names

    async def drop(self, directory: Path, name: str) -> None:
        """See the port."""
        top = real(directory)
        listed = (await self._git.run(top, "for-each-ref", "--format=delete %(refname)", snapshot_ref(name))).raw
        if listed:
            await self._git.run(top, "update-ref", "--stdin", stdin=listed)

    # ── the steps, for who holds the worktree's lock ─────────────────────────────────────────────

    @asynccontextmanager
    async def everything(self, top: Path) -> AsyncIterator[dict[str, str]]:
        """The environment in which a copy of the index holds all files as they are."""
        index = await self.index(top)
        with copied_index(index) as env:
            await self._add_everything(top, env)
            yield env

    async def bring_back(self, top: Path, snapshot: str) -> None:
        """Make the files those of `snapshot` and stage nothing."""
        # Knowing today's files by content, git rewrites only those that differ.
        async with self.everything(top) as env:
            seen = set((await self._aside(top, env, "ls-files", "-z")).names)
            await self._aside(top, env, "read-tree", "--reset", snapshot)
            wanted = set((await self._aside(top, env, "ls-files", "-z")).names)
            await self._restore_rules(top, env, seen, wanted)
            extra = await self._aside(top, env, "ls-files", "--others", "--exclude-standard", "-z")
            await in_thread(_delete, top, seen.intersection(extra.names))
            await self._aside(top, env, "checkout-index", "--all", "--force", "--quiet")
        await self._unstage(top)

    async def index(self, top: Path) -> Path:
        """The worktree's own. Refuses what is no worktree itself: the repository around it is not meant."""
        found = await self._git.run(top, "rev-parse", "--show-prefix", "--git-path", "index")
        prefix, index = found.text.split("\n", 1)
        if prefix:
            raise WorkspaceError(
                f"{top} is no checkout of its own any more: its .git is gone. The repository around it is not touched.",
                "Destroy the session, or put its worktree back: git worktree repair.",
            )
        return top / index

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    async def _aside(self, top: Path, env: Mapping[str, str], *arguments: str, expect: Sequence[int] = (0,)) -> Output:
        return await self._git.run(top, *arguments, env=env, settings=_ASIDE, expect=expect)

    async def _add_everything(self, top: Path, env: Mapping[str, str]) -> None:
        added = await self._aside(top, env, "add", "--all", "--sparse", "--ignore-errors", expect=(0, 1))
        if added.status:
            self._warn(f"A snapshot of {top} is not complete: {added.words}")

    async def _restore_rules(self, top: Path, env: Mapping[str, str], seen: set[str], wanted: set[str]) -> None:
        """First what says which files are ignored and how contents are written: today's rules must not decide that."""
        rules = {name for name in seen | wanted if name.rpartition("/")[2] in _RULES}
        await in_thread(_delete, top, rules - wanted)
        given = "".join(f"{name}\0" for name in rules & wanted)
        await self._git.run(
            top,
            "checkout-index",
            "--force",
            "--quiet",
            "-z",
            "--stdin",
            env=env,
            settings=_ASIDE,
            stdin=os.fsencode(given),
        )

    async def _unstage(self, top: Path) -> None:
        if (await self._git.run(top, "ls-files", "--unmerged", "-z")).raw:
            return
        head = await commit_of(self._git, top, "HEAD")
        await self._git.run(top, "read-tree", *(["--reset", head] if head else ["--empty"]))
        await self._git.run(top, "update-index", "-q", "--refresh", expect=(0, 1))  # 1: there are changes


def snapshot_ref(name: str) -> str:
    """The full ref name of a snapshot, or of a group of them."""
    parts = name.split("/")
    if any(not part or part.startswith(".") or part.endswith((".", ".lock")) or ".." in part for part in parts):
        raise WorkspaceError(f"{name!r} cannot be the name of a snapshot.")
    return "refs/kugetsu/" + "/".join(quote(part, safe="").replace("~", "%7E") for part in parts)


@contextmanager
def copied_index(index: Path) -> Iterator[dict[str, str]]:
    """The environment in which git uses a copy of the worktree's index.

    The copy has the original's time: git tells by it which entries may have changed without their time stamps telling.
    """
    with tempfile.TemporaryDirectory(prefix="kugetsu-") as folder:
        copy = Path(folder) / "index"
        try:
            with index.open("rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
                status = os.fstat(source.fileno())
            os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        except FileNotFoundError:
            copy.unlink(missing_ok=True)  # nothing was ever added or checked out here
        except OSError as error:
            raise WorkspaceError(f"The index {index} cannot be copied: {error.strerror}") from error
        yield {"GIT_INDEX_FILE": str(copy)}


def _delete(top: Path, names: Iterable[str]) -> None:
    """Delete files, and the folders that became empty by it."""
    try:
        for name in names:
            path = top / name
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == top or any(folder.iterdir()):
                    break
                folder.rmdir()
    except OSError as error:
        raise WorkspaceError(f"{error.filename} could not be deleted: {error.strerror}") from error
