"""A branch and what is not committed, in one file, there and back; and what a bad file must not do."""

import asyncio
import os
import shutil
import sys
from dataclasses import replace

import pytest

from adapters.git import GitWorkspace
from adapters.git.claims import Intent, claim
from core.errors import WorkspaceError

BRANCH = "kugetsu/14"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "-branch é.bundle"


@pytest.fixture
def other(repo, template, tmp_path):
    """Another machine's checkout, cloned before anything was done: by hand, git takes longer for it."""
    there = repo.at(shutil.copytree(template, tmp_path / "other"))
    with (there.path / ".git" / "config").open("a") as config:
        config.write(f'[remote "origin"]\n\turl = {repo.path}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n')
    there.write(".git/refs/remotes/origin/main", (template / ".git/refs/heads/main").read_text())
    return there


@pytest.fixture
def elsewhere(project, other):
    return replace(project, path=other.path)


@pytest.fixture
def arrived(other, tmp_path):
    """Where the session's worktree goes on the other machine."""
    return other.at(tmp_path / "other state" / "worktrees" / "example.org-o-r-14")


@pytest.fixture
def export(workspace, directory, file):
    async def exported(base="main"):
        await workspace.bundle(directory, BRANCH, base, file)

    return exported


@pytest.fixture
def bring_in(workspace, elsewhere, arrived, file):
    async def imported(file=file, project=elsewhere, branch=BRANCH):
        await workspace.unbundle(project, arrived.path, branch, file)

    return imported


def snapshot_refs(checkout):
    return checkout.git("for-each-ref", "refs/kugetsu")


def untouched(other, arrived):
    return (
        other.branches() == {"main"}
        and snapshot_refs(other) == ""
        and not arrived.path.exists()
        and other.git("worktree", "list").count("\n") == 0
        and list((other.path / ".git" / "kugetsu").iterdir()) == []
    )


# ── there and back ─────────────────────────────────────────────────────────────────────────────


async def test_commits_and_uncommitted_work_arrive(worktree, repo, export, bring_in, other, arrived):
    worktree.commit(".gitignore", "*.log\n")
    head = worktree.commit("deleted")
    worktree.write("file", "changed\n")
    worktree.write("sub/-untracked")
    worktree.write("debug.log")
    worktree.write("run.sh").chmod(0o755)
    (worktree.path / "deleted").unlink()
    (worktree.path / "link").symlink_to("nowhere")
    worktree.git("add", "run.sh")
    refs, status = repo.git("for-each-ref"), worktree.status()
    await export()
    assert (repo.git("for-each-ref"), worktree.status()) == (refs, status)

    await bring_in()
    assert arrived.git("symbolic-ref", "--short", "HEAD") == BRANCH
    assert arrived.git("rev-parse", "HEAD") == head
    assert set(arrived.status()) == {"D deleted", " M file", "?? link", "?? run.sh", "?? sub/"}
    assert (arrived.path / "file").read_text() == "changed\n"
    assert os.access(arrived.path / "run.sh", os.X_OK)
    assert not (arrived.path / "debug.log").exists()
    assert snapshot_refs(other) == ""
    assert other.git("config", "--get-regexp", "^branch.kugetsu", ok=False) == ""
    assert not (other.path / ".git" / "FETCH_HEAD").exists()


async def test_what_is_on_the_base_stays_behind(worktree, repo, export, file):
    base = repo.git("rev-parse", "main")
    worktree.commit("work")
    await export()
    header = file.read_bytes().partition(b"\n\n")[0].decode()
    assert f"-{base}" in header
    assert f"{worktree.git('rev-parse', 'HEAD')} refs/heads/{BRANCH}" in header


async def test_what_was_never_pushed_goes_along(worktree, repo, other, export, bring_in, arrived):
    repo.git("update-ref", "refs/remotes/origin/main", "main")
    repo.commit("local")
    worktree.git("merge", "-q", "main")
    await export()
    await bring_in()  # the other machine could not have fetched it
    assert (arrived.path / "local").exists()


async def test_without_a_base_all_of_it_goes(worktree, repo, other, elsewhere, export, bring_in, arrived):
    worktree.commit("work")
    await export("")
    shutil.rmtree(other.path)
    other.path.mkdir()
    other.git("init", "-q", "-b", "main")
    other.commit("unrelated")
    await bring_in()
    assert (arrived.path / "work").exists()


async def test_a_branch_with_nothing_of_its_own(worktree, export, bring_in, arrived):
    await export()
    await bring_in()
    assert arrived.status() == []
    assert arrived.git("symbolic-ref", "--short", "HEAD") == BRANCH


async def test_a_branch_that_is_the_base(workspace, repo, file, bring_in, arrived):
    repo.write("new")
    await workspace.bundle(repo.path, "main", "main", file)
    await bring_in()
    assert arrived.status() == ["?? new"]


async def test_a_detached_head_goes_as_files(worktree, export, bring_in, arrived):
    tip = worktree.commit("on the branch")
    worktree.git("checkout", "-q", "--detach")
    worktree.commit("on none")
    await export()
    await bring_in()
    assert arrived.git("rev-parse", "HEAD") == tip
    assert arrived.status() == ['?? "on none"']


async def test_a_merge_in_progress_goes_as_files(worktree, repo, export, bring_in, arrived):
    worktree.commit("file", "ours\n")
    repo.commit("file", "theirs\n")
    worktree.git("merge", "main", ok=False)
    await export()
    assert worktree.status() == ["UU file"]
    await bring_in()
    assert arrived.status() == ["M file"]
    assert (arrived.path / "file").read_text() == (worktree.path / "file").read_text()


async def test_several_at_once(worktree, export, bring_in, workspace, elsewhere, other, file, tmp_path):
    worktree.write("new")
    await export()
    await asyncio.gather(
        bring_in(), workspace.unbundle(elsewhere, tmp_path / "second", "kugetsu/14-a", file), bring_in()
    )
    assert other.branches() == {"main", BRANCH, "kugetsu/14-a"}
    assert other.at(tmp_path / "second").status() == ["?? new"]
    assert snapshot_refs(other) == ""


# ── copied files, hooks ────────────────────────────────────────────────────────────────────────


async def test_copies_of_this_machine_are_put_in(worktree, repo, other, elsewhere, export, bring_in, arrived):
    worktree.commit("conf/a", "committed\n")
    worktree.commit("conf/b", "committed\n")
    worktree.write("conf/b", "changed in the session\n")
    await export()
    other.write("conf/a", "of this machine\n")
    other.write("conf/b", "of this machine\n")
    other.write(".env", "SECRET\n")
    project = replace(elsewhere, copy=(".env", "conf"))
    await bring_in(project=project)
    content = {name: (arrived.path / name).read_text() for name in (".env", "conf/a", "conf/b")}
    assert content == {".env": "SECRET\n", "conf/a": "of this machine\n", "conf/b": "changed in the session\n"}
    await bring_in(project=project)  # copies do not make it another one


async def test_a_link_in_the_bundle_is_no_way_out(worktree, other, elsewhere, export, bring_in, arrived, tmp_path):
    (tmp_path / "outside").mkdir()
    (worktree.path / "conf").symlink_to(tmp_path / "outside")
    worktree.git("add", "conf")
    worktree.git("commit", "-qm", "link")
    await export()
    other.write("conf/.env")
    with pytest.raises(WorkspaceError, match="leads out of it"):
        await bring_in(project=replace(elsewhere, copy=("conf/.env",)))
    assert list((tmp_path / "outside").iterdir()) == []
    assert untouched(other, arrived)


async def test_no_hook_that_came_along_runs(worktree, other, export, bring_in, arrived):
    worktree.commit("hooks/post-checkout", f"#!/bin/sh\ntouch {arrived.path}/ran\n")
    worktree.git("update-index", "--chmod=+x", "hooks/post-checkout")
    worktree.git("commit", "-qm", "executable")
    worktree.git("checkout", "-q", "hooks/post-checkout")
    await export()
    other.git("config", "core.hooksPath", "hooks")
    await bring_in()
    assert not (arrived.path / "ran").exists()


# ── refusals of an export ──────────────────────────────────────────────────────────────────────


async def test_a_worktree_deleted_by_hand_cannot_be_exported(worktree, repo, export, file):
    shutil.rmtree(worktree.path)
    with pytest.raises(WorkspaceError, match="does not exist"):
        await export()
    assert not file.exists()
    assert snapshot_refs(repo) == ""


async def test_a_branch_deleted_by_hand_cannot_be_exported(worktree, repo, export):
    worktree.git("checkout", "-q", "--detach")
    repo.git("branch", "-D", BRANCH)
    with pytest.raises(WorkspaceError, match="is gone") as failure:
        await export()
    assert "git -C" in failure.value.hint


async def test_a_target_that_cannot_be_written(workspace, worktree, repo, tmp_path):
    with pytest.raises(WorkspaceError, match="git bundle"):
        await workspace.bundle(worktree.path, BRANCH, "main", tmp_path / "nowhere" / "x.bundle")
    assert snapshot_refs(repo) == ""


# ── refusals of an import ──────────────────────────────────────────────────────────────────────


async def test_twice_is_once_until_somebody_works_in_it(worktree, export, bring_in, other, arrived):
    worktree.commit("work")
    worktree.write("file", "changed\n")
    await export()
    await bring_in()
    await bring_in()
    arrived.write("file", "worked on\n")
    with pytest.raises(WorkspaceError, match="registered at"):
        await bring_in()
    assert (arrived.path / "file").read_text() == "worked on\n"
    arrived.git("checkout", "-q", "file")
    arrived.commit("more")
    with pytest.raises(WorkspaceError, match="registered at"):
        await bring_in()
    assert snapshot_refs(other) == ""


async def test_a_branch_that_exists_is_never_overwritten(worktree, export, bring_in, other, arrived):
    worktree.commit("work")
    await export()
    other.git("branch", BRANCH)
    with pytest.raises(WorkspaceError, match="exists already"):
        await bring_in()
    assert other.git("rev-parse", BRANCH) == other.git("rev-parse", "main")
    assert not arrived.path.exists()


async def test_a_directory_that_exists_is_left_alone(worktree, export, bring_in, other, arrived):
    await export()
    arrived.write("thesis.tex")
    with pytest.raises(WorkspaceError, match="exists already"):
        await bring_in()
    assert [path.name for path in arrived.path.iterdir()] == ["thesis.tex"]
    assert other.branches() == {"main"}


async def test_a_base_this_repository_does_not_have(worktree, repo, elsewhere, export, bring_in, other, arrived):
    base = repo.commit("newer")
    worktree.git("merge", "-q", "main")
    worktree.commit("work")
    await export()
    with pytest.raises(WorkspaceError, match=f"does not have.*{base}") as failure:
        await bring_in(project=replace(elsewhere, base_branch="main"))
    assert f"git -C {other.path} fetch origin main" in failure.value.hint
    assert untouched(other, arrived)
    other.git("fetch", "-q", "origin")
    await bring_in()
    assert (arrived.path / "work").exists()


async def test_another_repository(worktree, export, bring_in, other, arrived):
    await export()
    shutil.rmtree(other.path)
    other.path.mkdir()
    other.git("init", "-q", "-b", "main")
    other.commit("unrelated")
    with pytest.raises(WorkspaceError, match="does not have") as failure:
        await bring_in()
    assert "another repository" in failure.value.hint
    assert untouched(other, arrived)


@pytest.mark.parametrize("content", [b"PK\3\4", b"# v2 git bundle\n\n", None])
async def test_what_is_no_bundle(bring_in, other, arrived, file, content):
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"cannot be read as a git bundle|holds no session"):
        await bring_in()
    assert untouched(other, arrived)


@pytest.mark.parametrize("kept", [0.1, 0.8])
async def test_a_truncated_bundle(worktree, export, bring_in, other, arrived, file, kept):
    worktree.commit("work", "".join(f"{number**5}\n" for number in range(300)))
    await export()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(WorkspaceError):
        await bring_in()
    assert untouched(other, arrived)


async def test_a_damaged_bundle(worktree, export, bring_in, other, arrived, file):
    worktree.commit("work")
    await export()
    whole = bytearray(file.read_bytes())
    whole[-30] ^= 0xFF
    file.write_bytes(whole)
    with pytest.raises(WorkspaceError, match="index-pack"):
        await bring_in()
    assert untouched(other, arrived)


async def test_a_bundle_of_somebody_elses(worktree, bring_in, other, arrived, file):
    worktree.commit("work")
    worktree.git("bundle", "create", "-q", str(file), BRANCH)
    with pytest.raises(WorkspaceError, match="holds no session"):
        await bring_in()
    assert untouched(other, arrived)


async def test_nothing_else_in_a_bundle_is_taken(worktree, export, bring_in, other, arrived, file):
    worktree.commit("work")
    await export()
    commit = worktree.git("rev-parse", "HEAD")
    main = other.git("rev-parse", "main")
    more = "".join(
        f"{commit} {ref}\n" for ref in ("refs/heads/main", "refs/tags/v1", "refs/remotes/origin/main", "HEAD")
    )
    file.write_bytes(file.read_bytes().replace(b"\n\nPACK", f"\n{more}\nPACK".encode(), 1))
    await bring_in()
    assert other.git("rev-parse", "main", "origin/main").split() == [main, main]
    assert other.git("tag") == ""
    assert other.branches() == {"main", BRANCH}


@pytest.mark.parametrize(
    "header",
    [
        "{commit} refs/kugetsu/export/../../heads/main",
        "{commit} refs/kugetsu/export/*:refs/heads/main",
        "{commit} --upload-pack=touch",
        "{commit} refs/kugetsu/export/" + "a" * 32 + "\n{commit} refs/kugetsu/export/" + "b" * 32,
        "0" * 40 + " refs/kugetsu/export/" + "a" * 32,
        "{root} refs/kugetsu/export/" + "a" * 32,
    ],
)
async def test_forged_headers(worktree, repo, export, bring_in, other, arrived, file, header):
    worktree.commit("work")
    await export()
    ids = {"commit": worktree.git("rev-parse", "HEAD"), "root": repo.git("rev-parse", "main")}
    pack = file.read_bytes().partition(b"\n\n")[2]
    file.write_bytes(b"# v2 git bundle\n" + header.format(**ids).encode() + b"\n\n" + pack)
    with pytest.raises(WorkspaceError):
        await bring_in()
    assert untouched(other, arrived)


async def test_objects_that_git_would_not_accept(worktree, export, bring_in, other, arrived, file):
    """A tree with a file `.GIT`, as it would hit file systems that do not tell cases apart."""
    blob = worktree.git("rev-parse", "HEAD:file")
    evil = worktree.write("tree")
    evil.write_bytes(b"100644 .GIT\0" + bytes.fromhex(blob))
    tree = worktree.git("hash-object", "-t", "tree", "-w", "--literally", "tree")
    evil.unlink()
    commit = worktree.git("commit-tree", "-p", "HEAD", "-m", "evil", tree)
    worktree.git("update-ref", f"refs/heads/{BRANCH}", commit)
    worktree.git("read-tree", "main")
    await export()
    other.git("config", "fetch.fsckObjects", "false")
    with pytest.raises(WorkspaceError, match="hasDotgit"):
        await bring_in()
    assert untouched(other, arrived)


async def test_a_root_commit_is_no_snapshot(worktree, repo, bring_in, other, arrived, file):
    root = repo.git("commit-tree", "-m", "root", "HEAD^{tree}")
    ref = f"refs/kugetsu/export/{'a' * 32}"
    repo.git("update-ref", ref, root)
    repo.git("bundle", "create", "-q", str(file), ref)
    with pytest.raises(WorkspaceError, match="holds no session"):
        await bring_in()
    assert untouched(other, arrived)


# ── cut off ────────────────────────────────────────────────────────────────────────────────────


async def test_an_import_cut_off_before_its_files_is_taken_up_again(worktree, export, bring_in, other, arrived):
    tip = worktree.commit("work")
    worktree.write("new")
    await export()
    other.git("fetch", "-q", str(worktree.path), BRANCH)
    other.git("worktree", "add", "-q", "-b", BRANCH, str(arrived.path), tip)
    async with claim(other.path / ".git", BRANCH) as held:
        held.write(Intent(BRANCH, str(arrived.path), tip))
    await bring_in()
    assert arrived.status() == ["?? new"]
    assert list((other.path / ".git" / "kugetsu").iterdir()) == []


def test_killed_at_any_moment_it_is_done_the_next_time(env, project, repo, other, elsewhere, directory, arrived, file):
    workspace = GitWorkspace(env, pytest.fail)
    asyncio.run(workspace.add_worktree(project, directory, BRANCH))
    head = repo.at(directory).commit("work")
    repo.at(directory).write("new")
    asyncio.run(workspace.bundle(directory, BRANCH, "main", file))
    count = file.with_name("git commands left")
    mortal = file.with_name("git")
    mortal.write_text(
        '#!/bin/sh\nread left < "$COUNT"; echo $((left - 1)) > "$COUNT"\n'
        '[ "$left" -gt 0 ] || { kill -9 $PPID; exit 1; }\nexec git "$@"\n'
    )
    mortal.chmod(0o755)
    for left in range(6, 1000, 6):
        count.write_text(f"{left}\n")
        child = os.fork()
        if child == 0:
            try:
                doomed = GitWorkspace(env | {"COUNT": str(count)}, print, git=str(mortal))
                asyncio.run(doomed.unbundle(elsewhere, arrived.path, BRANCH, file))
            finally:
                os._exit(int(sys.exc_info()[0] is not None))
        status = os.waitpid(child, 0)[1]
        if status == 0:
            break  # it needs no more than that
        assert os.WIFSIGNALED(status)
        asyncio.run(workspace.unbundle(elsewhere, arrived.path, BRANCH, file))
        assert arrived.status() == ["?? new"]
        assert arrived.git("rev-parse", BRANCH) == head
        asyncio.run(workspace.remove_worktree(elsewhere, arrived.path, BRANCH, force=True))
        assert untouched(other, arrived)
    assert left > 20
