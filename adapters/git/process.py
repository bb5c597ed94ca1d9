"""Runs git: by argument list, away from the terminal, bounded in time, and never outliving the caller's wish.

Output goes to unnamed files instead of pipes: a hook that leaves a process behind then cannot hold git's end back.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from core.errors import FolderGone, WorkspaceError

TIMEOUT = 120.0  # seconds; long enough for the checkout of a very large repository with its hooks
GRACE = 5.0  # seconds git gets to remove its lock files when it is stopped
ANY_STATUS = range(-64, 256)  # for `expect`, ended by a signal included
MAX_WORDS = 2000  # characters of git's own words that go into an error

# For a run that goes to a remote: who would be asked for a password is not there. Passwords that people have stored
# (credential helpers, agents) are used as always.
UNATTENDED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",  # Git Credential Manager's windows
}

# What would point git at another repository than the directory it is run in: `git rev-parse --local-env-vars` without
# the GIT_CONFIG_COUNT family, which people use on purpose (safe.directory in containers).
_MISLEADING = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}

# Of web addresses the user goes as well: a token alone stands there. An ssh user is part of the address.
_WEB_USER = re.compile(r"(?i)\b((?:https?|ftps?)://)[^/\s]*@")
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s]*@")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Output:
    """What a git command left."""

    status: int
    raw: bytes
    words: str  # stderr, trimmed, without passwords

    @property
    def text(self) -> str:
        """stdout without its last line end."""
        return os.fsdecode(self.raw).removesuffix("\n")

    @property
    def names(self) -> list[str]:
        """stdout of a command run with `-z`."""
        return os.fsdecode(self.raw).split("\0")[:-1]

    @property
    def all_words(self) -> str:
        """What was said on either stream: hooks may write to both."""
        return trim(without_passwords(f"{self.text}\n{self.words}"))


def clean_environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` without what would make git look at another repository than the one it is started in."""
    return {name: value for name, value in env.items() if name not in _MISLEADING and not name.startswith("GIT_TRACE")}


class Git:
    """The git program. `env` is the environment it runs in; nothing else is inherited."""

    def __init__(self, env: Mapping[str, str], command: str = "git") -> None:
        self._command = command
        self._env = clean_environment(env) | {
            "LC_ALL": "C",  # git's words are shown and must be the same everywhere
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",  # looking at somebody's checkout must not lock it
        }

    async def run(
        self,
        directory: Path,
        *arguments: str,
        expect: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] = b"",
        hooks: bool = False,
        settings: Sequence[str] = (),
        keep_open: Sequence[int] = (),
        stdout: IO[bytes] | None = None,
        seconds: float = TIMEOUT,
    ) -> Output:
        """Run `git arguments…` in `directory`.

        `settings` are configuration for this run alone, `keep_open` are file descriptors git inherits, an open file as
        `stdin` is read from where its descriptor stands. With `stdout`, git writes there and nothing of it is in the
        result. The user's hooks are off unless `hooks`. Raises WorkspaceError when git's exit status is not in
        `expect`, when it takes longer than `seconds`, or when it cannot be started.
        """
        command = [self._command, "-c", "core.fsmonitor=false"]  # no daemon is left behind in a session's worktree
        command += [] if hooks else ["-c", "core.hooksPath=/dev/null"]
        command += [word for setting in settings for word in ("-c", setting)]
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            if isinstance(stdin, bytes):
                given.write(stdin)
                given.seek(0)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    *arguments,
                    cwd=directory,
                    env=self._env | {"PWD": str(directory)} | dict(env or {}),
                    stdin=given if isinstance(stdin, bytes) else stdin,
                    stdout=stdout or out,
                    stderr=err,
                    start_new_session=True,
                    pass_fds=keep_open,
                )
            except (OSError, ValueError) as error:
                raise self._not_started(directory, error) from error
            try:
                status = await wait(process, seconds)
            except TimeoutError as error:
                raise WorkspaceError(
                    f"git {arguments[0]} in {directory} took longer than {seconds:.0f} s and was stopped.",
                    "Run it by hand there to see what it waits for: a hook, a slow disk, or a lock.",
                ) from error
            output = Output(status, _content(out), trim(without_passwords(os.fsdecode(_content(err)))))
        if status not in expect:
            raise failure(arguments, directory, output)
        return output

    def has(self, variable: str) -> bool:
        """Whether the environment git runs in sets `variable`."""
        return bool(self._env.get(variable))

    def _not_started(self, directory: Path, error: OSError | ValueError) -> WorkspaceError:
        if not directory.exists():
            return FolderGone(f"{directory} does not exist.")
        if not directory.is_dir():
            return WorkspaceError(f"{directory} is no directory.")
        if isinstance(error, FileNotFoundError):
            return WorkspaceError(f"The program {self._command} was not found.", "Install git and put it on the PATH.")
        return WorkspaceError(f"git could not be started in {directory}: {error}")


async def wait(process: asyncio.subprocess.Process, seconds: float) -> int:
    """Exit status. On time-out (TimeoutError) or cancellation the process and its whole group are ended first."""
    try:
        async with asyncio.timeout(seconds):
            return await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):  # what ignores SIGTERM gets SIGKILL
            async with asyncio.timeout(GRACE):
                await process.wait()
    finally:
        _signal(process, signal.SIGKILL)  # also reaches what the leader left in its group


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in the group; macOS says EPERM for zombies
        os.killpg(process.pid, number)


async def in_thread(function: Callable[..., _T], *arguments: Any) -> _T:
    """Like `asyncio.to_thread`, but when cancelled it returns only after the thread has stopped touching files."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(work)
    finally:
        if not work.done():
            await asyncio.wait([work])


def without_passwords(text: str) -> str:
    """`text` with what people have put into URLs to be let in taken out."""
    return _PASSWORD.sub(r"\1@", _WEB_USER.sub(r"\1", text))


def printable(text: str) -> str:
    """`text` on one line for people: control characters and broken bytes as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def trim(words: str) -> str:
    """The end of `words`, where programs say what went wrong."""
    words = words.strip()
    return words if len(words) <= MAX_WORDS else f"… {words[-MAX_WORDS:]}"


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def failure(arguments: Sequence[str], directory: Path, output: Output, hint: str = "") -> WorkspaceError:
    """What is raised for a git that failed. Its words come first; `hint` is for where they say nothing known."""
    verb = " ".join(arguments[:2]) if arguments[0] == "worktree" else arguments[0]
    how = f"was ended by signal {-output.status}" if output.status < 0 else f"failed (exit status {output.status})"
    what = f"git {verb} in {directory} {how}: {output.words or 'it said nothing'}"
    return WorkspaceError(what, _hint(output.words, directory) or hint)


def _hint(words: str, directory: Path) -> str:
    if "dubious ownership" in words:
        return (
            "The checkout belongs to another user. Run kugetsu as its owner, or allow it as the user kugetsu runs as: "
            f"git config --global --add safe.directory {directory}"
        )
    if "already checked out" in words or "already used by worktree" in words:
        return "Switch that checkout to another branch, or remove that worktree: git worktree list shows them."
    if "locked working tree" in words:
        return "Unlock it when nothing uses it: git worktree unlock <path>."
    if "cannot lock ref" in words and "exists; cannot create" in words:
        return "A branch whose name is the beginning of this one's is in the way: rename it with git branch -m."
    if ".lock'" in words and "File exists" in words:
        return "When no other git runs in this repository, the lock file was left by a crash: delete it."
    if "No space left on device" in words:
        return "Free some disk space and try again."
    return ""
