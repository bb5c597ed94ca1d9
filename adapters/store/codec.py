"""Rows ↔ the frozen values of core. The only module that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Row

from core.messages import Page, Post, PostKind, PostState
from core.model import (
    AskId,
    Attachment,
    BaseSession,
    Button,
    Decision,
    Inbound,
    IncomingFile,
    IssueRef,
    MessageId,
    PermissionRequest,
    PermissionRule,
    Person,
    PersonId,
    Place,
    ProjectRef,
    QuestionRequest,
    Refusal,
    Run,
    RunId,
    RunState,
    Session,
    SessionId,
    SessionKey,
    SessionState,
    Tokens,
)
from core.ports import Ask, Delivery, Operation, Received

Values = dict[str, Any]


def to_json(value: object) -> str:
    """`value` made of dataclasses and JSON's own types. Raises TypeError for anything else."""
    return msgspec.json.encode(value).decode()


def place_values(place: Place, prefix: str = "") -> Values:
    """The columns of a place."""
    return {f"{prefix}platform": place.platform, f"{prefix}chat": place.chat, f"{prefix}thread": place.thread}


def place_from(row: Row[Any]) -> Place:
    """The place in a row's own columns."""
    return Place(row.platform, row.chat, row.thread)


def project_values(project: ProjectRef) -> Values:
    """The columns of a project's ref, with its identity."""
    return {"key": project.key, "instance": project.instance, "owner": project.owner, "repo": project.repo}


def project_from(row: Row[Any]) -> ProjectRef:
    """The project named by a row, as it was spelled."""
    return ProjectRef(row.instance, row.owner, row.repo)


def key_values(key: SessionKey, prefix: str = "") -> Values:
    """The columns of a session's key as it is spelled."""
    return {
        f"{prefix}instance": key.ref.project.instance,
        f"{prefix}owner": key.ref.project.owner,
        f"{prefix}repo": key.ref.project.repo,
        f"{prefix}number": key.ref.number,
        f"{prefix}merge_request": key.ref.merge_request,
        f"{prefix}name": key.name,
    }


def key_from(row: Row[Any], prefix: str = "") -> SessionKey:
    """The session named by a row, as it was spelled."""
    at = row._mapping  # noqa: SLF001 - SQLAlchemy's public way to read columns by name
    project = ProjectRef(at[f"{prefix}instance"], at[f"{prefix}owner"], at[f"{prefix}repo"])
    return SessionKey(IssueRef(project, at[f"{prefix}number"], at[f"{prefix}merge_request"]), at[f"{prefix}name"])


def inbound_values(inbound: Inbound) -> Values:
    """The inbox columns a platform fills."""
    return {
        "platform": inbound.platform,
        "event_id": inbound.event_id,
        **place_values(inbound.place, "place_"),
        "person": inbound.person.id,
        "person_name": inbound.person.name,
        "text": inbound.text,
        "at": inbound.at,
        "directory": None if inbound.directory is None else str(inbound.directory),
        "debug": inbound.debug,
        "message": inbound.message,
        "reply_to": inbound.reply_to,
        "direct": inbound.direct,
        "addressed": inbound.addressed,
        "edited": inbound.edited,
        "joins": inbound.joins,
        "files": to_json(inbound.files),
        "held": "",
    }


def inbound_from(row: Row[Any]) -> Inbound:
    """A row of the inbox, as the platform delivered it."""
    return Inbound(
        platform=row.platform,
        event_id=row.event_id,
        place=Place(row.place_platform, row.place_chat, row.place_thread),
        person=Person(PersonId(row.person), row.person_name),
        text=row.text,
        at=row.at,
        directory=None if row.directory is None else Path(row.directory),
        debug=row.debug,
        message=row.message,
        reply_to=row.reply_to,
        direct=row.direct,
        addressed=row.addressed,
        edited=row.edited,
        joins=row.joins,
        files=msgspec.json.decode(row.files, type=tuple[IncomingFile, ...]),
    )


def received_from(row: Row[Any]) -> Received:
    """A row of the inbox with what became of it."""
    run = None if row.run is None else RunId(row.run)
    return Received(row.id, inbound_from(row), row.received, row.outcome or "", row.reason or "", row.held, run)


def base_values(base: BaseSession) -> Values:
    """All columns of a base session."""
    return {
        **project_values(base.project),
        "agent_id": base.agent_id,
        "directory": str(base.directory),
        "title": base.title,
        "created": base.created,
        "ready": base.ready,
    }


def base_from(row: Row[Any]) -> BaseSession:
    """A row of bases."""
    return BaseSession(
        project=project_from(row),
        agent_id=SessionId(row.agent_id),
        directory=Path(row.directory),
        title=row.title,
        created=row.created,
        ready=row.ready,
    )


def session_values(session: Session) -> Values:
    """All columns of a session."""
    parent = key_values(session.parent or session.key, "parent_")
    return {
        "key": session.key.key,
        **key_values(session.key),
        "directory": str(session.directory),
        "branch": session.branch,
        "slug": session.slug,
        "title": session.title,
        "state": session.state.value,
        "created": session.created,
        "updated": session.updated,
        "agent_id": session.agent_id,
        "parent_id": session.parent_id,
        **(parent if session.parent else dict.fromkeys(parent)),
        "rules": to_json(session.rules),
        "model": session.model,
        "agent": session.agent,
        "variant": session.variant,
        "budget": session.budget,
    }


def session_from(row: Row[Any]) -> Session:
    """A row of sessions."""
    return Session(
        key=key_from(row),
        directory=Path(row.directory),
        branch=row.branch,
        slug=row.slug,
        title=row.title,
        state=SessionState(row.state),
        created=row.created,
        updated=row.updated,
        agent_id=SessionId(row.agent_id),
        parent_id=SessionId(row.parent_id),
        parent=None if row.parent_instance is None else key_from(row, "parent_"),
        rules=msgspec.json.decode(row.rules, type=tuple[PermissionRule, ...]),
        model=row.model,
        agent=row.agent,
        variant=row.variant,
        budget=row.budget,
    )


def operation_from(row: Row[Any]) -> Operation:
    """A row of operations."""
    return Operation(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        data=msgspec.json.decode(row.data, type=dict[str, Any]),
        done=msgspec.json.decode(row.done, type=tuple[str, ...]),
        created=row.created,
    )


def run_values(run: Run) -> Values:
    """All columns of a run but its id."""
    return {
        "session_key": run.session.key,
        **key_values(run.session, "session_"),
        "number": run.number,
        "prompt": run.prompt,
        "person": run.person,
        **place_values(run.place),
        "state": run.state.value,
        "created": run.created,
        "message_id": run.message_id,
        "started": run.started,
        "ended": run.ended,
        "text": run.text,
        "error": run.error,
        "error_code": run.error_code,
        "model": run.model,
        "cost": run.cost,
        "tokens_input": run.tokens.input,
        "tokens_output": run.tokens.output,
        "tokens_reasoning": run.tokens.reasoning,
        "tokens_cache_read": run.tokens.cache_read,
        "tokens_cache_write": run.tokens.cache_write,
        "refused": to_json(run.refused),
        "snapshot_before": run.snapshot_before,
        "snapshot_after": run.snapshot_after,
        "message": run.message,
        "attachments": msgspec.json.encode(run.attachments, enc_hook=str).decode(),
        "undone": run.undone,
        "context": run.context,
        "context_limit": run.context_limit,
        "urgent": run.urgent,
    }


def run_from(row: Row[Any]) -> Run:
    """A row of runs."""
    return Run(
        id=RunId(row.id),
        session=key_from(row, "session_"),
        number=row.number,
        prompt=row.prompt,
        person=PersonId(row.person),
        place=place_from(row),
        state=RunState(row.state),
        created=row.created,
        message_id=MessageId(row.message_id),
        started=row.started,
        ended=row.ended,
        text=row.text,
        error=row.error,
        error_code=row.error_code,
        model=row.model,
        cost=row.cost,
        tokens=Tokens(
            row.tokens_input,
            row.tokens_output,
            row.tokens_reasoning,
            row.tokens_cache_read,
            row.tokens_cache_write,
        ),
        refused=msgspec.json.decode(row.refused, type=tuple[Refusal, ...]),
        snapshot_before=row.snapshot_before,
        snapshot_after=row.snapshot_after,
        message=row.message,
        attachments=msgspec.json.decode(
            row.attachments, type=tuple[Attachment, ...], dec_hook=lambda to, value: to(value)
        ),
        undone=row.undone,
        context=row.context,
        context_limit=row.context_limit,
        urgent=row.urgent,
    )


def ask_values(ask: Ask) -> Values:
    """All columns of an ask."""
    match ask.request:
        case PermissionRequest():
            request: Mapping[str, object] = {"permission": ask.request}
        case QuestionRequest():
            request = {"question": ask.request}
        case _:
            raise TypeError(f"not a request: {ask.request!r}")
    return {
        "id": ask.id,
        "run": ask.run,
        **key_values(ask.session, "session_"),
        "request": to_json(request),
        "created": ask.created,
        "decision": None if ask.decision is None else to_json(ask.decision),
        "decided_by": ask.decided_by,
        "decided_at": ask.decided_at,
    }


def ask_from(row: Row[Any]) -> Ask:
    """A row of asks."""
    stored: dict[str, Any] = msgspec.json.decode(row.request)
    request: PermissionRequest | QuestionRequest
    if "permission" in stored:
        request = msgspec.convert(stored["permission"], PermissionRequest)
    else:
        request = msgspec.convert(stored["question"], QuestionRequest)
    return Ask(
        id=AskId(row.id),
        run=RunId(row.run),
        session=key_from(row, "session_"),
        request=request,
        created=row.created,
        decision=None if row.decision is None else msgspec.json.decode(row.decision, type=Decision),
        decided_by=None if row.decided_by is None else PersonId(row.decided_by),
        decided_at=row.decided_at,
    )


def delivery_from(row: Row[Any]) -> Delivery:
    """A row of the outbox."""
    return Delivery(id=row.id, key=row.key, place=place_from(row), run=RunId(row.run), state=row.state)


def post_values(post: Post) -> Values:
    """All columns of a message on its way but its id."""
    return {
        "key": post.key,
        **place_values(post.place),
        "kind": post.kind.value,
        "text": post.page.text,
        "format": post.page.format,
        "buttons": to_json(post.buttons),
        "silent": post.silent,
        "reply_to": post.reply_to,
        "file": post.file,
        "file_name": post.file_name,
        "run": post.run,
        "ask": post.ask,
        "state": post.state.value,
        "message": post.message,
        "attempts": post.attempts,
        "repeat": post.repeat,
        "after": post.after,
        "note": post.note,
        "created": post.created,
    }


def post_from(row: Row[Any]) -> Post:
    """A row of posts."""
    return Post(
        key=row.key,
        place=place_from(row),
        kind=PostKind(row.kind),
        page=Page(row.text, row.format),
        created=row.created,
        buttons=msgspec.json.decode(row.buttons, type=tuple[tuple[Button, ...], ...]),
        silent=row.silent,
        reply_to=row.reply_to,
        file=row.file,
        file_name=row.file_name,
        run=None if row.run is None else RunId(row.run),
        ask=None if row.ask is None else AskId(row.ask),
        id=row.id,
        state=PostState(row.state),
        message=row.message,
        attempts=row.attempts,
        repeat=row.repeat,
        after=row.after,
        note=row.note,
    )
