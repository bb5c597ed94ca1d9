"""Sessions out of one opencode and into another.

Out goes what the server says, which is `opencode export` to the byte: the command itself cuts its output off. In there
is only the command, or for a server that somebody else runs, `replay`. Both write to the database what they are given
and answer with success where nothing came of it, so everything is checked before and read back after.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapters.opencode.exported import Message, Transcript, contents, is_session_id, pack, unpack
from adapters.opencode.http import SLOW, AgentRefusal, Http, gone
from adapters.opencode.program import Program
from adapters.opencode.sessions import Sessions
from core.errors import AgentError
from core.model import SessionId
from core.ports import AgentSession

TIMEOUT = 120.0  # seconds for one session; 180 MB take 3
Put = Callable[[Transcript, Path], Awaitable[None]]  # brings one session into opencode, at work in that directory


async def export_session(sessions: Sessions, session: SessionId) -> bytes:
    """See AgentPort."""
    if not is_session_id(session):
        raise gone(session)
    found = await sessions.existing(session)
    family = [session, *await sessions.descendants(session, found.directory)]
    try:
        return pack([await _stored(sessions.http, member) for member in family])
    except AgentRefusal as error:
        raise gone(session) if error.status == 404 else error from error


async def import_session(sessions: Sessions, put: Put, exported: bytes, directory: Path) -> AgentSession:
    """See AgentPort. Whatever goes wrong, nothing of it stays. Not for two imports of one export at the same time."""
    directory = directory.resolve()
    transcripts = unpack(exported, directory)
    await _make_room(sessions, transcripts)
    try:
        for transcript in transcripts:
            await put(transcript, directory)
            await _check(sessions, transcript, directory)
        return await sessions.existing(transcripts[0].id)
    except BaseException as failure:
        try:
            await _remove(sessions, [transcript.id for transcript in transcripts])
        except AgentError as error:
            failure.add_note(f"What had arrived of it could not be deleted: {error}")
        raise


async def put_by_command(program: Program, transcript: Transcript, directory: Path) -> None:
    """`opencode import`, which works beside a server on the same data. Raises AgentError with its own words."""
    try:
        with tempfile.NamedTemporaryFile(prefix="kugetsu-", suffix=".json") as file:  # mode 0600
            await asyncio.to_thread(Path(file.name).write_bytes, transcript.encoded())
            code, said = await program.run(directory, "import", file.name, within=TIMEOUT)
    except OSError as error:
        raise AgentError(
            f"The session cannot be written to {tempfile.gettempdir()}: {error.strerror}", "Free some room there"
        ) from error
    if code:
        raise _refused(said)


async def _make_room(sessions: Sessions, transcripts: Sequence[Transcript]) -> None:
    """opencode would mix an import with the session it has. 1.3 keeps sub-agents' sessions when theirs is deleted."""
    for transcript in transcripts:
        found = await sessions.find(transcript.id)
        if found is None:
            continue
        if transcript.parent is None or found.parent_id != transcript.parent:
            raise AgentError(
                f"This opencode has the session {transcript.id} already, in {found.directory}",
                "Work with that one, or delete it: `opencode session delete <id>`",
            )
        await sessions.delete(transcript.id)


async def _check(sessions: Sessions, transcript: Transcript, directory: Path) -> None:
    """That all of it is there and at work in `directory`. Raises AgentError, WrongDirectory."""
    if await sessions.find(transcript.id) is None:
        raise _refused(f"it has no session {transcript.id} afterwards")
    await sessions.settle(transcript.id, directory)
    stored = await sessions.http.get(f"/session/{transcript.id}/message", list[Message], within=SLOW)
    missing = transcript.contents - contents(stored)
    if missing:
        raise _refused(f"{len(missing)} of its messages and parts did not arrive, {min(missing)} for one")


async def _remove(sessions: Sessions, ids: Sequence[SessionId]) -> None:
    for session in reversed(ids):
        await sessions.delete(session)


async def _stored(http: Http, session: SessionId) -> tuple[dict[str, Any], msgspec.Raw]:
    info = await http.get(f"/session/{session}", dict[str, Any])
    return info, await http.get(f"/session/{session}/message", msgspec.Raw, within=SLOW)


def _refused(why: str) -> AgentError:
    return AgentError(
        f"opencode did not take the session: {why[:500]}",
        "Export and import with the same version of opencode. A session whose messages are here under another id "
        "cannot be imported",
    )
