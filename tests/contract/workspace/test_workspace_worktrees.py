"""Worktrees and branches: made once, taken from nobody, removed only when nothing is lost."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from core.errors import WorkspaceError

BRANCH = "kugetsu/14"


async def test_a_worktree_on_a_new_branch(workspace, project, repo, directory):
    await workspace.add_worktree(project, directory, BRANCH)
    there = repo.at(directory)
    assert there.git("symbolic-ref", "--short", "HEAD") == BRANCH
    assert (directory / "file").read_text() == "content\n"
    assert there.status() == []
    assert repo.git("config", "--get-regexp", "^branch", ok=False) == ""  # follows no other branch


async def test_again_is_taken_as_done(workspace, project, repo, worktree):
    worktree.write("file", "the agent was here\n")
    await workspace.add_worktree(project, worktree.path, BRANCH)
    assert (worktree.path / "file").read_text() == "the agent was here\n"


async def test_again_through_another_spelling_of_the_path(workspace, project, worktree, tmp_path):
    (tmp_path / "link").symlink_to(worktree.path.parent)
    for parent in (tmp_path / "link", worktree.path.parent / ".." / worktree.path.parent.name):
        await workspace.add_worktree(project, parent / worktree.path.name, BRANCH)


async def test_starts_at_the_base_branch(workspace, project, repo, directory):
    first = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-qb", "feature")
    repo.commit("feature")
    await workspace.add_worktree(replace(project, base_branch="main"), directory, BRANCH)
    assert repo.at(directory).git("rev-parse", "HEAD") == first


async def test_starts_at_the_base_branch_of_origin(workspace, project, repo, directory):
    first = repo.git("rev-parse", "HEAD")
    repo.git("update-ref", "refs/remotes/origin/develop", first)
    repo.commit("more")
    await workspace.add_worktree(replace(project, base_branch="develop"), directory, BRANCH)
    assert repo.at(directory).git("rev-parse", "HEAD") == first


async def test_starts_where_it_is_told(workspace, project, repo, directory):
    first = repo.git("rev-parse", "HEAD")
    repo.commit("more")
    await workspace.add_worktree(project, directory, BRANCH, first)
    assert repo.at(directory).git("rev-parse", "HEAD") == first


@pytest.mark.parametrize("start", ["0" * 40, "nosuch", "--detach", "^main", "main:file"])
async def test_an_unknown_start_is_refused(workspace, project, directory, start):
    with pytest.raises(WorkspaceError, match="has no commit"):
        await workspace.add_worktree(project, directory, BRANCH, start)
    assert not directory.exists()


async def test_a_detached_dirty_checkout_is_fine_and_left_alone(workspace, project, repo, directory):
    repo.git("checkout", "-q", "--detach")
    repo.write("file", "not committed\n")
    await workspace.add_worktree(project, directory, BRANCH)
    assert (directory / "file").read_text() == "content\n"
    assert (repo.path / "file").read_text() == "not committed\n"


async def test_an_empty_directory_is_used(workspace, project, directory):
    directory.mkdir(parents=True)
    await workspace.add_worktree(project, directory, BRANCH)
    assert (directory / "file").exists()


async def test_a_directory_with_something_in_it_is_refused(workspace, project, repo, directory):
    directory.mkdir(parents=True)
    (directory / "thesis.tex").touch()
    with pytest.raises(WorkspaceError, match="exists already"):
        await workspace.add_worktree(project, directory, BRANCH)
    assert (directory / "thesis.tex").exists()
    assert repo.branches() == {"main"}


async def test_a_branch_that_exists_is_refused(workspace, project, repo, directory):
    repo.git("branch", BRANCH)
    with pytest.raises(WorkspaceError, match=f"branch {BRANCH} exists already") as failure:
        await workspace.add_worktree(project, directory, BRANCH)
    assert "git branch -m" in failure.value.hint
    assert BRANCH in repo.branches()
    assert not directory.exists()


async def test_a_worktree_on_another_branch_is_refused(workspace, project, worktree):
    with pytest.raises(WorkspaceError, match=r"registered at .* on refs/heads/kugetsu/14"):
        await workspace.add_worktree(project, worktree.path, "kugetsu/15")


async def test_a_branch_in_the_way_of_the_name(workspace, project, repo, directory):
    repo.git("branch", "kugetsu")
    with pytest.raises(WorkspaceError, match="cannot lock ref") as failure:
        await workspace.add_worktree(project, directory, BRANCH)
    assert "rename it" in failure.value.hint
    assert not directory.exists()


@pytest.mark.parametrize("branch", ["-b", "--force", "a..b", "a b", "@{-1}", "HEAD", "x.lock", "a\0b", "é\n"])
async def test_impossible_branch_names(workspace, project, directory, branch):
    with pytest.raises(WorkspaceError, match="cannot be the name of a git branch"):
        await workspace.add_worktree(project, directory, branch)
    with pytest.raises(WorkspaceError, match="cannot be the name of a git branch"):
        await workspace.remove_worktree(project, directory, branch)
    with pytest.raises(WorkspaceError, match="cannot be the name of a git branch"):
        await workspace.open_worktree(project, directory, branch)


async def test_no_branch_name_is_none_to_start_on(workspace, project, directory):
    for method in (workspace.add_worktree, workspace.open_worktree):
        with pytest.raises(WorkspaceError, match="cannot be the name of a git branch"):
            await method(project, directory, "")


@pytest.mark.parametrize("name", ["-b", "sp ace", "é", "new\nline"])
async def test_odd_names(workspace, project, repo, tmp_path, name):
    repo.commit(f"{name}/{name}")
    odd, branch = tmp_path / name / name, "é/" + "".join(name.split())
    await workspace.add_worktree(project, odd, branch)
    await workspace.add_worktree(project, odd, branch)
    assert (odd / name / name).exists()
    (odd / name / name).unlink()
    with pytest.raises(WorkspaceError, match="not committed"):
        await workspace.remove_worktree(project, odd, branch)
    repo.at(odd).git("checkout", "-q", ".")
    await workspace.remove_worktree(project, odd, branch)
    assert not odd.exists()


async def test_a_relative_directory_is_refused(workspace, project, directory):
    with pytest.raises(WorkspaceError, match="absolute"):
        await workspace.add_worktree(project, directory.relative_to("/"), BRANCH)


async def test_hooks_of_the_user_run(workspace, project, hook, directory):
    hook("post-checkout", "echo made > from-hook")
    await workspace.add_worktree(project, directory, BRANCH)
    assert (directory / "from-hook").exists()


async def test_a_failing_hook_is_reported_and_leaves_nothing(workspace, project, repo, hook, directory):
    hook("post-checkout", "echo no git-lfs here >&2; exit 2")
    with pytest.raises(WorkspaceError, match="no git-lfs here"):
        await workspace.add_worktree(project, directory, BRANCH)
    assert not directory.exists()
    assert repo.branches() == {"main"}
    assert repo.git("worktree", "list").count("\n") == 0
    assert list((repo.path / ".git" / "kugetsu").iterdir()) == []


async def test_a_hook_that_leaves_a_process_behind_holds_nothing_up(workspace, project, repo, hook, directory):
    hook("post-checkout", f"sleep 600 & echo $! > {repo.path}/pid")
    try:
        async with asyncio.timeout(10):
            await workspace.add_worktree(project, directory, BRANCH)
    finally:
        os.kill(int((repo.path / "pid").read_text()), signal.SIGKILL)


async def test_cancelled_in_the_middle_leaves_nothing(workspace, project, repo, hook, directory, tmp_path):
    hook("post-checkout", f"mkfifo {tmp_path}/gate; read line < {tmp_path}/gate")
    making = asyncio.create_task(workspace.add_worktree(project, directory, BRANCH))
    async with asyncio.timeout(10):
        while not (tmp_path / "gate").exists():
            await asyncio.sleep(0.01)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not directory.exists()
    assert repo.branches() == {"main"}


async def test_many_at_once(workspace, project, repo, tmp_path):
    made = [(tmp_path / f"w{n}", f"kugetsu/{n}") for n in range(6)]
    await asyncio.gather(*(workspace.add_worktree(project, *each) for each in made + made))
    assert repo.branches() == {"main", *(branch for _, branch in made)}
    await asyncio.gather(*(workspace.snapshot(path, f"{path.name}/before") for path, _ in made))
    await asyncio.gather(*(workspace.remove_worktree(project, *each) for each in made + made))
    assert repo.branches() == {"main"}
    await asyncio.gather(*(workspace.drop_snapshots(repo.path, path.name) for path, _ in made))
    assert repo.git("for-each-ref", "refs/kugetsu") == ""


# ── copied files ───────────────────────────────────────────────────────────────────────────────


async def test_copied_files_and_folders(workspace, project, repo, directory):
    repo.write(".env", "SECRET=1\n").chmod(0o600)
    repo.write("conf/local/a", "a\n")
    repo.write("file", "not committed\n")
    await workspace.add_worktree(replace(project, copy=(".env", "conf", "absent", "file")), directory, BRANCH)
    assert (directory / ".env").read_text() == "SECRET=1\n"
    assert (directory / ".env").stat().st_mode & 0o777 == 0o600
    assert (directory / "conf" / "local" / "a").read_text() == "a\n"
    assert (directory / "file").read_text() == "not committed\n"


@pytest.mark.parametrize(
    "entry",
    ["../secret", "/etc/hostname", "a/../../secret", "", ".", ".git", ".GIT/config", "link", "links", "linked/secret"],
)
async def test_entries_that_lead_out_are_refused_before_anything_is_made(
    workspace, project, repo, directory, tmp_path, entry
):
    (tmp_path / "secret").write_text("secret")
    (repo.path / "link").symlink_to(tmp_path / "secret")
    (repo.path / "links").mkdir()
    (repo.path / "links" / "link").symlink_to("../../secret")
    (repo.path / "linked").symlink_to(tmp_path)
    with pytest.raises(WorkspaceError, match="copy entry"):
        await workspace.add_worktree(replace(project, copy=(entry,)), directory, BRANCH)
    assert not directory.exists()
    assert repo.branches() == {"main"}


async def test_a_link_in_the_worktree_is_no_way_out_either(workspace, project, repo, directory, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo.path / "conf").symlink_to(outside)
    repo.git("add", "conf")
    repo.git("commit", "-qm", "link")
    (repo.path / "conf").unlink()
    repo.write("conf/.env")
    with pytest.raises(WorkspaceError, match="leads out of it"):
        await workspace.add_worktree(replace(project, copy=("conf/.env",)), directory, BRANCH)
    assert list(outside.iterdir()) == []
    assert not directory.exists()


async def test_a_linked_file_is_replaced_not_written_through(workspace, project, repo, directory, tmp_path):
    (tmp_path / "outside").write_text("precious")
    (repo.path / ".env").symlink_to(tmp_path / "outside")
    repo.git("add", ".env")
    repo.git("commit", "-qm", "link")
    (repo.path / ".env").unlink()
    repo.write(".env", "mine\n")
    await workspace.add_worktree(replace(project, copy=(".env",)), directory, BRANCH)
    assert (directory / ".env").read_text() == "mine\n"
    assert (tmp_path / "outside").read_text() == "precious"


# ── removal ────────────────────────────────────────────────────────────────────────────────────


async def test_removed_with_its_branch(workspace, project, repo, worktree):
    await workspace.remove_worktree(project, worktree.path, BRANCH)
    assert not worktree.path.exists()
    assert repo.branches() == {"main"}
    await workspace.remove_worktree(project, worktree.path, BRANCH)


async def test_removed_though_its_directory_is_gone(workspace, project, repo, worktree, wipe):
    wipe(worktree.path)
    (worktree.path / ".git").unlink()
    worktree.path.rmdir()
    await workspace.remove_worktree(project, worktree.path, BRANCH)
    assert repo.branches() == {"main"}
    assert repo.git("worktree", "list").count("\n") == 0


async def test_removed_with_copies_that_git_does_not_ignore(workspace, project, repo, directory):
    project = replace(project, copy=(".env", "file"))
    repo.write(".env")
    repo.write("file", "not committed\n")
    await workspace.add_worktree(project, directory, BRANCH)
    await workspace.remove_worktree(project, directory, BRANCH)
    assert not directory.exists()
    assert (repo.path / ".env").exists()


async def test_a_changed_copy_is_a_change(workspace, project, repo, directory):
    project = replace(project, copy=(".env",))
    repo.write(".env")
    await workspace.add_worktree(project, directory, BRANCH)
    (directory / ".env").write_text("changed")
    with pytest.raises(WorkspaceError, match=r"not committed.*\.env"):
        await workspace.remove_worktree(project, directory, BRANCH)
    assert (directory / ".env").read_text() == "changed"


@pytest.mark.parametrize("name", ["file", "new\nfile"])
async def test_changes_are_named_and_kept(workspace, project, worktree, name):
    path = worktree.write(name, "work\n")
    with pytest.raises(WorkspaceError, match="not committed") as failure:
        await workspace.remove_worktree(project, worktree.path, BRANCH)
    assert name.replace("\n", "\\n") in str(failure.value)
    assert path.read_text() == "work\n"


async def test_commits_are_kept(workspace, project, repo, worktree):
    worktree.commit("work")
    with pytest.raises(WorkspaceError, match="commits that are on no other branch"):
        await workspace.remove_worktree(project, worktree.path, BRANCH)
    assert (worktree.path / "work").exists()
    repo.git("update-ref", "refs/remotes/origin/pushed", BRANCH)
    await workspace.remove_worktree(project, worktree.path, BRANCH)
    assert repo.branches() == {"main"}


async def test_a_snapshot_alone_does_not_keep_commits(workspace, project, worktree):
    worktree.commit("work")
    await workspace.snapshot(worktree.path, "s/1/after")
    with pytest.raises(WorkspaceError, match="commits that are on no other branch"):
        await workspace.remove_worktree(project, worktree.path, BRANCH)


async def test_a_worktree_of_a_detached_base_can_be_removed(workspace, project, repo, directory):
    repo.git("checkout", "-q", "--detach")
    repo.commit("beyond")
    await workspace.add_worktree(project, directory, BRANCH)
    await workspace.remove_worktree(project, directory, BRANCH)
    assert repo.branches() == {"main"}


async def test_a_locked_worktree_is_kept(workspace, project, repo, worktree):
    repo.git("worktree", "lock", "--reason", "on a stick", str(worktree.path))
    with pytest.raises(WorkspaceError, match="on a stick") as failure:
        await workspace.remove_worktree(project, worktree.path, BRANCH)
    assert "unlock" in failure.value.hint
    assert worktree.path.exists()
    assert list((repo.path / ".git" / "kugetsu").iterdir()) == []


@pytest.mark.parametrize("force", [False, True])
async def test_what_is_not_ours_is_kept(workspace, project, repo, directory, force):
    directory.mkdir(parents=True)
    (directory / "thesis.tex").touch()
    repo.git("branch", BRANCH)
    with pytest.raises(WorkspaceError, match="no worktree of"):
        await workspace.remove_worktree(project, directory, BRANCH, force=force)
    assert (directory / "thesis.tex").exists()
    assert BRANCH in repo.branches()
