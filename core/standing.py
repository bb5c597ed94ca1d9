"""Which runs of a session stand, and which were taken back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import NotFound, UsageError
from core.model import MessageId, Run, Session

FOR_GOOD = "-"  # in place of `Run.undone`: a run or a summary came after it was taken back; nothing brings it again


def runs_of(session: Session, runs: Sequence[Run]) -> list[Run]:
    """Without those of a session of the same name that was destroyed: records of runs stay."""
    return [run for run in runs if run.created >= session.created]


def last_standing(runs: Sequence[Run]) -> Run:
    """What `undo` takes back. Raises NotFound."""
    run = next((run for run in reversed(runs) if run.started and not run.undone), None)
    if run is None:
        raise NotFound("There is no run that could be taken back.", "`/status` tells how things stand.")
    return run


def first_taken_back(runs: Sequence[Run]) -> Run:
    """What `redo` brings again. Raises NotFound; UsageError when a later run made it final."""
    chain = taken_back(runs)
    if chain:
        return chain[0]
    if any(run.undone for run in runs):
        raise UsageError("What was taken back is gone for good: a run or a summary came after it.", "Ask for it anew.")
    raise NotFound("Nothing was taken back.", "`/undo` takes the last run back.")


def taken_back(runs: Sequence[Run]) -> list[Run]:
    """What `redo` could bring again, oldest first: undone, with nothing that stands after it."""
    chain: list[Run] = []
    for run in reversed(runs):
        if run.started and not run.undone:
            break
        if run.undone and run.undone != FOR_GOOD:
            chain.append(run)
    return chain[::-1]


def conversation_ends_before(session: Session, runs: Sequence[Run]) -> MessageId | None:
    """The first prompt that was taken back: a fork must not have it, though the agent still lists it."""
    return next((run.message_id for run in taken_back(runs_of(session, runs)) if run.message_id), None)
