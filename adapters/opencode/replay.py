"""The way into a server that somebody else runs, where no command of ours would reach its data.

1.18 rebuilds a session from its history of events, so the history is made up from the export. The interface is an
experimental one; what it makes is read back like everything else.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from adapters.opencode.exported import Transcript
from adapters.opencode.http import SLOW, AgentRefusal, Http
from core.errors import AgentError

REPLAY = "/sync/replay"
TIMEOUT = 120.0  # seconds; a message part takes 1 ms


class _Description(msgspec.Struct):
    paths: dict[str, msgspec.Raw]


class _Project(msgspec.Struct):
    id: str


async def put_by_replay(http: Http, transcript: Transcript, directory: Path) -> None:
    """Raises AgentError when that server cannot."""
    # 1.3 forwards what it does not know to a web site, so the description is asked first.
    if REPLAY not in (await http.get("/doc", _Description, within=SLOW)).paths:
        raise AgentError(
            f"The opencode at {http.url} is too old to import a session",
            "Use opencode 1.18.33 there, or leave opencode.url empty and kugetsu starts its own",
        )
    project = await http.get("/project/current", _Project, directory=directory)
    events = [
        {"id": f"evt_{uuid.uuid4().hex}", "aggregateID": transcript.id, "seq": index, "type": kind, "data": data}
        for index, (kind, data) in enumerate(_history(transcript, project.id))
    ]
    body = {"directory": str(directory), "events": events}
    try:
        await http.post(REPLAY, body, directory=directory, within=TIMEOUT)
    except AgentRefusal as error:
        raise AgentError(f"opencode did not take the session: {error}", "Export it again with opencode 1.18") from error


def _history(transcript: Transcript, project: str) -> Iterator[tuple[str, dict[str, Any]]]:
    session = transcript.id
    yield "session.created.1", {"sessionID": session, "info": {**transcript.info, "projectID": project}}
    for message in msgspec.json.decode(transcript.messages):
        yield "message.updated.1", {"sessionID": session, "info": message["info"]}
        for part in message["parts"]:
            at = transcript.info["time"]["created"]
            yield "message.part.updated.1", {"sessionID": session, "part": part, "time": at}
