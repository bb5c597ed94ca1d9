"""Tokens by which a session's agent may send files, and do nothing else: see docs/adr/0006.

A token is derived from the session's key and a secret of the state directory, so it outlives restarts and need not be
stored. It stands in the mark of the session's worktree, where `kugetsu send` finds it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

from bot.kept_secret import kept_secret
from bot.worktree_mark import renew_mark, write_mark
from core.errors import KugetsuError
from core.live import Complain
from core.model import Session, SessionKey

FILE = "send.key"


class SendTokens:
    """`session_at` tells whose worktree a folder is in."""

    def __init__(self, state_dir: Path, session_at: Callable[[Path | None], Awaitable[Session | None]]) -> None:
        self._file = state_dir / FILE
        self._session_at = session_at
        self._secret = b""

    def of(self, key: SessionKey) -> str:
        """The token of that session. Raises StoreError."""
        if not self._secret:
            self._secret = kept_secret(self._file)
        return hmac.new(self._secret, key.key.encode(), hashlib.sha256).hexdigest()

    async def fits(self, token: str, directory: Path | None) -> bool:
        """Whether it is that of the session in whose worktree `directory` is. Raises StoreError."""
        session = await self._session_at(directory)
        return session is not None and hmac.compare_digest(token.encode(), self.of(session.key).encode())


class Marks:
    """Writes the marks of worktrees, each with the token of its session."""

    def __init__(self, config: Path | None, state_dir: Path, tokens: SendTokens, complain: Complain) -> None:
        self._config = config
        self._state_dir = state_dir
        self._tokens = tokens
        self._complain = complain

    def write(self, directory: Path, key: SessionKey) -> None:
        """Of a new worktree. Raises WorkspaceError, StoreError."""
        write_mark(directory, self._config, self._state_dir, str(key), self._tokens.of(key))

    def renew(self, session: Session) -> None:
        """Before a prompt: the worktree may be from before there were tokens."""
        if not session.branch:
            return
        try:
            token = self._tokens.of(session.key)
            renew_mark(session.directory, self._config, self._state_dir, str(session.key), token)
        except KugetsuError as error:  # the agent cannot send files then, but it can work
            self._complain(f"the mark of {session.directory} could not be renewed", error)
