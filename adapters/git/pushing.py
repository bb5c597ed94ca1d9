"""Pushes a branch: never by force, and without anybody being asked for a password."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adapters.git.history import tip_of, tracking_ref
from adapters.git.process import ANY_STATUS, UNATTENDED, Git, Output, failure
from adapters.git.repository import open_repository, settings
from core.errors import PushRejected, WorkspaceError

SECONDS = 600.0  # pre-push hooks run tests, and a line may be slow

_BEHIND = ("fetch first", "non-fast-forward", "needs force", "stale info")
_LOGIN = (
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Permission denied",
    "terminal prompts disabled",
    "returned error: 401",
    "returned error: 403",
)


async def push(git: Git, directory: Path, branch: str, remote: str) -> None:
    """See the port. An empty branch stands for the one checked out. Waits for no lock: the network and the hooks take
    their time, and nothing of the worktree is written.
    """
    top = (await open_repository(git, directory)).top
    name, tip = await tip_of(git, top, branch)
    if not (name and tip):
        raise WorkspaceError(
            f"{top} is on no branch with a commit, so there is nothing to push.",
            f"Make a branch of what is there: git -C {top} switch -c NAME",
        )
    await _refuse_unknown(git, top, remote)
    ref = f"refs/heads/{name}"
    command = ("push", "--porcelain", "--set-upstream", remote, f"{ref}:{ref}")
    env = UNATTENDED | await _ssh(git, top)
    done = await git.run(top, *command, env=env, hooks=True, expect=ANY_STATUS, seconds=SECONDS)
    if done.status:
        raise _refused(command, top, name, remote, done)
    await _remember(git, top, tracking_ref(remote, name), tip)


async def _refuse_unknown(git: Git, top: Path, remote: str) -> None:
    names = (await git.run(top, "remote")).text.split("\n")
    if remote and remote in names:
        return
    known = ", ".join(filter(None, names))
    raise WorkspaceError(
        f"{top} has no remote {remote!r} to push to, only {known}."
        if remote and known
        else f"{top} has several remotes and none is the one to push to: {known}"
        if known
        else f"{top} has no remote to push to.",
        f"Say which: git -C {top} config remote.pushDefault NAME" if known else f"git -C {top} remote add origin URL",
    )


async def _ssh(git: Git, top: Path) -> dict[str, str]:
    """ssh asks nobody either, unless the user has said how it is to be called."""
    if git.has("GIT_SSH_COMMAND") or git.has("GIT_SSH") or "core.sshcommand" in await settings(git, top):
        return {}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


async def _remember(git: Git, top: Path, tracking: str, tip: str) -> None:
    """Note what the remote has now where git does not: a clone of one branch follows no other."""
    if not (await git.run(top, "merge-base", "--is-ancestor", tip, tracking, expect=(0, 1, 128))).status:
        return
    await git.run(top, "update-ref", "-m", "kugetsu: pushed", tracking, tip)


def _refused(command: tuple[str, ...], top: Path, branch: str, remote: str, done: Output) -> WorkspaceError:
    kind, reason = _verdict(done.text)
    if kind == "rejected":
        behind = reason in _BEHIND
        what = f"{remote} has commits on {branch} that are not here" if behind else f"{remote} cannot take {branch}"
        return PushRejected(
            f"{what}, so nothing was pushed ({reason}).",
            f"Have the agent bring them in (git fetch {remote}, then rebase onto or merge {remote}/{branch}), and push "
            "again."
            if behind
            else f"Look at what {remote} has under that name: git -C {top} ls-remote {remote} {branch}",
        )
    if kind == "remote rejected":
        said = "\n".join(line for line in _remote_lines(done.words) if line)
        return PushRejected(
            f"{remote} refused {branch}: {reason}" + (f"\n{said}" if said else ""),
            "Have the agent correct what it names. If a rule protects the branch, push another one, or ask who manages "
            "the repository.",
        )
    told = replace(done, words=_without_report(done))
    return failure(command, top, told, _hint(told, top, remote))


def _verdict(report: str) -> tuple[str, str]:
    """Of `!<tab>from:to<tab>[kind] (reason)` the kind and the reason; empty where git did not come that far."""
    for line in report.split("\n"):
        flag, _, rest = line.partition("\t")
        if flag == "!":
            kind, _, reason = rest.partition("\t")[2].removeprefix("[").partition("] ")
            return kind, reason.removeprefix("(").removesuffix(")")
    return "", ""


def _remote_lines(words: str) -> list[str]:
    return [line.removeprefix("remote:").strip() for line in words.split("\n") if line.startswith("remote:")]


def _without_report(done: Output) -> str:
    """The words of git and of hooks, which write to both streams, without git's lines for programs and its advice."""
    lines = done.all_words.split("\n")
    return "\n".join(line for line in lines if not line.startswith(("To ", "!\t", "Done", "hint: "))).strip()


def _hint(told: Output, top: Path, remote: str) -> str:
    words = told.words
    url = f"git -C {top} remote -v shows its address"
    if "Host key verification failed" in words:
        return "ssh does not know the host: connect to it once by hand, as the user kugetsu runs as."
    if any(login in words for login in _LOGIN):
        return (
            "Let the user kugetsu runs as in without being asked: an ssh key in its agent, or a git credential helper. "
            f"Try it: git -C {top} push --dry-run {remote}"
        )
    if told.status == 1:
        return "If the pre-push hook refused it: have the agent correct what it says, then push again."
    return f"See whether {remote} is there and can be reached: git -C {top} ls-remote {remote}; {url}."
