"""What differs between two states: file by file, as a patch, and since the branch left its base."""

import os
import stat
import time
from dataclasses import replace

import pytest

from core.errors import WorkspaceError
from core.ports import FileChange

LINES = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def between(workspace, worktree):
    """Two snapshots, and what was done meanwhile."""

    async def made(change):
        before = await workspace.snapshot(worktree.path, "s/1/before")
        change()
        return before, await workspace.snapshot(worktree.path, "s/1/after")

    return made


@pytest.fixture
def cleared(worktree, wipe):
    """The worktree as a snapshot has it, committed to nothing."""

    def back(commit):
        wipe(worktree.path)
        worktree.git("read-tree", "--reset", "-u", commit)

    return back


async def test_lines_and_kinds_of_changes(workspace, worktree, between):
    worktree.write("gone", "unlike the others\n" * 30)
    worktree.write("old name", LINES)
    worktree.write("moved as it was", LINES + "and one\n")

    def change():
        worktree.write("file", "one\ntwo\n")
        worktree.write("new", "1\n2\n3\n")
        (worktree.path / "gone").unlink()
        (worktree.path / "old name").unlink()
        worktree.write("sub/new name", LINES + "more\n")
        (worktree.path / "moved as it was").rename(worktree.path / "moved")
        (worktree.path / "picture").write_bytes(bytes(range(256)))
        worktree.write("new", "1\n2\n3\n").chmod(0o755)

    before, after = await between(change)
    assert await workspace.changes(worktree.path, before, after) == [
        FileChange("file", 2, 1),
        FileChange("gone", 0, 30),
        FileChange("moved", 0, 0, "moved as it was"),
        FileChange("new", 3, 0),
        FileChange("picture", binary=True),
        FileChange("sub/new name", 1, 0, "old name"),
    ]
    assert await workspace.changes(worktree.path, after, after) == []


async def test_paths_of_every_kind(workspace, worktree, between):
    names = ["new\nline", "tab\there", '"quoted"', "-dash", "ünï", "a\\b", " blank ", "{a => b}"]

    def change():
        for name in names:
            worktree.write(name)
        (worktree.path / os.fsdecode(b"latin\xe9")).write_text("x\n")

    before, after = await between(change)
    told = await workspace.changes(worktree.path, before, after)
    assert {change.path for change in told} == {*names, r"latin\xe9"}
    assert {(change.added, change.removed, change.before) for change in told} == {(1, 0, "")}
    for name in names:
        (worktree.path / name).rename(worktree.path / f"{name}2")
    (worktree.path / os.fsdecode(b"latin\xe9")).unlink()
    now = await workspace.snapshot(worktree.path, "s/1/now")
    assert len(await workspace.changes(worktree.path, after, now)) == len(names) + 1
    assert [change.path.encode() for change in told]  # can be sent and stored


async def test_a_renamed_binary_file(workspace, worktree, between):
    content = bytes(range(256)) * 40
    (worktree.path / "old").write_bytes(content)

    def change():
        (worktree.path / "old").unlink()
        (worktree.path / "new").write_bytes(content + b"\0")

    before, after = await between(change)
    told = await workspace.changes(worktree.path, before, after)
    assert told == [FileChange("new", before="old", binary=True)]


async def test_a_patch_makes_one_state_the_other(workspace, worktree, between, cleared, tmp_path):
    worktree.write("renamed", LINES)
    (worktree.path / "binary").write_bytes(bytes(range(256)) * 9)

    def change():
        worktree.write("file", "changed\n")
        (worktree.path / "renamed").unlink()
        worktree.write("new name", LINES + "more\n")
        (worktree.path / "binary").write_bytes(bytes(range(255, -1, -1)) * 9)
        worktree.write("-f ünïcode\n", "1\n").chmod(0o755)
        (worktree.path / "link").symlink_to("file")
        worktree.write("no end", "x")

    before, after = await between(change)
    target = tmp_path / "outgoing" / "x.patch"
    size = await workspace.patch(worktree.path, before, after, target)
    assert size == target.stat().st_size > 0
    assert "rename from renamed" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    cleared(before)
    worktree.git("apply", "--index", str(target))
    assert worktree.git("write-tree") == worktree.git("rev-parse", f"{after}^{{tree}}")


async def test_nobodys_settings_spoil_it(workspace, worktree, between, cleared, tmp_path):
    worktree.git("config", "diff.noprefix", "true")
    worktree.git("config", "color.ui", "always")
    worktree.git("config", "diff.external", "false")
    worktree.git("config", "diff.renames", "false")
    worktree.git("config", "diff.relative", "true")
    worktree.write(".gitattributes", "*.up diff=upper\n")
    worktree.git("config", "diff.upper.textconv", "tr a-z A-Z <")
    worktree.write("x.up", LINES)

    def change():
        (worktree.path / "x.up").unlink()
        worktree.write("y.up", LINES + "more\n")

    before, after = await between(change)
    assert await workspace.changes(worktree.path, before, after) == [FileChange("y.up", 1, 0, "x.up")]
    await workspace.patch(worktree.path, before, after, tmp_path / "x.patch")
    cleared(before)
    worktree.git("apply", "--index", str(tmp_path / "x.patch"))
    assert worktree.git("write-tree") == worktree.git("rev-parse", f"{after}^{{tree}}")


async def test_no_patch_where_nothing_changed(workspace, worktree, tmp_path):
    before = await workspace.snapshot(worktree.path, "s/1/before")
    assert await workspace.patch(worktree.path, before, before, tmp_path / "new" / "x.patch") == 0
    assert list((tmp_path / "new").iterdir()) == []


async def test_a_patch_that_fails_leaves_the_one_before(workspace, worktree, between, tmp_path):
    before, after = await between(lambda: worktree.write("new"))
    target = tmp_path / "out" / "x.patch"
    await workspace.patch(worktree.path, before, after, target)
    whole = target.read_bytes()
    with pytest.raises(WorkspaceError):
        await workspace.patch(worktree.path, before, "0" * 40, target)
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == whole


async def test_where_nothing_can_be_written(workspace, worktree, between, tmp_path):
    before, after = await between(lambda: worktree.write("new"))
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match=r"x\.patch could not be written: File exists"):
        await workspace.patch(worktree.path, before, after, tmp_path / "file" / "x.patch")


@pytest.mark.parametrize("commit", ["", "HEAD", "--output=x", "0" * 40])
async def test_what_is_no_commit(workspace, worktree, commit, tmp_path):
    head = worktree.git("rev-parse", "HEAD")
    with pytest.raises(WorkspaceError):
        await workspace.changes(worktree.path, head, commit)
    with pytest.raises(WorkspaceError):
        await workspace.patch(worktree.path, head, commit, tmp_path / "x.patch")
    assert worktree.status() == []


async def test_two_thousand_files(workspace, worktree, between, tmp_path):
    for number in range(1000):
        worktree.write(f"many/{number}", f"{number}\n{LINES}")

    def change():
        for number in range(1000):
            worktree.write(f"many/{number}", f"{number}\n{LINES}changed\n")
            worktree.write(f"more/{number}", f"{number}\nnew\n")

    before, after = await between(change)
    started = time.perf_counter()
    told = await workspace.changes(worktree.path, before, after)
    await workspace.patch(worktree.path, before, after, tmp_path / "x.patch")
    took = time.perf_counter() - started
    assert len(told) == 2000
    assert took < 3  # 0.2 s on an idle machine


async def test_thousands_of_renames_are_not_compared_with_each_other(workspace, worktree, between):
    for number in range(1000):
        worktree.write(f"old/{number}", f"{number}\n{LINES}")

    def change():
        for number in range(1000):
            (worktree.path / "old" / str(number)).unlink()
            worktree.write(f"new/{number}", f"{number}\n{LINES}" + ("changed\n" if number % 2 else ""))

    before, after = await between(change)
    started = time.perf_counter()
    told = await workspace.changes(worktree.path, before, after)
    took = time.perf_counter() - started
    assert sum(bool(change.before) for change in told) >= 500  # those that were only moved
    assert took < 3


async def test_a_huge_file(workspace, worktree, between, cleared, tmp_path):
    def change():
        with (worktree.path / "huge").open("wb") as file:
            file.write(os.urandom(1 << 20))
            file.seek(200 << 20)
            file.write(b"end")
        (worktree.path / "long.txt").write_text("a line of some text\n" * (4 << 20))  # 80 MB

    before, after = await between(change)
    told = await workspace.changes(worktree.path, before, after)
    assert told == [FileChange("huge", binary=True), FileChange("long.txt", binary=True)]
    size = await workspace.patch(worktree.path, before, after, tmp_path / "x.patch")
    assert size == (tmp_path / "x.patch").stat().st_size > 1 << 20
    cleared(before)
    worktree.git("apply", "--index", str(tmp_path / "x.patch"))
    assert worktree.git("write-tree") == worktree.git("rev-parse", f"{after}^{{tree}}")


# ── the base ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def based(project):
    return replace(project, base_branch="main")


async def test_where_the_branch_left_its_base(workspace, project, based, repo, worktree):
    left = worktree.git("rev-parse", "HEAD")
    worktree.commit("work")
    repo.commit("others' work")
    assert await workspace.base_of(based, worktree.path) == left
    assert await workspace.base_of(project, worktree.path) == left


async def test_a_base_merged_in_is_no_own_work(workspace, based, repo, worktree):
    worktree.commit("work")
    theirs = repo.commit("theirs")
    worktree.git("merge", "-q", "main")
    assert await workspace.base_of(based, worktree.path) == theirs
    assert {
        change.path for change in await workspace.changes(worktree.path, theirs, worktree.git("rev-parse", "HEAD"))
    } == {"work"}


@pytest.mark.parametrize("remote", ["origin", "upstream"])
async def test_a_base_pulled_from_a_remote_is_no_own_work(workspace, project, based, repo, worktree, remote):
    repo.git("checkout", "-qb", "elsewhere")
    theirs = repo.commit("theirs")
    repo.git("checkout", "-q", "main")
    repo.git("branch", "-qD", "elsewhere")
    repo.git("update-ref", f"refs/remotes/{remote}/main", theirs)
    worktree.commit("work")
    worktree.git("merge", "-q", theirs)
    assert await workspace.base_of(based, worktree.path) == theirs
    assert await workspace.base_of(project, worktree.path) == theirs


async def test_an_old_remote_side_does_not_make_the_local_base_own_work(workspace, based, repo, worktree):
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    newer = repo.commit("not pushed")
    worktree.git("merge", "-q", "main")
    worktree.commit("work")
    assert await workspace.base_of(based, worktree.path) == newer


async def test_a_branch_that_shares_nothing(workspace, based, worktree):
    worktree.git("checkout", "-q", "--orphan", "fresh")
    assert await workspace.base_of(based, worktree.path) == worktree.git("rev-parse", "main")  # no commit yet
    first = worktree.commit("first")
    worktree.commit("second")
    assert await workspace.base_of(based, worktree.path) == first


async def test_a_base_branch_nobody_has_any_more(workspace, project, worktree):
    first = worktree.git("rev-parse", "HEAD")
    worktree.commit("work")
    assert await workspace.base_of(replace(project, base_branch="gone"), worktree.path) == first


async def test_a_detached_head_and_a_detached_checkout(workspace, project, based, repo, worktree):
    left = worktree.git("rev-parse", "HEAD")
    worktree.git("checkout", "-q", "--detach")
    worktree.commit("work")
    assert await workspace.base_of(based, worktree.path) == left
    repo.git("checkout", "-q", "--detach")
    assert await workspace.base_of(project, worktree.path) == left


async def test_the_checkout_itself(workspace, project, based, repo):
    shared = replace(based, worktrees=False)
    first = repo.git("rev-parse", "HEAD")
    second = repo.commit("work")
    assert await workspace.base_of(shared, repo.path) == second  # nobody else has anything
    repo.git("update-ref", "refs/remotes/origin/main", first)
    assert await workspace.base_of(shared, repo.path) == first
    assert await workspace.base_of(replace(shared, base_branch=""), repo.path) == first
    repo.git("checkout", "-qb", "feature")
    repo.commit("more")
    assert await workspace.base_of(shared, repo.path) == second
