"""What there is to commit, and committing it: everything, with the user's hooks, or nothing."""

import asyncio
from dataclasses import replace

import pytest

from core.errors import NothingToCommit, WorkspaceError
from core.ports import FileChange


@pytest.fixture
def worktree(worktree):
    worktree.git("config", "user.name", "Ada")
    worktree.git("config", "user.email", "ada@example.org")
    return worktree


@pytest.fixture
def based(project):
    return replace(project, base_branch="main")


def index_of(checkout):
    return (checkout.path / checkout.git("rev-parse", "--git-path", "index")).read_bytes()


def committed(checkout):
    return checkout.git("show", "--format=", "--name-status", "--no-renames", "HEAD").splitlines()


# ── what there is ──────────────────────────────────────────────────────────────────────────────


async def test_nothing_yet(workspace, based, worktree):
    work = await workspace.work(based, worktree.path, "kugetsu/14")
    assert work.head == worktree.git("rev-parse", "HEAD")
    assert (work.uncommitted, work.commits, work.unpushed, work.remote, work.url) == ((), (), (), "", "")


async def test_uncommitted_files_and_commits(workspace, based, repo, worktree):
    worktree.commit(".gitignore", "*.log\n")
    worktree.commit("one", "unlike the others\n")
    worktree.write("debug.log")
    worktree.write("new", "1\n2\n")
    worktree.write("staged", "staged\n")
    worktree.git("add", "staged")
    worktree.git("mv", "file", "renamed")
    (worktree.path / "one").unlink()
    index = index_of(worktree)
    repo.commit("others' work")
    work = await workspace.work(based, worktree.path, "kugetsu/14")
    assert work.uncommitted == (
        FileChange("new", 2, 0),
        FileChange("one", 0, 1),
        FileChange("renamed", 0, 0, "file"),
        FileChange("staged", 1, 0),
    )
    assert [line.partition(" ")[2] for line in work.commits] == [".gitignore", "one"]
    assert work.unpushed == work.commits
    assert index_of(worktree) == index


async def test_what_the_remote_has_not(workspace, based, worktree):
    worktree.git("remote", "add", "origin", "https://ada:s3cret@example.org/o/r.git")
    pushed = worktree.commit("one")
    worktree.git("update-ref", "refs/remotes/origin/kugetsu/14", pushed)
    worktree.commit("two")
    work = await workspace.work(based, worktree.path, "kugetsu/14")
    assert [line.partition(" ")[2] for line in work.commits] == ["one", "two"]
    assert [line.partition(" ")[2] for line in work.unpushed] == ["two"]
    assert (work.remote, work.url) == ("origin", "https://example.org/o/r.git")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://TOKEN@example.org/o/r", "https://example.org/o/r"),
        ("https://user:p@ss@example.org:8080/o/r", "https://example.org:8080/o/r"),
        ("ssh://git:secret@example.org/o/r", "ssh://git@example.org/o/r"),
        ("git@example.org:o/r.git", "git@example.org:o/r.git"),
        ("/srv/git/a@b", "/srv/git/a@b"),
    ],
)
async def test_addresses_without_passwords(workspace, based, worktree, address, shown):
    worktree.git("remote", "add", "only", address)
    work = await workspace.work(based, worktree.path, "kugetsu/14")
    assert (work.remote, work.url) == ("only", shown)


async def test_which_remote(workspace, based, worktree):
    async def remote():
        return (await workspace.work(based, worktree.path, "kugetsu/14")).remote

    worktree.git("remote", "add", "fork", "/fork")
    worktree.git("remote", "add", "mine", "/mine")
    assert await remote() == ""
    worktree.git("remote", "add", "origin", "/origin")
    assert await remote() == "origin"
    worktree.git("config", "branch.kugetsu/14.remote", ".")
    assert await remote() == "origin"
    worktree.git("config", "branch.kugetsu/14.remote", "fork")
    assert await remote() == "fork"
    worktree.git("config", "remote.pushDefault", "mine")
    assert await remote() == "mine"


async def test_a_base_merged_in_is_no_own_work(workspace, based, repo, worktree):
    worktree.commit("one")
    repo.commit("theirs")
    worktree.git("merge", "-q", "main", "-m", "merged")
    work = await workspace.work(based, worktree.path, "kugetsu/14")
    assert [line.partition(" ")[2] for line in work.commits] == ["one", "merged"]


async def test_the_checkout_itself_on_its_base(workspace, based, repo):
    shared = replace(based, worktrees=False)
    first = repo.git("rev-parse", "HEAD")
    repo.commit("work")
    assert (await workspace.work(shared, repo.path, "")).commits == ()
    repo.git("remote", "add", "origin", "/nowhere")
    work = await workspace.work(shared, repo.path, "")
    assert [line.partition(" ")[2] for line in work.unpushed] == ["file", "work"]  # the remote was never seen
    repo.git("update-ref", "refs/remotes/origin/main", first)
    work = await workspace.work(shared, repo.path, "")
    assert [line.partition(" ")[2] for line in work.unpushed] == ["work"]


async def test_a_branch_without_commits(workspace, based, worktree):
    worktree.git("checkout", "-q", "--orphan", "fresh")
    work = await workspace.work(based, worktree.path, "")
    assert (work.head, work.commits, work.uncommitted) == ("", (), (FileChange("file", 1, 0),))
    made = await workspace.commit(worktree.path, "First")
    assert made == worktree.git("rev-parse", "fresh")


async def test_a_branch_that_is_gone(workspace, based, worktree):
    with pytest.raises(WorkspaceError, match="The branch gone is gone from"):
        await workspace.work(based, worktree.path, "gone")


# ── committing ─────────────────────────────────────────────────────────────────────────────────


async def test_everything_but_ignored_files(workspace, worktree):
    worktree.commit(".gitignore", "*.log\n")
    worktree.commit("deleted")
    (worktree.path / "deleted").unlink()
    worktree.write("debug.log")
    worktree.write("file", "changed\n")
    worktree.write("sub/-new\nfile")
    worktree.write("staged")
    worktree.git("add", "staged")
    made = await workspace.commit(worktree.path, "#14: what is done\n\nWhy it is.\n# not a comment\n")
    assert made == worktree.git("rev-parse", "kugetsu/14")
    assert committed(worktree) == ["D\tdeleted", "M\tfile", "A\tstaged", 'A\t"sub/-new\\nfile"']
    assert worktree.git("log", "-1", "--format=%B") == "#14: what is done\n\nWhy it is.\n# not a comment"
    assert worktree.git("log", "-1", "--format=%an %ae %cn") == "Ada ada@example.org Ada"
    assert worktree.status() == []


async def test_nothing_to_commit(workspace, worktree):
    worktree.write("file", "content\n")  # rewritten with what it had
    with pytest.raises(NothingToCommit, match="nothing to commit in"):
        await workspace.commit(worktree.path, "Nothing")


async def test_copies_are_never_committed(workspace, project, repo, directory):
    repo.git("config", "user.name", "Ada")
    repo.git("config", "user.email", "ada@example.org")
    repo.commit("config/tracked")
    repo.commit("config/local", "committed\n")
    repo.write("config/local", "private\n")
    repo.write("config/secret", "secret\n")
    repo.write(".env", "SECRET\n")
    copying = replace(project, copy=(".env", "config", "absent"))
    await workspace.add_worktree(copying, directory, "kugetsu/14")
    worktree = repo.at(directory)
    assert (await workspace.work(copying, directory, "kugetsu/14")).uncommitted == ()
    with pytest.raises(NothingToCommit):
        await workspace.commit(directory, "Nothing")
    worktree.write(".env", "SECRET\nMORE\n")
    worktree.write("config/local", "private\nand more\n")
    worktree.write("config/tracked", "work\n")
    worktree.write("config/new", "work\n")
    worktree.git("add", ".env")
    told = (await workspace.work(copying, directory, "kugetsu/14")).uncommitted
    assert {change.path for change in told} == {"config/new", "config/tracked"}
    await workspace.commit(directory, "Work")
    assert committed(worktree) == ["A\tconfig/new", "M\tconfig/tracked"]
    assert (worktree.path / ".env").read_text() == "SECRET\nMORE\n"
    assert (worktree.path / "config" / "local").read_text() == "private\nand more\n"


async def test_copies_stay_out_when_they_are_not_ignored_any_more(workspace, project, repo, directory):
    repo.git("config", "user.name", "Ada")
    repo.git("config", "user.email", "ada@example.org")
    repo.commit(".gitignore", ".env\n")
    repo.write(".env", "SECRET\n")
    await workspace.add_worktree(replace(project, copy=(".env",)), directory, "kugetsu/14")
    worktree = repo.at(directory)
    worktree.write(".gitignore", "")
    await workspace.commit(directory, "Nothing is ignored")
    assert committed(worktree) == ["M\t.gitignore"]


async def test_copies_stay_out_of_a_session_moved_here(workspace, project, repo, worktree, tmp_path):
    worktree.write(".env", "SECRET\n")
    worktree.write("new", "work\n")
    await workspace.bundle(worktree.path, "kugetsu/14", "main", tmp_path / "x.bundle")
    moved = repo.at(tmp_path / "moved")
    copying = replace(project, copy=(".env",))
    await workspace.unbundle(copying, moved.path, "kugetsu/15", tmp_path / "x.bundle")
    await workspace.commit(moved.path, "Work")
    assert committed(moved) == ["A\tnew"]


async def test_hooks_have_their_say_and_may_change_the_message(workspace, worktree, hook):
    hook("pre-commit", "echo formatted > file && git add file")
    hook("commit-msg", 'echo "Change-Id: 1" >> "$1"')
    worktree.write("new")
    await workspace.commit(worktree.path, "Words")
    assert committed(worktree) == ["M\tfile", "A\tnew"]
    assert worktree.git("log", "-1", "--format=%B") == "Words\nChange-Id: 1"
    assert worktree.status() == []


@pytest.mark.parametrize("name", ["pre-commit", "commit-msg", "prepare-commit-msg"])
async def test_a_hook_that_refuses(workspace, worktree, hook, name):
    hook(name, "echo 'out: line 3 is too long'; echo 'err: fix it' >&2; exit 1")
    worktree.write("staged")
    worktree.git("add", "staged")
    worktree.write("new")
    index, head = index_of(worktree), worktree.git("rev-parse", "HEAD")
    with pytest.raises(WorkspaceError, match=r"(?s)line 3 is too long.*fix it") as failure:
        await workspace.commit(worktree.path, "Words")
    assert "hook" in failure.value.hint
    assert index_of(worktree) == index
    assert worktree.git("rev-parse", "HEAD") == head
    assert worktree.status() == ["A  staged", "?? new"]


async def test_a_formatter_that_refuses_leaves_what_it_wrote(workspace, worktree, hook):
    hook("pre-commit", "echo formatted > file; echo 'files were modified by this hook'; exit 1")
    worktree.write("file", "unformatted\n")
    with pytest.raises(WorkspaceError, match="files were modified by this hook"):
        await workspace.commit(worktree.path, "Words")
    assert (worktree.path / "file").read_text() == "formatted\n"
    assert worktree.status() == ["M file"]
    hook("pre-commit", "exit 0")
    await workspace.commit(worktree.path, "Words")
    assert worktree.git("show", "HEAD:file") == "formatted"


async def test_without_an_identity(workspace, worktree):
    worktree.git("config", "--unset", "user.email")
    worktree.write("new")
    with pytest.raises(WorkspaceError, match="in whose name") as failure:
        await workspace.commit(worktree.path, "Words")
    assert "git config --global user.name" in failure.value.hint
    assert worktree.status() == ["?? new"]


async def test_a_key_that_cannot_be_used(workspace, worktree):
    worktree.git("config", "commit.gpgSign", "true")
    worktree.git("config", "gpg.program", "false")
    worktree.write("new")
    with pytest.raises(WorkspaceError, match="failed to sign") as failure:
        await workspace.commit(worktree.path, "Words")
    assert "gpg-agent" in failure.value.hint
    assert worktree.status() == ["?? new"]


async def test_an_empty_message(workspace, worktree):
    worktree.write("new")
    with pytest.raises(WorkspaceError, match="empty commit message") as failure:
        await workspace.commit(worktree.path, " \n")
    assert failure.value.hint == "Give the commit a message."
    assert worktree.status() == ["?? new"]


@pytest.fixture
def merging(worktree):
    worktree.git("checkout", "-qb", "theirs")
    worktree.commit("file", "theirs\n")
    worktree.git("checkout", "-q", "kugetsu/14")
    worktree.commit("file", "ours\n")
    worktree.git("merge", "theirs", ok=False)
    return worktree


async def test_conflicts(workspace, based, merging):
    assert (await workspace.work(based, merging.path, "kugetsu/14")).uncommitted
    with pytest.raises(WorkspaceError, match=r"conflicts in .*: file") as failure:
        await workspace.commit(merging.path, "Words")
    assert "git add" in failure.value.hint
    assert merging.status() == ["UU file"]


async def test_a_resolved_merge_is_concluded(workspace, merging):
    merging.write("file", "ours\n")  # all of it our side: no file differs, and the merge is one all the same
    merging.git("add", "file")
    await workspace.commit(merging.path, "Merged")
    assert len(merging.git("log", "-1", "--format=%P").split()) == 2


async def test_a_rebase_is_not_disturbed(workspace, worktree):
    worktree.git("checkout", "-qb", "theirs")
    worktree.commit("file", "theirs\n")
    worktree.git("checkout", "-q", "kugetsu/14")
    worktree.commit("file", "ours\n")
    worktree.git("rebase", "theirs", ok=False)
    with pytest.raises(WorkspaceError, match="A rebase is not finished"):
        await workspace.commit(worktree.path, "Words")


async def test_on_no_branch(workspace, worktree):
    worktree.git("checkout", "-q", "--detach")
    worktree.write("new")
    with pytest.raises(WorkspaceError, match="is on no branch") as failure:
        await workspace.commit(worktree.path, "Words")
    assert "git switch -c" in failure.value.hint


async def test_a_repository_inside(workspace, worktree, repo):
    repo.git("clone", "-q", ".", str(worktree.path / "nested"))
    worktree.write("new")
    with pytest.raises(WorkspaceError, match=r"nested in .* is a git repository of its own"):
        await workspace.commit(worktree.path, "Words")
    assert worktree.status() == ["?? nested/", "?? new"]


async def test_files_that_cannot_be_read(workspace, worktree):
    repo = worktree.path / "young"
    worktree.git("init", "-q", str(repo))
    (repo / "file").write_text("x")
    with pytest.raises(WorkspaceError, match="young"):
        await workspace.commit(worktree.path, "Words")
    assert worktree.status() == ["?? young/"]


async def test_a_sparse_checkout(workspace, worktree):
    worktree.commit("in/file")
    worktree.commit("out/file")
    worktree.git("sparse-checkout", "set", "in")
    worktree.write("in/new")
    worktree.write("out/new")
    await workspace.commit(worktree.path, "Words")
    assert committed(worktree) == ["A\tin/new", "A\tout/new"]
    assert worktree.git("ls-tree", "-r", "--name-only", "HEAD").split() == [
        "file",
        "in/file",
        "in/new",
        "out/file",
        "out/new",
    ]


async def test_snapshots_meanwhile_see_all_or_nothing(workspace, worktree, hook):
    hook("pre-commit", "sleep 0.3")
    worktree.write("new")
    before = worktree.git("rev-parse", "HEAD")
    made, *taken = await asyncio.gather(
        workspace.commit(worktree.path, "Words"),
        *(workspace.snapshot(worktree.path, f"s/{number}/before") for number in range(4)),
    )
    for snapshot in taken:
        assert worktree.git("ls-tree", "--name-only", snapshot).split() == ["file", "new"]
        assert await workspace.snapshot_head(worktree.path, snapshot) in {before, made}
    assert worktree.status() == []


async def test_cancelled_in_a_hook_nothing_is_staged(workspace, worktree, hook):
    hook("pre-commit", f"touch '{worktree.path}/../started'; sleep 600")
    worktree.write("new")
    index = index_of(worktree)
    running = asyncio.create_task(workspace.commit(worktree.path, "Words"))
    async with asyncio.timeout(10):
        while not (worktree.path.parent / "started").exists():
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert index_of(worktree) == index
    hook("pre-commit", "exit 0")
    await workspace.commit(worktree.path, "Words")


async def test_a_folder_inside_another_repository(workspace, repo):
    inner = repo.write("inner/file").parent
    with pytest.raises(WorkspaceError, match="is no checkout of its own"):
        await workspace.commit(inner, "Words")
    assert repo.status() == ["?? inner/"]


async def test_signed_where_the_user_signs(workspace, worktree):
    program = worktree.write(
        "../signer", "#!/bin/sh\ncat > /dev/null\necho a signature\necho '\n[GNUPG:] SIG_CREATED D' >&2\n"
    )
    program.chmod(0o755)
    worktree.git("config", "commit.gpgSign", "true")
    worktree.git("config", "gpg.program", str(program))
    worktree.write("new")
    await workspace.commit(worktree.path, "Words")
    assert "gpgsig a signature" in worktree.git("cat-file", "commit", "HEAD")
