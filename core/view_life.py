"""Sentences about the end of a session's life, its moves, and files that people edited. Pure; see core.view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.edits import Edit, FoundBase, FoundSession
from core.errors import KugetsuError, NotFound
from core.model import (
    BaseSession,
    Button,
    Document,
    Project,
    ProjectRef,
    Session,
    SessionKey,
)
from core.ports import Stake

# ── the end of a session's life ────────────────────────────────────────────────────────────────


def stake(found: Stake) -> str:
    """What would be lost, in one line."""
    parts = []
    if found.locked:
        parts.append(f"the worktree is locked ({found.locked})")
    if found.changes:
        parts.append(f"{len(found.changes)} uncommitted: {', '.join(line[3:] for line in found.changes[:5])}")
    if found.commits:
        parts.append(f"{len(found.commits)} commits that are nowhere else: {', '.join(found.commits[:5])}")
    return "; ".join(parts)


def at_stake(session: Session, found: Stake) -> str:
    """Why it is not destroyed."""
    return f"{session.key} has work that would be lost: {stake(found)}."


def will_destroy(session: Session, found: Stake, offers: Sequence[Button]) -> Document:
    """Asks first."""
    lost = f"\nLost would be: {stake(found)}." if found else "\nEverything in it is committed and pushed."
    branch = f", branch `{session.branch}`" if session.branch else ""
    text = f"Destroying {session.key} deletes its opencode session, worktree `{session.directory}`{branch}.{lost}"
    return Document(f"{text}\n`/destroy -y {session.key}` does it without asking.", tuple(offers))


def destroyed(session: Session) -> Document:
    """The answer to `destroy`."""
    return Document(f"{session.key} is destroyed.")


def base_destroyed(project: Project) -> Document:
    """The answer to `destroy --base`."""
    return Document(f"The base session of {project.ref} is deleted. Its forks stay; the next `/start` makes a new one.")


def archived(session: Session) -> Document:
    """The worktree is gone, the rest stays."""
    return Document(f"{session.key} is archived: its worktree is removed, `/continue {session.key} …` brings it back.")


def full(project: Project, oldest: Session, offers: Sequence[Button]) -> Document:
    """No room for one more session."""
    text = f"{project.ref} has as many sessions as `sessions.max_per_project` allows."
    return Document(
        f"{text} {oldest.key}, unused since {oldest.updated:%Y-%m-%d}, is clean and can be archived.", tuple(offers)
    )


def lost(session: Session) -> NotFound:
    """A prompt to a session that opencode no longer has."""
    return NotFound(
        f"opencode no longer has the session of {session.key}; worktree `{session.directory}` is untouched.",
        f"`/fork {session.key.ref} …` makes another one."
        if session.key.name
        else f"`/start {session.key.ref} …` makes a new session on the same worktree.",
    )


def session_gone(session: Session) -> str:
    """opencode forgot it."""
    return f"{session.key}: opencode no longer has its session; `/start {session.key.ref} …` makes a new one"


def census(lines: Sequence[tuple[str, str]], offers: Sequence[Button]) -> Document:
    """The answer to `prune`: what was found, (remedy, text) each."""
    if not lines:
        return Document("Everything fits together: nothing to prune.")
    words = {"repair": "repaired", "remove": "can be removed", "removed": "removed", "report": "look at it"}
    return Document("\n".join(f"{words[remedy]}: {text}" for remedy, text in lines), tuple(offers))


def changes(session: Session, stat: str) -> Document:
    """The answer to `diff`."""
    if not stat:
        return Document(f"{session.key} has changed no file.")
    lines = stat.splitlines()
    shown = lines if len(lines) <= 25 else [*lines[:23], "…", lines[-1]]
    body = "\n".join(shown)
    return Document(f"What {session.key.tag} has changed since its first run, the patch is a file:\n```\n{body}\n```")


def sent_file(name: str, size: int) -> Document:
    """The answer to `send`."""
    return Document(f"{name} ({file_size(size)}) is in the thread.")


def file_size(size: int) -> str:
    """`12 kB`."""
    for unit, step in (("MB", 1024**2), ("kB", 1024)):
        if size >= step:
            return f"{size / step:.0f} {unit}"
    return f"{size} bytes"


def exported(session: Session, file: Path) -> Document:
    """The answer to `export`."""
    return Document(f"{session.key} is in `{file}`. On the other machine: `kugetsu import {file.name}`.")


def imported(session: Session) -> Document:
    """The answer to `import`."""
    where = f"worktree `{session.directory}`, branch `{session.branch}`"
    return Document(f"{session.key} is here: {where}. `/continue {session.key} …` goes on with it.")


# ── index.json and sessions/*.json, edited by hand ─────────────────────────────────────────────


def edit_untaken(edit: Edit, why: KugetsuError) -> str:
    """Something in a file is not taken."""
    match edit:
        case FoundSession(file, key, agent_id):
            what = f"{file}: `{agent_id}` for {key} is not taken. "
        case FoundBase(file, _, agent_id):
            what = f"{file}: `{agent_id}` as base session is not taken. "
        case _:
            what = f"{edit.file}: "
    return f"{what}{why} {why.hint}".rstrip()


def edits_held(edit: Edit, why: KugetsuError) -> str:
    """Nobody can say whether the sessions named there exist."""
    return (
        f"{edit.file} names sessions that could not be looked up: {why} {why.hint}".rstrip()
        + " The file stays as it is; the next start and `/prune` try again."
    )


def written_again(file: str, subject: SessionKey | ProjectRef | None, *, entry: bool) -> str:
    """What kugetsu wrote was gone."""
    what = f"{file}: the entry of {subject}" if entry else file
    if isinstance(subject, SessionKey):
        ending = f"; `/destroy {subject}` ends a session"
    else:
        ending = f"; `/destroy --base {subject}` ends a base session" if subject else ""
    return f"{what} was missing and is written again{ending}."


def adopted(session: Session) -> str:
    """A session that a person, or an earlier kugetsu, had written down."""
    where = f" on branch `{session.branch}`" if session.branch else ", a checkout that stays when it ends"
    return f"{session.key} is taken up: opencode's session `{session.agent_id}` in {session.directory}{where}."


def base_adopted(base: BaseSession) -> str:
    """Likewise for a base."""
    return f"The base session of {base.project} is opencode's `{base.agent_id}` now."


def exchanged(session: Session, agent_id: str) -> str:
    """A session got another one of opencode's."""
    return f"{session.key} has opencode's session `{agent_id}` now, instead of `{session.agent_id}`."


def retitled(key: SessionKey, title: str) -> str:
    """A title was changed by hand."""
    return f"{key} is called “{title}” now."
