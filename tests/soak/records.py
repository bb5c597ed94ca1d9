"""What kugetsu wrote down: the rows of its database that delivery is about, read beside the bot."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OVER = {"done", "failed", "stopped", "cut"}
TO_SEND = {"pending", "sending", "unknown"}


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A message that came in."""

    id: int
    event: str
    chat: str
    text: str
    outcome: str | None
    reason: str = ""
    held: str = ""
    run: int | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A prompt."""

    id: int
    session: str
    number: int
    prompt: str
    state: str
    text: str = ""
    error: str = ""
    source: str = ""
    chat: str = ""


@dataclass(frozen=True, slots=True)
class PostRow:
    """A message on its way out."""

    id: int
    key: str
    chat: str
    thread: str
    kind: str
    state: str
    text: str
    message: str = ""
    run: int | None = None
    ask: str = ""
    silent: bool = True
    repeat: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """That a run's answer belongs into a place."""

    run: int
    chat: str
    thread: str
    state: str


@dataclass(frozen=True, slots=True)
class AskRow:
    """A request of the agent."""

    id: str
    run: int
    decided: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest rows at some moment: what came later has higher numbers."""

    inbox: int = 0
    runs: int = 0
    posts: int = 0


@dataclass(frozen=True, slots=True)
class Records:
    """All of it, oldest first."""

    inbox: tuple[InboxRow, ...] = ()
    runs: tuple[RunRow, ...] = ()
    posts: tuple[PostRow, ...] = ()
    deliveries: tuple[DeliveryRow, ...] = ()
    asks: tuple[AskRow, ...] = ()
    operations: tuple[str, ...] = ()  # those that are not through

    def run(self, number: int | None) -> RunRow | None:
        """By its id."""
        return next((run for run in self.runs if run.id == number), None)

    def pages(self, run: int, chat: str = "") -> list[PostRow]:
        """Of a run's answer, in order; of one chat or of all."""
        return [post for post in self.posts if post.kind == "answer" and post.run == run and chat in {"", post.chat}]

    @property
    def busy(self) -> list[str]:
        """What is still to be done, in words; empty when all has come to its end."""
        over = {run.id for run in self.runs if run.state in OVER}
        decided = {ask.id for ask in self.asks if ask.decided}
        return [
            *(f"message {row.id} is not decided" for row in self.inbox if row.outcome is None and not row.held),
            *(f"run {run.number} of {run.session} is {run.state}" for run in self.runs if run.state not in OVER),
            *(f"{post.key} is {post.state}" for post in self.posts if post.state in TO_SEND),
            *(
                f"{post.key} still shows what is over"
                for post in self.posts
                if post.state == "sent"
                and ((post.kind == "live" and post.run in over) or (post.kind == "ask" and post.ask in decided))
            ),
            *(f"the answer of run {row.run} is {row.state}" for row in self.deliveries if row.state != "sent"),
            *(f"{operation} is not through" for operation in self.operations),
        ]


def read(database: Path, platform: str, since: Mark | None = None) -> Records:
    """What was written after `since`; messages and places of one platform. A bot may be writing meanwhile."""
    since = since or Mark()
    if not database.exists():
        return Records()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        db.row_factory = sqlite3.Row

        def rows(query: str, *values: Any) -> list[sqlite3.Row]:
            return db.execute(query, values).fetchall()

        return Records(
            tuple(
                InboxRow(
                    r["id"],
                    r["event_id"],
                    r["place_chat"],
                    r["text"],
                    r["outcome"],
                    r["reason"] or "",
                    r["held"],
                    r["run"],
                )
                for r in rows("SELECT * FROM inbox WHERE id > ? AND platform = ? ORDER BY id", since.inbox, platform)
            ),
            tuple(
                RunRow(
                    r["id"],
                    r["session_key"],
                    r["number"],
                    r["prompt"],
                    r["state"],
                    r["text"],
                    r["error"],
                    r["source"] or "",
                    r["chat"],
                )
                for r in rows("SELECT * FROM runs WHERE id > ? ORDER BY id", since.runs)
            ),
            tuple(
                PostRow(
                    r["id"],
                    r["key"],
                    r["chat"],
                    r["thread"],
                    r["kind"],
                    r["state"],
                    r["text"],
                    r["message"],
                    r["run"],
                    r["ask"] or "",
                    bool(r["silent"]),
                    bool(r["repeat"]),
                    r["note"],
                )
                for r in rows("SELECT * FROM posts WHERE id > ? AND platform = ? ORDER BY id", since.posts, platform)
            ),
            tuple(
                DeliveryRow(r["run"], r["chat"], r["thread"], r["state"])
                for r in rows("SELECT * FROM outbox WHERE run > ? AND platform = ? ORDER BY id", since.runs, platform)
            ),
            tuple(
                AskRow(r["id"], r["run"], r["decision"] is not None)
                for r in rows("SELECT * FROM asks WHERE run > ? ORDER BY created", since.runs)
            ),
            tuple(
                f"{r['kind']} {r['subject']} {json.loads(r['done'])}"
                for r in rows("SELECT * FROM operations ORDER BY id")
            ),
        )


def mark(database: Path) -> Mark:
    """Where the database stands now."""
    if not database.exists():
        return Mark()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        return Mark(
            *(db.execute(f"SELECT coalesce(max(id), 0) FROM {t}").fetchone()[0] for t in ("inbox", "runs", "posts"))
        )


def worktree(database: Path, ref: str) -> Path | None:
    """Where the session works; None when there is none."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        found = db.execute("SELECT directory FROM sessions WHERE key = ?", (ref.casefold(),)).fetchone()
    return Path(found[0]) if found else None
