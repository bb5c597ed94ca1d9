"""Sessions and runs as scripts get them: `--json`, the same keys everywhere. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.model import Place, Run, Session, Tokens


def session_data(session: Session, places: Sequence[Place]) -> dict[str, Any]:
    """As `list --json` prints it."""
    return {
        "ref": str(session.key.ref),
        "name": session.key.name,
        "session": session.agent_id,
        "parent": session.parent_id,
        "directory": str(session.directory),
        "branch": session.branch,
        "state": session.state.value,
        "places": [str(place) for place in places],
        "created": session.created.isoformat(),
        "updated": session.updated.isoformat(),
    }


def forked_data(session: Session) -> dict[str, Any]:
    """A fork without a prompt, in the form in which every `fork --json` ends."""
    return session_data(session, []) | {
        "type": "finished",
        "ok": True,
        "text": "",
        "error": "",
        "cost": 0.0,
        "tokens": asdict(Tokens()),
        "duration": 0.0,
    }


def run_data(run: Run) -> dict[str, Any]:
    """One run, for scripts."""
    return {
        "number": run.number,
        "prompt": run.prompt,
        "person": run.person,
        "state": run.state.value,
        "text": run.text,
        "error": run.error,
        "cost": run.cost,
        "duration": run.duration,
        "created": run.created.isoformat(),
        "refused": [refusal.line for refusal in run.refused],
    }
