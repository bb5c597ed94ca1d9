"""Debug logs of sessions: what was sent to opencode and every event that came back, for those who asked."""

from __future__ import annotations

import json
from pathlib import Path

from bot.logs import Redactor, SessionLog
from core.model import Session, SessionId


class SessionLogs:
    """`logs/<session>/debug.log`, named like the session's other files; a base session's by its opencode id."""

    def __init__(self, folder: Path, redactor: Redactor, *, everything: bool) -> None:
        self._folder = folder
        self._redactor = redactor
        self._everything = everything
        self._enabled: set[str] = set()
        self._names: dict[SessionId, str] = {}
        self._open: dict[str, SessionLog] = {}

    def enable(self, slug: str) -> None:
        """Write that session's log until the process ends."""
        self._enabled.add(slug)

    def name(self, session: Session) -> None:
        """From now on this opencode session's traffic goes to the log named for kugetsu's session."""
        self._names[session.agent_id] = session.slug

    def trace(self, session: SessionId, direction: str, payload: bytes) -> None:
        """Called with all traffic of a session, as JSON; writes only what was asked for."""
        name = self._names.get(session, session)
        if not (self._everything or name in self._enabled):
            return
        if name not in self._open:
            self._open[name] = SessionLog(self._folder / name / "debug.log", self._redactor)
        self._open[name].write(direction, json.loads(payload))

    def close(self) -> None:
        """Close the files."""
        for log in self._open.values():
            log.close()
        self._open.clear()
