"""The note about a running opencode, by which the next start finds one that a killed bot left behind."""

from __future__ import annotations

import asyncio
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
    made_from: str = ""


SERVER = "serve --hostname 127.0.0.1 --port {}"


class Record:
    """`opencode-server.json` in the state directory, or the same about another command; mode 0600."""

    def __init__(self, path: Path, words: str = SERVER) -> None:
        """`words` are what the command line holds, with a place for the port or name."""
        self._path = path
        self._words = words

    def write(self, group: int, port: int | str, made_from: str = "") -> None:
        """Note every process of the group: an npm launcher may die and leave the server it started.

        `made_from` names what it was started with: only one that would be started the same can be taken over.
        """
        members = [_Member(process.pid, process.started) for process in processes() if process.group == group]
        content = msgspec.json.encode(_Note(group, port, members, made_from))
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
        note = await asyncio.to_thread(self._left_over)
        if note is not None:
            await end_family(note.group)

    async def left_over(self, made_from: str) -> tuple[int, int | str] | None:
        """The group and port of what an earlier bot noted and that still runs, if it was made from the same."""
        note = await asyncio.to_thread(self._left_over)
        return (note.group, note.port) if note is not None and note.made_from == made_from else None

    def _left_over(self) -> _Note | None:
        note = self._read()
        return note if note and any(self._is_left_over(process, note) for process in processes()) else None

    def _read(self) -> _Note | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _is_left_over(self, process: Process, note: _Note) -> bool:
        known = any((member.pid, member.started) == (process.pid, process.started) for member in note.members)
        return known and process.group == note.group and self._words.format(note.port) in process.command
