"""Pushing to a bare repository, and what is said when that does not work."""

import asyncio

import pytest

from adapters.git import GitWorkspace
from core.errors import PushRejected, WorkspaceError

BRANCH = "kugetsu/14"


@pytest.fixture
def remote(repo, tmp_path):
    """A bare repository that `origin` names, over the protocol of real remotes."""
    path = tmp_path / "remote.git"
    repo.git("init", "-q", "--bare", "--template=", "-b", "main", str(path))
    repo.git("remote", "add", "origin", f"file://{path}")
    repo.git("push", "-q", "origin", "main")
    return repo.at(path)


@pytest.fixture
def work(worktree):
    worktree.commit("work")
    return worktree


@pytest.fixture
def remote_hook(remote):
    def write(name, script):
        path = remote.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def others(remote, repo, tmp_path):
    """Somebody else's clone."""
    repo.git("clone", "-q", f"file://{remote.path}", str(tmp_path / "others"))
    return repo.at(tmp_path / "others")


def tip(checkout, name=f"refs/heads/{BRANCH}"):
    return checkout.git("rev-parse", "--verify", "-q", name, ok=False)


async def test_a_new_branch_and_more_of_it(workspace, project, remote, work):
    await workspace.push(work.path, BRANCH, "origin")
    assert tip(remote) == tip(work)
    assert work.git("rev-parse", "--abbrev-ref", "@{upstream}") == f"origin/{BRANCH}"
    assert (await workspace.work(project, work.path, BRANCH)).unpushed == ()
    work.commit("more")
    assert len((await workspace.work(project, work.path, BRANCH)).unpushed) == 1
    await workspace.push(work.path, BRANCH, "origin")
    await workspace.push(work.path, BRANCH, "origin")  # there is nothing left to push, which is fine
    assert tip(remote) == tip(work)


async def test_only_this_branch_and_under_this_name(workspace, remote, work):
    work.git("config", "push.default", "matching")
    work.git("branch", "other")
    work.git("tag", BRANCH)
    await workspace.push(work.path, BRANCH, "origin")
    assert remote.git("for-each-ref", "--format=%(refname)").split() == [f"refs/heads/{BRANCH}", "refs/heads/main"]


async def test_the_branch_checked_out(workspace, remote, work):
    await workspace.push(work.path, "", "origin")
    assert tip(remote) == tip(work)


async def test_the_remote_has_more(workspace, remote, work, others):
    await workspace.push(work.path, BRANCH, "origin")
    others.git("fetch", "-q")
    others.git("checkout", "-q", BRANCH)
    others.commit("theirs")
    others.git("push", "-q")
    theirs = tip(remote)
    work.commit("ours")
    with pytest.raises(PushRejected, match="origin has commits on kugetsu/14 that are not here") as failure:
        await workspace.push(work.path, BRANCH, "origin")
    assert "git fetch origin" in failure.value.hint
    work.git("fetch", "-q")
    with pytest.raises(PushRejected, match="non-fast-forward"):
        await workspace.push(work.path, BRANCH, "origin")
    assert tip(remote) == theirs
    work.git("rebase", "-q", f"origin/{BRANCH}")
    await workspace.push(work.path, BRANCH, "origin")


async def test_a_rule_of_the_remote(workspace, remote, work, remote_hook):
    remote_hook("pre-receive", "echo 'GH006: Protected branch update failed.' >&2; exit 1")
    with pytest.raises(PushRejected, match=r"(?s)origin refused .*hook declined.*GH006: Protected branch") as failure:
        await workspace.push(work.path, BRANCH, "origin")
    assert "remote:" not in str(failure.value)
    assert failure.value.hint
    assert work.git("config", "--get", f"branch.{BRANCH}.remote", ok=False) == ""
    assert tip(work, f"refs/remotes/origin/{BRANCH}") == ""


async def test_the_users_hook(workspace, remote, work, hook):
    hook("pre-push", "echo '3 tests failed'; echo 'see above' >&2; exit 1")
    with pytest.raises(WorkspaceError, match=r"(?s)3 tests failed.*see above") as failure:
        await workspace.push(work.path, BRANCH, "origin")
    assert not isinstance(failure.value, PushRejected)
    assert "pre-push hook" in failure.value.hint
    assert tip(remote) == ""


async def test_no_remote_and_one_too_many(workspace, work):
    with pytest.raises(WorkspaceError, match="has no remote to push to") as failure:
        await workspace.push(work.path, BRANCH, "")
    assert "remote add origin" in failure.value.hint
    work.git("remote", "add", "a", "/a")
    with pytest.raises(WorkspaceError, match="no remote 'origin' to push to, only a"):
        await workspace.push(work.path, BRANCH, "origin")
    work.git("remote", "add", "b", "/b")
    with pytest.raises(WorkspaceError, match=r"several remotes .*: a, b") as failure:
        await workspace.push(work.path, BRANCH, "")
    assert "remote.pushDefault" in failure.value.hint


@pytest.mark.parametrize("name", ["--force", "https://example.org/x", "."])
async def test_what_is_no_remote(workspace, remote, work, name):
    with pytest.raises(WorkspaceError, match="has no remote"):
        await workspace.push(work.path, BRANCH, name)


@pytest.mark.parametrize("branch", ["gone", "-f", "a b", "+main"])
async def test_what_is_no_branch(workspace, remote, work, branch):
    with pytest.raises(WorkspaceError, match=r"is gone from|cannot be the name"):
        await workspace.push(work.path, branch, "origin")


async def test_on_no_branch(workspace, remote, work):
    work.git("checkout", "-q", "--detach")
    with pytest.raises(WorkspaceError, match="is on no branch"):
        await workspace.push(work.path, "", "origin")


async def test_a_remote_that_is_gone(workspace, remote, work, tmp_path):
    remote.path.rename(tmp_path / "moved.git")
    with pytest.raises(WorkspaceError, match="does not appear to be a git repository") as failure:
        await workspace.push(work.path, BRANCH, "origin")
    assert "ls-remote origin" in failure.value.hint


async def test_passwords_are_in_no_error(workspace, work):
    work.git("remote", "add", "origin", "http://ada:s3cret@127.0.0.1:9/o/r.git")
    with pytest.raises(WorkspaceError) as failure:
        await workspace.push(work.path, BRANCH, "origin")
    assert "s3cret" not in str(failure.value) + failure.value.hint
    assert "127.0.0.1" in str(failure.value)
    assert "ls-remote" in failure.value.hint


async def test_nobody_is_asked_for_a_password(env, work, tmp_path):
    answering = await asyncio.start_server(unauthorized, "127.0.0.1", 0)
    port = answering.sockets[0].getsockname()[1]
    work.git("remote", "add", "origin", f"http://127.0.0.1:{port}/o/r.git")
    ask = work.write("../ask", f"#!/bin/sh\ntouch '{tmp_path}/asked'\necho x\n")
    ask.chmod(0o755)
    work.git("config", "core.askPass", str(ask))
    asking = GitWorkspace(env | {"GIT_ASKPASS": str(ask), "SSH_ASKPASS": str(ask), "DISPLAY": ":0"}, print)
    async with answering:
        with pytest.raises(WorkspaceError, match="could not read Username") as failure:
            await asking.push(work.path, BRANCH, "origin")
    assert "credential helper" in failure.value.hint
    assert not (tmp_path / "asked").exists()


async def unauthorized(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    )
    await writer.drain()
    writer.close()


@pytest.fixture
def ssh(env, work, tmp_path):
    """A stand-in for ssh that notes how it was called and fails like one without a key."""
    work.git("remote", "add", "origin", "ssh://git@example.org/o/r.git")
    for name in ("ssh", "own-ssh"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f"#!/bin/sh\necho \"{name} $*\" >> '{tmp_path}/calls'\n"
            "echo 'git@example.org: Permission denied (publickey).' >&2\nexit 255\n"
        )
        program.chmod(0o755)
    return env | {"PATH": f"{tmp_path / 'bin'}:{env['PATH']}"}


async def test_ssh_asks_nobody(ssh, work, tmp_path):
    with pytest.raises(WorkspaceError, match=r"Permission denied \(publickey\)") as failure:
        await GitWorkspace(ssh, print).push(work.path, BRANCH, "origin")
    assert "ssh key" in failure.value.hint
    assert "ssh -o BatchMode=yes" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("how", ["core.sshCommand", "GIT_SSH_COMMAND"])
async def test_the_users_own_ssh(ssh, work, tmp_path, how):
    own = {"GIT_SSH_COMMAND": "own-ssh -x"} if how == "GIT_SSH_COMMAND" else {}
    if not own:
        work.git("config", how, "own-ssh -x")
    with pytest.raises(WorkspaceError):
        await GitWorkspace(ssh | own, print).push(work.path, BRANCH, "origin")
    assert "own-ssh -x" in (tmp_path / "calls").read_text()
    assert "BatchMode" not in (tmp_path / "calls").read_text()


async def test_what_a_clone_of_one_branch_pushed_is_known(workspace, project, remote, work):
    work.git("config", "remote.origin.fetch", "+refs/heads/main:refs/remotes/origin/main")
    before = await workspace.snapshot(work.path, "s/1/before")
    for name in ("one", "two"):
        work.commit(name)
        await workspace.push(work.path, BRANCH, "origin")
        assert tip(work, f"refs/remotes/origin/{BRANCH}") == tip(work)
    assert (await workspace.work(project, work.path, BRANCH)).unpushed == ()
    assert not await workspace.rewind(work.path, before)


async def test_what_was_pushed_stays_when_it_is_undone(workspace, remote, work):
    before = await workspace.snapshot(work.path, "s/1/before")
    made = work.commit("pushed", "too early\n")
    await workspace.push(work.path, BRANCH, "origin")
    assert not await workspace.rewind(work.path, before)
    assert tip(work) == tip(remote) == made
    assert work.status() == ["D pushed"]


async def test_cancelled_it_ends(workspace, remote, work, remote_hook, tmp_path):
    remote_hook("pre-receive", f"touch '{tmp_path}/started'; sleep 600")
    running = asyncio.create_task(workspace.push(work.path, BRANCH, "origin"))
    async with asyncio.timeout(10):
        while not (tmp_path / "started").exists():
            await asyncio.sleep(0.01)
        await workspace.snapshot(work.path, "s/1/before")  # a push keeps nobody waiting
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert tip(remote) == ""
