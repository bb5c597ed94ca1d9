"""Snapshots: everything that is there, kept beside the index, HEAD and the branches, and brought back."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import WorkspaceError

NAME = "example.org-o-r-14/3/before"


def files(checkout, commit):
    return set(filter(None, checkout.git("ls-tree", "-rz", "--name-only", commit).split("\0")))


def content(checkout, commit, name):
    return checkout.git("show", f"{commit}:{name}")


async def test_everything_but_ignored_files(workspace, worktree):
    worktree.commit(".gitignore", "*.log\n")
    worktree.commit("deleted")
    worktree.commit("renamed", "the very same\n" * 9)
    worktree.write("staged")
    worktree.git("add", "staged")
    worktree.git("mv", "renamed", "new name")
    (worktree.path / "deleted").unlink()
    worktree.write("sub/-untracked")
    worktree.write("debug.log")
    worktree.write("file", "changed\n")
    (worktree.path / "empty").mkdir()
    (worktree.path / "link").symlink_to("nowhere")
    (worktree.path / "binary").write_bytes(b"\0\xff\r\n")
    worktree.write("run.sh").chmod(0o755)
    taken = await workspace.snapshot(worktree.path, NAME)
    assert files(worktree, taken) == {
        ".gitignore", "staged", "new name", "sub/-untracked", "file", "link", "binary", "run.sh",
    }  # fmt: skip
    assert content(worktree, taken, "file") == "changed"
    assert worktree.git("ls-tree", taken, "link", "run.sh").split()[0::4] == ["120000", "100755"]


async def test_nothing_else_changes(workspace, worktree, hook):
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"):
        hook(name, f"echo {name} >> '{worktree.path}/hooks-ran'")
    worktree.write("staged")
    worktree.git("add", "staged")
    (worktree.path / "hooks-ran").unlink(missing_ok=True)
    worktree.write("file", "changed\n")
    index = worktree.path / worktree.git("rev-parse", "--git-path", "index")
    before = (index.read_bytes(), worktree.git("for-each-ref"), worktree.git("symbolic-ref", "HEAD"))
    taken = await workspace.snapshot(worktree.path, NAME)
    worktree.git("update-ref", "-d", f"refs/kugetsu/{NAME}", taken)
    (worktree.path / "hooks-ran").unlink()  # that one was ours
    await workspace.snapshot(worktree.path, NAME)
    assert not (worktree.path / "hooks-ran").exists()
    assert worktree.git("rev-parse", f"refs/kugetsu/{NAME}") != ""
    await workspace.drop_snapshots(worktree.path, NAME)
    assert (index.read_bytes(), worktree.git("for-each-ref"), worktree.git("symbolic-ref", "HEAD")) == before
    assert not (worktree.path / "hooks-ran").exists()


async def test_nobodys_identity_or_key_is_needed(workspace, worktree):
    worktree.git("config", "user.useConfigOnly", "true")
    worktree.git("config", "commit.gpgSign", "true")
    worktree.git("config", "core.safecrlf", "true")
    worktree.git("config", "core.autocrlf", "input")
    worktree.write("crlf", "a\r\n")
    taken = await workspace.snapshot(worktree.path, NAME)
    assert worktree.git("log", "-1", "--format=%an %cn", taken) == "kugetsu kugetsu"


async def test_head_is_its_first_parent(workspace, worktree):
    head = worktree.commit("more")
    worktree.write("file", "changed\n")
    taken = await workspace.snapshot(worktree.path, NAME)
    worktree.commit("and more")
    assert await workspace.snapshot_head(worktree.path, taken) == head


async def test_a_branch_without_commits(workspace, worktree):
    worktree.git("checkout", "-q", "--orphan", "fresh")
    taken = await workspace.snapshot(worktree.path, NAME)
    assert await workspace.snapshot_head(worktree.path, taken) == ""
    worktree.write("file", "changed\n")
    await workspace.restore(worktree.path, taken)
    assert worktree.status() == ["?? file"]
    assert (worktree.path / "file").read_text() == "content\n"


async def test_a_change_that_only_the_index_time_gives_away_is_seen(workspace, worktree):
    worktree.git("config", "core.trustctime", "false")
    index = worktree.path / worktree.git("rev-parse", "--git-path", "index")
    moment = (10**18, 10**18)  # written, added and written again within one tick of the clock, some time ago
    os.utime(worktree.write("file", "AAAA\n"), ns=moment)
    worktree.git("add", "file")
    os.utime(index, ns=moment)
    os.utime(worktree.write("file", "BBBB\n"), ns=moment)
    assert content(worktree, await workspace.snapshot(worktree.path, NAME), "file") == "BBBB"


async def test_changed_files(workspace, worktree):
    before = await workspace.snapshot(worktree.path, "s/1/before")
    worktree.write("file", "changed\n")
    worktree.write("new\nline")
    worktree.write("sub/é")
    after = await workspace.snapshot(worktree.path, "s/1/after")
    assert await workspace.changed_files(worktree.path, before, after) == 3
    assert await workspace.changed_files(worktree.path, after, after) == 0


async def test_the_same_name_again_replaces(workspace, worktree):
    await workspace.snapshot(worktree.path, NAME)
    worktree.write("file", "changed\n")
    again = await workspace.snapshot(worktree.path, NAME)
    assert worktree.git("rev-parse", f"refs/kugetsu/{NAME}") == again


async def test_drop_forgets_just_those_below(workspace, worktree):
    for name in ("a-1/1/before", "a-1/1/after", "a-1/fork", "a-10/1/before", "a-1~x/1/before"):
        await workspace.snapshot(worktree.path, name)
    await workspace.drop_snapshots(worktree.path, "a-1")
    await workspace.drop_snapshots(worktree.path, "absent")
    left = worktree.git("for-each-ref", "--format=%(refname)", "refs/kugetsu").split()
    assert left == ["refs/kugetsu/a-1%7Ex/1/before", "refs/kugetsu/a-10/1/before"]


async def test_names_of_forks_and_foreign_letters(workspace, worktree):
    for name in ("r-14~try two/1/before", "é:*?[\\^@{x}/1", "-n/1"):
        taken = await workspace.snapshot(worktree.path, name)
        assert taken in worktree.git("for-each-ref", "--format=%(objectname)", "refs/kugetsu")
        await workspace.drop_snapshots(worktree.path, name)
        assert worktree.git("for-each-ref", "refs/kugetsu") == ""


@pytest.mark.parametrize("name", ["", "/", "a//b", "../heads/main", "a/../b", ".a", "a.lock", "a/b.", "a..b"])
async def test_impossible_names(workspace, worktree, name):
    with pytest.raises(WorkspaceError, match="cannot be the name"):
        await workspace.snapshot(worktree.path, name)
    with pytest.raises(WorkspaceError, match="cannot be the name"):
        await workspace.drop_snapshots(worktree.path, name)


@pytest.mark.parametrize("snapshot", ["", "HEAD", "--output=x", "0" * 39, "main", "0" * 40])
async def test_what_is_no_snapshot(workspace, worktree, snapshot):
    with pytest.raises(WorkspaceError):
        await workspace.restore(worktree.path, snapshot)
    with pytest.raises(WorkspaceError):
        await workspace.snapshot_head(worktree.path, snapshot)
    with pytest.raises(WorkspaceError):
        await workspace.changed_files(worktree.path, snapshot, snapshot)
    assert worktree.status() == []


async def test_a_directory_that_is_gone(workspace, tmp_path):
    with pytest.raises(WorkspaceError, match="gone does not exist"):
        await workspace.snapshot(tmp_path / "gone", NAME)


async def test_a_repository_around_a_broken_worktree_is_not_touched(workspace, repo):
    inner = repo.write("inner/file").parent
    for attempt in (workspace.snapshot(inner, NAME), workspace.restore(inner, repo.git("rev-parse", "HEAD"))):
        with pytest.raises(WorkspaceError, match="is no checkout of its own"):
            await attempt
    assert repo.git("for-each-ref", "refs/kugetsu") == ""
    assert repo.status() == ["?? inner/"]


# ── restoring ──────────────────────────────────────────────────────────────────────────────────


async def test_undo_and_redo(workspace, worktree):
    worktree.commit(".gitignore", "*.log\n")
    worktree.write("notes", "before\n")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    worktree.write("file", "changed\n")
    worktree.write("notes", "after\n")
    worktree.write("sub/deep/new")
    worktree.write("staged")
    worktree.git("add", "staged")
    worktree.write("build.log", "ignored\n")
    after = await workspace.snapshot(worktree.path, "s/1/after")

    await workspace.restore(worktree.path, before)
    assert worktree.status() == ["?? notes"]
    assert (worktree.path / "notes").read_text() == "before\n"
    assert not (worktree.path / "sub").exists()
    assert (worktree.path / "build.log").read_text() == "ignored\n"

    await workspace.restore(worktree.path, after)
    assert worktree.status() == ["M file", "?? notes", "?? staged", "?? sub/"]  # the helper strips the first space
    assert (worktree.path / "notes").read_text() == "after\n"


async def test_commits_of_the_run_stay_and_show_as_reverted(workspace, worktree):
    before = await workspace.snapshot(worktree.path, "s/1/before")
    head = worktree.commit("work")
    await workspace.restore(worktree.path, before)
    assert worktree.git("rev-parse", "HEAD") == head
    assert worktree.status() == ["D work"]


async def test_untouched_files_are_not_written(workspace, worktree):
    before = await workspace.snapshot(worktree.path, "s/1/before")
    os.utime(worktree.path / "file", ns=(0, 0))
    worktree.write("new")
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "file").stat().st_mtime_ns == 0


async def test_secrets_survive_a_run_that_removed_the_ignore_rules(workspace, worktree):
    worktree.commit(".gitignore", ".env\n")
    worktree.write(".env", "SECRET\n")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    (worktree.path / ".gitignore").unlink()
    worktree.git("add", "-A")
    worktree.git("commit", "-qm", "oops")
    await workspace.restore(worktree.path, before)
    assert (worktree.path / ".env").read_text() == "SECRET\n"
    assert (worktree.path / ".gitignore").read_text() == ".env\n"


async def test_files_the_run_began_to_ignore_are_in_no_snapshot_and_stay(workspace, worktree):
    worktree.commit(".gitignore", "*.log\n")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    worktree.write(".gitignore", "*.log\ntarget/\n")
    worktree.write("target/huge")
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "target" / "huge").exists()
    assert worktree.status() == ["?? target/"]


async def test_kinds_that_changed(workspace, worktree, wipe):
    worktree.write("a/b", "file in folder\n")
    worktree.write("plain", "file\n")
    (worktree.path / "link").symlink_to("file")
    worktree.write("run", "x\n").chmod(0o755)
    before = await workspace.snapshot(worktree.path, "s/1/before")
    wipe(worktree.path)
    worktree.write("a", "folder became file\n")
    worktree.write("plain/x", "file became folder\n")
    worktree.write("link", "link became file\n")
    worktree.write("run", "x\n").chmod(0o644)
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "a" / "b").read_text() == "file in folder\n"
    assert (worktree.path / "plain").read_text() == "file\n"
    assert (worktree.path / "link").readlink() == Path("file")
    assert (worktree.path / "run").stat().st_mode & stat.S_IXUSR
    assert (worktree.path / "file").exists()


async def test_a_linked_folder_is_not_written_through(workspace, worktree, tmp_path):
    worktree.write("folder/file", "ours\n")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("theirs\n")
    (worktree.path / "folder" / "file").unlink()
    (worktree.path / "folder").rmdir()
    (worktree.path / "folder").symlink_to(outside)
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "folder" / "file").read_text() == "ours\n"
    assert (outside / "file").read_text() == "theirs\n"


async def test_line_ends_follow_the_rules_of_the_snapshot(workspace, worktree):
    worktree.write("a.txt", "one\r\n")
    worktree.write(".gitattributes", "*.txt text eol=crlf\n")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    (worktree.path / ".gitattributes").unlink()
    worktree.write("a.txt", "two\n")
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "a.txt").read_bytes() == b"one\r\n"


async def test_line_ends_do_not_follow_rules_the_run_added(workspace, worktree):
    worktree.commit("a.txt", "one\n")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    worktree.write(".gitattributes", "*.txt text eol=crlf\n")
    worktree.write("a.txt", "two\n")
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "a.txt").read_bytes() == b"one\n"
    assert worktree.status() == []


@pytest.fixture
def conflict(worktree):
    worktree.git("checkout", "-qb", "theirs")
    worktree.commit("file", "theirs\n")
    worktree.git("checkout", "-q", "kugetsu/14")
    worktree.commit("file", "ours\n")
    worktree.git("merge", "theirs", ok=False)
    assert worktree.status() == ["UU file"]
    return worktree


async def test_in_the_middle_of_a_conflict(workspace, conflict):
    marked = (conflict.path / "file").read_text()
    taken = await workspace.snapshot(conflict.path, "s/1/before")
    assert conflict.status() == ["UU file"]
    conflict.write("file", "resolved\n")
    await workspace.restore(conflict.path, taken)
    assert conflict.status() == ["UU file"]
    assert (conflict.path / "file").read_text() == marked


async def test_a_nested_repository_stays_as_it_is(workspace, worktree, repo, warnings):
    before = await workspace.snapshot(worktree.path, "s/1/before")
    repo.git("clone", "-q", ".", str(worktree.path / "nested"))
    repo.git("init", "-q", str(worktree.path / "young"))
    worktree.write("young/file")
    worktree.write("new")
    after = await workspace.snapshot(worktree.path, "s/1/after")
    assert files(worktree, after) == {"file", "nested", "new"}
    assert len(warnings) == 1
    assert "young" in warnings[0]
    await workspace.restore(worktree.path, before)
    assert (worktree.path / "nested" / "file").exists()
    assert (worktree.path / "young" / "file").exists()
    assert not (worktree.path / "new").exists()


async def test_a_sparse_checkout(workspace, worktree):
    worktree.commit("in/file")
    worktree.commit("out/file")
    worktree.git("sparse-checkout", "set", "in")
    worktree.write("out/new")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    assert files(worktree, before) == {"file", "in/file", "out/file", "out/new"}
    worktree.write("in/file", "changed\n")
    worktree.write("out/newer")
    await workspace.restore(worktree.path, before)
    assert worktree.status() == ["?? out/new"]
    assert (worktree.path / "in" / "file").read_text() == "content\n"
    assert not (worktree.path / "out" / "file").exists()
    assert not (worktree.path / "out" / "newer").exists()


async def test_a_split_index(workspace, worktree):
    worktree.git("config", "core.splitIndex", "true")
    worktree.git("update-index", "--split-index")
    folder = (worktree.path / worktree.git("rev-parse", "--git-path", "index")).parent
    shared = set(folder.glob("sharedindex.*"))
    worktree.write("new")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    assert set(folder.glob("sharedindex.*")) == shared
    worktree.write("newer")
    await workspace.restore(worktree.path, before)
    assert worktree.status() == ["?? new"]


async def test_a_fork_takes_uncommitted_work_along(workspace, project, repo, worktree, tmp_path):
    worktree.commit("committed")
    worktree.write("not committed")
    taken = await workspace.snapshot(worktree.path, "example.org-o-r-14~try/fork")
    start = await workspace.snapshot_head(repo.path, taken)
    fork = repo.at(tmp_path / "fork")
    await workspace.add_worktree(replace(project), fork.path, "kugetsu/14-try", start)
    await workspace.restore(fork.path, taken)
    assert fork.status() == ['?? "not committed"']
    assert (fork.path / "committed").exists()
