"""A session's branch and uncommitted changes in one file, and back, also on another machine.

A bundle holds a snapshot of the worktree whose parent is the branch's commit. That alone says where the branch was,
also when git leaves the branch itself out because all of it is on the base branch.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from adapters.git.claims import claim
from adapters.git.copying import check_entries, is_copy
from adapters.git.process import Git, in_thread
from adapters.git.repository import check_branch, check_object_id, commit_of, open_repository, real
from adapters.git.snapshots import Snapshots, snapshot_ref
from adapters.git.worktrees import Site, Worktrees
from core.errors import WorkspaceError
from core.model import Project

_SNAPSHOT = re.compile(r"refs/kugetsu/export/[0-9a-f]{32}")
_MISSING = re.compile(r"^error: ([0-9a-f]{40,64})\b", re.MULTILINE)

# Nothing of it is taken for good before git has looked at every object; what people set for their own remotes
# must neither forbid reading a local file nor make it fetch elsewhere.
_FETCH = (
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    "protocol.file.allow=always",
    "fetch.writeCommitGraph=false",
)


class Bundles:
    """Export and import of what git holds of a session."""

    def __init__(self, git: Git, worktrees: Worktrees, snapshots: Snapshots) -> None:
        self._git = git
        self._worktrees = worktrees
        self._snapshots = snapshots

    async def bundle(self, directory: Path, branch: str, base: str, target: Path) -> None:
        """See the port. Left out is what the base branch has on origin, or here where origin has none: what was never
        pushed goes along, as nobody else could fetch it. Commits that only a detached HEAD leads to go as files.
        """
        repository = await open_repository(self._git, directory)
        ref = await check_branch(self._git, repository.top, branch)
        async with claim(repository.common, branch):
            tip = await commit_of(self._git, repository.top, ref)
            if not tip:
                raise WorkspaceError(
                    f"The branch {branch} is gone from {repository.top}, so it cannot be exported.",
                    f"Make it again where the worktree stands: git -C {directory} branch {branch}",
                )
            name = _name("export", branch)
            try:
                await self._snapshots.take(directory, name, parent=tip)
                left_out = await self._on_base(repository.top, base)
                wanted = [ref, snapshot_ref(name), *left_out]
                await self._git.run(repository.top, "bundle", "create", "--quiet", str(real(target)), *wanted)
            finally:
                await self._snapshots.drop(directory, name)

    async def unbundle(self, project: Project, directory: Path, branch: str, bundle: Path) -> None:
        """See the port. Done already is what has the bundle's files on the bundle's commit.

        No hooks run: what comes from outside could bring them. A `copy` file that the bundle has changed stays so.
        """
        file = real(bundle)
        async with self._worktrees.site(project, directory, branch) as site:
            top = site.repository.top
            await in_thread(check_entries, top, project.copy)
            name = _name("import", branch)
            try:
                snapshot = await self._fetch(site, file, f"{name}/bundle")
                tip = await self._snapshots.head(top, snapshot)
                if not tip:
                    raise _not_ours(file)
                if await self._is_done(site, tip, snapshot, f"{name}/now"):
                    return
                await self._worktrees.refuse_taken(site)
                async with self._worktrees.making(site, tip):
                    await self._worktrees.check_out(site, tip, hooks=False)
                    await self._snapshots.restore(site.target, snapshot)
                    changed = await self._snapshots.changed(top, tip, snapshot)
                    await self._worktrees.put_copies(site, keep=frozenset(changed))
            finally:
                await self._snapshots.drop(top, name)

    async def _on_base(self, top: Path, base: str) -> list[str]:
        for ref in (f"refs/remotes/origin/{base}", f"refs/heads/{base}"):
            if base and (commit := await commit_of(self._git, top, ref)):
                return [f"^{commit}"]
        return []

    async def _fetch(self, site: Site, file: Path, name: str) -> str:
        """The bundle's snapshot, which only the ref of that name holds; nothing else of the bundle gets one."""
        top = site.repository.top
        await self._verify(site, file)
        heads = (await self._git.run(top, "bundle", "list-heads", str(file))).text
        pairs = [line.partition(" ")[::2] for line in heads.split("\n")]
        snapshots = [(commit, ref) for commit, ref in pairs if _SNAPSHOT.fullmatch(ref)]
        if len(snapshots) != 1:
            raise _not_ours(file)
        commit, ref = check_object_id(snapshots[0][0]), snapshots[0][1]
        await self._check_objects(top, file)
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"]
        wanted = f"+{ref}:{snapshot_ref(name)}"
        await self._git.run(top, "fetch", *options, "--refmap=", "--", str(file), wanted, settings=_FETCH)
        if await commit_of(self._git, top, snapshot_ref(name)) != commit:
            raise _not_ours(file)
        return commit

    async def _verify(self, site: Site, file: Path) -> None:
        top = site.repository.top
        verified = await self._git.run(top, "bundle", "verify", str(file), expect=(0, 1, 128))
        if not verified.status:
            return
        if missing := _MISSING.findall(verified.words):
            base = site.project.base_branch
            raise WorkspaceError(
                f"{top} does not have what {file} builds on: commit {', '.join(missing[:3])}",
                f"Fetch the base branch first (git -C {top} fetch origin{f' {base}' if base else ''}). "
                "If that does not bring it, the session is of another repository.",
            )
        raise WorkspaceError(f"{file} cannot be read as a git bundle: {verified.words}", "Export the session again.")

    async def _check_objects(self, top: Path, file: Path) -> None:
        """Take the objects in with every check; `git fetch` from a bundle leaves most of them out in older gits."""
        start = await in_thread(_start_of_pack, file)
        with file.open("rb", buffering=0) as pack:
            os.lseek(pack.fileno(), start, os.SEEK_SET)
            await self._git.run(top, "index-pack", "--stdin", "--fix-thin", "--strict", stdin=pack)

    async def _is_done(self, site: Site, tip: str, snapshot: str, name: str) -> bool:
        top = site.repository.top
        if not await self._worktrees.stands(site) or await commit_of(self._git, top, site.ref) != tip:
            return False
        now = await self._snapshots.take(site.target, name)
        differ = await self._snapshots.changed(top, snapshot, now)
        return all(is_copy(top, site.target, site.project.copy, file) for file in differ)


def _name(purpose: str, branch: str) -> str:
    """Where a snapshot is kept meanwhile. The same each time, so that what a crash left is found and replaced."""
    return f"{purpose}/{hashlib.sha256(os.fsencode(branch)).hexdigest()[:32]}"


def _start_of_pack(file: Path) -> int:
    """After the bundle's header, which ends with an empty line."""
    with file.open("rb") as opened:
        while opened.readline() not in {b"\n", b""}:
            pass
        return opened.tell()


def _not_ours(file: Path) -> WorkspaceError:
    return WorkspaceError(f"{file} holds no session of kugetsu's.", "Use a file that `kugetsu export` wrote.")
