"""What would be lost with a worktree, how it goes, how it comes back, and what is left lying about."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from adapters.git.claims import Intent, claim
from core.errors import WorkspaceError
from core.ports import Stake, Trace

BRANCH = "kugetsu/14"


@pytest.fixture
def stake(workspace, project, directory):
    async def asked(branch=BRANCH, project=project):
        return await workspace.at_stake(project, directory, branch)

    return asked


@pytest.fixture
def remove(workspace, project, directory):
    async def removed(**how):
        await workspace.remove_worktree(project, directory, BRANCH, **how)

    return removed


@pytest.fixture
async def submodule(repo, worktree, tmp_path):
    """One that was cloned into the worktree, clean and pushed."""
    library = repo.at(tmp_path / "library")
    library.path.mkdir()
    library.git("init", "-q", "-b", "main")
    library.commit()
    worktree.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "lib")
    worktree.git("commit", "-qm", "lib")
    repo.git("update-ref", "refs/remotes/origin/lib", BRANCH)
    return repo.at(worktree.path / "lib")


def listed(repo):
    return repo.git("worktree", "list", "--porcelain")


# ── at stake ───────────────────────────────────────────────────────────────────────────────────


async def test_nothing_in_a_fresh_worktree_nor_where_nothing_is(stake, worktree, remove):
    assert await stake() == Stake()
    await remove()
    assert await stake() == Stake()
    assert not await stake("")


async def test_changes_are_told_as_git_tells_them(stake, worktree):
    worktree.commit("gone")
    worktree.git("branch", "other")
    worktree.write("file", "changed\n")
    (worktree.path / "gone").unlink()
    worktree.write("staged")
    worktree.git("add", "staged")
    worktree.write("new folder/é")
    worktree.write("new\nline\x1b[31m")
    assert set((await stake()).changes) == {
        " M file", " D gone", "A  staged", "?? new folder/é", "?? new\\nline\\x1b[31m",
    }  # fmt: skip


async def test_many_changes_and_commits_are_counted(stake, worktree):
    many = "".join(f"commit refs/heads/many\ncommitter a <a> 0 +0000\ndata 1\n{'ab'[n % 2]}\n" for n in range(53))
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=worktree.path, env=worktree.env, input=many, text=True, check=True
    )
    worktree.git("checkout", "-q", "--detach", "many")
    worktree.git("branch", "-D", "many")
    for number in range(53):
        worktree.write(f"untracked/{number}")
    found = await stake()
    assert (len(found.changes), found.changes[-1]) == (51, "… and 3 more")
    assert (len(found.commits), found.commits[-1]) == (51, "… and 3 more")
    assert found.commits[0] == f"{worktree.git('rev-parse', '--short', 'HEAD')} a"


async def test_unchanged_copies_are_left_out(workspace, project, repo, directory, stake):
    project = replace(project, copy=(".env", "conf"))
    repo.write(".env")
    repo.write("conf/local")
    await workspace.add_worktree(project, directory, BRANCH)
    assert not await stake(project=project)
    (directory / "conf" / "local").write_text("changed")
    assert (await stake(project=project)).changes == ("?? conf/local",)


async def test_copies_alone_do_not_hold_up_an_archive(workspace, project, repo, directory):
    project = replace(project, copy=(".env",))
    repo.write(".env")
    await workspace.add_worktree(project, directory, BRANCH)
    await workspace.remove_worktree(project, directory, BRANCH, keep_branch=True)
    await workspace.open_worktree(project, directory, BRANCH)
    assert (directory / ".env").read_text() == "content\n"


@pytest.mark.parametrize("place", ["refs/heads/other", "refs/remotes/origin/x", "refs/tags/v1"])
async def test_commits_that_are_elsewhere_are_safe(stake, worktree, place):
    head = worktree.commit("work")
    (line,) = (await stake()).commits
    assert line == f"{worktree.git('rev-parse', '--short', head)} work"
    worktree.git("update-ref", place, head)
    assert not await stake()


async def test_snapshots_are_no_place_and_no_commits(workspace, stake, worktree):
    worktree.write("file", "changed\n")
    await workspace.snapshot(worktree.path, "s/1/before")
    worktree.git("checkout", "-q", "file")
    assert not await stake()
    worktree.commit("work")
    await workspace.snapshot(worktree.path, "s/1/after")
    assert len((await stake()).commits) == 1


async def test_work_merged_into_the_base_is_safe(stake, worktree, repo):
    worktree.commit("work")
    repo.git("checkout", "-q", "--detach")
    repo.git("merge", "-q", BRANCH)
    assert not await stake()  # the base is what the checkout has checked out, on no branch here


@pytest.mark.parametrize("of", [BRANCH, ""])
async def test_a_detached_head_counts_beside_the_branch(stake, worktree, of):
    worktree.commit("on the branch")
    worktree.git("checkout", "-q", "--detach")
    worktree.commit("on none")
    expected = ["on none", "on the branch"] if of else ["on none"]
    assert [line.partition(" ")[2] for line in (await stake(of)).commits] == expected


async def test_a_rebase_in_progress(stake, worktree, repo):
    worktree.commit("file", "ours\n")
    repo.commit("file", "theirs\n")
    worktree.git("rebase", "-q", "main", ok=False)
    found = await stake()
    assert "UU file" in found.changes
    assert len(found.commits) == 1


async def test_a_merge_in_progress(stake, worktree, repo, remove):
    worktree.commit("file", "ours\n")
    repo.commit("file", "theirs\n")
    worktree.git("merge", "main", ok=False)
    assert (await stake()).changes == ("UU file",)
    with pytest.raises(WorkspaceError, match="not committed"):
        await remove()
    await remove(force=True)
    assert not worktree.path.exists()
    assert repo.branches() == {"main"}


@pytest.mark.parametrize(("why", "told"), [("on a stick\nof mine", "on a stick"), ("", "no reason")])
async def test_a_lock_is_at_stake_and_holds_against_force(stake, repo, worktree, remove, why, told):
    repo.git("worktree", "lock", *(["--reason", why] if why else []), str(worktree.path))
    assert told in (await stake()).locked
    for how in ({}, {"force": True}, {"keep_branch": True}):
        with pytest.raises(WorkspaceError, match=f"locked.*{told}"):
            await remove(**how)
    assert worktree.path.exists()
    assert BRANCH in repo.branches()


async def test_a_branch_that_stays_is_not_at_stake(stake, repo, worktree, remove):
    worktree.commit("work")
    worktree.git("checkout", "-q", "--detach", "main")
    repo.git("checkout", "-q", BRANCH)
    assert not await stake()
    await remove(force=True)
    assert repo.branches() == {"main", BRANCH}
    assert not worktree.path.exists()


async def test_the_base_branch_is_never_deleted(workspace, project, repo, directory):
    repo.git("checkout", "-q", "--detach")
    project = replace(project, base_branch="main")
    await workspace.open_worktree(project, directory, "main")
    repo.at(directory).commit("work")
    assert not await workspace.at_stake(project, directory, "main")
    await workspace.remove_worktree(project, directory, "main", force=True)
    assert repo.branches() == {"main"}


async def test_commits_of_a_submodule_go_with_the_worktree(stake, submodule, worktree, remove):
    assert not await stake()
    submodule.commit("inner work")
    worktree.git("commit", "-qam", "lib moved")
    worktree.git("update-ref", "refs/remotes/origin/lib", BRANCH)
    (line,) = (await stake()).commits
    assert line.endswith("inner work (submodule lib)")
    with pytest.raises(WorkspaceError, match="inner work"):
        await remove()
    assert (submodule.path / "inner work").exists()


async def test_a_worktree_with_a_clean_submodule_can_be_removed(submodule, worktree, remove):
    await remove()
    assert not worktree.path.exists()


@pytest.mark.parametrize("broken", ["pointer", "own repository"])
async def test_where_git_cannot_tell_everything_is_at_stake(stake, repo, worktree, remove, broken):
    worktree.write("work")
    (worktree.path / ".git").unlink()
    if broken == "own repository":
        worktree.git("init", "-q")
    found = await stake()
    assert set(found.changes) - {"?? .git/"} == {"?? file", "?? work"}
    assert ("?? .git/" in found.changes) == (broken == "own repository")
    with pytest.raises(WorkspaceError, match="not committed"):
        await remove()
    assert (worktree.path / "work").exists()
    await remove(force=True)
    assert not worktree.path.exists()
    assert BRANCH not in listed(repo)


async def test_a_strange_directory_is_never_ours_to_remove(stake, directory):
    directory.mkdir(parents=True)
    assert not await stake()
    (directory / "thesis.tex").touch()
    found = await stake()
    assert found.changes == ("?? thesis.tex",)
    assert "no worktree" in found.locked


async def test_the_checkout_itself_is_no_worktree(workspace, project, repo):
    for attempt in (
        workspace.at_stake(project, repo.path, BRANCH),
        workspace.remove_worktree(project, repo.path, BRANCH, force=True),
    ):
        with pytest.raises(WorkspaceError, match="the project's own checkout"):
            await attempt
    assert (repo.path / "file").exists()


async def test_what_a_crash_left_is_not_at_stake(stake, repo, worktree):
    async with claim(repo.path / ".git", BRANCH) as held:
        held.write(Intent(BRANCH, str(worktree.path), repo.git("rev-parse", "HEAD"), removing=True))
    (worktree.path / "file").unlink()
    assert not await stake()
    assert BRANCH not in repo.branches()


# ── removal ────────────────────────────────────────────────────────────────────────────────────


async def test_forced_it_goes_with_everything(repo, worktree, remove):
    worktree.commit("work")
    worktree.write("file", "changed\n")
    worktree.write("untracked")
    worktree.git("checkout", "-q", "--detach")
    worktree.commit("more work")
    await remove(force=True)
    assert not worktree.path.exists()
    assert repo.branches() == {"main"}
    assert listed(repo).count("worktree ") == 1


async def test_archived_the_branch_stays(repo, worktree, remove, stake):
    worktree.commit("work")
    worktree.write("untracked")
    with pytest.raises(WorkspaceError, match="not committed"):
        await remove(keep_branch=True)
    (worktree.path / "untracked").unlink()
    await remove(keep_branch=True)
    assert not worktree.path.exists()
    assert BRANCH in repo.branches()
    assert len((await stake()).commits) == 1
    with pytest.raises(WorkspaceError, match="commits that are on no other branch"):
        await remove()
    await remove(force=True)
    assert repo.branches() == {"main"}


async def test_archiving_does_not_lose_commits_on_no_branch(worktree, remove):
    worktree.git("checkout", "-q", "--detach")
    worktree.commit("work")
    with pytest.raises(WorkspaceError, match="commits that are on no other branch") as failure:
        await remove(keep_branch=True)
    assert worktree.git("rev-parse", "--short", "HEAD") in failure.value.hint
    worktree.git("branch", "rescued")
    await remove(keep_branch=True)
    assert not worktree.path.exists()


async def test_another_branch_that_the_agent_made_stays(worktree, repo, remove):
    worktree.git("checkout", "-qb", "mine")
    worktree.commit("work")
    await remove()
    assert repo.branches() == {"main", "mine"}
    assert not worktree.path.exists()


async def test_a_removal_cut_off_on_another_branch_is_finished(workspace, project, worktree, repo):
    worktree.git("checkout", "-qb", "mine")
    async with claim(repo.path / ".git", BRANCH) as held:
        held.write(Intent(BRANCH, str(worktree.path), "", removing=True, head="refs/heads/mine"))
    (worktree.path / ".git").unlink()
    await workspace.open_worktree(project, worktree.path, BRANCH)
    assert worktree.status() == []
    assert repo.branches() == {"main", "mine", BRANCH}


async def test_what_the_branch_followed_is_forgotten(workspace, project, worktree, repo, remove, directory):
    worktree.git("config", f"branch.{BRANCH}.remote", "origin")
    worktree.git("config", f"branch.{BRANCH}.merge", "refs/heads/elsewhere")
    await remove()
    assert repo.git("config", "--get-regexp", "^branch", ok=False) == ""


async def test_a_branch_deleted_by_hand(worktree, repo, remove, stake):
    worktree.commit("work")
    worktree.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    found = await stake()
    assert {line[:2] for line in found.changes} == {"A "}  # git sees an unborn branch with all files added
    await remove(force=True)
    assert not worktree.path.exists()
    assert listed(repo).count("worktree ") == 1


async def test_a_worktree_of_no_branch_is_removed_by_its_directory(workspace, project, repo, worktree):
    worktree.git("checkout", "-q", "--detach")
    repo.git("branch", "-D", BRANCH)
    await workspace.remove_worktree(project, worktree.path, "")
    assert not worktree.path.exists()


@pytest.mark.parametrize("emptied", [False, True])
async def test_one_deleted_by_hand_is_forgotten(worktree, repo, remove, emptied):
    shutil.rmtree(worktree.path)
    if emptied:
        worktree.path.mkdir()
    await remove()
    assert not worktree.path.exists()
    assert listed(repo).count("worktree ") == 1
    assert repo.branches() == {"main"}


# ── opening again ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def reopen(workspace, project, directory):
    async def opened(branch=BRANCH):
        await workspace.open_worktree(project, directory, branch)

    return opened


async def test_an_archived_one_comes_back_as_it_was(worktree, remove, reopen):
    head = worktree.commit("work")
    await remove(keep_branch=True)
    await reopen()
    assert worktree.git("rev-parse", "HEAD") == head
    assert worktree.git("symbolic-ref", "--short", "HEAD") == BRANCH
    worktree.write("file", "the agent was here\n")
    await reopen()
    assert (worktree.path / "file").read_text() == "the agent was here\n"


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
@pytest.mark.parametrize("detached", [False, True])
async def test_one_deleted_by_hand_comes_back(worktree, repo, reopen, left, detached):
    worktree.commit("work")
    if detached:
        worktree.git("checkout", "-q", "--detach")
    shutil.rmtree(worktree.path)
    if left == "an empty folder":
        worktree.path.mkdir()
    await reopen()
    assert (worktree.path / "work").exists()
    assert worktree.git("symbolic-ref", "--short", "HEAD") == BRANCH
    assert listed(repo).count("worktree ") == 2


async def test_one_deleted_by_hand_with_commits_on_no_branch(worktree, repo, reopen):
    worktree.git("checkout", "-q", "--detach")
    head = worktree.commit("work")
    shutil.rmtree(worktree.path)
    with pytest.raises(WorkspaceError, match="on no branch, with commits") as failure:
        await reopen()
    assert head in failure.value.hint
    assert head in listed(repo)


async def test_one_that_is_locked_and_not_there_is_on_its_medium(worktree, repo, reopen):
    repo.git("worktree", "lock", "--reason", "on a stick", str(worktree.path))
    shutil.rmtree(worktree.path)
    with pytest.raises(WorkspaceError, match="on a stick"):
        await reopen()
    assert "locked" in listed(repo)


async def test_a_branch_that_is_gone_cannot_be_opened(worktree, repo, remove, reopen, directory):
    await remove()
    with pytest.raises(WorkspaceError, match=f"{BRANCH} is gone") as failure:
        await reopen()
    assert "git" in failure.value.hint
    assert not directory.exists()


@pytest.mark.parametrize("present", [True, False])
async def test_a_branch_checked_out_elsewhere_cannot_be_opened(worktree, repo, remove, reopen, tmp_path, present):
    await remove(keep_branch=True)
    repo.git("worktree", "add", "-q", str(tmp_path / "elsewhere"), BRANCH)
    if not present:
        shutil.rmtree(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError, match=r"checked out in .*elsewhere") as failure:
        await reopen()
    assert "worktree remove" in failure.value.hint
    assert not worktree.path.exists()


async def test_a_directory_in_use_is_not_opened_over(worktree, repo, remove, reopen):
    worktree.git("checkout", "-qb", "mine")
    with pytest.raises(WorkspaceError, match=r"registered at .* on refs/heads/mine"):
        await reopen()
    await remove(keep_branch=True)
    worktree.write("thesis.tex")
    with pytest.raises(WorkspaceError, match="exists already"):
        await reopen()
    assert [path.name for path in worktree.path.iterdir()] == ["thesis.tex"]


async def test_a_failing_hook_leaves_the_branch(worktree, repo, remove, reopen, hook):
    worktree.commit("work")
    await remove(keep_branch=True)
    hook("post-checkout", "echo no git-lfs here >&2; exit 2")
    with pytest.raises(WorkspaceError, match="no git-lfs here"):
        await reopen()
    assert not worktree.path.exists()
    assert BRANCH in repo.branches()
    assert list((repo.path / ".git" / "kugetsu").iterdir()) == []


async def test_an_opening_cut_off_is_taken_up_again(worktree, repo, reopen):
    worktree.commit("work")
    async with claim(repo.path / ".git", BRANCH) as held:
        held.write(Intent(BRANCH, str(worktree.path), ""))
    (worktree.path / "work").unlink()  # not written yet
    await reopen()
    assert worktree.status() == []
    assert BRANCH in repo.branches()


# ── traces ─────────────────────────────────────────────────────────────────────────────────────


async def test_traces_of_every_kind(workspace, project, repo, worktree, directory, tmp_path):
    below = directory.parent
    missing, lost, detached = below / "missing", below / "lost", below / "detached"
    await workspace.add_worktree(project, missing, "kugetsu/15")
    await workspace.add_worktree(project, lost, "kugetsu/16")
    repo.git("worktree", "add", "-q", "--detach", str(detached))
    repo.git("worktree", "add", "-q", "-b", "mine", str(tmp_path / "not below"))
    repo.git("worktree", "add", "-q", "-b", "kugetsu/17", str(tmp_path / "not below either"))
    shutil.rmtree(lost)
    repo.git("worktree", "prune")
    lost.mkdir()
    (lost / ".git").write_text(f"gitdir: {repo.path}/.git/worktrees/lost\n")
    shutil.rmtree(missing)
    repo.at(below).write("stray")
    repo.at(below).write("not ours/.git", "gitdir: /elsewhere/.git/worktrees/x\n")
    (below / "a repository" / ".git").mkdir(parents=True)
    found = await workspace.traces(project, below)
    assert sorted(found, key=str) == sorted(
        [
            Trace(directory, BRANCH, registered=True, present=True),
            Trace(missing, "kugetsu/15", registered=True, present=False),
            Trace(detached, "", registered=True, present=True),
            Trace(lost, "", registered=False, present=True),
            Trace(None, "kugetsu/16", registered=False, present=False),
            Trace(None, "kugetsu/17", registered=False, present=False),
        ],
        key=str,
    )


async def test_a_worktree_moved_by_hand_shows_at_both_ends(workspace, project, directory, worktree):
    moved = directory.with_name("moved")
    directory.rename(moved)
    assert await workspace.traces(project, directory.parent) == [
        Trace(directory, BRANCH, registered=True, present=False),
        Trace(moved, "", registered=False, present=True),
    ]
    assert not await workspace.at_stake(project, moved, "")
    (moved / "work").touch()
    assert (await workspace.at_stake(project, moved, "")).changes == ("?? work",)


async def test_no_traces_where_nothing_was_done(workspace, project, tmp_path):
    assert await workspace.traces(project, tmp_path / "nowhere") == []


async def test_a_folder_git_does_not_know_any_more_goes_only_by_force(workspace, project, repo, directory, worktree):
    worktree.write("work")
    shutil.rmtree(repo.path / ".git" / "worktrees")
    (trace, branch) = await workspace.traces(project, directory.parent)
    assert (trace, branch.branch) == (Trace(directory, "", registered=False, present=True), BRANCH)
    assert set((await workspace.at_stake(project, directory, "")).changes) == {"?? file", "?? work"}
    with pytest.raises(WorkspaceError, match="not committed"):
        await workspace.remove_worktree(project, directory, "")
    await workspace.remove_worktree(project, directory, "", force=True)
    assert not directory.exists()
    assert BRANCH in repo.branches()


async def test_everything_through_a_linked_checkout(workspace, project, repo, directory, tmp_path):
    repo.git("worktree", "add", "-q", "-b", "base", str(tmp_path / "linked"))
    project = replace(project, path=tmp_path / "linked")
    await workspace.add_worktree(project, directory, BRANCH)
    assert await workspace.traces(project, tmp_path) == [Trace(directory, BRANCH, registered=True, present=True)]
    assert not await workspace.at_stake(project, directory, BRANCH)
    await workspace.remove_worktree(project, directory, BRANCH, keep_branch=True)
    await workspace.open_worktree(project, directory, BRANCH)
    await workspace.remove_worktree(project, directory, BRANCH)
    assert repo.branches() == {"main", "base"}


# ── ignored files ──────────────────────────────────────────────────────────────────────────────


async def test_what_git_ignores(workspace, worktree):
    worktree.commit(".gitignore", "*.log\n/private/\n")
    for name in ("x.log", "private/a/b", "fine", "-f", ":(top)x.log"):
        worktree.write(name)
    for name, expected in (("x.log", True), ("private/a/b", True), ("fine", False), ("-f", False), ("file", False)):
        assert await workspace.ignored(worktree.path, worktree.path / name) is expected
    assert await workspace.ignored(worktree.path, worktree.path / ":(top)x.log")


async def test_a_file_outside_is_an_error_not_an_answer(workspace, worktree, repo):
    with pytest.raises(WorkspaceError, match="outside"):
        await workspace.ignored(worktree.path, repo.path / "file")
