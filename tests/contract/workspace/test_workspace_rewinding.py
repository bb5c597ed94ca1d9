"""Going back to a snapshot with the branch, and forward again."""

import pytest

from core.errors import WorkspaceError


@pytest.fixture
async def before(workspace, worktree):
    worktree.write("notes", "before\n")
    return await workspace.snapshot(worktree.path, "s/1/before")


def head(checkout):
    return checkout.git("rev-parse", "HEAD")


async def test_without_commits_it_restores(workspace, worktree, before):
    at = head(worktree)
    worktree.write("notes", "after\n")
    worktree.write("staged")
    worktree.git("add", "staged")
    assert await workspace.rewind(worktree.path, before)
    assert head(worktree) == at
    assert worktree.status() == ["?? notes"]
    assert (worktree.path / "notes").read_text() == "before\n"


async def test_commits_nobody_has_are_taken_off_and_put_back(workspace, worktree, before):
    start = head(worktree)
    worktree.commit("one")
    made = worktree.commit("two")
    worktree.write("three")
    after = await workspace.snapshot(worktree.path, "s/1/after")

    assert await workspace.rewind(worktree.path, before)
    assert (head(worktree), worktree.git("symbolic-ref", "HEAD")) == (start, "refs/heads/kugetsu/14")
    assert worktree.status() == ["?? notes"]
    assert worktree.git("rev-parse", "kugetsu/14@{1}", "HEAD@{1}").split() == [made, made]  # found again in the reflogs

    assert await workspace.rewind(worktree.path, after)
    assert head(worktree) == made
    assert worktree.status() == ["?? notes", "?? three"]


async def test_an_amended_commit_is_the_old_one_again(workspace, worktree):
    old = worktree.commit("work")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    worktree.write("work", "changed\n")
    worktree.git("commit", "-qa", "--amend", "-m", "other words")
    assert await workspace.rewind(worktree.path, before)
    assert head(worktree) == old
    assert worktree.status() == []


async def test_what_a_remote_has_stays_on_the_branch(workspace, worktree, before):
    pushed = worktree.commit("pushed")
    worktree.git("update-ref", "refs/remotes/origin/kugetsu/14", pushed)
    last = worktree.commit("not pushed")
    assert not await workspace.rewind(worktree.path, before)
    assert head(worktree) == last
    assert worktree.status() == ['D "not pushed"', " D pushed", "?? notes"]  # the helper strips the first space


async def test_what_another_branch_has_stays_on_the_branch(workspace, worktree, before):
    made = worktree.commit("work")
    worktree.git("branch", "fork")
    assert not await workspace.rewind(worktree.path, before)
    assert head(worktree) == made


async def test_a_clone_of_one_branch_cannot_tell_what_was_pushed(workspace, worktree, before):
    made = worktree.commit("work")
    worktree.git("remote", "add", "-t", "main", "origin", "/nowhere")
    worktree.git("config", "branch.kugetsu/14.remote", "origin")
    worktree.git("config", "branch.kugetsu/14.merge", "refs/heads/kugetsu/14")
    assert not await workspace.rewind(worktree.path, before)
    assert head(worktree) == made


async def test_a_detached_head_moves_likewise(workspace, worktree):
    worktree.git("checkout", "-q", "--detach")
    start = head(worktree)
    before = await workspace.snapshot(worktree.path, "s/1/before")
    worktree.commit("work")
    assert await workspace.rewind(worktree.path, before)
    assert head(worktree) == start
    assert worktree.git("rev-parse", "kugetsu/14") == start
    assert worktree.git("symbolic-ref", "-q", "HEAD", ok=False) == ""


async def test_before_the_first_commit_the_branch_stays(workspace, worktree):
    worktree.git("checkout", "-q", "--orphan", "fresh")
    before = await workspace.snapshot(worktree.path, "s/1/before")
    made = worktree.commit("first")
    assert not await workspace.rewind(worktree.path, before)
    assert head(worktree) == made


async def test_no_hook_and_no_identity_is_needed(workspace, worktree, before, hook):
    hook("reference-transaction", "exit 1")
    hook("post-index-change", f"touch '{worktree.path}/ran'")
    worktree.git("config", "user.useConfigOnly", "true")
    worktree.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "work", "--allow-empty")
    assert await workspace.rewind(worktree.path, before)
    assert not (worktree.path / "ran").exists()


@pytest.mark.parametrize("command", ["merge", "rebase", "cherry-pick"])
async def test_in_the_middle_of_something(workspace, worktree, before, command):
    worktree.git("checkout", "-qb", "theirs")
    worktree.commit("file", "theirs\n")
    worktree.git("checkout", "-q", "kugetsu/14")
    at = worktree.commit("file", "ours\n")
    worktree.git(command, "theirs", ok=False)
    marked = (worktree.path / "file").read_text()
    with pytest.raises(WorkspaceError, match=f"A {command} is not finished in") as failure:
        await workspace.rewind(worktree.path, before)
    assert f"{command} --abort" in failure.value.hint
    assert (worktree.path / "file").read_text() == marked
    worktree.git(command, "--abort")
    assert head(worktree) == at


async def test_with_conflicts_of_a_stash(workspace, worktree, before):
    worktree.write("file", "stashed\n")
    worktree.git("stash", "-q")
    worktree.commit("file", "committed\n")
    worktree.git("stash", "pop", ok=False)
    with pytest.raises(WorkspaceError, match=r"conflicts in .*, file among them"):
        await workspace.rewind(worktree.path, before)


async def test_what_is_no_snapshot(workspace, worktree):
    for name in ("HEAD", "0" * 40):
        with pytest.raises(WorkspaceError):
            await workspace.rewind(worktree.path, name)


async def test_a_repository_around_a_broken_worktree_is_not_touched(workspace, repo):
    inner = repo.write("inner/file").parent
    snapshot = await workspace.snapshot(repo.path, "s/1/before")
    made = repo.commit("work")
    with pytest.raises(WorkspaceError, match="is no checkout of its own"):
        await workspace.rewind(inner, snapshot)
    assert head(repo) == made
