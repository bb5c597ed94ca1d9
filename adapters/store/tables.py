"""The tables, once. Queries and migrations are written against these; a test keeps the migrations equal to them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

SCHEMA = "0006"  # the newest revision below migrations/versions: what a new database is made with


class Moment(TypeDecorator[datetime]):
    """An aware datetime as ISO 8601 text in UTC with a fixed width, so that text order is time order."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To UTC; a naive datetime is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Aware, UTC."""
        return None if value is None else datetime.fromisoformat(value)


class Words(TypeDecorator[str]):
    """What people and agents write. JavaScript can cut an emoji in half; the half is kept as U+FFFD, not refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The same text wherever it is valid Unicode."""
        if value is None or value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _project_columns() -> list[Column[str]]:
    """A project's ref as it was spelled."""
    return [Column(name, Text, nullable=False) for name in ("instance", "owner", "repo")]


def _session_columns(prefix: str = "", *, nullable: bool = False) -> list[Column[str] | Column[int] | Column[bool]]:
    """A session's key as it was spelled; the casefolded key has a column of its own."""
    return [
        Column(f"{prefix}instance", Text, nullable=nullable),
        Column(f"{prefix}owner", Text, nullable=nullable),
        Column(f"{prefix}repo", Text, nullable=nullable),
        Column(f"{prefix}number", Integer, nullable=nullable),
        Column(f"{prefix}merge_request", Boolean, nullable=nullable),
        Column(f"{prefix}name", Text, nullable=nullable),
    ]


def _place_columns(prefix: str = "", *, nullable: bool = False) -> list[Column[str]]:
    return [Column(f"{prefix}{name}", Text, nullable=nullable) for name in ("platform", "chat", "thread")]


metadata = MetaData()

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    *_place_columns("place_"),
    Column("person", Text, nullable=False),
    Column("person_name", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("at", Moment, nullable=False),  # the platform's time
    Column("directory", Text),
    Column("debug", Boolean, nullable=False),
    Column("message", Text, nullable=False),  # the platform's id of the message itself
    Column("reply_to", Text, nullable=False),
    Column("direct", Boolean, nullable=False),
    Column("addressed", Boolean, nullable=False),
    Column("edited", Boolean, nullable=False),
    Column("joins", Float, nullable=False),  # seconds
    Column("files", Text, nullable=False),  # JSON
    Column("held", Text, nullable=False),  # the question it waits for: run what came while kugetsu was not there?
    Column("run", Integer),  # what it became
    Column("received", Moment, nullable=False),  # ours: what the seven days are counted from
    Column("closed", Moment),
    Column("outcome", Text),
    Column("reason", Words),
    UniqueConstraint("platform", "event_id", name="inbox_event"),
    Index("inbox_received", "received"),
    Index("inbox_message", "platform", "place_chat", "message"),
    Index("inbox_newest", "platform", "place_chat", text("CAST(message AS INTEGER)")),
    Index("inbox_outcome", "outcome"),
    sqlite_autoincrement=True,
)

projects = Table(
    "projects",
    metadata,
    Column("key", Text, primary_key=True),
    *_project_columns(),
    Column("path", Text, nullable=False),
    Column("created", Moment, nullable=False),
)

bases = Table(
    "bases",
    metadata,
    Column("key", Text, primary_key=True),
    *_project_columns(),
    Column("agent_id", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("title", Words, nullable=False),
    Column("created", Moment, nullable=False),
    Column("ready", Boolean, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", Text, primary_key=True),
    *_session_columns(),
    Column("directory", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("title", Words, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("parent_id", Text, nullable=False),
    *_session_columns("parent_", nullable=True),  # a fork may outlive the session it was forked from: no foreign key
    Column("rules", Text, nullable=False),  # JSON
    Column("model", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("budget", Float, nullable=False),  # USD; 0: none
    UniqueConstraint("slug", name="sessions_slug"),
)

places = Table(
    "places",
    metadata,
    Column("id", Integer, primary_key=True),
    *_place_columns(),
    Column("session_key", Text, ForeignKey("sessions.key", name="places_session", ondelete="CASCADE"), nullable=False),
    Column("verbosity", Text, nullable=False),
    UniqueConstraint("platform", "chat", "thread", name="places_place"),
    Index("places_session_key", "session_key"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("done", Text, nullable=False),  # JSON
    Column("created", Moment, nullable=False),
    sqlite_autoincrement=True,  # ended ones are deleted: a stale handle must not meet a later operation
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_key", Text, nullable=False),  # runs outlive their session, for the audit: no foreign key
    *_session_columns("session_"),
    Column("number", Integer, nullable=False),
    Column("prompt", Words, nullable=False),
    Column("person", Text, nullable=False),
    *_place_columns(),
    Column("state", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("text", Words, nullable=False),
    Column("error", Words, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("cost", Float, nullable=False),
    Column("tokens_input", Integer, nullable=False),
    Column("tokens_output", Integer, nullable=False),
    Column("tokens_reasoning", Integer, nullable=False),
    Column("tokens_cache_read", Integer, nullable=False),
    Column("tokens_cache_write", Integer, nullable=False),
    Column("refused", Text, nullable=False),  # JSON
    Column("snapshot_before", Text, nullable=False),
    Column("snapshot_after", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attachments", Text, nullable=False),  # JSON
    # What made it, where that could be repeated after a crash: a message of the inbox, a run that was cut off.
    Column("source", Text),
    Column("undone", Text, nullable=False),
    Column("context", Integer, nullable=False),
    Column("context_limit", Integer, nullable=False),
    Column("urgent", Boolean, nullable=False),
    UniqueConstraint("session_key", "number", name="runs_number"),
    UniqueConstraint("source", name="runs_source"),
    Index("runs_state", "state"),
    Index("runs_person", "person", "created"),
)

asides = Table(
    "asides",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_key", Text, nullable=False),  # as for runs
    Column("person", Text, nullable=False),
    Column("question", Words, nullable=False),
    Column("answer", Words, nullable=False),
    Column("cost", Float, nullable=False),
    Column("created", Moment, nullable=False),
    Index("asides_session_key", "session_key"),
    Index("asides_person", "person", "created"),
)

run_text = Table(
    "run_text",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("runs.id", name="run_text_run"), nullable=False),
    Column("part", Text, nullable=False),
    Column("text", Words, nullable=False),
    Column("whole", Boolean, nullable=False),
    Index("run_text_run_id", "run"),
)

asks = Table(
    "asks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run", Integer, ForeignKey("runs.id", name="asks_run"), nullable=False),
    *_session_columns("session_"),
    Column("request", Text, nullable=False),  # JSON
    Column("created", Moment, nullable=False),
    Column("decision", Text),  # JSON; null while open
    Column("decided_by", Text),
    Column("decided_at", Moment),
    Index("asks_decision", "decision"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("run", Integer, ForeignKey("runs.id", name="outbox_run"), nullable=False),
    *_place_columns(),
    Column("state", Text, nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("key", name="outbox_key"),
    Index("outbox_state", "state"),
)

posts = Table(
    "posts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    *_place_columns(),
    Column("kind", Text, nullable=False),
    Column("text", Words, nullable=False),
    Column("format", Words, nullable=False),
    Column("buttons", Text, nullable=False),  # JSON
    Column("silent", Boolean, nullable=False),
    Column("reply_to", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("file_name", Words, nullable=False),
    Column("run", Integer),
    Column("ask", Text),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False),  # the platform's id
    Column("attempts", Integer, nullable=False),
    Column("repeat", Boolean, nullable=False),
    Column("after", Text, nullable=False),
    Column("note", Words, nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("key", name="posts_key"),
    Index("posts_state", "state"),
    Index("posts_message", "platform", "chat", "message"),
    Index("posts_newest", "platform", "chat", text("CAST(message AS INTEGER)")),
    Index("posts_run", "run"),
    Index("posts_ask", "ask"),
    sqlite_autoincrement=True,  # within a place, ids are the order in which messages are shown
)

offers = Table(
    "offers",
    metadata,
    Column("id", Text, primary_key=True),  # what the button carries
    Column("line", Words, nullable=False),
    Column("created", Moment, nullable=False),
    Index("offers_created", "created"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_key", Text, nullable=False),
    *_place_columns(),
    Column("owner", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("next_at", Moment),
    Column("missed", Text, nullable=False),  # run_once | skip | ask
    Column("state", Text, nullable=False),
    Column("message", Words, nullable=False),
    Column("created", Moment, nullable=False),
    Index("schedules_next_at", "next_at"),
    sqlite_autoincrement=True,  # people name schedules by id: an id is never given twice
)

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Words, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("last_seen", Moment),
)

budgets = Table(
    "budgets",
    metadata,
    Column("person", Text, primary_key=True),
    Column("amount", Float, nullable=False),  # USD a day
    Column("set_by", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("person", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    *_place_columns(nullable=True),
    Column("detail", Words, nullable=False),
    Index("audit_subject", "subject"),
)

mirror_files = Table(
    "mirror_files",
    metadata,
    # Names below state_dir that the mirror has written: it overwrites and removes nothing else. A new database knows
    # none, so the list of sessions a damaged one left behind survives it.
    Column("name", Text, primary_key=True),
    # What is in the file, or, if the process died while writing it, in `before`: everything else was written by a
    # person. Null where schema 0001 did not note it.
    Column("content", LargeBinary),
    Column("before", LargeBinary),
)
