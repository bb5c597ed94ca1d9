"""The note about a running opencode, by which the next start finds one that a killed bot left behind."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from adapters.opencode.processes import Process, end_family, processes


class _Member(msgspec.Struct):
    pid: int
    started: str


class _Note(msgspec.Struct):
    group: int
    port: int | str
    members: list[_Member]


SERVER = "serve --hostname 127.0.0.1 --port {}"


class Record:
    """`opencode-server.json` in the state directory, or the same about another command; mode 0600."""

    def __init__(self, path: Path, words: str = SERVER) -> None:
        """`words` are what the command line holds, with a place for the port or name."""
        self._path = path
        self._words = words

    def write(self, group: int, port: int | str) -> None:
        """Note every process of the group: an npm launcher may die and leave the server it started."""
        members = [_Member(process.pid, process.started) for process in processes() if process.group == group]
        content = msgspec.json.encode(_Note(group, port, members))
        temporary = self._path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(self._path)

    def clear(self, group: int) -> None:
        """That server is gone. A note about another one stays."""
        note = self._read()
        if note is not None and note.group == group:
            self._path.unlink()

    async def end_left_over(self) -> None:
        """End what an earlier bot noted, if pid, start time and command still are what they were."""
        note = self._read()
        if note is not None and any(self._is_left_over(process, note) for process in processes()):
            await end_family(note.group)

    def _read(self) -> _Note | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _is_left_over(self, process: Process, note: _Note) -> bool:
        known = any((member.pid, member.started) == (process.pid, process.started) for member in note.members)
        return known and process.group == note.group and self._words.format(note.port) in process.command
